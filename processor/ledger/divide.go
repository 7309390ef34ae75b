package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// explain finds what of each invoice no payment explains, assumes links where no event states them,
// and gives every payment its share of its invoice's tax.
func (b *books) explain() {
	invoices := slices.DeleteFunc(b.invoices(), func(i *invoice) bool { return i.source == nil })
	for _, i := range invoices {
		i.keep()
	}
	for _, i := range invoices {
		b.payOfFailure(i)
	}
	for _, i := range invoices {
		i.keep() // what a payment is known to have paid by its failure may have left another invoice
		i.remainder = i.kept
		var later int64
		for _, p := range i.payments {
			if b.paidLater(i, p) {
				later += i.explained(p)
			} else {
				i.remainder -= i.explained(p)
			}
		}
		i.remainder = max(0, i.remainder-min(later, i.overpaid()))
		if i.source.Source == stripe.FromSession && i.remainder < i.paid {
			// A session is paid by one payment. What it asked for beside that, the customer's balance
			// paid.
			i.remainder = 0
		}
	}
	if !b.crowded {
		b.assume()
	}
	for _, i := range invoices {
		i.divide()
	}
}

// payOfFailure books the payment of an invoice of which only its failure is reported: what the
// invoice says was paid and no other payment explains, up to the amount of the charge that failed.
// Of two such payments no event says how much each was.
func (b *books) payOfFailure(i *invoice) {
	if i.source.Source == stripe.FromInvoice && i.source.Certain {
		return // paid outside Stripe, while the charge was pending
	}
	var failed *payment
	left := i.kept
	for _, p := range i.payments {
		switch {
		case p.onlyFailure(i.source.OccurredAt) != nil && len(p.invoices) == 1:
			if failed != nil {
				return
			}
			failed = p
		case !b.paidLater(i, p):
			left -= i.explained(p)
		}
	}
	if failed == nil || left <= 0 {
		return
	}
	if f := failed.onlyFailure(i.source.OccurredAt); f.Currency == i.source.Currency {
		failed.payBy(i.source, min(left, f.Amount))
	}
}

// paidLater reports whether a payment was made more than identity.LatestPayment after its invoice
// was paid, so that it is no part of what was paid then. If an event until that limit says that the
// payment is of the invoice, it had been made: events of its first success and of the failure after
// it are missing, and its time is that of a later success. It is then given the invoice's time.
func (b *books) paidLater(i *invoice, p *payment) bool {
	until := i.source.OccurredAt.Add(identity.LatestPayment)
	if i.source.Source != stripe.FromInvoice || p.source == nil || !p.at.After(until) || len(p.invoices) != 1 {
		return false
	}
	if b.tiedBy(i, p, until) {
		p.at = i.source.OccurredAt
		return false
	}
	return true
}

// tiedBy reports whether an event until then said that a payment is of an invoice.
func (b *books) tiedBy(i *invoice, p *payment, until time.Time) bool {
	return slices.ContainsFunc(b.Graph.From(identity.New(identity.Object, i.id)), func(e identity.Edge) bool {
		return e.B.Type() == identity.Object && !e.At.After(until) && b.paymentOf(e.B) == p.id
	})
}

// invoices in order of their ids.
func (b *books) invoices() []*invoice {
	var list []*invoice
	for _, g := range b.groups {
		list = slices.AppendSeq(list, maps.Values(g.invoices))
	}
	slices.SortFunc(list, func(a, b *invoice) int { return cmp.Compare(a.id, b.id) })
	return list
}

// payments in order of their ids.
func (b *books) payments() []*payment {
	var list []*payment
	for _, g := range b.groups {
		list = slices.AppendSeq(list, maps.Values(g.payments))
	}
	slices.SortFunc(list, func(a, b *payment) int { return cmp.Compare(a.id, b.id) })
	return list
}

// divide gives each payment of an invoice its share of the invoice's tax, shipping and discount:
// the share of all that was paid by then, less what the payments before it were given. So the
// shares add up, to the last cent, and never to more than the invoice has, nor to more than belongs
// to what was due of it: the tax of what the customer's balance paid is no payment's. Where more
// was paid than that, a payment that failed later leaves its place to the others, and takes back
// its own share when it fails.
func (i *invoice) divide() {
	total := i.terms.Total
	if i.terms.Source != stripe.FromInvoice || total <= 0 {
		total = i.paid
	}
	due, tax := i.lessCredited(total)
	taxed := due // what the tax is of
	if i.due != stripe.UnknownAmount {
		due = min(due, i.due)
	}
	if i.noted != stripe.UnknownAmount { // also by notes that no event reports
		due = min(due, max(0, total-i.noted))
	}
	type part struct {
		p      *payment
		at     time.Time
		id     string
		amount int64
	}
	parts := []part{{nil, i.source.OccurredAt, i.id, i.remainder}}
	sum, sold := i.remainder, i.sold()
	for _, p := range i.payments {
		parts = append(parts, part{p, p.at, p.id, i.explained(p)})
		sum += i.explained(p)
	}
	slices.SortFunc(parts, func(a, b part) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	i.parts = make(map[*payment]share, len(i.payments))
	var before, by, net int64
	for _, x := range parts {
		by = min(before+x.amount, due)
		of := func(whole, total int64) int64 {
			return stripe.Share(whole, by, total) - stripe.Share(whole, before, total)
		}
		s := share{
			of(tax, taxed), of(i.terms.Shipping, total), of(i.terms.Discount, total), before + x.amount - by, nil,
		}
		if sold.named() {
			s.products = sold.between(net, net+x.amount-s.tax)
			net += x.amount - s.tax
		}
		if sum <= due || x.p == nil || !x.p.failedAtLast() {
			before = by
		}
		if x.p == nil {
			i.rest = s
			continue
		}
		if x.p.currency != i.source.Currency {
			s = share{
				stripe.Share(s.tax, x.p.amount, x.amount),
				stripe.Share(s.shipping, x.p.amount, x.amount),
				stripe.Share(s.discount, x.p.amount, x.amount),
				stripe.Share(s.beyond, x.p.amount, x.amount),
				s.products, // proportions, which are the same in any currency
			}
		}
		i.parts[x.p] = s
	}
}
