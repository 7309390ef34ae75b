package ledger

import (
	"cmp"
	"slices"
	"time"

	"tributary/processor/stripe"
)

// payment is one payment: a payment intent, a charge without one, a session with neither, or what
// was paid of an invoice outside Stripe.
type payment struct {
	id    string
	facts []*stripe.Fact // what its objects say of it
	// charged are the totals refunded of its charges, from which a charge is known that no event
	// reported as paid.
	charged  []*stripe.Fact
	failed   []*stripe.Fact   // that its charges failed
	begun    []*stripe.Fact   // when charges were made of which only the refunds may be known
	passedOn bool             // a platform passed it on to a connected account: no sale
	tried    []attempt        // by the failures of its charges; none where no charge failed
	charges  []string         // their ids, sorted
	invoices []*invoice       // that it pays, by certain links, the smallest id first
	shares   map[string]int64 // of its invoices, where invoice payments tell them, or they are assumed
	former   []*invoice       // that it was taken off, and pays no more
	attached []attached       // its invoice payments
	assumed  []*invoice       // that it is assumed to pay
	group    *group

	source                          *stripe.Fact // states the amount; nil: no event does
	session                         *stripe.Fact // states the tax; nil: its invoices do, or none does
	currency, customer              string
	amount, tax, shipping, discount int64
	beyond                          int64 // what was paid beyond the total of its session
	at                              time.Time
	silent                          bool // nothing but its refunds is known
	free                            bool // may be an invoice's that no event ties it to
	awaits                          bool // its session says that an invoice will come
	ours                            bool // of a free one: it carries our keys, as a sale of the seller's own does
}

// read finds the amount and time of a payment in its facts.
//
// What was captured counts: of all captures the sum, which only grows. A session that names no
// invoice states the amount where no capture is known, or none in the seller's currency. Where
// neither is known, what the payment's invoice payments say.
func (p *payment) read() {
	var explained bool
	for _, f := range p.facts {
		if f.Kind != stripe.Payment {
			continue
		}
		p.customer = cmp.Or(p.customer, f.CustomerID)
		switch {
		case f.Source == stripe.FromInvoicePayment:
		case f.InvoiceID == "" && f.Certain:
			explained = true
		case f.InvoiceID == "" && f.Source == stripe.FromSession:
			p.awaits = true
		}
	}
	p.free = len(p.invoices)+len(p.former) == 0 && (!explained || p.awaits)
	captures := p.facts
	if len(p.failed) > 0 {
		p.tried = p.attempts()
		captures = p.tried[max(0, p.firstTried())].captures
	}
	captured := mostCaptured(captures)
	if p.source = p.bestSession(func(f *stripe.Fact) bool { return f.Amount != 0 }); p.source != nil {
		p.amount = p.source.Amount
		if captured != nil && captured.Currency == p.source.Currency {
			p.amount = captured.Amount
		}
		p.divideSession(p.source)
	} else if p.source = captured; captured != nil {
		p.amount = captured.Amount
		p.divideSession(p.bestSession(func(f *stripe.Fact) bool { return f.Currency == captured.Currency }))
	} else if p.source = best(p.facts,
		func(f *stripe.Fact) bool { return f.Source == stripe.FromInvoicePayment }); p.source != nil {
		p.amount = mostAtOnce(p.attached)
	}
	if p.source == nil {
		p.readSilent()
		return
	}
	p.currency, p.at = p.source.Currency, p.when(captures)
	p.readAgain(captured)
}

// bestSession returns the best of the wanted facts of the payment's sessions that name no invoice, or
// one that the payment was taken off.
func (p *payment) bestSession(wanted func(*stripe.Fact) bool) *stripe.Fact {
	return best(p.facts, func(f *stripe.Fact) bool {
		return f.Kind == stripe.Payment && f.Source == stripe.FromSession && wanted(f) && (f.InvoiceID == "" ||
			slices.ContainsFunc(p.former, func(i *invoice) bool { return i.id == f.InvoiceID }))
	})
}

// divideSession gives the payment its share of the tax, shipping and discount of its session, whose
// total may be more or less than what was captured.
func (p *payment) divideSession(session *stripe.Fact) {
	if session == nil {
		return
	}
	p.session = session
	total := max(session.Total, session.Amount)
	of := func(whole int64) int64 { return stripe.Share(whole, min(p.amount, total), total) }
	p.tax, p.shipping, p.discount = of(session.Tax), of(session.Shipping), of(session.Discount)
	p.beyond = max(0, p.amount-total)
}

// unstated returns how much of a payment is of no invoice that an event states. What is overpaid of
// invoices that events state is theirs, unless it was paid for one that the payment was taken off.
func (p *payment) unstated(invoices []*invoice) int64 {
	left, unknown := p.amount, len(invoices) == 0 || len(p.former) > 0
	for _, i := range invoices {
		switch {
		case i.source == nil:
			unknown = true
		case i.source.Currency != p.currency:
			left = 0 // amounts of two currencies cannot be compared
		default:
			left -= i.explained(p)
		}
	}
	if !unknown {
		return 0
	}
	return max(0, left)
}

// parts returns tax, shipping and discount as the payment intent itself states them, for a payment
// that no session and no invoice states them for.
func (p *payment) parts() (tax, shipping, discount int64) {
	f := best(p.facts, func(f *stripe.Fact) bool {
		return f.Source == stripe.FromPaymentIntent && f.Kind == stripe.Payment && f.Total > 0 && f.Currency == p.currency
	})
	if f == nil {
		return 0, 0, 0
	}
	of := func(whole int64) int64 { return stripe.Share(whole, min(p.amount, f.Total), f.Total) }
	return of(f.Tax), of(f.Shipping), of(f.Discount)
}

// when a payment was made: by its first capture, else as its invoice payments say, else when its
// session was completed.
func (p *payment) when(captures []*stripe.Fact) time.Time {
	var first [3]time.Time
	for _, f := range captures {
		if isCapture(f) && (first[0].IsZero() || f.OccurredAt.Before(first[0])) {
			first[0] = f.OccurredAt
		}
	}
	for _, f := range p.facts {
		order := 1
		switch {
		case f.Kind != stripe.Payment || f.Amount == 0 || isCapture(f):
			continue
		case f.Source == stripe.FromSession:
			order = 2
		}
		if at := first[order]; at.IsZero() || f.OccurredAt.Before(at) {
			first[order] = f.OccurredAt
		}
	}
	for _, at := range first {
		if !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// readSilent reads a payment of which only what went back is known: from the refunded totals of its
// charge, else from the charge that a refund object or a dispute holds. It books nothing.
func (p *payment) readSilent() {
	f := best(p.charged, func(f *stripe.Fact) bool { return f.CustomerID != "" })
	if f == nil {
		f = best(slices.Concat(p.charged, p.begun), func(*stripe.Fact) bool { return true })
	}
	if f == nil {
		return
	}
	p.silent, p.free = true, len(p.invoices) == 0
	p.currency, p.customer, p.amount, p.at = f.Currency, f.CustomerID, f.Amount, f.OccurredAt
	if f.Kind == stripe.RefundedTotal {
		p.amount = f.Total
	}
	if f.Captured > 0 {
		p.amount = f.Captured
	}
	p.divideSession(p.bestSession(func(s *stripe.Fact) bool { return s.Currency == p.currency }))
}

// sale is the id under which a payment's sale is known: its invoice, the first by id of several,
// else the payment itself.
func (p *payment) sale() string {
	id := ""
	if len(p.invoices) > 0 {
		id = p.invoices[0].id
	}
	for _, i := range p.assumed {
		if id == "" || i.id < id {
			id = i.id
		}
	}
	return cmp.Or(id, p.id)
}
