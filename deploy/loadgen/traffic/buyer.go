package traffic

import "time"

// buyer is one person's life as Stripe tells it.
type buyer struct {
	w        *World
	click    Click
	person   person
	life     Life
	keying   Keying
	api      string
	currency string
	taxed    bool

	customer         string // cus_…; empty for a guest
	subscription     string // sub_…; empty without one
	started          time.Time
	reference        string // client_reference_id
	sessionMetadata  map[string]string
	paymentMetadata  map[string]string // on payment intents and their charges
	subMetadata      map[string]string
	customerMetadata map[string]string

	bundle []Delivery // told, not yet delivered
}

// payment is one movement of money to us, with every object that describes it.
type payment struct {
	price
	at                               time.Time // when the money moved
	name                             string    // of the product
	session, invoice, intent, charge string    // empty where there is none
	reason                           string    // billing_reason of the invoice
	number                           int       // of the invoice within its subscription, from 0
	unnamed                          bool      // the session does not know its invoice yet
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

// buyer lets the visitor behind c buy. It may hold the click back, so that the sale is heard of first.
func (w *World) buyer(c *Click, v visitor) {
	s := &buyer{w: w, click: *c, person: w.person(v), api: pick(w, w.opts.APIVersions), currency: v.country.currency, taxed: w.chance(.6)}
	s.life, s.keying = lives[lifeShares.draw(w.r)], keyings[keyingShares.draw(w.r)]
	if len(w.opts.Lives) > 0 {
		s.life = pick(w, w.opts.Lives)
	}
	if len(w.opts.Keyings) > 0 {
		s.keying = pick(w, w.opts.Keyings)
	}
	s.reconcile()
	decide := around(w.r, w.opts.Tempo.Decide)
	at := c.EventTime.Add(decide).Truncate(time.Second).Add(time.Second)
	if s.keying == PimmsCustomer || s.keying == DubCustomer || w.chance(.3) {
		w.lead(*c, s.person, c.EventTime.Add(decide/3))
	}
	if at.After(w.opts.Until) {
		return
	}
	if w.chance(w.opts.LateClicks) {
		c.SendAt = at.Add(10*time.Second + around(w.r, w.opts.Tempo.Decide/2))
	}
	s.keys()
	s.live(at)
}

// reconcile makes life and keying possible together.
func (s *buyer) reconcile() {
	switch {
	case s.life == Elements: // without a session there is only the payment intent to write upon
		s.keying = PaymentMetadata
	case s.life == OffStripe: // and here only the customer
		s.keying = CustomerMetadata
	case s.life == Guest && s.keying.needsCustomer():
		s.life = OneTime
	}
	if s.keying.affiliateOnly() && s.click.Link.Affiliate == "" {
		s.keying = PimmsReference // came by a link that nobody earns on
	}
}

// keys writes the trace of the click where the convention wants it.
func (s *buyer) keys() {
	id := s.click.ID.String()
	switch s.keying {
	case BareClick:
		s.reference = id
	case PimmsReference:
		s.reference = "pimms_id_" + id
	case DubReference:
		s.reference = "dub_id_" + id
	case PimmsCustomer:
		s.reference = "project_123"
		s.sessionMetadata = map[string]string{"pimmsCustomerId": s.person.external}
	case DubCustomer:
		s.sessionMetadata = map[string]string{"dubCustomerExternalId": s.person.external}
	case CustomerMetadata:
		s.customerMetadata = map[string]string{"pimmsCustomerId": s.person.external, "pimmsClickId": id}
	case PaymentMetadata:
		s.paymentMetadata = map[string]string{"pimmsClickId": id}
	case PushLapMetadata:
		s.sessionMetadata = map[string]string{"pushLapAffiliateId": s.click.Link.Affiliate}
	case BareAffiliate:
		s.reference = s.click.Link.Affiliate
	case Unrelated:
		s.reference = "project_123"
	}
	if s.life == Subscription || s.life == Trial {
		// What Checkout is told about payments goes to the subscription instead: its invoices make the payment intents.
		s.subMetadata, s.paymentMetadata = s.paymentMetadata, nil
	}
	if s.life != Guest {
		s.customer = s.w.id("cus")
	}
}

// live tells the life from its first purchase on.
func (s *buyer) live(at time.Time) {
	w := s.w
	s.started = at
	if s.customer != "" {
		s.event("customer.created", at.Add(-2*time.Second), s.customerObject(at.Add(-2*time.Second)), nil)
	}
	switch s.life {
	case Subscription, Trial:
		s.subscribe(at)
	case OffStripe:
		p := payment{price: s.priced(plans[2]), at: at, name: plans[2].name, invoice: w.id("in"), reason: "manual"}
		s.event("invoice.paid", at.Add(time.Second), s.invoiceObject(p), nil)
		s.deliver()
		s.book(p, at)
	case Async:
		s.payLater(at)
	default:
		g := pick(w, goods)
		p := payment{price: s.priced(g), at: at, name: g.name, intent: w.id("pi"), charge: w.id("ch")}
		if s.life != Elements {
			p.session = w.id("cs")
		} else {
			p.tax = 0 // a bare payment intent does not say how much of it is tax
		}
		if s.life == WithInvoice {
			p.invoice, p.reason, p.unnamed = w.id("in"), "manual", w.chance(.2)
		}
		s.paid(p)
		s.deliver()
		s.afterwards(p)
	}
}

// paid tells of a payment through every object that describes it, and books it.
func (s *buyer) paid(p payment) {
	s.event("payment_intent.succeeded", p.at, s.intentObject(p, "succeeded"), nil)
	s.event("charge.succeeded", p.at, s.chargeObject(p, 0, false), nil)
	occurred := p.at // the payment intent's word
	if p.session != "" {
		occurred = p.at.Add(time.Second)
		s.event("checkout.session.completed", occurred, s.sessionObject(p, "paid"), nil)
	}
	if p.invoice != "" {
		occurred = p.at // paid_at
		s.event("invoice.paid", p.at.Add(time.Second), s.invoiceObject(p), nil)
		if s.api != APIOld {
			s.event("invoice_payment.paid", p.at.Add(time.Second), s.invoicePaymentObject(p), nil)
		}
	}
	s.book(p, occurred)
}

// subscribe tells of a subscription: Checkout, then a payment each period until the buyer or the time ends it.
func (s *buyer) subscribe(at time.Time) {
	w := s.w
	plan := plans[weigh(5, 4, 1).draw(w.r)]
	s.subscription = w.id("sub")
	x := s.priced(plan)
	p := payment{price: x, at: at, name: plan.name, session: w.id("cs"), invoice: w.id("in"), reason: "subscription_create"}
	s.event("customer.subscription.created", at, s.subscriptionObject(p, s.life == Trial), nil)
	if s.life == Trial {
		p.price = price{currency: x.currency, inclusive: x.inclusive}
		s.event("invoice.paid", at.Add(time.Second), s.invoiceObject(p), nil)
		s.event("checkout.session.completed", at.Add(time.Second), s.sessionObject(p, "paid"), nil)
		s.deliver()
	} else {
		p.intent, p.charge = w.id("pi"), w.id("ch")
		s.paid(p)
		s.deliver()
		s.afterwards(p)
	}
	for n := 1; n <= 24; n++ {
		at = at.Add(w.opts.Tempo.Renew)
		if at.After(w.opts.Until) || w.chance(.12) {
			return
		}
		r := payment{price: x, at: at, name: plan.name, invoice: w.id("in"), intent: w.id("pi"), charge: w.id("ch"), reason: "subscription_cycle", number: n}
		s.paid(r)
		s.deliver()
		s.afterwards(r)
	}
}

// payLater tells of a Checkout whose payment arrives later, as bank debits and konbini do, or never.
func (s *buyer) payLater(at time.Time) {
	w := s.w
	g := pick(w, goods)
	p := payment{price: s.priced(g), at: at, name: g.name, session: w.id("cs"), intent: w.id("pi"), charge: w.id("ch")}
	s.event("checkout.session.completed", at, s.sessionObject(p, "unpaid"), nil)
	s.deliver()
	p.at = at.Add(around(w.r, w.opts.Tempo.Decide)).Truncate(time.Second)
	if p.at.After(w.opts.Until) {
		return
	}
	if w.chance(.25) {
		s.event("checkout.session.async_payment_failed", p.at.Add(time.Second), s.sessionObject(p, "unpaid"), nil)
		s.deliver()
		return
	}
	s.event("payment_intent.succeeded", p.at, s.intentObject(p, "succeeded"), nil)
	s.event("charge.succeeded", p.at, s.chargeObject(p, 0, false), nil)
	s.event("checkout.session.async_payment_succeeded", p.at.Add(time.Second), s.sessionObject(p, "paid"), nil)
	s.deliver()
	s.book(p, p.at.Add(time.Second))
	s.afterwards(p)
}

// afterwards lets some payments go back, in part or whole.
func (s *buyer) afterwards(p payment) {
	w := s.w
	x := w.r.Float64()
	if p.charge == "" || x >= .10 {
		return
	}
	at := p.at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if at.After(w.opts.Until) {
		return
	}
	if x < .012 {
		s.dispute(p, at)
		return
	}
	var back int64
	for range 1 + w.r.IntN(2) {
		amount := p.total - back
		if amount <= 0 || at.After(w.opts.Until) {
			return
		}
		if w.chance(.5) {
			amount = max(1, amount/4)
		}
		var kept int64
		kept, at = s.refund(p, at, amount, back)
		back += kept
		at = at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	}
}

// refund tells of one refund. It answers how much of it stayed refunded (nothing, where the bank sent it back) and when
// that was known.
func (s *buyer) refund(p payment, at time.Time, amount, before int64) (kept int64, settled time.Time) {
	w := s.w
	id, fails := w.id("re"), w.chance(.05)
	s.event("refund.created", at, s.refundObject(p, id, at, amount, "succeeded"), nil)
	previous := object{"amount_refunded": before, "receipt_url": nil}
	if before+amount == p.total {
		previous["refunded"] = false
	}
	s.event("charge.refunded", at, s.chargeObject(p, before+amount, false), previous)
	s.deliver()
	s.move(p, Movement{Object: id, Kind: Refund, Amount: -amount, OccurredAt: at})
	if !fails {
		return amount, at
	}
	later := at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if later.After(w.opts.Until) {
		return amount, at
	}
	s.event("refund.failed", later, s.refundObject(p, id, at, amount, "failed"), object{"status": "succeeded"})
	s.deliver()
	s.move(p, Movement{Object: id, Kind: RefundReversal, Amount: amount, OccurredAt: later})
	return 0, later
}

// dispute tells of a dispute that is lost, or won and paid back.
func (s *buyer) dispute(p payment, at time.Time) {
	w, id := s.w, s.w.id("dp")
	s.event("charge.dispute.created", at, s.disputeObject(p, id, at, "needs_response"), nil)
	s.event("charge.dispute.funds_withdrawn", at.Add(time.Second), s.disputeObject(p, id, at, "needs_response"), nil)
	s.deliver()
	s.move(p, Movement{Object: id, Kind: Dispute, Amount: -p.total, OccurredAt: at.Add(time.Second)})
	later, status := at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second), "lost"
	if later.After(w.opts.Until) {
		return
	}
	if w.chance(.4) {
		status = "won"
		s.event("charge.dispute.funds_reinstated", later, s.disputeObject(p, id, at, status), nil)
		s.move(p, Movement{Object: id, Kind: DisputeReversal, Amount: p.total, OccurredAt: later})
	}
	s.event("charge.dispute.closed", later, s.disputeObject(p, id, at, status), nil)
	s.deliver()
}

// book writes a payment into the truth.
func (s *buyer) book(p payment, occurred time.Time) {
	m := Movement{Object: p.canonical(), Kind: Payment, Amount: p.total, Tax: p.tax, OccurredAt: occurred}
	for _, id := range []string{p.session, p.intent, p.charge} {
		if id != "" && id != m.Object {
			m.Aliases = append(m.Aliases, id)
		}
	}
	s.move(p, m)
}

// move adds what all movements of one buyer share.
func (s *buyer) move(p payment, m Movement) {
	m.Sale, m.Currency, m.Customer, m.Livemode = p.canonical(), p.currency, s.customer, !s.w.opts.TestMode
	m.OccurredAt = m.OccurredAt.Truncate(time.Second)
	m.Keying, m.Attributed = s.keying, s.keying.Attributes()
	if m.Attributed {
		m.AffiliateID = s.click.Link.Affiliate
		if !s.keying.affiliateOnly() {
			m.ClickID = s.click.ID
		}
	}
	s.w.Movements = append(s.w.Movements, m)
}
