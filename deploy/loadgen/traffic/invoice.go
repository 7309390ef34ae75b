package traffic

import "time"

// The scenarios of this file are invoices that are not simply paid by one payment. Stripe lets an
// invoice have several payments, and a payment several invoices, since basil
// (https://docs.stripe.com/changelog/basil/2025-05-28/partial-payments). In older shapes each
// payment names its invoice itself.

// manualInvoice is an invoice that the seller sent, not paid yet.
func (s *buyer) manualInvoice(t *trace, at time.Time) payment {
	g := pick(s.w, goods)
	return s.full(payment{
		by: t, price: s.priced(g, s.w.chance(.2)), at: at, name: g.name, invoice: s.w.id("in"), reason: "manual",
	})
}

// payInParts pays an invoice by two or three payments. Some never finish: the invoice becomes
// uncollectible, the parts stay, and a few of those pay the rest after all.
func (s *buyer) payInParts(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	n, finishes, late := 2+w.r.IntN(2), w.chance(.7), w.chance(.3)
	p.due = p.total
	s.event("invoice.finalized", at, s.openInvoice(p, "open"), nil)
	s.deliver()
	for i := range n {
		last := i == n-1
		p.paid = max(currencies[p.currency].step, whole(p.total/int64(n+1), p.currency))
		if last {
			p.paid = p.total - p.earlier
		}
		if last && !finishes {
			s.event("invoice.marked_uncollectible", p.at, s.openInvoice(p, "uncollectible"), object{"status": "open"})
			s.deliver()
			p.at = p.at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
			if !late {
				return
			}
		}
		if p.at.After(w.opts.Until) {
			return
		}
		p.intent, p.charge = w.id("pi"), w.id("ch")
		s.payPart(p, last)
		s.afterwards(p)
		p.earlier += p.paid
		pause := pick(w, []time.Duration{10 * time.Minute, w.opts.Tempo.Renew})
		p.at = p.at.Add(time.Minute + around(w.r, pause)).Truncate(time.Second)
	}
}

// openInvoice is the invoice before p was paid.
func (s *buyer) openInvoice(p payment, status string) object {
	p.paid = 0
	return s.invoiceObject(p, status)
}

// payPart reports one payment of an invoice, and the invoice if it is the last.
func (s *buyer) payPart(p payment, last bool) {
	if p.intent != "" {
		s.decline(p)
		s.reportPayment(p)
	}
	if last {
		s.event("invoice.paid", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		s.event("invoice.payment_succeeded", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
	}
	if s.api.since(basil) { // the last of the bundle, so that the others are sent alike in all versions
		s.event("invoice_payment.paid", p.at.Add(time.Second), s.invoicePaymentObject(p), nil)
		if p.overpaid() > 0 {
			s.event("invoice.overpaid", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		}
	}
	s.deliver()
	p.leaves = !last
	s.book(p, p.at)
}

// payTooMuch pays an invoice with more than it asks for, by one payment or by two. The customer's
// balance may have paid a part of it, or the customer may have owed something from before. What is
// too much becomes the customer's credit and pays for a part of the next invoice.
func (s *buyer) payTooMuch(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	extra := max(currencies[p.currency].step, whole(p.total/5, p.currency))
	r := w.fate("too much " + p.invoice)
	third := max(currencies[p.currency].step, whole(p.total/3, p.currency))
	s.credit = []int64{0, third, -third}[r.IntN(3)]
	p = s.withCredit(p)
	p.due = p.paid
	if r.IntN(2) == 0 {
		s.event("invoice.finalized", p.at.Add(-time.Second), s.openInvoice(p, "open"), nil)
		p.intent, p.charge = "pi_"+w.hashed(24, p.invoice, "first"), "ch_"+w.hashed(24, p.invoice, "first")
		p.paid = third
		s.payPart(p, false)
		p.earlier, p.paid, p.at = third, p.due-third, p.at.Add(10*time.Minute)
	}
	p.paid, p.after = p.paid+extra, p.after+extra
	s.credit += extra
	p.intent, p.charge = w.id("pi"), w.id("ch")
	s.payPart(p, true)
	next := at.Add(w.opts.Tempo.Renew).Truncate(time.Second)
	if next.After(w.opts.Until) {
		return
	}
	g := pick(w, goods)
	s.collect(s.withCredit(payment{
		by: t, price: s.priced(g, false), at: next, name: g.name, invoice: w.id("in"), reason: "manual", number: 1,
	}))
}

// payDebt pays an invoice together with what the customer owed from before.
func (s *buyer) payDebt(t *trace, at time.Time) {
	p := s.manualInvoice(t, at)
	s.credit = -max(currencies[p.currency].step, whole(p.total/2, p.currency))
	s.collect(s.withCredit(p))
}

// payTwoInvoices pays two invoices by one payment.
func (s *buyer) payTwoInvoices(t *trace, at time.Time) {
	w := s.w
	a, b := s.manualInvoice(t, at), s.manualInvoice(t, at)
	if b.invoice < a.invoice {
		a, b = b, a
	}
	a.intent, a.charge = w.id("pi"), w.id("ch")
	b.intent, b.charge = a.intent, a.charge
	both := a // known by the invoice of the smaller id
	both.subtotal, both.discount, both.shipping = a.subtotal+b.subtotal, a.discount+b.discount, a.shipping+b.shipping
	both.other = b.invoice
	both.tax, both.total, both.paid = a.tax+b.tax, a.total+b.total, a.paid+b.paid
	s.event("payment_intent.succeeded", at, s.intentObject(both, "succeeded"), nil)
	s.event("charge.succeeded", at, s.chargeObject(both, 0, false), nil)
	for _, p := range []payment{a, b} {
		s.event("invoice_payment.paid", at.Add(time.Second), s.invoicePaymentObject(p), nil)
		s.event("invoice.paid", at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
	}
	s.deliver()
	s.book(both, at)
	s.afterwards(both)
}

// payOutside pays a part of an invoice by card, and the rest outside Stripe, of which the seller
// makes a payment record. https://docs.stripe.com/api/invoice-payment/object
func (s *buyer) payOutside(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	p.due, p.paid = p.total, max(currencies[p.currency].step, whole(p.total/3, p.currency))
	p.intent, p.charge = w.id("pi"), w.id("ch")
	s.event("invoice.finalized", at.Add(-time.Second), s.openInvoice(p, "open"), nil)
	s.payPart(p, false)
	p.earlier, p.paid = p.paid, p.total-p.paid
	p.intent, p.charge, p.record = "", "", w.id("inpay")
	if p.at = p.at.Add(around(w.r, w.opts.Tempo.Decide)).Truncate(time.Second); !p.at.After(w.opts.Until) {
		s.payPart(p, true)
	}
}

// payBeside pays an invoice, and soon something else of the same price, or of the same figure in
// another currency.
func (s *buyer) payBeside(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	s.collect(p)
	p.price = p.net()
	p.at = at.Add(time.Duration(1+w.r.IntN(50)) * time.Minute)
	if others := s.alike(p.currency); len(others) > 0 && w.fate("beside "+p.invoice).IntN(2) == 0 {
		p.currency = others[w.fate("currency "+p.invoice).IntN(len(others))]
	}
	p.invoice, p.intent, p.charge, p.number = "", w.id("pi"), w.id("ch"), 0
	if p.at.After(w.opts.Until) {
		return
	}
	s.pay(s.full(p))
	s.deliver()
	s.afterwards(p)
}

// consolidate bills two subscriptions, which two clicks brought, by one invoice.
// https://docs.stripe.com/billing/subscriptions/multiple
func (s *buyer) consolidate(t *trace, at time.Time) {
	w := s.w
	second := *t
	second.click = w.click(at.Add(-around(w.r, w.opts.Tempo.Decide)).Truncate(time.Millisecond), s.visitor)
	w.Clicks = append(w.Clicks, second.click)
	p := s.manualInvoice(t, at)
	for i, by := range []*trace{t, &second} {
		s.subscription = w.id("sub")
		named := *by
		named.planMetadata = map[string]string{"pimmsClickId": by.click.ID.String()}
		made := at.Add(time.Duration(i-3) * time.Second)
		o := s.subscriptionObject(payment{by: &named, price: p.price, at: made}, true)
		s.event("customer.subscription.created", made, o, nil)
		s.planned(&named)
		p.plans = append(p.plans, s.subscription)
	}
	s.subscription = ""
	s.collect(p)
}
