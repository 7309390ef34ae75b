// Package join finds who is to be credited with a sale: every click and affiliate that its names
// lead to, and of them the one that the policy of the workspace prefers. No I/O, no clock, no
// goroutine.
package join

import (
	"slices"
	"time"

	"tributary/processor/identity"
)

// skew is how long after the sale a click may be, and count still: their clocks may differ.
const skew = 5 * time.Minute

// Outcome says what became of a click or name that could have been credited.
type Outcome string

// Outcomes of whatever a sale's names lead to.
const (
	Credited  Outcome = "credited"
	Outranked Outcome = "candidate" // counts, but another one counts more
	TooOld    Outcome = "too_old"   // before the attribution window
	TooLate   Outcome = "too_late"  // after the sale
	Replaced  Outcome = "replaced"  // the seller set the field that named it to another value
	Unproven  Outcome = "unproven"  // only the public gave it the name, which could be guessed, or gave it after the sale
	Unknown   Outcome = "unknown"   // a name that leads to nothing known, yet
)

// Candidate is one thing that the names lead to, with its outcome.
type Candidate struct {
	Credit
	Outcome Outcome
}

// Times are the earliest and the latest time that the facts of a sale give for it. They follow from
// the set of the facts, so that a row does not depend on which came last.
type Times struct {
	First, Last time.Time // zero: unknown, nothing is out of bounds
}

// Search collects every credit that the graph offers to a group of names.
type Search struct {
	graph      *identity.Graph
	clicks     map[identity.Node]*Click
	At         Times
	Policy     Policy
	Found      []Credit        // sorted, the best first, one of each target
	refused    []Candidate     // too old, too late, replaced or unproven
	unresolved []identity.Node // names that lead to nothing known yet
}

// via says how the search came to a candidate.
type via struct {
	rule Rule
	key  identity.Node // the name that led here, for the column match_key
	// scope is what the name belongs to: the sale itself, its subscription, its buyer.
	scope uint64
	// reported is when a lead named the click, zero for sales: of the clicks that reports of one lead
	// name, the one of the first report stays.
	reported time.Time
	// first is when the buyer who is known by key first paid; zero: the sale itself names the
	// click, or nothing is known.
	first time.Time
}

// NewSearch finds all candidates for the names of one sale or lead. The names of shared objects
// count too; what a person decided about those objects does not.
func NewSearch(g *identity.Graph, clicks map[identity.Node]*Click, from []identity.Node, at Times,
	policy Policy, shared ...identity.Node) *Search {
	s := &Search{graph: g, clicks: clicks, At: at, Policy: policy}
	var buyers []identity.Node // followed already, from another of the sale's names
	for _, nodes := range [...][]identity.Node{from, shared} {
		for _, n := range nodes {
			buyers = s.follow(n, buyers)
		}
	}
	s.correct(from)
	if len(s.Found) > 1 {
		s.sort()
	}
	slices.Sort(s.unresolved)
	s.unresolved = slices.Compact(s.unresolved)
	return s
}

// follow follows the names of one object, but for the buyers that were followed before, and returns
// all that were.
func (s *Search) follow(n identity.Node, buyers []identity.Node) []identity.Node {
	for _, e := range s.graph.From(n) {
		if slices.Contains(buyers, e.B) {
			continue
		}
		switch e.B.Type() {
		case identity.External, identity.Customer, identity.Subscription:
			buyers = append(buyers, e.B)
		}
		switch e.B.Type() {
		case identity.External:
			s.through(e.B, RuleExternal)
		case identity.Customer:
			s.through(e.B, RuleStripeCustomer)
		case identity.Subscription:
			s.through(e.B, RuleSubscription)
		default:
			way := via{rule: RuleClickID, key: e.B, scope: bySale}
			if n.Type() == identity.Lead {
				way.reported = e.At
			}
			s.direct(e, way)
		}
	}
	return buyers
}

// sort puts the best first and leaves one of each target.
func (s *Search) sort() {
	slices.SortFunc(s.Found, better)
	seen := make(map[target]bool, len(s.Found))
	s.Found = slices.DeleteFunc(s.Found, func(c Credit) bool {
		of := c.target()
		twice := seen[of]
		seen[of] = true
		return twice
	})
}

// decided returns the credit itself, or none where a person decided that the sale is nobody's.
func (c Credit) decided() Credit {
	if c.Rule == RuleManual && c.Click == nil && c.AffiliateID == "" {
		return Credit{Rule: RuleNone, Key: c.Key}
	}
	return c
}

// Best returns the credit of the sale. If there is none, the rule is RuleNone, and the key says why: a
// name that leads to nothing known yet, or the decision that the sale is nobody's. It may be empty.
func (s *Search) Best() Credit {
	switch {
	case len(s.Found) > 0:
		return s.Found[0].decided()
	case len(s.unresolved) > 0:
		return Credit{Rule: RuleNone, Key: s.unresolved[0]}
	}
	return Credit{Rule: RuleNone}
}

// Candidates lists everything that was found, the credited one first.
func (s *Search) Candidates() []Candidate {
	var list []Candidate
	for i, c := range s.Found {
		outcome := Outranked
		if i == 0 {
			outcome = Credited
		}
		list = append(list, Candidate{c, outcome})
	}
	list = append(list, s.refused...)
	for _, n := range s.unresolved {
		list = append(list, Candidate{Credit{Rule: RuleNone, Key: n}, Unknown})
	}
	return list
}

// edges returns what leads on from a name: of each metadata field the one value that counts for
// this sale. A customer that is an account too has the edges of both.
func (s *Search) edges(n identity.Node) []identity.Edge {
	out := s.graph.From(n)
	for _, other := range s.graph.Same(n) {
		out = slices.Concat(out, s.graph.From(other))
	}
	return s.inForce(out)
}

// through follows the names of a buyer or subscription.
func (s *Search) through(name identity.Node, rule Rule) {
	out := s.edges(name)
	way := via{rule: rule, key: name, scope: byBuyer, first: firstSale(out)}
	if rule == RuleSubscription {
		way.scope = bySubscription
	}
	for _, e := range out {
		if e.B.Type() == identity.External {
			by := way
			if rule == RuleSubscription { // its metadata names the buyer; that is no click of its own
				by.rule, by.key = RuleExternal, e.B
			}
			for _, f := range s.edges(e.B) {
				s.direct(f, by)
			}
			continue
		}
		s.direct(e, way)
	}
}

// firstSale returns the earliest sale that edges name; zero: none.
func firstSale(edges []identity.Edge) (first time.Time) {
	for _, e := range edges {
		if e.B.Type() == identity.FirstSale && (first.IsZero() || e.At.Before(first)) {
			first = e.At
		}
	}
	return first
}

// correct adds the credit that a person decided, whatever its click's age: the last decision,
// unless it takes the ones before it back.
func (s *Search) correct(from []identity.Node) {
	var last identity.Edge
	for _, n := range from {
		for _, e := range s.graph.From(n) {
			if e.B.Type() == identity.Correction && e.B > last.B {
				last = e
			}
		}
	}
	c := Credit{Rule: RuleManual, Key: last.B, Source: last.Source, order: uint64(max(last.At.UnixMilli(), 0))}
	switch decision := identity.Decision(last.B); decision.Type() {
	case identity.Click:
		click := s.clicks[decision]
		if click == nil {
			return
		}
		click = s.byCatalogue(click)
		c.Click, c.AffiliateID, c.ProgramID = click, click.AffiliateID, click.ProgramID
	case identity.Affiliate:
		c.AffiliateID, c.ProgramID = decision.Value(), s.program(decision.Value())
	default:
		if decision != identity.Nobody {
			return
		}
	}
	s.Found = append(s.Found, c)
}

// direct adds the credit at the end of e, if it leads to one.
func (s *Search) direct(e identity.Edge, way via) {
	switch typ, value := e.B.Split(); typ {
	case identity.Click:
		s.click(e.B, way)
	case identity.Reference:
		s.reference(e, way)
	case identity.Public:
		s.claimed(e, way)
	case identity.Affiliate:
		s.affiliate(value, RuleAffiliate, e.B, mention{way.scope, e.At})
	case identity.Promotion, identity.Coupon, identity.Code:
		s.promotion(e.B, e.B, mention{way.scope, e.At})
	case identity.Email:
		s.email(e.B)
	}
}

// promotion credits whoever a promotion code was given to: the code itself, what the buyer typed,
// or the coupon behind it.
func (s *Search) promotion(n, key identity.Node, named mention) {
	for _, e := range s.edges(n) {
		switch typ, value := e.B.Split(); typ {
		case identity.Affiliate:
			s.affiliate(value, RulePromotionCode, key, named)
		case identity.Code, identity.Coupon:
			s.promotion(e.B, key, named)
		}
	}
}

// email follows a hashed address: the last resort, because one address may be many people's.
func (s *Search) email(n identity.Node) {
	way := via{rule: RuleEmail, key: n, scope: byBuyer}
	for _, e := range s.edges(n) {
		if e.B.Type() == identity.External {
			for _, f := range s.edges(e.B) {
				s.direct(f, way)
			}
			continue
		}
		s.direct(e, way)
	}
}

func (s *Search) click(n identity.Node, way via) {
	c := s.clicks[n]
	if c == nil {
		s.unresolved = append(s.unresolved, n)
		return
	}
	c = s.byCatalogue(c)
	touch := s.Policy.Follow
	if way.scope == bySale {
		touch = s.Policy.Touch
	}
	credit := Credit{Rule: way.rule, Key: way.key, Click: c, AffiliateID: c.AffiliateID, ProgramID: c.ProgramID,
		order: orderOf(c, touch)}
	if !way.reported.IsZero() {
		credit.order = Inverse(42, way.reported.UnixMilli())
	}
	switch {
	case way.rule != RuleClickID && s.late(c.ClickedAt):
		s.refused = append(s.refused, Candidate{credit, TooLate}) // it may be credited with the buyer's next sale
	case !s.within(c.ClickedAt, way.first):
		s.refused = append(s.refused, Candidate{credit, TooOld})
	default:
		s.Found = append(s.Found, credit)
	}
}

// within reports whether a click lies in the attribution window: before this sale, or before the
// first sale of the buyer, whose later ones keep its credit for as long as the policy says.
func (s *Search) within(clicked, firstSale time.Time) bool {
	if s.At.First.IsZero() || s.At.First.Sub(clicked) <= s.Policy.window() {
		return true
	}
	if firstSale.IsZero() || firstSale.Sub(clicked) > s.Policy.window() {
		return false
	}
	return s.Policy.Renewals == 0 || s.At.First.Sub(clicked) <= s.Policy.Renewals
}

// byCatalogue returns a click as the operator's catalogue has it: one that came by a link without
// naming an affiliate has the first whom the catalogue gave the link to. Of an affiliate whom the
// catalogue lists, a public click names the programme only among those that the catalogue gives
// them: anybody may write the better one into a URL.
func (s *Search) byCatalogue(c *Click) *Click {
	affiliate := c.AffiliateID
	if affiliate == "" && c.LinkID != "" {
		affiliate = s.owner(c.LinkID)
	}
	program := s.programOf(c, affiliate)
	if affiliate == c.AffiliateID && program == c.ProgramID {
		return c
	}
	corrected := *c
	corrected.AffiliateID, corrected.ProgramID = affiliate, program
	return &corrected
}

// owner returns the affiliate of a link by the catalogue; empty: none.
func (s *Search) owner(link string) string {
	var first identity.Edge
	for _, e := range s.graph.From(identity.New(identity.Link, link)) {
		if first.B == "" || e.At.Before(first.At) || e.At.Equal(first.At) && e.B < first.B {
			first = e
		}
	}
	return first.B.Value()
}

func (s *Search) affiliate(id string, rule Rule, key identity.Node, named mention) {
	s.Found = append(s.Found, Credit{Rule: rule, Key: key, AffiliateID: id, ProgramID: s.program(id),
		order: s.orderOf(named)})
}

// Merge returns the best credit that any of the searches found, and all others that could have been
// credited, best first. The searches are those of payments that belong together.
func Merge(searches ...*Search) (best Credit, others []Credit) {
	if len(searches) == 1 {
		best, others = searches[0].Best(), searches[0].Found
	} else {
		best = Credit{Rule: RuleNone}
		for _, s := range searches {
			if b := s.Best(); best.Rule == RuleNone && (best.Key == "" || b.Key != "" && b.Key < best.Key) {
				best = b
			}
			others = append(others, s.Found...)
		}
		slices.SortFunc(others, better)
		if len(others) > 0 {
			best = others[0].decided()
		}
	}
	if len(others) < 2 {
		return best, nil
	}
	seen := map[target]bool{}
	return best, slices.DeleteFunc(slices.Clone(others[1:]), func(c Credit) bool {
		of := c.target()
		twice := c.Same(best) || seen[of]
		seen[of] = true
		return twice
	})
}
