package traffic

import (
	"time"
)

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
		if s.scenario.subscribes() {
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
	case Credited:
		s.payCredited(t, at)
	case Moved:
		s.moveToInvoice(t, at)
	case Attached:
		s.attach(t, at)
	case Twins:
		s.payTwins(t, at)
	case Debited:
		s.debit(t, at)
	case FreeAtFirst:
		s.subscribeFree(t, at)
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
