package traffic

import "time"

// Outcomes of an authorisation.
const (
	canceled = iota
	expired
	capturedInPart
	capturedInSteps
	capturedMore
	capturedWhole
	outcomes
)

// refundsEverywhere is the release since which Stripe sends refund.created for every refund.
// https://docs.stripe.com/changelog/acacia/2024-10-28/refund-webhook-update
const refundsEverywhere = "2024-10-28"

// authorise puts a hold on the buyer's money. It is captured later: whole, in part, in two steps,
// for more than was authorised, or never. Only what is captured moves.
//
// Up to basil Stripe reports what is released as a refund:
// https://docs.stripe.com/changelog/basil/2025-03-31/remove-refund-from-partial-capture-and-payment-cancellation-flow
func (s *buyer) authorise(t *trace, at time.Time) {
	w, g := s.w, pick(s.w, goods)
	p := s.full(payment{
		by: t, price: s.priced(g, t.promotion != ""), at: at, name: g.name, intent: w.id("pi"), charge: w.id("ch"),
	})
	if t.paymentMetadata == nil {
		p.session = w.id("cs")
	}
	outcome, release := w.r.IntN(outcomes), w.id("re")
	later := at.Add(around(w.r, w.opts.Tempo.Decide)).Truncate(time.Second)
	p.authorised, p.paid = p.total, 0
	s.event("payment_intent.amount_capturable_updated", at, s.intentObject(p, "requires_capture"), nil)
	s.event("charge.succeeded", at, s.chargeObject(p, 0, false), nil)
	if p.session != "" {
		s.event("checkout.session.completed", at.Add(time.Second), s.sessionObject(p, "complete", "unpaid"), nil)
	}
	s.deliver()
	s.sold(p)
	if p.session == "" {
		p.price = p.net() // no event says how much of what is captured is tax
	}
	if later.After(w.opts.Until) {
		return
	}
	p.at = later
	switch outcome {
	case canceled, expired:
		s.releaseAll(p, release, outcome)
		return
	case capturedInPart:
		p.paid = max(currencies[p.currency].step, whole(p.authorised*7/10, p.currency))
		p.release = p.authorised - p.paid
	case capturedInSteps:
		p.paid = max(currencies[p.currency].step, whole(p.authorised/4, p.currency))
		s.event("charge.captured", p.at, s.chargeObject(p, 0, false), nil)
		s.deliver()
		p.at = p.at.Add(5 * time.Minute)
		p.paid = max(currencies[p.currency].step, whole(p.authorised*3/4, p.currency))
		p.release = p.authorised - p.paid
	case capturedMore:
		p.paid = p.authorised + whole(p.authorised/8, p.currency)
	default:
		p.paid = p.authorised
	}
	s.capture(p, release, later)
	s.afterwards(p)
}

// capture reports the last capture of an authorisation, of which p.paid was captured since first.
func (s *buyer) capture(p payment, release string, first time.Time) {
	s.event("charge.captured", p.at, s.chargeObject(p, 0, false), nil)
	s.event("payment_intent.succeeded", p.at, s.intentObject(p, "succeeded"), nil)
	if p.release > 0 {
		s.releasedAsRefund(p, release, p.release)
	}
	s.deliver()
	s.sold(p)
	p.at = first
	s.book(p, first)
}

// releaseAll reports that nothing was captured.
func (s *buyer) releaseAll(p payment, release string, outcome int) {
	p.release = p.authorised
	if outcome == expired {
		s.event("charge.expired", p.at, s.chargeObject(p, 0, false), nil)
	}
	s.event("payment_intent.canceled", p.at, s.intentObject(p, "canceled"), nil)
	s.releasedAsRefund(p, release, p.release)
	s.deliver()
}

// releasedAsRefund reports a release as Stripe did up to basil: as a refund.
func (s *buyer) releasedAsRefund(p payment, id string, amount int64) {
	if s.api.since(basil) {
		return
	}
	re := s.refundObject(p, id, p.at, amount, "succeeded")
	if s.api.since(refundsEverywhere) {
		s.event("refund.created", p.at, re, nil)
	}
	s.event("charge.refunded", p.at, s.chargeObject(p, 0, false), object{"amount_refunded": 0})
	s.event("charge.refund.updated", p.at, re, nil)
}
