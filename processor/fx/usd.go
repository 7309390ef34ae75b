package fx

import (
	"errors"
	"fmt"

	"github.com/shopspring/decimal"
)

const (
	// ratePlaces is the scale of the column fx_rate, Decimal(38,18).
	ratePlaces = 18
	// usdPlaces is the scale of the columns amount_usd and net_usd, Decimal(18,6).
	usdPlaces = 6
	// maxExponent bounds the exponent of minor units. No currency has more than four.
	maxExponent = 9
)

var (
	// ErrOutOfRange says that an amount in dollars does not fit the column's Decimal(18,6): it is
	// 10^12 or more.
	ErrOutOfRange = errors.New("amount in USD is 10^12 or more")
	// ErrBadRate says that a rate is zero, negative, or outside of Decimal(38,18).
	ErrBadRate = errors.New("rate is not a positive Decimal(38,18)")
	// ErrBadExponent says that an exponent of minor units is negative or larger than any
	// currency's.
	ErrBadExponent = errors.New("exponent of minor units is out of range")
)

var maxUSD = decimal.New(1, 12)

// USD returns the worth in US dollars of an amount of minor units: amountMinor / 10^exponent ×
// rate, where rate is USD per major unit. The product is exact; it is rounded once, half to even,
// to six places. The result always has exactly six places (its Exponent is −6).
//
// Errors are ErrOutOfRange, ErrBadRate and ErrBadExponent, wrapped with the values that caused
// them.
func USD(amountMinor int64, exponent int, rate decimal.Decimal) (decimal.Decimal, error) {
	if exponent < 0 || exponent > maxExponent {
		return decimal.Decimal{}, fmt.Errorf("convert to USD: exponent %d: %w", exponent, ErrBadExponent)
	}
	if rate.Sign() <= 0 {
		return decimal.Decimal{}, fmt.Errorf("convert to USD: rate %s: %w", rate, ErrBadRate)
	}
	if !bounded(rate) {
		return decimal.Decimal{}, fmt.Errorf("convert to USD: rate with exponent %d: %w", rate.Exponent(), ErrBadRate)
	}
	if exponent <= usdPlaces && rate.Exponent() == one.Exponent() && rate.Equal(one) {
		return dollars(amountMinor, exponent)
	}
	usd := decimal.New(amountMinor, -int32(exponent)).Mul(rate).RoundBank(usdPlaces)
	if usd.Abs().GreaterThanOrEqual(maxUSD) {
		return decimal.Decimal{}, outOfRange(amountMinor, exponent, rate)
	}
	return usd, nil
}

// dollars is USD at the rate 1: integers hold what is in range.
func dollars(amountMinor int64, exponent int) (decimal.Decimal, error) {
	most, places := int64(1_000_000_000_000), int64(1) // most as maxUSD
	for range exponent {
		most *= 10
	}
	for range usdPlaces - exponent {
		places *= 10
	}
	if amountMinor <= -most || amountMinor >= most {
		return decimal.Decimal{}, outOfRange(amountMinor, exponent, one)
	}
	return decimal.New(amountMinor*places, -usdPlaces), nil
}

func outOfRange(amountMinor int64, exponent int, rate decimal.Decimal) error {
	return fmt.Errorf("convert to USD: %d minor units (exponent %d) at %s: %w", amountMinor, exponent, rate,
		ErrOutOfRange)
}
