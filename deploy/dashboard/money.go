package dashboard

import "strings"

// exponents are the digits behind the point that Stripe's amounts have, where they are not two. They are Stripe's own list,
// which differs from ISO 4217: UGX and ISK are sent with two.
var exponents = map[string]int{
	"bif": 0, "clp": 0, "djf": 0, "gnf": 0, "jpy": 0, "kmf": 0, "krw": 0, "mga": 0,
	"pyg": 0, "rwf": 0, "vnd": 0, "vuv": 0, "xaf": 0, "xof": 0, "xpf": 0,
	"bhd": 3, "jod": 3, "kwd": 3, "omr": 3, "tnd": 3,
}

// formatMinor writes an amount of minor units, given as its decimal digits, in major units. Digits and not a number,
// because a sum of amounts may be longer than 64 bits.
func formatMinor(digits, currency string) string {
	exponent, ok := exponents[strings.ToLower(currency)]
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
