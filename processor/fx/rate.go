package fx

import (
	"fmt"
	"time"

	"github.com/shopspring/decimal"
)

// Rate is what one major unit of a currency was worth on one day, by one source.
type Rate struct {
	// Currency is the lower-case code, as Stripe writes it.
	Currency string
	// Date is the day that the source gives the rate for.
	Date Date
	// USD per major unit, with exactly 18 decimal places. The rate is this decimal: a cross rate is quantised once, half to
	// even, when it is made, and amounts are computed from the quantised value. Anyone can therefore recompute an amount
	// from what stands in its row.
	USD decimal.Decimal
	// Source names where the rate comes from: "ecb", "file:demo-rates", "usd".
	Source string
	// FetchedAt is when the source was read, in UTC.
	FetchedAt time.Time
}

// bounded reports whether a decimal's exponent is that of a rate. Whoever computes with "1e999999999" first writes a
// billion digits into memory.
func bounded(d decimal.Decimal) bool { return d.Exponent() >= -64 && d.Exponent() <= 38 }

// divide returns a/b as a rate: 18 places, rounded once, half to even. Both are positive. What is not a positive
// Decimal(38,18) afterwards is ErrBadRate.
func divide(a, b decimal.Decimal) (decimal.Decimal, error) {
	if a.Sign() <= 0 || b.Sign() <= 0 || !bounded(a) || !bounded(b) {
		return decimal.Decimal{}, ErrBadRate
	}
	quotient, remainder := a.QuoRem(b, ratePlaces)
	// The last place goes up when the remainder is more than half of it, or just half and the place is odd.
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

// parsePositive reads a plain positive decimal such as 1.1684. Exponents ("1e9") are refused: no source writes them, and
// a large one would cost memory without bound.
func parsePositive(s string) (decimal.Decimal, error) {
	digits, points := 0, 0
	for i := range len(s) {
		switch c := s[i]; {
		case c >= '0' && c <= '9':
			digits++
		case c == '.':
			points++
		default:
			return decimal.Decimal{}, fmt.Errorf("parse rate %q: want a plain decimal with a point", s)
		}
	}
	if digits == 0 || digits > 60 || points > 1 {
		return decimal.Decimal{}, fmt.Errorf("parse rate %q: want a plain decimal with a point", s)
	}
	value, err := decimal.NewFromString(s)
	if err != nil {
		return decimal.Decimal{}, fmt.Errorf("parse rate %q: %w", s, err)
	}
	if value.Sign() <= 0 {
		return decimal.Decimal{}, fmt.Errorf("parse rate %q: %w", s, ErrBadRate)
	}
	return value, nil
}
