package dashboard

import (
	"strconv"
	"strings"

	"tributary/processor/fx"
)

// amountText writes minor units of a currency as people do: 490000 eur is "4,900.00 EUR", 15000 jpy "15,000 JPY". The number
// of decimals is Stripe's; an amount in a currency that Stripe does not list stays in minor units and says so.
func amountText(minor int64, currency string) string {
	sign, digits := "", strconv.FormatInt(minor, 10)
	if minor < 0 {
		sign, digits = "−", digits[1:]
	}
	code := strings.ToUpper(currency)
	exponent, known := fx.Exponent(currency)
	if !known {
		return sign + grouped(digits) + " minor units of " + code
	}
	if exponent == 0 {
		return sign + grouped(digits) + " " + code
	}
	if short := exponent + 1 - len(digits); short > 0 {
		digits = strings.Repeat("0", short) + digits
	}
	point := len(digits) - exponent
	return sign + grouped(digits[:point]) + "." + digits[point:] + " " + code
}

// grouped puts a comma before every third digit from the right.
func grouped(digits string) string {
	var b strings.Builder
	for i, d := range digits {
		if i > 0 && (len(digits)-i)%3 == 0 {
			b.WriteByte(',')
		}
		b.WriteRune(d)
	}
	return b.String()
}
