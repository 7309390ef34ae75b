package ledger

import (
	"cmp"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// attached is one invoice payment: how much of an invoice a payment paid, and for how long.
type attached struct {
	id, invoice string
	amount      int64
	since       time.Time // the first event that says so
	until       time.Time // when it was taken off its invoice; zero: it was not
}

// leaving is a payment that was taken off an invoice, what it had paid of it, and until when.
type leaving struct {
	p      *payment
	amount int64
	until  time.Time
}

// attach notes how much each payment paid of its invoices, as invoice payments say, and takes it off
// those that it pays no more. One that was taken off an invoice pays none of it once it pays another,
// or others have paid in its place; until then it stays where it was, for its money is what the
// invoice says was paid. What it moved stays with the seller.
func (k *Evidence) attach(g *group) {
	ids := sortedKeys(g.payments)
	for _, id := range ids {
		g.payments[id].attached = k.invoicePayments(g, g.payments[id])
	}
	for _, id := range ids {
		p := g.payments[id]
		if len(p.attached) == 0 {
			continue
		}
		p.shares = map[string]int64{}
		var off map[string][]attached // by invoice
		for _, a := range p.attached {
			if a.until.IsZero() {
				p.shares[a.invoice] += a.amount
				continue
			}
			if off == nil {
				off = map[string][]attached{}
			}
			off[a.invoice] = append(off[a.invoice], a)
		}
		elsewhere := len(p.shares) > 0
		for _, invoice := range sortedKeys(off) {
			if _, again := p.shares[invoice]; again {
				continue
			}
			l := leaving{p: p, amount: mostAtOnce(off[invoice])}
			for _, a := range off[invoice] {
				if a.until.After(l.until) {
					l.until = a.until
				}
			}
			if i := g.invoice(invoice); elsewhere || i.replaced(l) {
				i.leave(l)
			} else {
				p.shares[invoice] = l.amount
			}
		}
	}
}

// invoicePayments lists the invoice payments of a payment in order of their ids. Of one that only
// the event of its end reports, that says how much it was.
func (k *Evidence) invoicePayments(g *group, p *payment) []attached {
	var list []attached
	add := func(f *stripe.Fact) {
		n := slices.IndexFunc(list, func(a attached) bool { return a.id == f.ObjectID && a.invoice == f.InvoiceID })
		if n < 0 {
			n = len(list)
			list = append(list, attached{id: f.ObjectID, invoice: f.InvoiceID, since: f.CreatedAt})
		}
		a := &list[n]
		a.amount = max(a.amount, f.Amount)
		if f.CreatedAt.Before(a.since) {
			a.since = f.CreatedAt
		}
		if off := g.detached[f.ObjectID]; off != nil {
			a.until = off.OccurredAt
		}
	}
	for _, f := range p.facts {
		if f.Kind == stripe.Payment && f.Source == stripe.FromInvoicePayment {
			add(f)
		}
	}
	for _, f := range g.detached {
		if f.ParentID != "" && f.Amount > 0 && k.paymentOf(identity.New(identity.Object, f.ParentID)) == p.id {
			add(f)
		}
	}
	for n := range list {
		if a := &list[n]; !a.until.IsZero() && !a.since.Before(a.until) {
			a.since = a.until.Add(-time.Second) // events have seconds
		}
	}
	slices.SortFunc(list, func(a, b attached) int {
		return cmp.Or(cmp.Compare(a.id, b.id), cmp.Compare(a.invoice, b.invoice))
	})
	return list
}

// replaced reports whether others have paid of an invoice in the place of a payment that was taken
// off it: by an invoice payment of since then, also where that payment was made before, or by more
// than the invoice asks for together with this one. What an event of the invoice says after that time
// was paid by others alone: Stripe no longer counts what was taken off.
func (i *invoice) replaced(l leaving) bool {
	var others int64
	for _, other := range i.payments {
		if other == l.p {
			continue
		}
		for _, a := range other.attached {
			if a.invoice != i.id || !a.until.IsZero() {
				continue
			}
			if !a.since.Before(l.until) {
				return true
			}
			others += a.amount
		}
	}
	for _, f := range i.facts {
		if f.Source == stripe.FromInvoice && f.Currency == i.source.Currency && f.CreatedAt.After(l.until) {
			others = max(others, f.Amount)
		}
	}
	asked := i.asked()
	return asked > 0 && others > 0 && others+l.amount > asked
}

// leave takes a payment off an invoice.
func (i *invoice) leave(l leaving) {
	p := l.p
	delete(p.shares, i.id)
	p.invoices = slices.DeleteFunc(p.invoices, func(of *invoice) bool { return of == i })
	p.former = append(p.former, i)
	i.payments = slices.DeleteFunc(i.payments, func(other *payment) bool { return other == p })
	i.left = append(i.left, l)
}

// mostAtOnce returns the most that invoice payments of one payment were at one time: what the
// payment moved at least. What was taken off one invoice may have been attached to another since.
func mostAtOnce(list []attached) int64 {
	var most int64
	for _, at := range list {
		var sum int64
		for _, a := range list {
			if !a.since.After(at.since) && (a.until.IsZero() || at.since.Before(a.until)) {
				sum += a.amount
			}
		}
		most = max(most, sum)
	}
	return most
}

// asked is what an invoice asks for, as far as events say: 0 if none does.
func (i *invoice) asked() int64 {
	switch {
	case i.due != stripe.UnknownAmount:
		return i.due
	case i.terms != nil && i.terms.Source == stripe.FromInvoice && i.terms.Total > 0:
		return i.terms.Total
	}
	return i.paid
}

// keep finds what an invoice says was paid by payments that were not taken off it since: the most
// that any of its events says, which then is the one that states what was paid.
func (i *invoice) keep() {
	if i.kept = i.paid; len(i.left) == 0 {
		return
	}
	i.kept = 0
	source := i.source
	for _, f := range i.facts {
		if f.Source != source.Source || f.Currency != source.Currency {
			continue
		}
		kept := f.Amount - i.gone(f.CreatedAt)
		if kept > i.kept || kept == i.kept && kept > 0 && compareFacts(f, i.source) < 0 {
			i.kept, i.source = kept, f
		}
	}
}

// gone is what payments paid of an invoice that were taken off it later than an event of it, or in
// the same second.
func (i *invoice) gone(since time.Time) int64 {
	var sum int64
	for _, l := range i.left {
		p, amount := l.p, l.amount
		if p.source == nil || since.After(l.until) {
			continue // no event states what it moved, so it explains nothing
		}
		if p.currency == i.source.Currency && len(p.invoices) == 0 && len(p.former) == 1 {
			amount = max(amount, p.amount) // what was overpaid included
		}
		sum += amount
	}
	return sum
}

// buyer returns the customer of an invoice and the seller's own id, by the richest sources of each.
func (i *invoice) buyer() (customer, external string) {
	var e Entry
	describe(&e, i.facts)
	return e.CustomerID, e.ExternalCustomerID
}
