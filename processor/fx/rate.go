package fx

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// Rate is what one major unit of a currency was worth on one day, by one source.
type Rate struct {
	// Currency is the lower-case code, as Stripe writes it.
	Currency string
	// Date is the UTC day that the source gives the rate for, or the first one.
	Date Date
	// ValidTo is the last UTC day of a rate that is stated for a period, such as a peg. 0: the rate
	// was published for Date alone, and converts what comes after it until it is too old
	// (Options.MaxAge).
	ValidTo Date
	// USD per major unit, with exactly 18 decimal places. The rate is this decimal: a cross rate is
	// quantised once, half to even, when it is made, and amounts are computed from the quantised
	// value. Anyone can therefore recompute an amount from what stands in its row.
	USD decimal.Decimal
	// Source names where the rate comes from: "ecb", "file:demo-rates", "pegs", "usd".
	Source string
	// FetchedAt is when the source was read, in UTC.
	FetchedAt time.Time
	// RevisedAt is when the rate took the place of another value for its day, or came after one of a
	// later day, so that what is converted already may have another rate. Zero: neither. Of two
	// revisions noted on one day the second one has the next day.
	RevisedAt time.Time
	// Fault says why what the source gives for this currency and day cannot be a rate: zero, null,
	// no number. USD is then 0, and the rate converts nothing. It is kept, because the source may
	// correct it: until then nothing that this day falls back to is final.
	Fault string
}

// String returns the rate in one line, for a log or a report.
func (r Rate) String() string {
	s := fmt.Sprintf("%s %s %s: ", r.Source, r.Currency, r.Date)
	if r.Fault != "" {
		return s + r.Fault
	}
	return s + r.USD.String() + " USD"
}

// last returns the last day that the rate is stated for.
func (r Rate) last() Date { return max(r.Date, r.ValidTo) }

// early reports whether the day of a published rate had not come anywhere when its source was read:
// it is generated, or mistyped. It converts its day when that comes, but until then it does not
// show that the source has nothing more to say about the days before it.
func (r Rate) early() bool {
	return r.ValidTo == 0 && !r.FetchedAt.IsZero() && r.Date > DateOf(r.FetchedAt)+1
}

// faulty makes a rate of what cannot be one.
func faulty(currency string, date Date, why error) Rate {
	const most = 16 // bytes of what is no code of a currency
	currency = strings.ToValidUTF8(currency[:min(len(currency), most)], "?")
	return Rate{Currency: currency, Date: date, Fault: why.Error()}
}

var (
	errNoCurrency    = errors.New("this is not the code of a currency, three letters")
	errContradiction = errors.New("the source gives two different rates")
)

// withoutContradictions drops repetitions of a currency and day, and leaves out what is given twice
// with different rates: neither can be believed.
func withoutContradictions(rates []Rate) []Rate {
	type key struct {
		currency string
		date     Date
	}
	first := make(map[key]int, len(rates))
	kept := rates[:0]
	for _, rate := range rates {
		at := key{rate.Currency, rate.Date}
		i, twice := first[at]
		switch {
		case !twice:
			first[at] = len(kept)
			kept = append(kept, rate)
		case kept[i].Fault == "" && (!kept[i].USD.Equal(rate.USD) || kept[i].ValidTo != rate.ValidTo):
			kept[i] = faulty(rate.Currency, rate.Date, errContradiction)
		}
	}
	return kept
}

// bounded reports whether a decimal's exponent is that of a rate. Whoever computes with
// "1e999999999" first writes a billion digits into memory.
func bounded(d decimal.Decimal) bool { return d.Exponent() >= -64 && d.Exponent() <= 38 }

// divide returns a/b as a rate: 18 places, rounded once, half to even. Both are positive. What is
// not a positive Decimal(38,18) afterwards is ErrBadRate.
func divide(a, b decimal.Decimal) (decimal.Decimal, error) {
	if a.Sign() <= 0 || b.Sign() <= 0 || !bounded(a) || !bounded(b) {
		return decimal.Decimal{}, ErrBadRate
	}
	quotient, remainder := a.QuoRem(b, ratePlaces)
	// The last place goes up when the remainder is more than half of it, or just half and the place
	// is odd.
	last := decimal.New(1, -ratePlaces)
	half := remainder.Add(remainder).Cmp(b.Mul(last))
	if half > 0 || half == 0 && quotient.Coefficient().Bit(0) == 1 {
		quotient = quotient.Add(last)
	}
	if quotient.Sign() <= 0 || quotient.GreaterThanOrEqual(maxRate) {
		return decimal.Decimal{}, ErrBadRate
	}
	return quotient, nil
}

// maxRate is the first value that Decimal(38,18) cannot hold.
var maxRate = decimal.New(1, 38-ratePlaces)

// one is the rate of the dollar itself, and the divisor that brings any decimal to 18 places.
var one = decimal.RequireFromString("1.000000000000000000")

// parsePositive reads a plain positive decimal such as 1.1684. Exponents ("1e9") are refused: no
// bank writes them.
func parsePositive(s string) (decimal.Decimal, error) {
	points := 0
	for i := range len(s) {
		switch c := s[i]; {
		case c == '.':
			points++
		case c < '0' || c > '9':
			points = 2
		}
	}
	if points > 1 {
		return decimal.Decimal{}, fmt.Errorf("%s is not a plain decimal with a point", quoted(s))
	}
	return parseNumber(s)
}

// parseNumber reads a positive decimal that may have an exponent, as JSON's numbers may. Length and
// exponent are judged before anything is computed.
func parseNumber(s string) (decimal.Decimal, error) {
	if s == "" || len(s) > 60 {
		return decimal.Decimal{}, fmt.Errorf("%s is not a decimal number", quoted(s))
	}
	value, err := decimal.NewFromString(s)
	if err != nil || !bounded(value) {
		return decimal.Decimal{}, fmt.Errorf("%s is not a decimal number", quoted(s))
	}
	if value.Sign() <= 0 {
		return decimal.Decimal{}, fmt.Errorf("%s: %w", quoted(s), ErrBadRate)
	}
	return value, nil
}

// quoted returns what a source wrote, short enough for a line of a log.
func quoted(s string) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%q…", s[:most])
	}
	return fmt.Sprintf("%q", s)
}
