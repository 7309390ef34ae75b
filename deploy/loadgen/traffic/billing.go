package traffic

import "time"

// The scenarios of this file are what sellers of invoices and subscriptions meet beside those of
// Scenarios. What Stripe does with the money of each is in its documentation, which the functions
// name.

// payCredited lets credit notes take off a part of an invoice before it is paid. Some are voided
// before that, so that all is due again, and some invoices are paid in part before. Some customers
// owed from before, or had a balance that pays a part. A note of a paid invoice credits the
// customer's balance, which pays for a part of the next.
// https://docs.stripe.com/invoicing/dashboard/credit-notes
func (s *buyer) payCredited(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	r := w.fate("credited " + p.invoice)
	quarter := max(currencies[p.currency].step, whole(p.total/4, p.currency))
	first, notes, balance := r.IntN(3) == 0, 1+r.IntN(2), r.IntN(3) == 0
	voided := []bool{r.IntN(3) == 0, r.IntN(3) == 0}
	pause := min(time.Minute+around(r, w.opts.Tempo.Decide), w.opts.Tempo.Renew)
	if at.Add(5 * pause).After(w.opts.Until) {
		return
	}
	taxes := []int64{p.tax * quarter / p.total * int64(r.IntN(2)), p.tax * quarter / p.total}
	for n := range notes {
		if !voided[n] {
			p.noted, p.notedTax = p.noted+quarter, p.notedTax+taxes[n]
		}
	}
	if n := r.IntN(3); n == 1 || n == 2 && !first {
		s.credit = []int64{0, -quarter, quarter}[n] // as much as a note, so that what is due does not tell the two apart
	}
	p = s.withCredit(p)
	whole := p // as it was issued
	whole.noted, whole.notedTax, whole.due = 0, 0, p.paid
	s.event("invoice.finalized", at.Add(-time.Second), s.openInvoice(whole, "open"), nil)
	s.deliver()
	p.due = p.paid - p.noted
	if first {
		p.intent, p.charge, p.paid = w.id("pi"), w.id("ch"), quarter
		s.payPart(p, false)
		s.afterwards(p)
		p.earlier = quarter
	}
	for n := range notes {
		p.at = p.at.Add(pause).Truncate(time.Second)
		id := "cn_1" + w.hashed(23, "before", p.invoice, string(rune('0'+n)))
		made := p.at
		s.event("credit_note.created", made, s.noteBeforePayment(p, id, made, quarter, taxes[n]), nil)
		s.deliver()
		if !voided[n] {
			continue
		}
		p.at = p.at.Add(pause).Truncate(time.Second)
		void := s.noteBeforePayment(p, id, made, quarter, taxes[n])
		void["status"], void["voided_at"] = "void", unix(p.at)
		s.event("credit_note.voided", p.at, void, object{"status": "issued", "voided_at": nil})
		s.deliver()
	}
	p.at = p.at.Add(pause).Truncate(time.Second)
	p.paid = p.due - p.earlier
	p.intent, p.charge = w.id("pi"), w.id("ch")
	s.payPart(p, true)
	s.afterwards(p)
	if balance {
		s.creditBalance(p, quarter)
	}
}

// noteBeforePayment is a credit note of an invoice that is not paid yet. Until 2025-05 only its type
// says so. https://docs.stripe.com/api/credit_notes/object
func (s *buyer) noteBeforePayment(p payment, id string, at time.Time, amount, tax int64) object {
	o := s.creditNoteObject(p, id, at, amount)
	o["type"], o["pre_payment_amount"], o["post_payment_amount"] = "pre_payment", amount, 0
	list := "tax_amounts"
	if s.api.since(basil) {
		list = "total_taxes"
	}
	if !s.api.since(clover) {
		delete(o, "pre_payment_amount")
		delete(o, "post_payment_amount")
	}
	o[list] = []object{{"amount": tax}}
	return o
}

// creditBalance gives a part of what was paid to the customer's balance, which moves nothing, and
// bills the next invoice, of which it pays a part.
func (s *buyer) creditBalance(p payment, amount int64) {
	w := s.w
	at := p.at.Add(time.Hour)
	next := at.Add(w.opts.Tempo.Renew).Truncate(time.Second)
	if next.After(w.opts.Until) {
		return
	}
	id := "cn_1" + w.hashed(23, "balance", p.invoice)
	o := s.creditNoteObject(p, id, at, amount)
	o["credit_amount"], o["customer_balance_transaction"] = amount, "cbtxn_"+id[3:]
	s.event("credit_note.created", at, o, nil)
	s.deliver()
	s.credit += amount
	q := s.manualInvoice(p.by, next)
	q.number = 1
	s.collect(s.withCredit(q))
}

// moveToInvoice takes a payment off its invoice. Then the invoice is paid by another card, outside Stripe, or
// not again, and the payment is attached to another invoice, or to none.
// https://docs.stripe.com/changelog/clover/2026-01-28/detach-payment-from-invoice
func (s *buyer) moveToInvoice(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	r := w.fate("moved " + p.invoice)
	p.intent, p.charge, p.moves = w.id("pi"), w.id("ch"), true
	pause := func() time.Duration { return time.Minute + around(r, w.opts.Tempo.Refund) }
	off := at.Add(pause()).Truncate(time.Second)
	again := off.Add(pause()).Truncate(time.Second)
	other := again.Add(pause()).Truncate(time.Second)
	how, elsewhere := r.IntN(3), r.IntN(2) == 0
	if other.After(w.opts.Until) {
		return
	}
	s.reportPayment(p)
	s.event("invoice.paid", at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
	s.event("invoice_payment.paid", at.Add(time.Second), s.invoicePaymentObject(p), nil)
	s.deliver()
	s.event("invoice_payment.detached", off, s.invoicePaymentObject(p), nil)
	s.deliver()
	then := p // the invoice, paid again
	then.at = again
	switch how {
	case 0:
		then.intent, then.charge = w.id("pi"), w.id("ch")
		s.reportPayment(then)
	case 1:
		then.intent, then.charge, then.record = "", "", w.id("inpay")
	}
	if how < 2 {
		s.event("invoice.paid", again.Add(time.Second), s.invoiceObject(then, "paid"), nil)
		s.event("invoice_payment.paid", again.Add(time.Second), s.invoicePaymentObject(then), nil)
		s.deliver()
		s.book(then, again)
	}
	switch {
	case elsewhere:
		q := p
		q.invoice, q.at, q.number = w.id("in"), other, 1
		s.event("invoice.finalized", other.Add(-time.Second), s.openInvoice(q, "open"), nil)
		s.event("invoice.paid", other.Add(time.Second), s.invoiceObject(q, "paid"), nil)
		s.event("invoice_payment.paid", other.Add(time.Second), s.invoicePaymentObject(q), nil)
		s.deliver()
		q.at, q.attached = at, other
		s.book(q, at)
		s.afterwards(q)
	case how < 2: // of no invoice, and no session: nothing states its tax
		p.price, p.invoice = p.net(), ""
		s.book(p, at)
		s.afterwards(p)
	default:
		s.book(p, at) // still the invoice's
	}
	if how == 0 {
		s.afterwards(then)
	}
}

// reportPayment reports a payment by its intent and its charge.
func (s *buyer) reportPayment(p payment) {
	s.event("payment_intent.succeeded", p.at, s.intentObject(p, "succeeded"), nil)
	s.event("charge.succeeded", p.at, s.chargeObject(p, 0, false), nil)
}

// attach sells something by Checkout, and makes an invoice of it later, to which the payment is
// attached. The session does not say what of it is tax, and the invoice does.
// https://docs.stripe.com/api/invoices/attach_payment
func (s *buyer) attach(t *trace, at time.Time) {
	w := s.w
	p := s.manualInvoice(t, at)
	r := w.fate("attached " + p.invoice)
	p.intent, p.charge, p.session, p.moves = w.id("pi"), w.id("ch"), w.id("cs"), true
	sold := p
	sold.price, sold.invoice = p.net(), ""
	s.reportPayment(sold)
	s.event("checkout.session.completed", at.Add(time.Second), s.sessionObject(sold, "complete", "paid"), nil)
	s.deliver()
	later := at.Add(time.Minute + around(r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if later.After(w.opts.Until) {
		p = sold
	} else {
		p.at = later
		s.event("invoice.finalized", later.Add(-time.Second), s.openInvoice(p, "open"), nil)
		s.event("invoice.paid", later.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		s.event("invoice_payment.paid", later.Add(time.Second), s.invoicePaymentObject(p), nil)
		s.deliver()
		p.at, p.attached = at, later
	}
	s.book(p, at)
	s.afterwards(p)
}

// payTwins pays two equal invoices within the hour, as of two equal subscriptions.
func (s *buyer) payTwins(t *trace, at time.Time) {
	w := s.w
	a := s.manualInvoice(t, at)
	b := a
	b.invoice, b.number = w.id("in"), 1
	b.at = at.Add(time.Duration(w.fate("twins "+a.invoice).IntN(3600)) * time.Second)
	if b.at.After(w.opts.Until) {
		return
	}
	a.intent, a.charge, b.intent, b.charge = w.id("pi"), w.id("ch"), w.id("pi"), w.id("ch")
	for _, p := range []payment{a, b} {
		s.pay(p)
		s.deliver()
	}
	s.afterwards(a)
	s.afterwards(b)
}

// debit sells a subscription whose invoices are paid by the debit of a bank account: each is
// finalised, and days later its payment succeeds, or fails and the subscription ends. The first one is
// by Checkout, which completes unpaid.
// https://docs.stripe.com/billing/subscriptions/ach-debit
func (s *buyer) debit(t *trace, at time.Time) {
	w := s.w
	s.subscription = w.id("sub")
	x := s.priced(plans[w.r.IntN(len(plans))], t.promotion != "")
	for n := range 4 {
		p := s.full(payment{by: t, price: x, at: at, name: plans[0].name, invoice: w.id("in"), intent: w.id("pi"),
			charge: w.id("ch"), plan: true, reason: "subscription_cycle", number: n})
		r := w.fate("debit " + p.invoice)
		p.due, p.finalized = p.total, at
		if n == 0 {
			p.session, p.reason = w.id("cs"), "subscription_create"
			s.event("customer.subscription.created", at, s.subscriptionObject(p, false), nil)
			s.planned(t)
			if t.promotion != "" {
				s.event("customer.discount.created", at, s.discountObject(p), nil)
			}
			s.event("checkout.session.completed", at.Add(time.Second), s.sessionObject(p, "complete", "unpaid"), nil)
		}
		s.event("invoice.finalized", at, s.openInvoice(p, "open"), nil)
		s.deliver()
		unpaid := p
		unpaid.paid = 0
		s.sold(unpaid)
		p.at = at.Add(time.Minute + min(around(r, w.opts.Tempo.Refund), w.opts.Tempo.Renew/2)).Truncate(time.Second)
		if p.at.After(w.opts.Until) {
			return
		}
		if r.IntN(5) == 0 {
			s.debitFails(p)
			return
		}
		s.reportPayment(p)
		if p.session != "" {
			s.event("checkout.session.async_payment_succeeded", p.at.Add(time.Second),
				s.sessionObject(p, "complete", "paid"), nil)
		}
		s.event("invoice.paid", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		s.event("invoice.payment_succeeded", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		if s.api.since(basil) {
			s.event("invoice_payment.paid", p.at.Add(time.Second), s.invoicePaymentObject(p), nil)
		}
		s.deliver()
		s.book(p, p.at)
		s.afterwards(p)
		if at = at.Add(w.opts.Tempo.Renew).Truncate(time.Second); at.After(w.opts.Until) {
			return
		}
	}
}

// debitFails reports a debit that the bank refused before it was counted. It moves nothing.
func (s *buyer) debitFails(p payment) {
	s.event("charge.failed", p.at, s.declined(p, p.charge), nil)
	s.event("payment_intent.payment_failed", p.at, s.intentObject(p, "requires_payment_method"), nil)
	if p.session != "" {
		s.event("checkout.session.async_payment_failed", p.at.Add(time.Second),
			s.sessionObject(p, "complete", "unpaid"), nil)
	}
	s.event("invoice.payment_failed", p.at.Add(time.Second), s.openInvoice(p, "open"), nil)
	s.deliver()
	p.at = p.at.Add(time.Hour)
	s.event("invoice.voided", p.at, s.openInvoice(p, "void"), object{"status": "open"})
	s.event("customer.subscription.deleted", p.at,
		s.subscriptionObject(payment{by: p.by, price: p.price, at: p.at}, false), nil)
	s.deliver()
}

// declined is a charge that moved nothing.
func (s *buyer) declined(p payment, id string) object {
	p.charge = id
	o := s.chargeObject(p, 0, false)
	o["status"], o["paid"], o["captured"], o["amount_captured"] = "failed", false, false, 0
	o["balance_transaction"], o["failure_balance_transaction"], o["failure_code"] = nil, nil, "card_declined"
	return o
}

// decline reports attempts of some payments that the bank refused before one succeeded.
func (s *buyer) decline(p payment) {
	r := s.w.fate("declined " + p.intent)
	if p.intent == "" || r.Float64() >= s.w.opts.Declines {
		return
	}
	for n := range 1 + r.IntN(2) {
		at := p.at.Add(-time.Duration(50-20*n) * time.Second)
		charge := "ch_1" + s.w.hashed(23, "declined", p.intent, string(rune('0'+n)))
		s.event("charge.failed", at, s.declined(p, charge), nil)
		s.event("payment_intent.payment_failed", at, s.intentObject(p, "requires_payment_method"), nil)
	}
}

// subscribeFree sells a subscription whose first invoice a coupon pays in whole, and some that are
// paused, or bill what was used and is nothing, for a while.
// https://docs.stripe.com/payments/checkout/no-cost-orders
// https://docs.stripe.com/billing/subscriptions/pause-payment
func (s *buyer) subscribeFree(t *trace, at time.Time) {
	w := s.w
	s.subscription = w.id("sub")
	x := s.priced(plans[w.r.IntN(len(plans))], false)
	free := price{currency: x.currency, subtotal: x.subtotal, discount: x.subtotal, inclusive: x.inclusive}
	p := s.full(payment{by: t, price: free, at: at, name: plans[0].name, session: w.id("cs"), invoice: w.id("in"),
		plan: true, reason: "subscription_create"})
	s.event("customer.subscription.created", at, s.subscriptionObject(p, false), nil)
	s.planned(t)
	if t.promotion != "" {
		s.event("customer.discount.created", at, s.discountObject(p), nil)
	}
	s.pay(p)
	s.deliver()
	for n := 1; n <= 8; n++ {
		if at = at.Add(w.opts.Tempo.Renew).Truncate(time.Second); at.After(w.opts.Until) {
			return
		}
		p := s.full(payment{by: t, price: x, at: at, name: plans[0].name, invoice: w.id("in"), plan: true,
			reason: "subscription_cycle", number: n})
		p.due = p.total
		switch w.fate("paused " + p.invoice).IntN(8) {
		case 0:
			s.event("invoice.voided", at, s.openInvoice(p, "void"), object{"status": "draft"})
			s.deliver()
		case 1:
			s.event("invoice.marked_uncollectible", at, s.openInvoice(p, "uncollectible"), object{"status": "draft"})
			s.deliver()
		case 2:
			p.price, p.paid, p.due = price{currency: x.currency, inclusive: x.inclusive}, 0, 0
			s.pay(p)
			s.deliver()
		default:
			s.collect(p)
		}
	}
}
