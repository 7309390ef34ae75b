package traffic

import "time"

// subscribe reports a subscription: Checkout, then a payment each period until the buyer or the
// time ends it. In the middle of some periods the plan changes.
func (s *buyer) subscribe(t *trace, at time.Time) {
	w := s.w
	level, discounted := weigh(5, 4, 1).draw(w.r), w.chance(.12) || t.promotion != ""
	x := s.priced(plans[level], discounted)
	s.subscription = w.id("sub")
	p := s.full(payment{by: t, price: x, at: at, name: plans[level].name, session: w.id("cs"), invoice: w.id("in"),
		plan: true, reason: "subscription_create"})
	s.event("customer.subscription.created", at, s.subscriptionObject(p, s.scenario == Trial), nil)
	s.planned(t)
	if t.promotion != "" {
		s.event("customer.discount.created", at, s.discountObject(p), nil)
	}
	if s.scenario == Trial {
		p.price, p.paid = price{currency: x.currency, inclusive: x.inclusive}, 0
		s.pay(p)
		s.deliver()
	} else if w.opts.Credits > 0 && w.chance(w.opts.Credits) { // all of it, of which the session knows nothing
		s.credit = p.total
		s.pay(s.withCredit(p))
		s.deliver()
	} else {
		if w.opts.Rare && w.chance(.2) { // a balance from before pays a part, of which the session knows nothing
			s.credit = max(currencies[p.currency].step, whole(p.total/3, p.currency))
			p = s.withCredit(p)
		}
		p.intent, p.charge = w.id("pi"), w.id("ch")
		s.pay(p)
		s.deliver()
		s.afterwards(p)
	}
	for n := 1; n <= 24; n++ {
		half := at.Add(w.opts.Tempo.Renew / 2).Truncate(time.Second)
		at = at.Add(w.opts.Tempo.Renew)
		next, changes := (level+1+w.r.IntN(len(plans)-1))%len(plans), w.chance(w.opts.PlanChanges)
		if changes && !half.After(w.opts.Until) && !(s.scenario == Trial && n == 1) {
			y := s.priced(plans[next], discounted)
			s.change(t, half, x, y, plans[level].name, plans[next].name, n)
			level, x = next, y
		}
		ends := w.chance(.12)
		if at.After(w.opts.Until) {
			return
		}
		if ends {
			s.event("customer.subscription.deleted", at, s.subscriptionObject(payment{by: t, price: x, at: at}, false), nil)
			s.deliver()
			return
		}
		if !s.renew(payment{by: t, price: x, at: at, name: plans[level].name, invoice: w.id("in"), plan: true,
			reason: "subscription_cycle", number: n}) {
			return
		}
	}
}

// renew bills one period. Some payments fail at first: most of them succeed some days later, a few
// are made by bank transfer, and some never, which ends the subscription.
func (s *buyer) renew(p payment) bool {
	w := s.w
	fails, then := w.chance(.04), w.r.Float64()
	later := p.at.Add(w.opts.Tempo.Renew / 10).Truncate(time.Second)
	if w.opts.Credits > 0 && w.chance(w.opts.Credits) {
		p = p.granted()
	}
	p = s.withCredit(p)
	if !fails || p.paid == 0 || later.After(w.opts.Until) {
		s.collect(p)
		return true
	}
	p.tried = w.id("pi")
	s.event("invoice.payment_failed", p.at, s.invoiceObject(p, "open"), nil)
	s.deliver()
	p.at = later
	switch {
	case then < .7:
		s.collect(p)
	case then < .85:
		p.outside = true
		s.pay(p)
		s.deliver()
	default:
		s.event("invoice.voided", p.at, s.invoiceObject(p, "void"), object{"status": "open"})
		s.deliver()
		return false
	}
	return true
}

// granted lets billing credits pay for a quarter of an invoice: they are applied before tax.
// https://docs.stripe.com/billing/subscriptions/usage-based/billing-credits
func (p payment) granted() payment {
	p.grant = whole(p.total/4, p.currency)
	p.tax = rounded(p.tax*(p.total-p.grant), p.total)
	p.total -= p.grant
	return p
}

// change bills a change of plan in the middle of a period: the unused half of the old plan back,
// the new one's half on top. An upgrade is paid at once; what a downgrade leaves is the customer's
// credit.
func (s *buyer) change(t *trace, at time.Time, from, to price, previous, name string, number int) {
	x, unused, remaining := s.prorated(from, to)
	p := s.withCredit(payment{by: t, price: x, at: at, name: name, invoice: s.w.id("in"), plan: true,
		reason: "subscription_update", number: number, previous: previous, unused: unused,
		remaining: remaining})
	s.event("customer.subscription.updated", at, s.subscriptionObject(p, false), object{"latest_invoice": nil})
	s.collect(p)
}

// withCredit lets the customer's credit pay for what it can, and grow by what a negative invoice
// leaves.
func (s *buyer) withCredit(p payment) payment {
	p.before = s.credit
	if p.total < 0 {
		s.credit -= p.total
	} else {
		used := min(s.credit, p.total)
		s.credit -= used
		p.paid = p.total - used
	}
	p.after = s.credit
	return p
}

// collect takes the money for an invoice, if there is any to take.
func (s *buyer) collect(p payment) {
	if p.paid > 0 {
		p.intent, p.charge = s.w.id("pi"), s.w.id("ch")
	}
	s.pay(p)
	s.deliver()
	s.afterwards(p)
}
