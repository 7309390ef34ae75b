package audit

import (
	"fmt"
	"io"
	"slices"
	"strings"

	"tributary/schemas/program"
)

// maxPrinted findings of one kind in one table are printed, and of all findings logged.
const maxPrinted = 20

// Print writes for people what was found, and, if it was repaired, what is left.
func Print(w io.Writer, found, left *Report, repaired bool) error {
	var b strings.Builder
	fmt.Fprintf(&b, "%d records handled again\n", found.Records)
	type kind struct{ table, what string }
	count := make(map[kind]int)
	for _, f := range found.Findings {
		k := kind{f.Table, f.What}
		switch count[k]++; {
		case count[k] <= maxPrinted:
			fmt.Fprintf(&b, "%-17s %-12s %s  %s\n", f.Table, f.What, program.Printable(f.Where), program.Printable(f.Key))
		case count[k] == maxPrinted+1:
			fmt.Fprintf(&b, "%-17s %-12s and more\n", f.Table, f.What)
		}
	}
	for _, what := range found.LeftOut {
		b.WriteString("not checked: " + what + "\n")
	}
	switch {
	case len(found.Findings) == 0 && len(found.LeftOut) > 0:
		b.WriteString("in what was checked nothing is missing, nothing is altered, nothing is unexplained\n")
	case len(found.Findings) == 0:
		b.WriteString("nothing is missing, nothing is altered, nothing is unexplained\n")
	case !repaired:
		fmt.Fprintf(&b, "%d findings (hint: --repair repairs them)\n", len(found.Findings))
	case len(left.Findings) == 0:
		fmt.Fprintf(&b, "%d findings, all repaired\n", len(found.Findings))
	default:
		fmt.Fprintf(&b, "%d findings, %d left after the repair\n", len(found.Findings), len(left.Findings))
	}
	if slices.ContainsFunc(left.Findings, func(f Finding) bool { return !f.Repairable() }) {
		b.WriteString("what is unexplained in clicks, page_views, leads, stripe_events, facts and identities is not repaired " +
			"(hint: find out who wrote it, delete it, and repair again)\n")
	}
	_, err := io.WriteString(w, b.String())
	return err
}
