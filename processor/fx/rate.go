package fx

import (
	"fmt"
	"math/big"
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

// quantise returns numerator/denominator as a decimal of 18 places, rounded half to even. It refuses what is not positive
// afterwards or does not fit Decimal(38,18).
func quantise(numerator, denominator *big.Int) (decimal.Decimal, error) {
	scaled := new(big.Int).Mul(numerator, pow10(ratePlaces))
	value := roundHalfEven(scaled, denominator)
	if value.Sign() <= 0 || value.Cmp(maxRate) >= 0 {
		return decimal.Decimal{}, ErrBadRate
	}
	return decimal.NewFromBigInt(value, -ratePlaces), nil
}

// divide returns a/b as a rate of 18 places. Both are positive and come from parsePositive or quantise.
func divide(a, b decimal.Decimal) (decimal.Decimal, error) {
	numerator, denominator := a.Coefficient(), b.Coefficient()
	// a/b = (ca × 10^ea) / (cb × 10^eb)
	if shift := int64(a.Exponent()) - int64(b.Exponent()); shift >= 0 {
		numerator.Mul(numerator, pow10(shift))
	} else {
		denominator.Mul(denominator, pow10(-shift))
	}
	return quantise(numerator, denominator)
}

// one is the rate of the dollar itself, and the divisor that brings any decimal to 18 places.
var one = decimal.NewFromBigInt(pow10(ratePlaces), -ratePlaces)

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
