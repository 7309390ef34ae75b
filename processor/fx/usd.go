package fx

import (
	"errors"
	"fmt"
	"math/big"
	"math/bits"

	"github.com/shopspring/decimal"
)

const (
	// ratePlaces is the scale of the column fx_rate, Decimal(38,18).
	ratePlaces = 18
	// usdPlaces is the scale of the columns amount_usd and net_usd, Decimal(18,6).
	usdPlaces = 6
	// maxExponent bounds the exponent of minor units. No currency has more than four; nine leaves room and keeps the
	// divisor of the short path within 64 bits.
	maxExponent = 9
)

var (
	// ErrOutOfRange says that an amount in dollars does not fit the column's Decimal(18,6): it is 10^12 or more.
	ErrOutOfRange = errors.New("amount in USD is 10^12 or more")
	// ErrBadRate says that a rate is zero, negative, or outside of Decimal(38,18).
	ErrBadRate = errors.New("rate is not a positive Decimal(38,18)")
	// ErrBadExponent says that an exponent of minor units is negative or larger than any currency's.
	ErrBadExponent = errors.New("exponent of minor units is out of range")
)

var (
	bigTen   = big.NewInt(10)
	maxUSD   = pow10(12 + usdPlaces)
	maxRate  = pow10(38)
	pow10u64 = func() (table [20]uint64) {
		table[0] = 1
		for i := 1; i < len(table); i++ {
			table[i] = table[i-1] * 10
		}
		return table
	}()
)

// USD returns the worth in US dollars of an amount of minor units: amountMinor / 10^exponent × rate, where rate is USD per
// major unit. The product is exact; it is rounded once, half to even, to six places. The result always has exactly six
// places (its Exponent is −6).
//
// Errors are ErrOutOfRange, ErrBadRate and ErrBadExponent, wrapped with the values that caused them.
func USD(amountMinor int64, exponent int, rate decimal.Decimal) (decimal.Decimal, error) {
	if exponent < 0 || exponent > maxExponent {
		return decimal.Decimal{}, fmt.Errorf("convert to USD: exponent %d: %w", exponent, ErrBadExponent)
	}
	if rate.Sign() <= 0 {
		return decimal.Decimal{}, fmt.Errorf("convert to USD: rate %s: %w", rate, ErrBadRate)
	}
	coefficient := rate.Coefficient()
	// In millionths of a dollar the amount is amountMinor × coefficient / 10^places.
	places := -int64(rate.Exponent()) + int64(exponent) - usdPlaces
	// Table quantises every rate to 18 places, so that any rate below 18.4 USD takes the short path: the product of two
	// 64-bit numbers in 128 bits, and one division.
	if coefficient.IsUint64() && places >= 0 && places < int64(len(pow10u64)) {
		magnitude := uint64(amountMinor)
		if amountMinor < 0 {
			magnitude = -magnitude // also right for the smallest int64, whose magnitude is 2^63
		}
		quotient, ok := divideHalfEven(magnitude, coefficient.Uint64(), pow10u64[places])
		if !ok {
			return decimal.Decimal{}, outOfRange(amountMinor, exponent, rate)
		}
		if amountMinor < 0 {
			return decimal.New(-int64(quotient), -usdPlaces), nil
		}
		return decimal.New(int64(quotient), -usdPlaces), nil
	}
	// A rate of ours has 18 places. Others are accepted within bounds that keep a hostile exponent from eating memory.
	if places < -64 || places > 128 {
		return decimal.Decimal{}, fmt.Errorf("convert to USD: rate with exponent %d: %w", rate.Exponent(), ErrBadRate)
	}
	numerator := new(big.Int).Mul(big.NewInt(amountMinor), coefficient)
	denominator := big.NewInt(1)
	if places < 0 {
		numerator.Mul(numerator, pow10(-places))
	} else {
		denominator = pow10(places)
	}
	micros := roundHalfEven(numerator, denominator)
	if micros.CmpAbs(maxUSD) >= 0 {
		return decimal.Decimal{}, outOfRange(amountMinor, exponent, rate)
	}
	return decimal.NewFromBigInt(micros, -usdPlaces), nil
}

func outOfRange(amountMinor int64, exponent int, rate decimal.Decimal) error {
	return fmt.Errorf("convert to USD: %d minor units (exponent %d) at %s: %w", amountMinor, exponent, rate, ErrOutOfRange)
}

// divideHalfEven returns a×b/divisor rounded half to even, and false when that is 10^18 or more.
func divideHalfEven(a, b, divisor uint64) (uint64, bool) {
	high, low := bits.Mul64(a, b)
	if high >= divisor {
		return 0, false // the quotient needs more than 64 bits
	}
	quotient, remainder := bits.Div64(high, low, divisor)
	// Compare the remainder with the rest up to the divisor instead of doubling it, which could overflow.
	rest := divisor - remainder
	if remainder > rest || remainder == rest && quotient&1 == 1 {
		// 2^64−1 is odd and would wrap to 0, but is far beyond the bound checked here.
		if quotient >= pow10u64[18] {
			return 0, false
		}
		quotient++
	}
	return quotient, quotient < pow10u64[18]
}

// roundHalfEven returns numerator/denominator rounded to the nearest integer, ties to the even one. The denominator is
// positive; the numerator is overwritten.
func roundHalfEven(numerator, denominator *big.Int) *big.Int {
	negative := numerator.Sign() < 0
	numerator.Abs(numerator)
	quotient, remainder := new(big.Int).QuoRem(numerator, denominator, new(big.Int))
	remainder.Lsh(remainder, 1)
	if order := remainder.Cmp(denominator); order > 0 || order == 0 && quotient.Bit(0) == 1 {
		quotient.Add(quotient, big.NewInt(1))
	}
	if negative {
		quotient.Neg(quotient)
	}
	return quotient
}

func pow10(n int64) *big.Int { return new(big.Int).Exp(bigTen, big.NewInt(n), nil) }
