package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// ErrDifferences says that the ledger and Stripe's balance are not equal; the report says where.
var ErrDifferences = errors.New("the ledger and Stripe differ")

// ErrUnproven says that no difference was found, and that something could not be compared; the
// report says what.
var ErrUnproven = errors.New("the ledger and Stripe are not proved to be equal")

// Scope is whose money is compared.
type Scope struct {
	Workspace, Account string
	Livemode           bool
	Period             Period
	// Complete reports that the balance transactions are all of the period's, as of Stripe's API. An
	// export does not say which days it is of.
	Complete bool
}

// Finding says what kind of difference it is.
type Finding string

// Differences: the two sides say different things.
const (
	Missing  Finding = "missing"  // Stripe moved money that the ledger has no entry for
	Unproven Finding = "unproven" // the ledger has money that no balance transaction answers to, and no event says why
	Amount   Finding = "amount"   // both have it, with other amounts
	Currency Finding = "currency" // both have it, in other currencies
	Day      Finding = "day"      // both have it, on other days; the sums of the whole period may be right
)

// Gaps: nothing differs, and nothing is proved.
const (
	Paired       Finding = "paired"       // found by currency, amount and time alone; no name ties the two
	Unnamed      Finding = "unnamed"      // the export does not name what the movement belongs to
	Uncomparable Finding = "uncomparable" // the export does not say what the customer saw
	Unread       Finding = "unread"       // a category of balance transactions that is not known
)

// Remarks: no difference, and proved.
const (
	Outside Finding = "outside" // paid or given back outside Stripe, as an event says
	Failed  Finding = "failed"  // a payment that failed after it was counted: two transactions that add up to nothing
)

var (
	gaps    = []Finding{Paired, Unnamed, Uncomparable, Unread}
	remarks = []Finding{Outside, Failed}
)

// Difference is one finding. Amounts are minor units of Currency, signed.
type Difference struct {
	Finding  Finding `json:"finding"`
	Day      string  `json:"day"` // UTC
	Kind     string  `json:"kind"`
	Object   string  `json:"object"`      // of the ledger, else of Stripe
	Stripe   string  `json:"transaction"` // txn_…
	Currency string  `json:"currency"`
	Expected int64   `json:"stripe_minor"`
	Booked   int64   `json:"ledger_minor"`
	Cause    string  `json:"likely_cause"`
}

// Line is one day's sum in one currency, minor units.
type Line struct {
	Day      string `json:"day"`
	Currency string `json:"currency"`
	Stripe   int64  `json:"stripe_minor"`
	Ledger   int64  `json:"ledger_minor"`
}

// Report is the comparison.
type Report struct {
	Scope        Scope          `json:"-"`
	From         string         `json:"from"` // the first day that is compared, UTC
	To           string         `json:"to"`   // the last one
	Verdict      string         `json:"verdict"`
	Transactions int            `json:"transactions"`
	LeftOut      map[string]int `json:"left_out"` // balance transactions that are no sales, by category
	Entries      int            `json:"entries"`
	Lines        []Line         `json:"days"`
	Differences  []Difference   `json:"differences"`

	first, last time.Time // of an export's transactions within the period; zero if it has none
}

func newReport(scope Scope) *Report {
	return &Report{
		Scope: scope, From: dayOf(scope.Period.From), To: dayOf(scope.Period.To),
		LeftOut: make(map[string]int), Lines: []Line{}, Differences: []Difference{},
	}
}

func (r *Report) add(d Difference) { r.Differences = append(r.Differences, d) }

// count returns how many findings are of one of the kinds.
func (r *Report) count(kinds ...Finding) int {
	n := 0
	for _, d := range r.Differences {
		if slices.Contains(kinds, d.Finding) {
			n++
		}
	}
	return n
}

// Counts returns in how many places the two sides differ, and how many could not be compared.
func (r *Report) Counts() (differences, unproved int) {
	unproved = r.count(gaps...)
	return len(r.Differences) - unproved - r.count(remarks...), unproved
}

// Err returns ErrDifferences if anything differs, and ErrUnproven if anything could not be
// compared.
func (r *Report) Err() error {
	switch differences, unproved := r.Counts(); {
	case differences > 0 && unproved > 0:
		return fmt.Errorf("%w in %s, and %s could not be compared", ErrDifferences, places(differences), places(unproved))
	case differences > 0:
		return fmt.Errorf("%w in %s", ErrDifferences, places(differences))
	case unproved > 0:
		return fmt.Errorf("%w: %s could not be compared", ErrUnproven, places(unproved))
	}
	return nil
}

func places(n int) string {
	if n == 1 {
		return "one place"
	}
	return fmt.Sprintf("%d places", n)
}

// verdict is the last sentence. It claims no more than was compared.
func (r *Report) verdict() string {
	outside := r.count(Outside)
	switch err := r.Err(); {
	case err != nil:
		return strings.ToUpper(err.Error()[:1]) + err.Error()[1:] + "."
	case r.Transactions == 0 && r.Entries == 0:
		return "No sale's money moved, on either side" + r.days() + "."
	case outside > 0:
		return fmt.Sprintf("Equal to the cent%s, but for what was paid outside Stripe: %s, as events say.",
			r.days(), places(outside))
	}
	return "Equal to the cent" + r.days() + "."
}

// covers notes that the export has a transaction of a moment.
func (r *Report) covers(at time.Time) {
	if r.first.IsZero() || at.Before(r.first) {
		r.first = at
	}
	if at.After(r.last) {
		r.last = at
	}
}

// days says which days of the period the export has transactions of, unless it has some of the
// first and of the last: of a day outside of them it may say nothing.
func (r *Report) days() string {
	first, last := dayOf(r.first), dayOf(r.last)
	switch {
	case r.Scope.Complete, first == r.From && last == r.To:
		return ""
	case r.first.IsZero():
		return " (the export has no transaction of these days)"
	}
	return fmt.Sprintf(" from %s to %s (the export has no transaction of other days)", first, last)
}

func (c *comparison) line(day, currency string) *Line {
	k := [2]string{day, currency}
	if c.lines[k] == nil {
		c.lines[k] = &Line{Day: day, Currency: currency}
	}
	return c.lines[k]
}
