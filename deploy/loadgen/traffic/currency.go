package traffic

import "github.com/shopspring/decimal"

// money says how Stripe writes a currency and what things cost in it.
type money struct {
	exponent int32 // decimal places of Stripe's minor units, which for isk and mga are not ISO 4217's
	step     int64 // amounts are multiples of it: Stripe takes whole krónur, and no last digit of a dinar's fils
	per      int64 // minor units for 100 US cents, roughly; 0: the catalogue gives its own prices
	tax      int64 // percent that prices include; 0: none, or on top as in some of the United States
	usd      string
}

// currencies by https://docs.stripe.com/currencies: zero-decimal, three-decimal and special cases
// among them.
var currencies = map[string]money{
	"usd": {2, 1, 0, 0, "1"},
	"eur": {2, 1, 0, 20, "1.09"},
	"jpy": {0, 1, 0, 10, "0.0067"},
	"gbp": {2, 1, 80, 20, "1.27"},
	"kwd": {3, 10, 310, 5, "3.25"},
	"isk": {2, 100, 13800, 24, "0.0072"},
	"huf": {2, 1, 36000, 27, "0.0028"},
	"clp": {0, 1, 950, 19, "0.00105"},
	"mga": {0, 1, 4500, 20, "0.00022"},
}

// Currencies are those that Options.Currencies may name.
var Currencies = []string{"usd", "eur", "jpy", "gbp", "kwd", "isk", "huf", "clp", "mga"}

// alike lists the other currencies of the buyers in which an amount may have the same figure.
func (s *buyer) alike(currency string) (list []string) {
	for _, c := range s.w.opts.Currencies {
		if m, own := currencies[c], currencies[currency]; c != currency && m.exponent == own.exponent && m.step == own.step {
			list = append(list, c)
		}
	}
	return list
}

// Exponent returns the decimal places of Stripe's minor units of one of Currencies: 500 are 5 ISK
// and 5.00 USD, but 500 JPY.
func Exponent(currency string) int32 { return currencies[currency].exponent }

// USDRate is what SettleUSD settles one of Currencies at, USD per major unit.
func USDRate(currency string) decimal.Decimal {
	return decimal.RequireFromString(currencies[currency].usd)
}

// cents converts an amount in minor units to US cents, half away from zero.
func cents(amount int64, currency string) int64 {
	return decimal.New(amount, -Exponent(currency)).Mul(USDRate(currency)).Shift(2).Round(0).IntPart()
}

// local converts US cents to minor units of a currency, down to its step.
func local(cents int64, currency string) int64 {
	m := currencies[currency]
	if m.per == 0 {
		n := decimal.New(cents, -2).Div(USDRate(currency)).Shift(m.exponent).IntPart()
		return n - n%m.step
	}
	n := cents * m.per / 100
	return n - n%m.step
}
