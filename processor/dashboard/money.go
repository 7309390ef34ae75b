package dashboard

import (
	"strings"

	"tributary/processor/fx"
)

// formatMinor writes an amount of minor units, given as its decimal digits, in major units. Digits
// and not a number, because a sum of amounts may be longer than 64 bits. A currency that Stripe's
// table lacks has two decimals, as most do.
func formatMinor(digits, currency string) string {
	exponent, ok := fx.Exponent(currency)
	if !ok {
		exponent = 2
	}
	if exponent == 0 {
		return digits
	}
	digits, negative := strings.CutPrefix(digits, "-")
	if missing := exponent + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - exponent
	sign := ""
	if negative {
		sign = "-"
	}
	return sign + digits[:point] + "." + digits[point:]
}
