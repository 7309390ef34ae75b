package traffic

import (
	"bytes"
	"time"
)

// Rules by which a sale is credited, as the ledger names them, the strongest first. What names the
// sale itself outranks what names its buyer, and a click outranks a bare affiliate. Of several
// clicks of one rule the last one before the sale counts.
const (
	RuleClickID        = "click_id"          // the sale names the click
	RuleSubscription   = "subscription"      // its subscription does
	RuleExternal       = "external_customer" // it names the buyer as the seller's database does, and a click is known of them
	RuleStripeCustomer = "stripe_customer"   // its Stripe customer leads to a click
	RuleAffiliate      = "affiliate"         // anything of it names an affiliate
	RulePromotionCode  = "promotion_code"    // it was discounted by an affiliate's code
	RuleSale           = "sale"              // a refund or dispute: as its sale
	RuleNone           = "none"
)

var ruleRanks = map[string]int{RuleClickID: 6, RuleSubscription: 5, RuleExternal: 4, RuleStripeCustomer: 3, RuleAffiliate: 2, RulePromotionCode: 1}

// window is how old a click may be at the sale, or at the first sale of the buyer whom it is known
// of.
const window = 90 * 24 * time.Hour

// skew is how far a click's clock may run ahead of the sale's.
const skew = 5 * time.Minute

// candidate is one name's answer to "who sent you": a click, an affiliate, or an affiliate by a
// promotion code.
type candidate struct {
	click     *Click
	affiliate string
	promotion bool
}

// Names that outlive one sale.
const (
	byCustomer = iota
	bySubscription
	byExternal
	nameCount
)

// names is what a buyer's names have been told to lead to. It grows only: what is told late counts
// as if it had been known.
type names struct {
	candidates                                 [nameCount][]candidate
	firstSale                                  [nameCount]time.Time
	customerIsExternal, subscriptionIsExternal bool
	sales                                      map[string]*saleNames // by canonical object
}

type saleNames struct {
	candidates                       []candidate
	customer, subscription, external bool
	first, last                      time.Time // by the sources that disagree
}

func (n *names) tie(name int, c candidate) { n.candidates[name] = append(n.candidates[name], c) }

func (n *names) sale(id string) *saleNames {
	if n.sales == nil {
		n.sales = make(map[string]*saleNames)
	}
	if n.sales[id] == nil {
		n.sales[id] = new(saleNames)
	}
	return n.sales[id]
}

// pending is a movement whose credit is not decided yet.
type pending struct {
	Movement
	payment payment
}

// session returns what a session says of its click.
func (t *trace) session(external *bool) []candidate {
	switch t.channel {
	case BareClick, PimmsReference, DubReference:
		return []candidate{{click: &t.click}}
	case PimmsCustomer, DubCustomer:
		*external = true
	case PushLapMetadata, BareAffiliate:
		return []candidate{{affiliate: t.click.Link.Affiliate}}
	case PromotionCode:
		return []candidate{{affiliate: t.click.Link.Affiliate, promotion: true}}
	}
	return nil
}

// planned notes what the subscription's own metadata tells.
func (s *buyer) planned(t *trace) {
	if t.planMetadata != nil {
		s.names.tie(bySubscription, candidate{click: &t.click})
		s.names.tie(byCustomer, candidate{click: &t.click})
	}
}

// sold notes what the objects of one payment tell, whether money moved or not.
func (s *buyer) sold(p payment) {
	n, t := s.names.sale(p.canonical()), p.by
	n.customer, n.subscription = n.customer || s.customer != "", n.subscription || p.plan
	tie := func(c candidate) {
		n.candidates = append(n.candidates, c)
		if n.customer {
			s.names.tie(byCustomer, c)
		}
		if n.subscription {
			s.names.tie(bySubscription, c)
		}
	}
	if p.session != "" {
		external := false
		for _, c := range t.session(&external) {
			tie(c)
		}
		if external {
			n.external = true
			s.names.customerIsExternal = s.names.customerIsExternal || n.customer
			s.names.subscriptionIsExternal = s.names.subscriptionIsExternal || n.subscription
		}
	}
	if t.paymentMetadata != nil || p.plan && t.planMetadata != nil {
		tie(candidate{click: &t.click})
	}
	if p.paid == 0 {
		return
	}
	n.first, n.last = p.at, p.at
	if p.session != "" {
		n.last = p.at.Add(time.Second)
	}
	for name, of := range [nameCount]bool{byCustomer: n.customer, bySubscription: n.subscription, byExternal: n.external} {
		if first := &s.names.firstSale[name]; of && (first.IsZero() || p.at.Before(*first)) {
			*first = p.at
		}
	}
}

// attribute decides who is to be credited with every movement of the buyer's scenario, and adds
// them to the World.
func (s *buyer) attribute() {
	for _, o := range s.pending {
		m := o.Movement
		rule, c := s.names.best(m.Sale)
		m.Rule, m.Attributed = rule, rule != RuleNone
		if c.click != nil {
			m.ClickID, m.AffiliateID = c.click.ID, c.click.Link.Affiliate
		} else {
			m.AffiliateID = c.affiliate
		}
		if m.Kind != Payment && m.Attributed {
			m.Rule = RuleSale
		}
		s.w.Movements = append(s.w.Movements, m)
	}
}

// best finds the strongest candidate for a sale.
func (n *names) best(id string) (string, candidate) {
	sale := n.sale(id)
	rule, top := RuleNone, candidate{}
	consider := func(candidates []candidate, via string, firstSale time.Time) {
		for _, c := range candidates {
			r := via
			switch {
			case c.click != nil:
				if !counts(c.click.EventTime, sale, via, firstSale) {
					continue
				}
			case c.promotion:
				r = RulePromotionCode
			default:
				r = RuleAffiliate
			}
			if ruleRanks[r] > ruleRanks[rule] || r == rule && c.click != nil && later(c.click, top.click) {
				rule, top = r, c
			}
		}
	}
	consider(sale.candidates, RuleClickID, time.Time{})
	if sale.external {
		consider(n.candidates[byExternal], RuleExternal, n.firstSale[byExternal])
	}
	if sale.subscription {
		consider(n.candidates[bySubscription], RuleSubscription, n.firstSale[bySubscription])
		if n.subscriptionIsExternal {
			consider(n.candidates[byExternal], RuleExternal, n.firstSale[bySubscription])
		}
	}
	if sale.customer {
		consider(n.candidates[byCustomer], RuleStripeCustomer, n.firstSale[byCustomer])
		if n.customerIsExternal {
			consider(n.candidates[byExternal], RuleStripeCustomer, n.firstSale[byCustomer])
		}
	}
	return rule, top
}

// counts reports whether a click may be credited with a sale: the sale names it or it came before,
// and it was not too old then, or at the buyer's first sale.
func counts(clicked time.Time, sale *saleNames, rule string, firstSale time.Time) bool {
	if rule != RuleClickID && clicked.After(sale.last.Add(skew)) {
		return false
	}
	return sale.first.Sub(clicked) <= window || !firstSale.IsZero() && firstSale.Sub(clicked) <= window
}

func later(a, b *Click) bool {
	if d := a.EventTime.Compare(b.EventTime); d != 0 {
		return d > 0
	}
	return bytes.Compare(a.ID[:], b.ID[:]) < 0
}
