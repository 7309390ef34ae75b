package replay

import (
	"fmt"
	"io"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"
)

// Print writes the result for people; shadow is the name of the rebuilt database.
func (r *Result) Print(w io.Writer, shadow string) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records booked again", r.Records)
	if r.Unreadable > 0 {
		fmt.Fprintf(&b, ", %d still cannot be read", r.Unreadable)
	}
	b.WriteString("\n\n")
	t := tabwriter.NewWriter(&b, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintln(t, "currency\tentries now\trebuilt\tminor units now\trebuilt\tUSD now\trebuilt\t")
	after := make(map[string]Total)
	for _, total := range r.After {
		after[total.Currency] = total
	}
	for _, now := range r.Before {
		then := after[now.Currency]
		delete(after, now.Currency)
		fmt.Fprintf(t, "%s\t%d\t%d\t%d\t%d\t%s\t%s\t\n", now.Currency, now.Entries, then.Entries,
			now.Amount, then.Amount, now.USD, then.USD)
	}
	for _, currency := range slices.Sorted(maps.Keys(after)) {
		then := after[currency]
		fmt.Fprintf(t, "%s\t0\t%d\t0\t%d\t0\t%s\t\n", currency, then.Entries, then.Amount, then.USD)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, d := range r.Differences {
		if d.Here+d.There == 0 {
			fmt.Fprintf(&b, "\n%s: %d rows, equal", d.Table, d.Rows)
			continue
		}
		fmt.Fprintf(&b, "\n%s: %d rows, %d of them different in or missing from %s, which has %d others",
			d.Table, d.Rows, d.Here, shadow, d.There)
		for _, row := range d.Some {
			fmt.Fprintf(&b, "\n    %s", row)
		}
	}
	b.WriteString("\n")
	_, err := io.WriteString(w, b.String())
	return err
}
