package join

import (
	"cmp"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/schemas"
)

// Rule says why a click or an affiliate is credited.
type Rule string

// The rules, by precedence: what names the sale itself outranks what names its buyer; a subscription's own credit outranks
// its customer's, so that a renewal keeps what began it; a click outranks a bare affiliate.
const (
	RuleManual         Rule = "manual"
	RuleClickID        Rule = "click_id"
	RuleSubscription   Rule = "subscription"
	RuleExternal       Rule = "external_customer"
	RuleStripeCustomer Rule = "stripe_customer"
	RuleAffiliate      Rule = "affiliate"
	RulePromotionCode  Rule = "promotion_code"
	RuleEmail          Rule = "email"
	RuleSale           Rule = "sale" // a refund or dispute inherits its sale's credit
	RuleNone           Rule = "none"
)

func (r Rule) rank() int {
	switch r {
	case RuleManual:
		return 9
	case RuleClickID:
		return 8
	case RuleSubscription:
		return 7
	case RuleExternal:
		return 6
	case RuleStripeCustomer:
		return 5
	case RuleAffiliate:
		return 4
	case RulePromotionCode:
		return 3
	case RuleEmail:
		return 2
	}
	return 0
}

// Click is what a sale copies from the click that it is credited to.
type Click struct {
	ID                                                     schemas.ClickID
	ClickedAt, ReceivedAt                                  time.Time
	LinkID, AffiliateID, ProgramID, VisitorID              string
	UTMSource, UTMMedium, UTMCampaign, UTMTerm, UTMContent string
	Channel, Country, Device                               string
}

// Credit is one answer to "who brought this sale": a click, or an affiliate of whom no single click is known.
type Credit struct {
	Rule        Rule
	Key         identity.Node // the name that led here; for RuleNone the name that nothing known answers to, if any
	Click       *Click
	AffiliateID string
	ProgramID   string
}

func (c Credit) order() uint64 {
	if c.Click == nil {
		return 0
	}
	return uint64(max(c.Click.ClickedAt.UnixMilli(), 0))
}

// better is the total order among candidates: rule, then the later click, then the smaller id.
func better(a, b Credit) int {
	if d := cmp.Compare(b.Rule.rank(), a.Rule.rank()); d != 0 {
		return d
	}
	if d := cmp.Compare(b.order(), a.order()); d != 0 {
		return d
	}
	if a.Click != nil && b.Click != nil {
		if d := slices.Compare(a.Click.ID[:], b.Click.ID[:]); d != 0 {
			return d
		}
	}
	if d := cmp.Compare(a.AffiliateID, b.AffiliateID); d != 0 {
		return d
	}
	return cmp.Compare(a.Key, b.Key)
}

func (c Credit) target() string {
	if c.Click != nil {
		return string(c.Rule) + ":" + c.Click.ID.String()
	}
	return string(c.Rule) + ":" + c.AffiliateID
}

// same tells whether two credits go to the same click, or affiliate.
func (c Credit) same(d Credit) bool {
	if c.Click != nil && d.Click != nil {
		return c.Click.ID == d.Click.ID
	}
	return c.Click == nil && d.Click == nil && c.AffiliateID == d.AffiliateID
}

// skew is how far a click's clock may run ahead of the sale's and still be its cause.
const skew = 5 * time.Minute

// search collects every credit that the graph offers to a group of names.
type search struct {
	graph     *identity.Graph
	clicks    map[identity.Node]*Click
	horizon   time.Time // no click after it, unless the sale itself names it; zero: no bound
	found     []Credit
	unmet     []identity.Node // names that nothing known answers to
	knowledge int             // edges and clicks seen: grows with every further name
	counted   map[identity.Node]bool
}

// Credits gives all candidates for the names of one sale or lead, best first, the name it waits for if there are none,
// and how much is known. Whatever is not yet known only adds to it.
func credits(g *identity.Graph, clicks map[identity.Node]*Click, from []identity.Node, horizon time.Time) (found []Credit, unmet identity.Node, knowledge int) {
	s := &search{graph: g, clicks: clicks, horizon: horizon, counted: make(map[identity.Node]bool)}
	for _, n := range from {
		for _, e := range s.edges(n) {
			switch e.B.Type() {
			case identity.External:
				s.through(e.B, RuleExternal)
			case identity.Customer:
				s.through(e.B, RuleStripeCustomer)
			case identity.Subscription:
				s.through(e.B, RuleSubscription)
			default:
				s.direct(e, RuleClickID, e.B)
			}
		}
	}
	slices.SortFunc(s.found, better)
	s.found = slices.CompactFunc(s.found, func(a, b Credit) bool { return a.target() == b.target() })
	slices.Sort(s.unmet)
	if len(s.unmet) > 0 {
		unmet = s.unmet[0]
	}
	return s.found, unmet, s.knowledge
}

// edges counts each node's edges once, so that the knowledge does not depend on the order of the walk.
func (s *search) edges(n identity.Node) []identity.Edge {
	out := s.graph.From(n)
	if !s.counted[n] {
		s.counted[n] = true
		s.knowledge += len(out)
	}
	return out
}

// through follows the names of a buyer or subscription; key says by whom a click was found.
func (s *search) through(name identity.Node, rule Rule) {
	for _, e := range s.edges(name) {
		if e.B.Type() == identity.External {
			by, key := rule, name
			if rule == RuleSubscription { // its metadata names the buyer; that is no click of its own
				by, key = RuleExternal, e.B
			}
			for _, f := range s.edges(e.B) {
				s.direct(f, by, key)
			}
			continue
		}
		s.direct(e, rule, name)
	}
}

// direct adds the credit at the end of e, if it leads to one.
func (s *search) direct(e identity.Edge, rule Rule, key identity.Node) {
	switch typ, value := e.B.Split(); typ {
	case identity.Click:
		s.click(e.B, rule, key)
	case identity.Reference:
		if first := s.alias(e.B); first != "" {
			s.click(first, rule, key)
		} else if programs := s.edges(identity.New(identity.Affiliate, value)); len(programs) > 0 {
			s.affiliate(value, e.B)
		} else if e.Source != "client_reference_id" { // a bare one may be anything of the seller's
			s.unmet = append(s.unmet, e.B)
		}
	case identity.Affiliate:
		s.affiliate(value, e.B)
	}
}

// alias gives the click that a foreign id stands for: the first received under it, for ever.
func (s *search) alias(ref identity.Node) identity.Node {
	var first identity.Node
	for _, e := range s.edges(ref) {
		c := s.clicks[e.B]
		if c == nil {
			continue
		}
		if f := s.clicks[first]; f == nil || c.ReceivedAt.Before(f.ReceivedAt) || c.ReceivedAt.Equal(f.ReceivedAt) && e.B < first {
			first = e.B
		}
	}
	return first
}

func (s *search) click(n identity.Node, rule Rule, key identity.Node) {
	c := s.clicks[n]
	if c == nil {
		s.unmet = append(s.unmet, n)
		return
	}
	if !s.counted[n] {
		s.counted[n] = true
		s.knowledge++
	}
	if rule != RuleClickID && !s.horizon.IsZero() && c.ClickedAt.After(s.horizon.Add(skew)) {
		return // came after the sale; it may be credited with the next one
	}
	s.found = append(s.found, Credit{Rule: rule, Key: key, Click: c, AffiliateID: c.AffiliateID, ProgramID: c.ProgramID})
}

func (s *search) affiliate(id string, key identity.Node) {
	credit := Credit{Rule: RuleAffiliate, Key: key, AffiliateID: id}
	for _, e := range s.edges(identity.New(identity.Affiliate, id)) {
		if p := e.B.Value(); credit.ProgramID == "" || p < credit.ProgramID {
			credit.ProgramID = p
		}
	}
	s.found = append(s.found, credit)
}
