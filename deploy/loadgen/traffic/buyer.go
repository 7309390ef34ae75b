package traffic

import (
	"cmp"
	"hash/fnv"
	"time"
)

// buyer is one person's scenario as Stripe reports it. What is drawn at random never depends on the
// API version: the same scenario can be reported in every shape.
type buyer struct {
	w        *World
	visitor  visitor
	person   person
	scenario Scenario
	api      version
	currency string
	taxed    bool
	account  bool // customers are accounts: customer_account instead of customer

	customer         string            // cus_…; empty for a guest
	customerMetadata map[string]string // of the customer
	customerClick    Click             // that it names
	previousClick    Click             // that it named before
	subscription     string            // sub_…; empty without one
	// the customer's balance with us after a downgrade, minor units; it pays for the next invoices
	credit     int64
	statements []statement // who can be found by what: the truth about attribution
	pending    []pending   // movements whose credit is decided when the scenario is over
	last       time.Time   // when something last happened
	bundle     []Delivery  // made, not yet delivered
}

// trace is what the objects of one purchase say about the click that led to it.
type trace struct {
	click           Click
	channel         Channel
	reference       string // client_reference_id
	sessionMetadata map[string]string
	paymentMetadata map[string]string // on payment intents and their charges
	planMetadata    map[string]string // on the subscription and its invoices
	promotion       string            // promo_…; empty without one
	opened          time.Time         // when the session was made
}

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
	leaves              bool     // its invoice open: a part of it is still to be paid
	other               string   // a second invoice that it pays
	plans               []string // subscriptions whose lines the invoice has, where they are several
	record              string   // inpay_… of a payment outside Stripe that has a payment record
	grant               int64    // billing credits that were applied to its invoice
	authorised, release int64    // of an authorisation: what was held, and what of it was released
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

// buyer lets the visitor behind c buy. It may hold the click back, so that the sale arrives
// first.
func (w *World) buyer(c *Click, v visitor) {
	s := &buyer{
		w: w, visitor: v, person: w.person(v), api: w.apiOf(c.ID.String()), currency: v.country.currency,
		taxed: w.chance(.6), account: w.opts.AccountCustomers,
	}
	channel := Channel("")
	s.scenario, channel = scenarios[scenarioShares.draw(w.r)], channels[channelShares.draw(w.r)]
	if len(w.opts.Scenarios) > 0 {
		s.scenario = pick(w, w.opts.Scenarios)
	}
	if !s.api.since(s.scenario.since()) {
		s.scenario = Instalments
	}
	if len(w.opts.Channels) > 0 {
		channel = pick(w, w.opts.Channels)
	}
	if len(w.opts.Currencies) > 0 {
		s.currency = pick(w, w.opts.Currencies)
	}
	channel = s.reconcile(channel, *c)
	decide := around(w.r, w.opts.Tempo.Decide)
	at := c.EventTime.Add(decide).Truncate(time.Second).Add(time.Second)
	if channel.needsLead() || w.chance(.3) {
		s.lead(*c, c.EventTime.Add(decide/3))
	}
	if at.After(w.opts.Until) {
		return
	}
	if w.chance(w.opts.LateClicks) {
		c.SendAt = at.Add(10*time.Second + around(w.r, w.opts.Tempo.Decide/2))
	}
	w.Scenarios++
	t := s.trace(channel, *c, at)
	s.live(t, at)
	s.comeBack(t)
	s.leave()
	w.finish(s)
}

// apiOf returns the API version of the endpoint that is sent a name. It draws no random number.
func (w *World) apiOf(name string) version {
	h := fnv.New32a()
	_, _ = h.Write([]byte(name))
	return version(w.opts.APIVersions[int(h.Sum32()%uint32(len(w.opts.APIVersions)))])
}

// lead signs the buyer up: from then on the click is known by the person's own id.
func (s *buyer) lead(c Click, at time.Time) {
	if s.w.lead(c, s.person, at) {
		s.state(func(n *names) { n.tie(byExternal, candidate{click: &c}) })
	}
}

// reconcile makes scenario and channel possible together.
func (s *buyer) reconcile(k Channel, c Click) Channel {
	switch {
	case s.scenario == Elements: // without a session there is only the payment intent to write upon
		return PaymentMetadata
	case s.scenario.byInvoice(): // and here only the customer
		k = CustomerMetadata
	case s.scenario == Guest && k.needsCustomer():
		s.scenario = OneTime
	}
	if k == CustomerMetadata && s.account { // Stripe reports no customer that is an account
		return NoKey
	}
	if k.affiliateOnly() && c.Link.Affiliate == "" {
		return PimmsReference // came by a link that nobody earns on
	}
	return k
}

// trace writes the click where the convention wants it.
func (s *buyer) trace(k Channel, c Click, opened time.Time) *trace {
	t, id := &trace{click: c, channel: k, opened: opened}, c.ID.String()
	switch k {
	case BareClick:
		t.reference = id
	case PimmsReference:
		t.reference = "pimms_id_" + id
	case DubReference:
		t.reference = "dub_id_" + id
	case PimmsCustomer:
		t.reference = "project_123"
		t.sessionMetadata = map[string]string{"pimmsCustomerId": s.person.external}
	case DubCustomer:
		t.sessionMetadata = map[string]string{"dubCustomerExternalId": s.person.external}
	case CustomerMetadata:
		s.previousClick = s.customerClick
		s.nameClick(c)
	case PaymentMetadata:
		if s.scenario == Subscription || s.scenario == Trial {
			// What Checkout is given for payments goes to the subscription instead: its invoices
			// make the payment intents.
			t.planMetadata = map[string]string{"pimmsClickId": id}
		} else {
			t.paymentMetadata = map[string]string{"pimmsClickId": id}
		}
	case PushLapMetadata:
		t.sessionMetadata = map[string]string{"pushLapAffiliateId": c.Link.Affiliate}
	case BareAffiliate:
		t.reference = c.Link.Affiliate
	case PromotionCode:
		t.promotion = s.w.promotion(c.Link.Affiliate)
	case Unrelated:
		t.reference = "project_123"
	}
	return t
}

// live generates the first purchase of the scenario and what follows from it.
func (s *buyer) live(t *trace, at time.Time) {
	w := s.w
	s.last = at
	switch s.scenario {
	case Abandoned:
		s.abandon(t, at)
		return
	case Guest:
	default:
		s.register(at)
	}
	switch s.scenario {
	case Subscription, Trial:
		s.subscribe(t, at)
	case OffStripe:
		p := s.full(payment{by: t, price: s.priced(plans[2], w.chance(.12)), at: at, name: plans[2].name, invoice: w.id("in"),
			reason: "manual", outside: true})
		s.event("invoice.paid", at.Add(time.Second), s.invoiceObject(p, "paid"), nil)
		s.deliver()
		s.book(p, at)
		s.creditOutside(p)
	case Voided:
		s.void(t, at)
	case Async:
		s.payLater(t, at)
	case Authorised:
		s.authorise(t, at)
	case Instalments:
		s.payInParts(t, at)
	case Overpaid:
		s.payTooMuch(t, at)
	case Indebted:
		s.payDebt(t, at)
	case TwoInvoices:
		s.payTwoInvoices(t, at)
	case PartlyOutside:
		s.payOutside(t, at)
	case Beside:
		s.payBeside(t, at)
	case Consolidated:
		s.consolidate(t, at)
	default:
		s.checkout(t, at, s.scenario)
	}
}

// register makes a Stripe customer of the buyer.
func (s *buyer) register(at time.Time) {
	s.customer = s.w.id("cus")
	if s.account {
		s.customer = "acct_" + s.customer[4:]
		return
	}
	right, correct := s.customerClick, s.misnamed()
	s.event("customer.created", at.Add(-2*time.Second), s.customerObject(at.Add(-2*time.Second)), nil)
	s.knownAs("customer.created", at.Add(-2*time.Second))
	for i, when := range correct {
		wrong := s.customerClick
		s.nameClick(right)
		s.event("customer.updated", at.Add(when), s.customerObject(at.Add(when)),
			object{"metadata": object{"pimmsClickId": wrong.ID.String()}})
		s.knownAs("customer.updated", at.Add(when))
		if i == 0 {
			right = wrong // and back again
		}
	}
}

// misnamed lets the seller write another click into the metadata of some customers, and returns how
// long after the sale the field is corrected, and set back, if it is. Nothing else is drawn for it.
func (s *buyer) misnamed() []time.Duration {
	w, r := s.w, s.w.fate("misnamed "+s.customer)
	if s.customerMetadata == nil || r.Float64() >= w.opts.Corrections || len(w.Clicks) == 0 {
		return nil
	}
	wrong := w.Clicks[r.IntN(len(w.Clicks))]
	if wrong.Bot || wrong.Link.Affiliate == hostileAffiliate || wrong.ID == s.customerClick.ID {
		return nil
	}
	s.nameClick(wrong)
	const before, after, later = -time.Second, 2 * time.Hour, 50 * time.Hour
	return [][]time.Duration{{before}, {after}, {before, after}, {after, later}, {}}[r.IntN(5)]
}

// nameClick writes a click into the customer's metadata.
func (s *buyer) nameClick(c Click) {
	s.customerMetadata = map[string]string{"pimmsCustomerId": s.person.external, "pimmsClickId": c.ID.String()}
	s.customerClick = c
}

// knownAs draws what the customer's metadata says since an event.
func (s *buyer) knownAs(event string, at time.Time) {
	if s.customerMetadata == nil {
		return
	}
	c := s.customerClick
	s.state(func(n *names) {
		n.customerIsExternal = true
		n.customerField = append(n.customerField, fieldValue{at.Truncate(time.Second), candidate{click: &c}})
	}, event)
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
		s.event("payment_intent.succeeded", p.at, s.intentObject(p, "succeeded"), nil)
		s.event("charge.succeeded", p.at, s.chargeObject(p, 0, false), nil)
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

// comeBack lets a customer buy something else weeks later, by another click.
func (s *buyer) comeBack(first *trace) {
	w := s.w
	if s.customer == "" || !w.chance(w.opts.Returning) || s.scenario == Consolidated {
		return
	}
	at := first.opened.Add(around(w.r, w.opts.Tempo.Return)).Truncate(time.Second)
	channel := channels[channelShares.draw(w.r)]
	if len(w.opts.Channels) > 0 {
		channel = pick(w, w.opts.Channels)
	}
	clicked := at.Add(-around(w.r, w.opts.Tempo.Decide)).Truncate(time.Millisecond)
	if clicked.Before(first.opened) {
		clicked = first.opened.Add(at.Sub(first.opened) / 2).Truncate(time.Millisecond)
	}
	c := w.click(clicked, s.visitor)
	for c.Bot {
		c = w.click(clicked, s.visitor)
	}
	if at.After(w.opts.Until) {
		return
	}
	if channel.affiliateOnly() || first.channel.affiliateOnly() {
		// People come back to the partner who sent them. Of two affiliates that one customer's
		// sales name without a click nobody can say which was first.
		c = w.clickBy(first.click.Link, clicked, s.visitor)
	}
	s.scenario = OneTime
	channel = s.reconcile(channel, c)
	w.Clicks = append(w.Clicks, c)
	t := s.trace(channel, c, at)
	if channel.needsLead() {
		s.lead(c, clicked.Add(at.Sub(clicked)/3))
	}
	if channel == CustomerMetadata {
		s.event("customer.updated", at.Add(-2*time.Second), s.customerObject(at.Add(-2*time.Second)),
			object{"metadata": s.previousMetadata()})
		s.knownAs("customer.updated", at.Add(-2*time.Second))
	}
	if at.After(s.last) {
		s.last = at
	}
	s.checkout(t, at, OneTime)
}

// previousMetadata is what the customer's metadata said before the last change.
func (s *buyer) previousMetadata() object {
	if s.previousClick.ID.IsZero() {
		return object{"pimmsClickId": nil, "pimmsCustomerId": nil}
	}
	return object{"pimmsClickId": s.previousClick.ID.String()}
}

// leave deletes some customers when all is over.
func (s *buyer) leave() {
	w := s.w
	at := s.last.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if deleted := w.chance(.03); s.customer == "" || s.account || !deleted || at.After(w.opts.Until) {
		return
	}
	s.event("customer.deleted", at, s.customerObject(at), nil)
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
		Object: p.moved(), Kind: Payment, Amount: p.paid, Tax: p.part(p.tax), Shipping: p.part(p.shipping),
		Discount: p.part(p.discount), OccurredAt: occurred,
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

// part returns the payment's part of the tax, shipping or discount of the whole: the share of all
// that was paid by then, less that of what was paid before. Parts add up, and never to more than
// the whole.
func (p payment) part(of int64) int64 {
	by := func(paid int64) int64 { return share(of, min(paid, p.priced()), p.total) }
	return by(p.earlier+p.paid) - by(p.earlier)
}

// priced is how much of the total its payments pay: what is left of it by the customer's balance.
func (p payment) priced() int64 {
	if p.invoice == "" || p.other != "" {
		return p.total
	}
	return min(p.total, cmp.Or(p.due, p.paid))
}

// move adds what all movements of one buyer share.
func (s *buyer) move(p payment, m Movement) {
	m.Sale, m.Currency, m.Customer, m.Livemode = p.canonical(), p.currency, s.customer, !s.w.opts.TestMode
	m.OccurredAt = m.OccurredAt.Truncate(time.Second)
	m.Channel, m.Charge = p.by.channel, p.charge
	s.pending = append(s.pending, pending{m, p})
}
