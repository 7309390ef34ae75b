package reconcile

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
)

// Print writes the report for people.
func (r *Report) Print(w io.Writer, exponents fx.Exponents) error {
	money := func(amount int64, currency string) string {
		exponent, ok := exponents.Of(currency)
		if !ok {
			return fmt.Sprintf("%d minor units", amount)
		}
		return decimal.New(amount, -int32(exponent)).StringFixed(int32(exponent))
	}
	account := r.Scope.Account
	if account == "" {
		account = "the platform's own"
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "Account %s, %s to %s, UTC\n\n", account, dayOf(r.Scope.Period.From), dayOf(r.Scope.Period.To))
	fmt.Fprintln(t, "DAY\tCURRENCY\tSTRIPE\tLEDGER\tDIFFERENCE")
	for _, l := range r.Lines {
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\n", l.Day, l.Currency,
			money(l.Stripe, l.Currency), money(l.Ledger, l.Currency), money(l.Ledger-l.Stripe, l.Currency))
	}
	for _, d := range r.Differences {
		fmt.Fprintf(t, "\n%s\t%s\t%s\t%s\n", d.Day, d.Finding, d.Kind, d.Object)
		expected, booked := money(d.Expected, d.Currency), money(d.Booked, d.Currency)
		switch d.Finding {
		case Uncomparable:
		case Day:
			fmt.Fprintf(t, "  %s %s (%s)\n", booked, d.Currency, d.Stripe)
		case Missing, Unnamed:
			fmt.Fprintf(t, "  Stripe %s %s (%s), ledger nothing\n", expected, d.Currency, d.Stripe)
		case Unproven, Outside:
			fmt.Fprintf(t, "  Stripe nothing, ledger %s %s\n", booked, d.Currency)
		case Unread, Failed:
			fmt.Fprintf(t, "  Stripe %s %s (%s)\n", expected, d.Currency, d.Stripe)
		default:
			fmt.Fprintf(t, "  Stripe %s (%s), ledger %s %s\n", expected, d.Stripe, booked, d.Currency)
		}
		if d.Cause != "" {
			fmt.Fprintf(t, "  %s\n", d.Cause)
		}
	}
	if len(r.LeftOut) > 0 {
		var parts []string
		for _, category := range slices.Sorted(maps.Keys(r.LeftOut)) {
			parts = append(parts, fmt.Sprintf("%d %s", r.LeftOut[category], category))
		}
		fmt.Fprintf(t, "\nLeft out, because they are no sales: %s.\n", strings.Join(parts, ", "))
	}
	fmt.Fprintf(t, "\n%d balance transactions, %d entries. %s\n", r.Transactions, r.Entries, r.Verdict)
	return t.Flush()
}
