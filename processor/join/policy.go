package join

import (
	"errors"
	"fmt"
	"slices"
	"time"
)

// Touch says which of several clicks of one rule is credited.
type Touch string

// Last touch is usual in affiliate marketing; first touch credits whoever brought the buyer.
const (
	LastTouch  Touch = "last"
	FirstTouch Touch = "first"
)

// DefaultWindow is how old a click may be at the sale: the life of the vendors' cookies.
const DefaultWindow = 90 * 24 * time.Hour

// Policy is how a workspace wants its sales credited. The zero value is the default.
type Policy struct {
	// From is the sale time, UTC, from which the policy is in force. A row depends on the policy of
	// its own day, so that a new policy changes no sale that came before it, and replaying gives
	// the same rows.
	From time.Time
	// Window is how long before the sale a click may lie; 0: DefaultWindow. A sale of a known buyer
	// (a renewal, a second purchase) is measured by the buyer's first sale.
	Window time.Duration
	// Touch chooses among the clicks that the sale itself names; empty: last.
	Touch Touch
	// Follow chooses among the clicks that the buyer is known by (customer, subscription, the
	// seller's own id): the last one before the sale, or the first ever; empty: last.
	Follow Touch
	// Renewals is how long after the click the buyer's later sales are credited to it; 0: always.
	Renewals time.Duration
}

// Validate returns what is wrong with a policy.
func (p Policy) Validate() error {
	var faults []error
	for _, t := range []struct {
		name  string
		touch Touch
	}{{"touch", p.Touch}, {"follow", p.Follow}} {
		if t.touch != "" && t.touch != LastTouch && t.touch != FirstTouch {
			faults = append(faults, fmt.Errorf("%s is %q; want %q or %q", t.name, t.touch, LastTouch, FirstTouch))
		}
	}
	if p.Window < 0 || p.Renewals < 0 {
		faults = append(faults, errors.New("a window must not be negative"))
	}
	if p.Renewals > 0 && p.Renewals < p.window() {
		faults = append(faults, errors.New("renewals are counted from the click, and must not be shorter than the window"))
	}
	return errors.Join(faults...)
}

func (p Policy) window() time.Duration {
	if p.Window == 0 {
		return DefaultWindow
	}
	return p.Window
}

// Policies of one workspace, by From.
type Policies []Policy

// NewPolicies sorts policies; two of one moment are an error.
func NewPolicies(list ...Policy) (Policies, error) {
	var faults []error
	for _, p := range list {
		if err := p.Validate(); err != nil {
			faults = append(faults, err)
		}
	}
	list = slices.Clone(list)
	slices.SortFunc(list, func(a, b Policy) int { return a.From.Compare(b.From) })
	for i := 1; i < len(list); i++ {
		if list[i].From.Equal(list[i-1].From) {
			faults = append(faults, fmt.Errorf("two policies are in force from %s on; give them different days",
				list[i].From.Format(time.DateOnly)))
		}
	}
	return list, errors.Join(faults...)
}

// At returns the policy in force at a moment: the latest that began, else the earliest, else the
// default.
func (p Policies) At(t time.Time) Policy {
	var current Policy
	for i, candidate := range p {
		if i == 0 || !candidate.From.After(t) {
			current = candidate
		}
	}
	return current
}
