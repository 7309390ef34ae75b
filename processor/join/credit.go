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

// The rules, by precedence: what names the sale itself outranks what names its buyer; a
// subscription's own credit outranks its customer's, so that a renewal keeps what began it; a click
// outranks a bare affiliate.
const (
	RuleManual         Rule = "manual"
	RuleClickID        Rule = "click_id"
	RuleSubscription   Rule = "subscription"
	RuleExternal       Rule = "external_customer"
	RuleStripeCustomer Rule = "stripe_customer"
	RuleAffiliate      Rule = "affiliate"
	RulePromotionCode  Rule = "promotion_code"
	RuleReference      Rule = "reference" // a name that only the public gave, and that the sale repeats
	RuleEmail          Rule = "email"
	RuleSale           Rule = "sale" // a refund or dispute inherits its sale's credit
	RuleNone           Rule = "none"
)

// rank orders the rules by precedence: the greatest is credited.
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
	case RuleReference:
		return 2
	case RuleEmail:
		return 1
	}
	return 0
}

// Click is what a sale copies from the click that it is credited to.
type Click struct {
	ID                    schemas.ClickID
	ClickedAt, ReceivedAt time.Time
	// a secret key came with it; false: anybody may have written it
	Vouched                                                bool
	LinkID, AffiliateID, ProgramID, VisitorID              string
	UTMSource, UTMMedium, UTMCampaign, UTMTerm, UTMContent string
	Channel, Country, Device                               string
}

// CatalogueName returns the name under which an operator's catalogue may know better what a click
// says: its affiliate, else the link that it came by.
func (c *Click) CatalogueName() (identity.Node, bool) {
	switch {
	case c.AffiliateID != "":
		return identity.New(identity.Affiliate, c.AffiliateID), true
	case c.LinkID != "":
		return identity.New(identity.Link, c.LinkID), true
	}
	return "", false
}

// Credit is one answer to "who brought this sale": a click, or an affiliate of whom no single click
// is known.
type Credit struct {
	Rule        Rule
	Key         identity.Node // the name that led here; for RuleNone the name that nothing known answers to, if any
	Click       *Click
	AffiliateID string
	ProgramID   string

	// Source of a correction says who decided it, and why; empty for every other rule.
	Source string

	order uint64 // among the candidates of one rule; the greatest is credited
}

// Inverse reverses the order of values: the smaller the value, the greater its inverse. Of 0 and of
// negative values it is the greatest number of the width, in bits; of values that do not fit it is
// 0.
func Inverse(width uint, value int64) uint64 {
	limit := uint64(1)<<width - 1
	if value < 0 {
		value = 0
	}
	if uint64(value) > limit {
		return 0
	}
	return limit - uint64(value)
}

// mention says whether the sale, its subscription or its buyer named an affiliate (scope), and when
// that was first reported.
type mention struct {
	scope uint64
	at    time.Time
}

// The scopes of a mention, the greater the better: the first two bits of orderOf.
const (
	byBuyer = 1 + iota
	bySubscription
	bySale
)

// orderOf returns the rank of a mention; the mention with the greatest rank is credited. One by the
// sale itself goes before one by its subscription, and that before one by its buyer. Of one scope
// those that were reported before the sale go first: the last or the first of them, as the policy
// says. Without any, the first that was reported after the sale is credited.
func (s *Search) orderOf(n mention) uint64 {
	const secondBits = 39
	before, preferred := uint64(1), Inverse(secondBits, n.at.Unix())
	switch {
	case !s.At.Last.IsZero() && n.at.After(s.At.Last.Add(skew)):
		before = 0
	case s.Policy.Follow != FirstTouch:
		preferred = uint64(max(n.at.Unix(), 0))
	}
	return n.scope<<40 | before<<secondBits | preferred
}

// orderOf makes the click that the policy prefers the greatest.
func orderOf(c *Click, touch Touch) uint64 {
	if touch == FirstTouch {
		return Inverse(42, c.ClickedAt.UnixMilli())
	}
	return uint64(max(c.ClickedAt.UnixMilli(), 0))
}

// better is the total order among candidates: rule, then the click that the policy prefers, then
// the smaller id.
func better(a, b Credit) int {
	if d := cmp.Compare(b.Rule.rank(), a.Rule.rank()); d != 0 {
		return d
	}
	if d := cmp.Compare(b.order, a.order); d != 0 {
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

// Target names what is credited, with its rule: the click, else the affiliate.
func (c Credit) Target() string {
	if c.Click != nil {
		return string(c.Rule) + ":" + c.Click.ID.String()
	}
	return string(c.Rule) + ":" + c.AffiliateID
}

// target is what Target names.
type target struct {
	rule      Rule
	click     schemas.ClickID // zero: the affiliate
	affiliate string
}

func (c Credit) target() target {
	if c.Click != nil {
		return target{rule: c.Rule, click: c.Click.ID}
	}
	return target{rule: c.Rule, affiliate: c.AffiliateID}
}

// Same reports whether two credits go to the same click, or affiliate.
func (c Credit) Same(d Credit) bool {
	if c.Click != nil && d.Click != nil {
		return c.Click.ID == d.Click.ID
	}
	return c.Click == nil && d.Click == nil && c.AffiliateID == d.AffiliateID
}
