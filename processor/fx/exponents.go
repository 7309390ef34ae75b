package fx

import (
	_ "embed"
	"encoding/csv"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"sync"
)

//go:embed exponents.csv
var exponentsCSV string

// Exponents says how many decimal places Stripe's minor units have in each currency: major = amount
// / 10^exponent.
//
// The rules are those of Stripe's page "Supported currencies" (docs.stripe.com/currencies), not of
// ISO 4217: MGA has two places in ISO and none at Stripe; ISK has none in ISO and two at Stripe.
// The zero value knows no currency. Values are immutable and safe for concurrent use.
type Exponents struct {
	table map[string]int
}

var stripeExponents = sync.OnceValue(func() Exponents {
	table, err := parseExponents(exponentsCSV)
	if err != nil {
		// The table is compiled in; a test reads it, so this cannot reach a user.
		panic(err)
	}
	return Exponents{table: table}
})

// StripeExponents returns the table that is compiled into the program.
func StripeExponents() Exponents { return stripeExponents() }

// Exponent returns the number of decimal places of Stripe's minor units of a currency, by the
// compiled-in table; false when Stripe does not list the currency. An unknown currency must not be
// guessed at: it would be wrong by a factor of 10 or 100.
func Exponent(currency string) (int, bool) { return stripeExponents().Of(currency) }

// Of returns the exponent of a currency code in either case, and whether it is known.
func (e Exponents) Of(currency string) (int, bool) {
	exponent, ok := e.table[strings.ToLower(currency)]
	return exponent, ok
}

// WithUGX returns a copy in which the Ugandan shilling has the given exponent, 0 or 2. Stripe's
// page contradicts itself: it lists UGX among the zero-decimal currencies and then asks for amounts
// with two decimals (5 UGX = 500). The compiled-in table follows the second, more specific text.
func (e Exponents) WithUGX(exponent int) Exponents {
	table := maps.Clone(e.table)
	if table == nil {
		table = make(map[string]int, 1)
	}
	table["ugx"] = exponent
	return Exponents{table: table}
}

func parseExponents(text string) (map[string]int, error) {
	reader := csv.NewReader(strings.NewReader(text))
	reader.Comment = '#'
	reader.FieldsPerRecord = 3
	rows, err := reader.ReadAll()
	if err != nil {
		return nil, fmt.Errorf("read exponents: %w", err)
	}
	table := make(map[string]int, len(rows))
	for i, row := range rows {
		if i == 0 {
			continue // the header
		}
		currency := row[0]
		exponent, err := strconv.Atoi(row[1])
		if err != nil || !isCurrency(currency) || exponent < 0 || exponent > maxExponent {
			return nil, fmt.Errorf("read exponents: bad row %q", row)
		}
		if _, twice := table[currency]; twice {
			return nil, fmt.Errorf("read exponents: %s is listed twice", currency)
		}
		table[currency] = exponent
	}
	return table, nil
}

// isCurrency reports whether s has the shape of a currency code as Stripe writes it: three
// lower-case letters.
func isCurrency(s string) bool {
	if len(s) != 3 {
		return false
	}
	for i := range len(s) {
		if s[i] < 'a' || s[i] > 'z' {
			return false
		}
	}
	return true
}
