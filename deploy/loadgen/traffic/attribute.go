package traffic

import (
	"bytes"
	"slices"
	"time"
)

// everything is the subscription to every type of event.
func everything(string) bool { return true }

// finish adds a buyer's movements to the World.
func (w *World) finish(s *buyer) {
	w.buyers = append(w.buyers, s)
	w.Movements = append(w.Movements, s.attribute(everything)...)
}

// Delivered returns the World's movements, in order of time, credited by what an endpoint knows
// that subscribes to some types of event only. It may hold movements that no such event reports.
func (w *World) Delivered(subscribed func(event string) bool) []Movement {
	var list []Movement
	for _, s := range w.buyers {
		list = append(list, s.attribute(subscribed)...)
	}
	slices.SortStableFunc(list, func(a, b Movement) int { return a.OccurredAt.Compare(b.OccurredAt) })
	return list
}

// attribute decides who is to be credited with every movement of the buyer's scenario, by what the
// given types of event say.
func (s *buyer) attribute(subscribed func(event string) bool) []Movement {
	n := names{codes: subscribed("promotion_code.created")}
	for _, x := range s.statements {
		if len(x.events) == 0 || slices.ContainsFunc(x.events, subscribed) {
			x.add(&n)
		}
	}
	list := make([]Movement, 0, len(s.pending))
	for _, o := range s.pending {
		m := o.Movement
		rule, c := n.best(m.Sale)
		m.Rule, m.Attributed = rule, rule != RuleNone
		if c.click != nil {
			m.ClickID, m.AffiliateID = c.click.ID, c.click.Link.Affiliate
		} else {
			m.AffiliateID = c.affiliate
		}
		if m.Kind != Payment && m.Attributed {
			m.Rule = RuleSale
		}
		list = append(list, m)
	}
	return list
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
			case c.promotion && !n.codes:
				continue
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
	// The metadata that names the click names the buyer too, who leads to the same click then.
	field := n.inForce(sale)
	external := slices.Concat(n.candidates[byExternal], field)
	consider(sale.candidates, RuleClickID, time.Time{})
	if sale.external {
		consider(external, RuleExternal, n.firstSale[byExternal])
	}
	if sale.subscription {
		consider(n.candidates[bySubscription], RuleSubscription, n.firstSale[bySubscription])
		if n.subscriptionIsExternal {
			consider(external, RuleExternal, n.firstSale[bySubscription])
		}
	}
	if sale.customer {
		consider(slices.Concat(n.candidates[byCustomer], field), RuleStripeCustomer, n.firstSale[byCustomer])
		if n.customerIsExternal {
			consider(external, RuleStripeCustomer, n.firstSale[byCustomer])
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
