package fx

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Options are the rules of a Table. The zero value of a field takes the default.
type Options struct {
	// MaxMove is the largest change against the previous rate that is used at once, as a fraction:
	// 0.2 is 20 %.
	MaxMove decimal.Decimal
	// MaxAge is how many days a published rate may be older than the movement: 7, which spans every
	// run of weekend and holidays that the bank has had.
	MaxAge int
	// Persist is on which published day in a row a larger move is believed: 3. A slip is corrected
	// the next day; a devaluation stays.
	Persist int
	// Pegs are fixed conversions, a source of their own; nil: none.
	Pegs []Peg
	// PegsAfter is how many of the other sources are preferred to Pegs.
	PegsAfter int
}

func (o Options) withDefaults() Options {
	if o.MaxMove.Sign() <= 0 {
		o.MaxMove = decimal.New(2, -1)
	}
	if o.MaxAge <= 0 {
		o.MaxAge = 7
	}
	if o.Persist <= 0 {
		o.Persist = 3
	}
	return o
}

// Quote is the answer of a Table: a rate, and whether it stands.
type Quote struct {
	Rate
	// Final says that more rates of the same sources cannot replace the quote, as long as what they
	// gave is not revised (Rate.RevisedAt). See Table.Lookup.
	Final bool
}

// Table answers which rate converts a movement. It is immutable, and safe for concurrent use.
type Table struct {
	maxAge     Date
	currencies map[string][]series // in order of preference
	held       []HeldBack
	size       int
}

// NewTable builds a table from the rates of several sources, the most preferred first. The order of
// the rates within a source does not matter. Of two rates for the same currency and day the one
// fetched later stands, so that stored rates and newly fetched ones can be given together. A rate
// that is not plausible is held back (HeldBack), and never keeps another from being used.
func NewTable(sources [][]Rate, options Options) *Table {
	options = options.withDefaults()
	pegs := make(map[string][]Peg)
	for _, peg := range options.Pegs {
		pegs[peg.Currency] = append(pegs[peg.Currency], peg)
	}
	table := &Table{maxAge: Date(options.MaxAge), currencies: make(map[string][]series)}
	place := min(max(options.PegsAfter, 0), len(sources))
	for i, rates := range sources {
		if i == place {
			table.addPegs(pegs)
		}
		table.addSource(rates, pegs, options)
	}
	if place == len(sources) {
		table.addPegs(pegs)
	}
	table.compareFiles()
	slices.SortStableFunc(table.held, func(a, b HeldBack) int {
		return cmp.Or(cmp.Compare(a.Rate.Date, b.Rate.Date), cmp.Compare(a.Rate.Currency, b.Rate.Currency),
			cmp.Compare(a.Rate.Source, b.Rate.Source))
	})
	return table
}

func (t *Table) addPegs(pegs map[string][]Peg) {
	for currency, list := range pegs {
		t.currencies[currency] = append(t.currencies[currency], series{pegs: list})
	}
}

func (t *Table) addSource(rates []Rate, pegs map[string][]Peg, options Options) {
	byCurrency := make(map[string][]Rate)
	var sourceLast Date
	for _, rate := range rates {
		rate.Currency = strings.ToLower(rate.Currency)
		rate = quantised(rate)
		if rate.ValidTo == 0 && !rate.early() {
			sourceLast = max(sourceLast, rate.Date)
		}
		if rate.Currency != "usd" {
			byCurrency[rate.Currency] = append(byCurrency[rate.Currency], rate)
		}
	}
	for currency, list := range byCurrency {
		slices.SortFunc(list, func(a, b Rate) int {
			// The newest fetch of a day comes first; at the same moment the value decides, so that
			// any order of the input builds the same table.
			return cmp.Or(cmp.Compare(a.Date, b.Date), b.FetchedAt.Compare(a.FetchedAt), b.USD.Cmp(a.USD))
		})
		list = slices.CompactFunc(list, func(a, b Rate) bool { return a.Date == b.Date })
		s, held := plausible(list, options)
		s.sourceLast = sourceLast
		for _, rate := range list {
			if rate.ValidTo == 0 && !rate.early() {
				s.last = max(s.last, rate.Date)
			}
			s.published = s.published || rate.ValidTo == 0
			if rate.ValidTo != 0 && !rate.RevisedAt.IsZero() {
				s.revised = append(s.revised, rate)
			}
		}
		for _, peg := range pegs[currency] {
			s.breaks = append(s.breaks, peg.From)
		}
		t.currencies[currency] = append(t.currencies[currency], s)
		t.held = append(t.held, held...)
		t.size += len(s.days) + len(s.periods)
	}
}

// quantised brings a rate to 18 places. One that has no such value becomes a rate with a Fault.
func quantised(rate Rate) Rate {
	if rate.Fault != "" || rate.USD.Exponent() == -ratePlaces && rate.USD.Sign() > 0 {
		return rate
	}
	usd, err := divide(rate.USD, one)
	if err != nil {
		rate.USD, rate.Fault = decimal.Decimal{}, err.Error()
		return rate
	}
	rate.USD = usd
	return rate
}

// Lookup returns the rate that converts a movement in a currency on a UTC day: of the most
// preferred source that has one, the newest that is not after the day and still holds on it. A
// published rate holds Options.MaxAge days, but not beyond the day from which the currency became a
// fixed part of another; a rate stated for a period holds until its last day. The dollar is 1,
// source "usd", final. Without a rate it returns false: the amount stays NULL, it is never summed
// as if it were dollars. Its RevisedAt is then that of a rate that was withdrawn.
//
// A quote is final when no more preferred source, nor the quote's own, can still publish a rate
// that would take its place. Each of them has already published this currency for the day or a
// later one, so that a gap is known to be a gap; or it has dropped the currency: it went on
// publishing others for more than MaxAge days, or beyond the day on which the currency ended. A
// quote is not final where a newer rate is held back, because the source may correct or confirm
// that; nor is one that its source may still change (Rate.Open).
func (t *Table) Lookup(currency string, day Date) (Quote, bool) {
	list, known := t.currencies[currency]
	if !known {
		// Stripe writes lower case, which the first look finds without a conversion.
		currency = strings.ToLower(currency)
		if currency == "usd" {
			return Quote{Rate: Rate{Currency: "usd", Date: day, USD: one, Source: "usd"}, Final: true}, true
		}
		list = t.currencies[currency]
	}
	final, revised := true, time.Time{}
	for i := range list {
		s := &list[i]
		if s.pegs != nil {
			quote, fixed, ok := t.pegged(s.pegs, day)
			if ok {
				quote.Final, quote.RevisedAt = quote.Final && final, later(quote.RevisedAt, revised)
				return quote, true
			}
			final = final && !fixed // the rate of the base would make one
			continue
		}
		rate, ok := s.at(day, t.maxAge)
		revised = later(revised, s.revisedAt(day))
		final = final && (ok && rate.ValidTo != 0 || s.settled(day, t.maxAge))
		if heldAt := upTo(s.heldDays, day); heldAt >= 0 && day-s.heldDays[heldAt] <= t.maxAge &&
			(!ok || s.heldDays[heldAt] > rate.Date) {
			final = false // if the rate held back is confirmed or corrected, it wins
		}
		if ok {
			quote := Quote{Rate: *rate, Final: final && !rate.Open()}
			quote.RevisedAt = later(quote.RevisedAt, revised)
			return quote, true
		}
	}
	return Quote{Rate: Rate{RevisedAt: revised}}, false
}

// HeldBack lists the rates that are not used, by day, currency and source.
func (t *Table) HeldBack() []HeldBack { return slices.Clone(t.held) }

// Newest returns the newest usable rate of a currency, of the most preferred source that has any,
// however old, but not of a day after today.
func (t *Table) Newest(currency string, today Date) (Rate, bool) {
	for _, s := range t.currencies[currency] {
		if s.pegs != nil {
			if quote, _, ok := t.pegged(s.pegs, today); ok {
				return quote.Rate, true
			}
			continue
		}
		if rate, ok := s.at(today, maxDate); ok {
			return *rate, true
		}
	}
	return Rate{}, false
}

// Len returns the number of usable rates, without the pegs.
func (t *Table) Len() int { return t.size }

// Currencies lists the currencies that any source has, sorted, without the dollar.
func (t *Table) Currencies() []string {
	names := make([]string, 0, len(t.currencies))
	for currency := range t.currencies {
		if isCurrency(currency) {
			names = append(names, currency)
		}
	}
	slices.Sort(names)
	return names
}
