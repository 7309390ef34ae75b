package traffic

import (
	"slices"
	"time"
)

// Rules by which a sale is credited, as the ledger names them, the strongest first. What names the
// sale itself outranks what names its buyer, and a click outranks a bare affiliate. Of several
// clicks of one rule the last one before the sale counts.
const (
	RuleClickID      = "click_id"     // the sale names the click
	RuleSubscription = "subscription" // its subscription does
	// it names the buyer as the seller's database does, and a click is known of them
	RuleExternal       = "external_customer"
	RuleStripeCustomer = "stripe_customer" // its Stripe customer leads to a click
	RuleAffiliate      = "affiliate"       // anything of it names an affiliate
	RulePromotionCode  = "promotion_code"  // it was discounted by an affiliate's code
	RuleSale           = "sale"            // a refund or dispute: as its sale
	RuleNone           = "none"
)

var ruleRanks = map[string]int{RuleClickID: 6, RuleSubscription: 5, RuleExternal: 4, RuleStripeCustomer: 3,
	RuleAffiliate: 2, RulePromotionCode: 1}

// window is how old a click may be at the sale, or at the first sale of the buyer whom it is known
// of.
const window = 90 * 24 * time.Hour

// skew is how far a click's clock may run ahead of the sale's.
const skew = 5 * time.Minute

// candidate is whom one name of a sale says to have brought the buyer: a click, an affiliate, or an
// affiliate by a promotion code.
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

// names is what a buyer's names lead to, as reported. It only grows: what is reported late counts
// as if it had been known. Of a metadata field, which has one value at a time, each sale follows
// the value that the field had at the sale.
type names struct {
	candidates                                 [nameCount][]candidate
	customerField                              []fieldValue // pimmsClickId in the customer's metadata
	firstSale                                  [nameCount]time.Time
	customerIsExternal, subscriptionIsExternal bool
	codes                                      bool                  // whose the promotion codes are is known
	sales                                      map[string]*saleNames // by canonical object
}

// fieldValue is what a metadata field was set to, and when.
type fieldValue struct {
	at time.Time
	candidate
}

// inForce returns the value that the customer's field had at a sale: the last one set by then, else
// the first one set later.
func (n *names) inForce(sale *saleNames) []candidate {
	var top *fieldValue
	late := func(v *fieldValue) bool { return v.at.After(sale.last.Add(skew)) }
	for i := range n.customerField {
		switch v := &n.customerField[i]; {
		case top == nil, late(top) && !late(v), late(top) == late(v) && v.at.After(top.at) != late(v) && !v.at.Equal(top.at):
			top = v
		}
	}
	if top == nil {
		return nil
	}
	return []candidate{top.candidate}
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

// statement is what some types of event say of names. Each of these types says all of it. A
// statement without types comes from the seller's own backend.
type statement struct {
	events []string
	add    func(*names)
}

func (s *buyer) state(add func(*names), events ...string) {
	s.statements = append(s.statements, statement{events, add})
}

// Events that report a paid object, by the object.
var (
	sessionEvents = []string{"checkout.session.completed", "checkout.session.async_payment_succeeded"}
	intentEvents  = []string{"payment_intent.succeeded", "charge.succeeded", "charge.captured"}
	invoiceEvents = []string{"invoice.paid", "invoice.payment_succeeded", "invoice.finalized"}
)

// paidBy lists the events that say that a payment was made.
func (s *buyer) paidBy(p payment) []string {
	var events []string
	switch {
	case p.authorised != 0:
		events = append(events, "payment_intent.succeeded", "charge.captured")
	case p.intent != "":
		events = append(events, "payment_intent.succeeded", "charge.succeeded")
	}
	if p.again { // its session and its invoice were paid before
		if p.replaces != "" && s.api.since(basil) {
			events = append(events, "invoice_payment.paid")
		}
		return events
	}
	if p.session != "" && p.authorised == 0 {
		if s.scenario == Async || s.scenario == Debited {
			events = append(events, "checkout.session.async_payment_succeeded")
		} else {
			events = append(events, "checkout.session.completed")
		}
	}
	if p.invoice != "" && !p.leaves {
		events = append(events, "invoice.paid", "invoice.payment_succeeded")
	}
	if p.invoice != "" && s.api.since(basil) {
		events = append(events, "invoice_payment.paid")
	}
	return events
}

// planned notes what the subscription's own metadata says.
func (s *buyer) planned(t *trace) {
	if t.planMetadata == nil {
		return
	}
	s.state(func(n *names) {
		n.tie(bySubscription, candidate{click: &t.click})
		n.tie(byCustomer, candidate{click: &t.click})
	}, "customer.subscription.created")
}

// sold notes what the objects of one payment say of names, whether money moved or not.
func (s *buyer) sold(p payment) {
	id, t, customer, subscription := p.canonical(), p.by, s.customer != "", p.plan
	tie := func(n *names, c candidate) {
		n.sale(id).candidates = append(n.sale(id).candidates, c)
		if customer {
			n.tie(byCustomer, c)
		}
		if subscription {
			n.tie(bySubscription, c)
		}
	}
	s.state(func(n *names) { n.sale(id).customer = customer })
	if subscription {
		events := invoiceEvents
		if p.session != "" {
			events = slices.Concat(events, sessionEvents)
		}
		s.state(func(n *names) { n.sale(id).subscription = true }, events...)
	}
	if len(p.plans) > 0 {
		s.state(func(n *names) { n.sale(id).subscription = true }, invoiceEvents...)
	}
	if p.session != "" {
		s.state(func(n *names) {
			external := false
			for _, c := range t.session(&external) {
				tie(n, c)
			}
			if external {
				n.sale(id).external = true
				n.customerIsExternal = n.customerIsExternal || customer
				n.subscriptionIsExternal = n.subscriptionIsExternal || subscription
			}
		}, sessionEvents[:1]...)
	}
	if t.paymentMetadata != nil && p.paid > 0 { // of a payment that was not made its objects' names say nothing
		s.state(func(n *names) { tie(n, candidate{click: &t.click}) }, intentEvents...)
	}
	if p.plan && t.planMetadata != nil {
		s.state(func(n *names) { tie(n, candidate{click: &t.click}) }, invoiceEvents...)
	}
	if p.paid > 0 {
		s.state(func(n *names) { n.paid(p) }, s.paidBy(p)...)
	}
}

// paid notes when a sale was paid, and whose sales it is one of.
func (n *names) paid(p payment) {
	sale, until := n.sale(p.canonical()), p.at
	if p.session != "" {
		until = p.at.Add(time.Second)
	}
	if p.attached.After(until) {
		until = p.attached
	}
	if sale.first.IsZero() || p.at.Before(sale.first) {
		sale.first = p.at
	}
	if until.After(sale.last) {
		sale.last = until
	}
	for name, of := range [nameCount]bool{byCustomer: sale.customer, bySubscription: sale.subscription,
		byExternal: sale.external} {
		if first := &n.firstSale[name]; of && (first.IsZero() || p.at.Before(*first)) {
			*first = p.at
		}
	}
}
