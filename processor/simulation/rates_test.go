package simulation

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
	"tributary/processor/ledger"
)

// rates arrive while the schedule is under way: none at first, then a provisional one, then the
// day's own.
type rates struct {
	usd     map[string]decimal.Decimal
	any     map[string]time.Time // from when on there is one at all
	final   map[string]time.Time
	lagging map[string]time.Duration // by processor: each reads its sources on its own
}

func newRates(rng *rand.Rand, epoch time.Time) *rates {
	r := &rates{usd: map[string]decimal.Decimal{}, any: map[string]time.Time{}, final: map[string]time.Time{},
		lagging: map[string]time.Duration{}}
	for _, c := range []struct{ currency, usd string }{{"usd", "1"}, {"eur", "1.1"}, {"jpy", "0.0067"}} {
		r.usd[c.currency] = decimal.RequireFromString(c.usd)
		r.any[c.currency], r.final[c.currency] = epoch, epoch
		if c.currency != "usd" && rng.IntN(2) == 0 {
			r.any[c.currency] = epoch.Add(time.Duration(rng.Int64N(int64(2 * span))))
			r.final[c.currency] = r.any[c.currency].Add(time.Duration(rng.Int64N(int64(span))))
		}
	}
	for i := range 4 {
		r.lagging[fmt.Sprintf("p%d", i+1)] = time.Duration(rng.Int64N(int64(30 * time.Second)))
	}
	return r
}

// last is when every processor knows every rate.
func (r *rates) last() time.Time {
	var last time.Time
	for _, at := range r.final {
		if at.After(last) {
			last = at
		}
	}
	return last.Add(30 * time.Second)
}

func (r *rates) String() string {
	var list []string
	for _, c := range []string{"eur", "jpy"} {
		list = append(list, fmt.Sprintf("%s from %s on, final from %s on", c, r.any[c].Format(time.TimeOnly),
			r.final[c].Format(time.TimeOnly)))
	}
	return strings.Join(list, "; ")
}

// known returns a rate as it is known at a moment. A provisional one is another day's, and differs.
func (r *rates) known(currency string, at, now time.Time) (fx.Quote, int, bool) {
	exponent, _ := fx.Exponent(currency)
	usd, ok := r.usd[currency]
	if !ok || now.Before(r.any[currency]) {
		return fx.Quote{}, exponent, false
	}
	quote := fx.Quote{Rate: fx.Rate{Currency: currency, Date: fx.DateOf(at), USD: usd, Source: "test"}, Final: true}
	if now.Before(r.final[currency]) {
		quote.USD, quote.Date, quote.Final = usd.Mul(decimal.New(101, -2)), fx.DateOf(at.AddDate(0, 0, -1)), false
	}
	return quote, exponent, true
}

// ownRates are one processor's.
type ownRates struct {
	*rates
	processor string
}

var _ ledger.Rates = (*ownRates)(nil)

func (r *ownRates) Convert(currency string, at time.Time) (fx.Quote, int, bool) {
	return r.known(currency, at, time.Now().Add(-r.lagging[r.processor]))
}
