package traffic

import (
	"cmp"
	"time"
)

// payment is one movement of money to us, with every object that describes it.
type payment struct {
	price
	by                               *trace
	paid                             int64     // what moved: the total, less what the customer's credit paid
	before, after                    int64     // the customer's credit around it
	at                               time.Time // when the money moved
	name                             string    // of the product
	session, invoice, intent, charge string    // empty where there is none
	tried                            string    // a payment intent that failed, where the invoice names one
	replaces                         string    // the charge of another payment intent that failed late
	again                            bool      // made after the first one failed late
	plan                             bool      // belongs to the subscription
	reason                           string    // billing_reason of the invoice
	number                           int       // of the invoice within its subscription, from 0
	unnamed                          bool      // the session does not know its invoice yet
	outside                          bool      // paid by other means than Stripe
	presented                        string    // the currency that the buyer saw, where it is another one
	unused, remaining                int64     // the two prorations of a change of plan
	previous                         string    // the plan before it
	// of an invoice that is not paid at once: what it asks for, and what was paid before
	due, earlier        int64
	leaves              bool      // its invoice open: a part of it is still to be paid
	other               string    // a second invoice that it pays
	plans               []string  // subscriptions whose lines the invoice has, where they are several
	record              string    // inpay_… of a payment outside Stripe that has a payment record
	grant               int64     // billing credits that were applied to its invoice
	authorised, release int64     // of an authorisation: what was held, and what of it was released
	noted, notedTax     int64     // what credit notes took off its invoice before it was paid
	moves               bool      // attached to an invoice, or taken off one, after it was made
	finalized           time.Time // when its invoice was, if it was paid later
	attached            time.Time // when an invoice was paid by it, if that was later
}

// canonical is the object that stands for the payment in the ledger.
func (p payment) canonical() string {
	switch {
	case p.invoice != "":
		return p.invoice
	case p.intent != "":
		return p.intent
	}
	return p.session
}

// moved returns the object under which the payment moved money: its payment intent or payment
// record, else what it is known by.
func (p payment) moved() string {
	if id := cmp.Or(p.intent, p.record); id != "" {
		return id
	}
	return p.canonical()
}

// full is a payment for which no credit of the customer's is used.
func (s *buyer) full(p payment) payment {
	p.paid, p.before, p.after = p.total, s.credit, s.credit
	return p
}

// checkout sells something once.
func (s *buyer) checkout(t *trace, at time.Time, scenario Scenario) {
	w := s.w
	g, discounted := pick(w, goods), w.chance(.12)
	p := payment{by: t, at: at, name: g.name, intent: w.id("pi"), charge: w.id("ch"), price: s.priced(g, discounted ||
		t.promotion != "")}
	switch scenario {
	case Elements:
		p.price = p.net() // a bare payment intent does not say how much of it is tax
	case AdaptivePricing:
		p.presented = s.currency
		if p.presented == "usd" {
			p.presented = "eur"
		}
		home := *s
		home.currency = "usd"
		p.price, p.session = home.priced(g, false), w.id("cs")
		if s.localIntents(p) {
			p.price = p.net()
		}
	case WithInvoice:
		p.session, p.invoice, p.reason, p.unnamed = w.id("cs"), w.id("in"), "manual", w.chance(.2)
	default:
		p.session = w.id("cs")
	}
	p = s.full(p)
	s.pay(p)
	s.deliver()
	s.afterwards(p)
}

// pay reports a payment through every object that describes it, and books it.
func (s *buyer) pay(p payment) {
	if p.intent != "" {
		s.decline(p)
		s.reportPayment(p)
	}
	if p.session != "" {
		s.event("checkout.session.completed", p.at.Add(time.Second), s.sessionObject(p, "complete", "paid"), nil)
	}
	if p.invoice != "" {
		s.event("invoice.paid", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		if !p.outside {
			s.event("invoice.payment_succeeded", p.at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		}
		if p.intent != "" && s.api.since(basil) { // the last of the bundle, so that the others are sent alike in all versions
			s.event("invoice_payment.paid", p.at.Add(time.Second), s.invoicePaymentObject(p), nil)
		}
	}
	s.book(p, p.at) // when its payment intent succeeded, or the invoice was paid
}

// payLater reports a Checkout whose payment arrives later, as bank debits and konbini do, or never.
func (s *buyer) payLater(t *trace, at time.Time) {
	w := s.w
	g := pick(w, goods)
	p := s.full(payment{by: t, price: s.priced(g, w.chance(.12) || t.promotion != ""), at: at, name: g.name,
		session: w.id("cs"), intent: w.id("pi"), charge: w.id("ch")})
	s.event("checkout.session.completed", at, s.sessionObject(p, "complete", "unpaid"), nil)
	s.deliver()
	unpaid := p
	unpaid.paid = 0
	s.sold(unpaid) // it says whose customer this is, whatever becomes of the payment
	p.at = at.Add(around(w.r, w.opts.Tempo.Decide)).Truncate(time.Second)
	fails := w.chance(.25)
	if p.at.After(w.opts.Until) {
		return
	}
	if fails {
		s.event("payment_intent.payment_failed", p.at, s.intentObject(p, "requires_payment_method"), nil)
		s.event("checkout.session.async_payment_failed", p.at.Add(time.Second), s.sessionObject(p, "complete", "unpaid"), nil)
		s.deliver()
		return
	}
	s.event("payment_intent.succeeded", p.at, s.intentObject(p, "succeeded"), nil)
	s.event("charge.succeeded", p.at, s.chargeObject(p, 0, false), nil)
	s.event("checkout.session.async_payment_succeeded", p.at.Add(time.Second), s.sessionObject(p, "complete", "paid"), nil)
	s.deliver()
	s.book(p, p.at)
	s.afterwards(p)
}

// abandon opens a session and lets it expire. Some think better of it, and buy by another session.
func (s *buyer) abandon(t *trace, at time.Time) {
	w, g := s.w, goods[0]
	left := *t
	left.opened = at
	p := s.full(payment{by: &left, price: s.priced(g, false), at: at, name: g.name, session: w.id("cs")})
	expired := at.Add(24 * time.Hour)
	again, buys := expired.Add(around(w.r, w.opts.Tempo.Decide)).Truncate(time.Second), w.chance(.4)
	if expired.After(w.opts.Until) {
		return
	}
	s.event("checkout.session.expired", expired, s.sessionObject(p, "expired", "unpaid"), nil)
	s.deliver()
	if !buys || again.After(w.opts.Until) {
		return
	}
	t.opened = again
	s.register(again)
	s.checkout(t, again, OneTime)
}

// void sends an invoice that is not paid in time, and takes it back.
func (s *buyer) void(t *trace, at time.Time) {
	w := s.w
	p := s.full(payment{by: t, price: s.priced(plans[1], false), at: at, name: plans[1].name, invoice: w.id("in"),
		reason: "manual", outside: true})
	later := at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	s.event("invoice.finalized", at, s.invoiceObject(p, "open"), nil)
	s.deliver()
	if later.After(w.opts.Until) {
		return
	}
	s.event("invoice.voided", later, s.invoiceObject(p, "void"), object{"status": "open"})
	s.deliver()
}

// book writes a payment into the truth, and into Stripe's balance unless it was made elsewhere.
func (s *buyer) book(p payment, occurred time.Time) {
	if p.at.After(s.last) {
		s.last = p.at
	}
	s.sold(p)
	if p.paid == 0 {
		return
	}
	m := Movement{
		Object: p.moved(), Kind: Payment, Amount: p.paid, Tax: p.part(p.tax-p.notedTax, p.total-p.noted),
		Unnoted: p.part(p.tax, p.total), Shipping: p.part(p.shipping, p.total), Discount: p.part(p.discount, p.total),
		OccurredAt: occurred, Moved: p.moves,
		Beyond: max(0, p.earlier+p.paid-p.priced()) - max(0, p.earlier-p.priced()), Replaces: p.replaces,
	}
	if p.invoice != "" {
		m.Invoices = 1
	}
	if p.other != "" {
		m.Invoices = 2
	}
	for _, id := range []string{p.invoice, p.other, p.session, p.intent, p.charge} {
		if id != "" && id != m.Object {
			m.Aliases = append(m.Aliases, id)
		}
	}
	if p.charge != "" {
		m.Balance = s.settle(balanceCharge, p.charge, "", p.paid, p.currency, p.at).ID
	}
	s.move(p, m)
}

// part returns the payment's part of the tax, shipping or discount of a total: the share of all
// that was paid by then, less that of what was paid before. Parts add up, and never to more than
// the whole.
func (p payment) part(of, total int64) int64 {
	by := func(paid int64) int64 { return share(of, min(paid, p.priced()), total) }
	return by(p.earlier+p.paid) - by(p.earlier)
}

// priced is how much of the total its payments pay: what is left of it by credit notes and by the
// customer's balance.
func (p payment) priced() int64 {
	if p.invoice == "" || p.other != "" {
		return p.total
	}
	return min(p.total-p.noted, cmp.Or(p.due, p.paid))
}

// move adds what all movements of one buyer share.
func (s *buyer) move(p payment, m Movement) {
	m.Sale, m.Currency, m.Customer, m.Livemode = p.canonical(), p.currency, s.customer, !s.w.opts.TestMode
	m.OccurredAt = m.OccurredAt.Truncate(time.Second)
	m.Channel, m.Charge = p.by.channel, p.charge
	s.pending = append(s.pending, pending{m, p})
}
