package fx

import (
	"errors"
	"math"
	"math/big"
	"math/rand/v2"
	"testing"

	"github.com/shopspring/decimal"
)

// referenceUSD computes the same as USD in another way: by rational numbers, and the rounding taken
// from the distance to the neighbours instead of from a remainder.
func referenceUSD(amount int64, exponent int, rate *big.Rat) *big.Rat {
	exact := new(big.Rat).SetFrac(big.NewInt(amount), new(big.Int).Exp(big.NewInt(10),
		big.NewInt(int64(exponent)), nil))
	exact.Mul(exact, rate)
	micros := new(big.Rat).Mul(exact, big.NewRat(1_000_000, 1))
	// Euclidean division rounds towards minus infinity, because the denominator is positive.
	below := new(big.Int).Div(micros.Num(), micros.Denom())
	above := new(big.Int).Add(below, big.NewInt(1))
	toBelow := new(big.Rat).Sub(micros, new(big.Rat).SetInt(below))
	toAbove := new(big.Rat).Sub(new(big.Rat).SetInt(above), micros)
	nearest := below
	switch toBelow.Cmp(toAbove) {
	case 1:
		nearest = above
	case 0:
		if below.Bit(0) == 1 {
			nearest = above
		}
	}
	return new(big.Rat).SetFrac(nearest, big.NewInt(1_000_000))
}

func ratOf(d decimal.Decimal) *big.Rat {
	r, ok := new(big.Rat).SetString(d.String())
	if !ok {
		panic(d.String())
	}
	return r
}

func TestUSDEqualsReference(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	limit := new(big.Rat).SetInt64(1_000_000_000_000)
	refused := 0
	for currency, exponent := range StripeExponents().table {
		for range 120 {
			amount := int64(rng.Uint64()) >> rng.UintN(64)
			// A rate between 10^-8 and some hundreds, so that both ways of computing are taken.
			coefficient := new(big.Int).SetUint64(rng.Uint64()>>rng.UintN(34) | 1)
			if rng.UintN(4) == 0 {
				coefficient.Mul(coefficient, big.NewInt(int64(rng.UintN(1000)+1)))
			}
			rate := decimal.NewFromBigInt(coefficient, -18)
			if rng.UintN(8) == 0 {
				rate = one
			}
			want := referenceUSD(amount, exponent, ratOf(rate))
			got, err := USD(amount, exponent, rate)
			if new(big.Rat).Abs(want).Cmp(limit) >= 0 {
				refused++
				if !errors.Is(err, ErrOutOfRange) {
					t.Fatalf("%s: USD(%d, %d, %s) = %s, %v; want ErrOutOfRange", currency, amount, exponent,
						rate, got, err)
				}
				continue
			}
			if err != nil || ratOf(got).Cmp(want) != 0 {
				t.Fatalf("%s: USD(%d, %d, %s) = %s, %v; want %s", currency, amount, exponent, rate, got, err,
					want.FloatString(6))
			}
			if got.Exponent() != -usdPlaces {
				t.Fatalf("%s: USD(%d, %d, %s) has exponent %d", currency, amount, exponent, rate, got.Exponent())
			}
		}
	}
	if refused == 0 {
		t.Error("no amount was beyond the range; the test has lost its edge")
	}
}

func TestUSD(t *testing.T) {
	f := func(amount int64, exponent int, rate, want string) {
		t.Helper()
		got, err := USD(amount, exponent, decimal.RequireFromString(rate))
		if err != nil {
			t.Errorf("USD(%d, %d, %s): %v", amount, exponent, rate, err)
			return
		}
		if got.StringFixed(6) != want {
			t.Errorf("USD(%d, %d, %s) = %s, want %s", amount, exponent, rate, got.StringFixed(6), want)
		}
	}
	f(0, 2, "1.1", "0.000000")
	f(1045, 2, "1", "10.450000")
	f(-1045, 2, "1", "-10.450000")

	// Ties go to the even neighbour, on both sides of zero; anything beyond a tie goes on.
	f(1, 0, "0.0000005", "0.000000")
	f(3, 0, "0.0000005", "0.000002")
	f(5, 0, "0.0000005", "0.000002")
	f(-1, 0, "0.0000005", "0.000000")
	f(-3, 0, "0.0000005", "-0.000002")
	f(-5, 0, "0.0000005", "-0.000002")
	f(1, 0, "0.000000500000000001", "0.000001")
	f(3, 0, "0.000000499999999999", "0.000001")
	// Rounding twice, first to seven places, would give 0.000002.
	f(1, 0, "0.00000149", "0.000001")

	// The ends of the range, by the short way and by the long one.
	f(99999999999999, 2, "1", "999999999999.990000")
	f(math.MaxInt64, 0, "0.0000001", "922337203685.477581")
	f(math.MinInt64, 0, "0.0000001", "-922337203685.477581")
	f(math.MaxInt64, 9, "100", "922337203685.477581")
	f(1, 0, "999999999999.999999", "999999999999.999999")
	f(2, 0, "123456789012.3456784999999999999", "246913578024.691357")
}

func TestUSDRefuses(t *testing.T) {
	f := func(amount int64, exponent int, rate decimal.Decimal, want error) {
		t.Helper()
		if got, err := USD(amount, exponent, rate); !errors.Is(err, want) {
			t.Errorf("USD(%d, %d, %s) = %s, %v; want %v", amount, exponent, rate, got, err, want)
		}
	}
	d := decimal.RequireFromString
	f(100000000000000, 2, d("1"), ErrOutOfRange)
	f(-100000000000000, 2, d("1"), ErrOutOfRange)
	f(999999999999, 0, d("1.0000000000009999999"), ErrOutOfRange) // reaches 10^12 only by rounding
	f(math.MaxInt64, 0, d("18"), ErrOutOfRange)
	f(math.MinInt64, 0, d("100"), ErrOutOfRange)
	f(1, 2, d("0"), ErrBadRate)
	f(1, 2, d("-1"), ErrBadRate)
	f(1, 2, decimal.New(1, -1_000_000_000), ErrBadRate)
	f(1, 2, decimal.New(1, 1_000_000_000), ErrBadRate)
	f(1, -1, d("1"), ErrBadExponent)
	f(1, 10, d("1"), ErrBadExponent)
}

func FuzzUSD(f *testing.F) {
	f.Add(int64(1045), uint8(2), uint64(1), int8(0))
	f.Add(int64(math.MinInt64), uint8(0), uint64(math.MaxUint64), int8(-18))
	f.Fuzz(func(t *testing.T, amount int64, exponent uint8, coefficient uint64, scale int8) {
		if exponent > maxExponent || coefficient == 0 || scale > 20 || scale < -30 {
			t.Skip()
		}
		rate := decimal.NewFromBigInt(new(big.Int).SetUint64(coefficient), int32(scale))
		want := referenceUSD(amount, int(exponent), ratOf(rate))
		got, err := USD(amount, int(exponent), rate)
		outside := new(big.Rat).Abs(want).Cmp(new(big.Rat).SetInt64(1_000_000_000_000)) >= 0
		if outside != errors.Is(err, ErrOutOfRange) {
			t.Fatalf("USD(%d, %d, %s) = %s, %v; want %s", amount, exponent, rate, got, err, want.FloatString(6))
		}
		if err == nil && ratOf(got).Cmp(want) != 0 {
			t.Fatalf("USD(%d, %d, %s) = %s, want %s", amount, exponent, rate, got, want.FloatString(6))
		}
	})
}

func BenchmarkUSD(b *testing.B) {
	f := func(name, rate string) {
		b.Run(name, func(b *testing.B) {
			value, err := divide(decimal.RequireFromString(rate), one)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				if _, err := USD(123456789, 2, value); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	f("short", "1.168412345678901234")
	f("long", "3250.5")
}
