package join

import (
	"cmp"
	"slices"
	"strings"

	"tributary/processor/identity"
)

// inForce leaves of each metadata field of a customer or subscription the one value that it had at
// the sale: the last that was set before it, else the first after it. A seller who replaces a wrong
// click means the new one, whichever was clicked later; one who empties the field means none.
func (s *Search) inForce(edges []identity.Edge) []identity.Edge {
	if !slices.ContainsFunc(edges, func(e identity.Edge) bool { return isField(e.Source) }) {
		return edges
	}
	kept := make([]identity.Edge, 0, len(edges))
	values := make([]identity.Edge, 0, len(edges)) // one of each field: a customer has a few
	valueOf := func(f field) int {
		return slices.IndexFunc(values, func(v identity.Edge) bool { return fieldOf(v) == f })
	}
	for _, e := range edges {
		if !isField(e.Source) {
			kept = append(kept, e)
			continue
		}
		if e.B.Type() == identity.Again {
			e.B = identity.AgainOf(e.B)
		}
		if i := valueOf(fieldOf(e)); i < 0 {
			values = append(values, e)
		} else if s.replaces(e, values[i]) {
			values[i] = e
		}
	}
	for _, e := range edges {
		if isField(e.Source) && e.B != values[valueOf(fieldOf(e))].B {
			s.replaced(e)
		}
	}
	slices.SortFunc(values, func(a, b identity.Edge) int {
		return cmp.Or(cmp.Compare(a.Source, b.Source), cmp.Compare(a.B, b.B))
	})
	for _, v := range values {
		if v.B.Value() != "" {
			kept = append(kept, v)
		}
	}
	return kept
}

// replaced notes the click that a field named before or after the sale, but not at it.
func (s *Search) replaced(e identity.Edge) {
	c := s.clicks[e.B]
	if c == nil || slices.ContainsFunc(s.refused, func(w Candidate) bool { return w.Key == e.A && w.Click == c }) {
		return
	}
	outcome := Replaced
	if s.late(c.ClickedAt) {
		outcome = TooLate
	}
	s.refused = append(s.refused, Candidate{Credit{Rule: RuleNone, Key: e.A, Click: c, AffiliateID: c.AffiliateID,
		ProgramID: c.ProgramID}, outcome})
}

// field is a metadata field of one mode. A name that both modes may use is reported twice by an
// event of test mode, once of each mode, and neither report replaces the other (identity.TestMode).
type field struct {
	source   string
	testMode bool
}

func fieldOf(e identity.Edge) field { return field{e.Source, e.B.OfTestMode()} }

// isField reports whether a source is a metadata field that its owner has once, and may change.
func isField(source string) bool {
	return strings.HasPrefix(source, "customer.metadata.") || strings.HasPrefix(source, "subscription.metadata.")
}

// replaces reports whether a value of a field counts rather than b.
func (s *Search) replaces(a, b identity.Edge) bool {
	switch la, lb := s.late(a.At), s.late(b.At); {
	case la != lb:
		return lb
	case !a.At.Equal(b.At):
		return a.At.After(b.At) != la
	}
	return a.B < b.B
}
