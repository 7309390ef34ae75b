package ledger

import (
	"time"

	"tributary/processor/stripe"
)

// invoice is what one invoice says was paid, and who explains it.
type invoice struct {
	id       string
	facts    []*stripe.Fact // its own, and those of the sessions that stand for it
	payments []*payment     // certain ones, then assumed ones
	silent   *payment       // a payment that is only known by its refunds and is assumed to be this invoice's
	group    *group

	source    *stripe.Fact   // states the amount; nil: no event does
	customer  string         // who owes it
	terms     *stripe.Fact   // states the total and tax, also before anything is paid
	credited  []*stripe.Fact // credit notes that took something off before it was paid
	presented []*stripe.Fact // what the buyer saw in its session, which names no payment
	begun     []time.Time    // when it was finalised, if it was paid hours later
	left      []leaving      // payments that were taken off it
	paid      int64          // all that is said to be paid, what was overpaid included
	kept      int64          // of that, what was not taken off it since
	due       int64          // what it asks for, by the last event; UnknownAmount: no event says
	noted     int64          // what credit notes took off before, by that event; UnknownAmount: it does not say
	dueAt     time.Time      // of that event
	remainder int64          // of it that no payment explains
	parts     map[*payment]share
	rest      share
}

// read finds what an invoice says was paid of it, and for which total and tax it was issued. The
// second may be known first, from an invoice that is not paid yet.
func (i *invoice) read() {
	for _, f := range i.facts {
		if i.source == nil || statesMore(f, i.source) {
			i.source = f
		}
	}
	if i.source == nil {
		return
	}
	i.terms = i.source
	if i.source.Source != stripe.FromInvoice {
		issued := best(i.facts, func(f *stripe.Fact) bool {
			return f.Source == stripe.FromInvoice && f.Currency == i.source.Currency
		})
		if issued != nil {
			i.terms = issued
		}
	}
	for _, f := range i.facts {
		if f.Currency != i.source.Currency {
			continue
		}
		if f.Source == i.source.Source {
			i.paid = max(i.paid, f.Amount)
		}
		if f.Source == stripe.FromInvoice && f.Due != stripe.UnknownAmount && i.outdated(f) {
			i.due, i.noted, i.dueAt = f.Due, f.Noted, f.CreatedAt
		}
	}
}

// outdated reports whether a fact says later what an invoice asks for. Of one second the least is
// the latest: credit notes lessen it until it is paid, if they are not voided. Of equal figures the
// fact counts that says how much credit notes took off.
func (i *invoice) outdated(by *stripe.Fact) bool {
	if i.due == stripe.UnknownAmount || !by.CreatedAt.Equal(i.dueAt) {
		return i.due == stripe.UnknownAmount || by.CreatedAt.After(i.dueAt)
	}
	return by.Due < i.due || by.Due == i.due && by.Noted > i.noted
}

// saysPaid reports whether a fact says that its invoice was paid, if only by the customer's
// balance.
func saysPaid(f *stripe.Fact) bool {
	return f.Amount != 0 || f.Certain && f.Source == stripe.FromInvoice
}

// statesMore reports whether an invoice's fact states more than another: one that says that it was
// paid, then the invoice itself before a session of it, then the one that says that more was paid.
func statesMore(f, than *stripe.Fact) bool {
	if paid, theirs := saysPaid(f), saysPaid(than); paid != theirs {
		return paid
	}
	if own, theirs := f.Source == stripe.FromInvoice, than.Source == stripe.FromInvoice; own != theirs {
		return own
	}
	if f.Amount != than.Amount {
		return f.Amount > than.Amount
	}
	return compareFacts(f, than) < 0
}

// explained by a payment of an invoice, in the invoice's currency: all that a payment of this
// invoice alone moved; of a payment of several invoices its share, or, where no event states it, so
// much of what its other shares leave as the invoices before this one need.
func (i *invoice) explained(p *payment) int64 {
	if amount, known := i.share(p); known || p.source == nil {
		return amount
	}
	if p.currency != i.source.Currency {
		return i.paid // what cannot be compared is not booked twice
	}
	left := p.amount
	for _, amount := range p.shares {
		left -= amount
	}
	for _, other := range p.invoices {
		need := min(max(0, left), other.open(p))
		if other == i {
			return need
		}
		if _, known := p.shares[other.id]; !known {
			left -= need
		}
	}
	return 0
}

// share returns how much of an invoice a payment paid, and reports whether that is known.
func (i *invoice) share(p *payment) (amount int64, known bool) {
	amount, known = p.shares[i.id]
	if p.source == nil {
		return 0, false
	}
	if p.currency == i.source.Currency && len(p.invoices) == 1 && len(p.assumed) == 0 && len(p.former) == 0 {
		return p.amount, true
	}
	return amount, known
}

// overpaid is what an invoice says was paid beyond what was due: 0 where it does not say.
func (i *invoice) overpaid() int64 {
	if i.due == stripe.UnknownAmount {
		return 0
	}
	return max(0, i.paid-i.due)
}

// open is what is left of an invoice for a payment, by the shares of all others that are known.
func (i *invoice) open(p *payment) int64 {
	left := i.paid
	for _, other := range i.payments {
		if other != p && i.source != nil {
			amount, _ := i.share(other)
			left -= amount
		}
	}
	return max(0, left)
}

// sale is the id under which an invoice's remainder is sold: the invoice itself, unless a payment
// that is only known by its refunds paid several.
func (i *invoice) sale() string {
	if i.silent != nil {
		return i.silent.sale()
	}
	return i.id
}
