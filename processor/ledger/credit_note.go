package ledger

import (
	"maps"
	"slices"

	"tributary/processor/stripe"
)

// applyNotes finds to which credit notes each refund applies, and which of them lessened what was
// due of each invoice before it was paid. What a voided note says counts no more, but for what was
// given back outside Stripe by itself, which voiding takes back.
func (g *group) applyNotes() {
	if len(g.notes) == 0 {
		return
	}
	voided := map[string]bool{}
	for _, f := range g.notes {
		voided[f.TransactionID] = voided[f.TransactionID] || !f.Certain
	}
	slices.SortFunc(g.notes, compareFacts)
	g.credited = map[string][]*stripe.Fact{}
	for _, f := range g.notes {
		own, list := f.ObjectID == f.TransactionID, g.credited[f.ObjectID]
		if voided[f.TransactionID] && !own {
			continue
		}
		n := slices.IndexFunc(list, func(known *stripe.Fact) bool { return known.TransactionID == f.TransactionID })
		switch {
		case n < 0:
			g.credited[f.ObjectID] = append(list, f)
		case list[n].Amount == 0 && f.Amount > 0: // an event of an older API version has no figures
			list[n] = f
		default:
			continue
		}
		if own && f.Amount > 0 && !voided[f.TransactionID] {
			i := g.invoice(f.ParentID)
			i.credited = append(i.credited, f)
		}
	}
	g.raiseVoided()
	for _, i := range g.invoices {
		i.forgetVoided()
	}
}

// raiseVoided adds to what invoices ask for what notes took off that were voided later. No event of
// the invoice may say so: invoice.payment_failed says what is due less a note, the note is voided,
// and of the payment only invoice_payment.paid is reported.
func (g *group) raiseVoided() {
	first := map[string]*stripe.Fact{} // by note: its first event, then that it was voided
	for _, f := range g.notes {
		switch known := first[f.TransactionID]; {
		case f.ObjectID != f.TransactionID || f.Amount == 0:
		case known == nil:
			first[f.TransactionID] = f
		case known.Certain && !f.Certain:
			first[f.TransactionID] = f
			g.invoice(f.ParentID).raise(known, f)
		}
	}
}

// raise adds what a note took off to what an invoice asks for, if its last event has it: that lies
// between the note and when it was voided.
func (i *invoice) raise(note, voided *stripe.Fact) {
	if i.due == stripe.UnknownAmount || i.terms.Source != stripe.FromInvoice || note.Currency != i.terms.Currency ||
		note.CreatedAt.After(i.dueAt) || !voided.CreatedAt.After(i.dueAt) {
		return
	}
	switch {
	case i.noted == stripe.UnknownAmount:
		if i.due+note.Amount > i.terms.Total {
			return // the customer owed from before, which is due as well, or it was voided before
		}
	case i.noted < note.Amount:
		return // it was voided before
	default:
		i.noted -= note.Amount
	}
	i.due += note.Amount
}

// forgetVoided drops credit notes that were voided, as no event but their invoice says: it said
// later how much the notes that stand took off. Of an invoice that does not say that, what it asks
// for must be exactly what the others leave; where a balance of the customer's has a part in that,
// nothing follows. A note is voided to issue another, so of several ways the later ones stand.
func (i *invoice) forgetVoided() {
	if len(i.credited) == 0 || i.due == stripe.UnknownAmount || i.terms == nil || i.terms.Source != stripe.FromInvoice {
		return
	}
	before := func(f *stripe.Fact) bool { return i.dueAt.After(f.CreatedAt) && f.Currency == i.terms.Currency }
	n := len(i.credited)
	if n > 8 || !slices.ContainsFunc(i.credited, before) {
		return
	}
	noted := i.noted
	if noted == stripe.UnknownAmount {
		noted = i.terms.Total - i.due
	}
	for voided := range 1 << n { // a bit for each
		left, says := noted, true
		var standing []*stripe.Fact
		for k, f := range i.credited {
			switch known := before(f); {
			case voided>>k&1 == 0:
				standing = append(standing, f)
				if known {
					left -= f.Amount
				}
			case !known:
				says = false // its invoice says nothing of it
			}
		}
		if says && left == 0 {
			i.credited = standing
			return
		}
	}
}

// lessCredited returns what is left of the total and tax of an invoice after the credit notes that
// state their tax and were issued before it was paid. Of a note that also gave back what had been
// paid, the refunds have their share of its tax, and the rest was before payment.
func (i *invoice) lessCredited(total int64) (left, tax int64) {
	left, tax = total, i.terms.Tax
	for _, f := range i.credited {
		if f.Total > 0 && f.Currency == i.terms.Currency && i.terms.Source == stripe.FromInvoice {
			left, tax = left-f.Amount, tax-taxBefore(f)
		}
	}
	return max(0, left), max(0, tax)
}

// taxBefore returns the tax of what a credit note took off before payment.
func taxBefore(note *stripe.Fact) int64 {
	return note.Tax - stripe.Share(note.Tax, max(0, note.Total-note.Amount), note.Total)
}

// sold returns the products of an invoice, less the lines that credit notes took off before it was
// paid, as far as that leaves anything of each.
func (i *invoice) sold() parts {
	sold := soldBy(i.facts)
	if !sold.named() || len(i.credited) == 0 {
		return sold
	}
	products := map[string]string{}
	productsOf(products, i.facts)
	left := sold
	for _, f := range i.credited {
		lines := creditedLines(f, products)
		if lines.named() {
			left = left.minus(lines.divide(f.Amount - taxBefore(f)))
		}
	}
	if slices.ContainsFunc(left, func(x Part) bool { return x.Net < 0 }) {
		return sold
	}
	return slices.DeleteFunc(left, func(x Part) bool { return x.Net == 0 })
}

// productsOf adds the products of the lines that facts hold, by the ids of the lines.
func productsOf(products map[string]string, facts []*stripe.Fact) {
	for _, f := range facts {
		for _, l := range f.Lines {
			if l.ID != "" {
				products[l.ID] = smaller(products[l.ID], l.Product)
			}
		}
	}
}

// creditedLines returns for which products a credit note was issued.
func creditedLines(note *stripe.Fact, products map[string]string) parts {
	var lines parts
	for _, l := range note.Lines {
		lines = lines.plus(parts{{products[l.ID], l.Net}})
	}
	return lines
}

// creditNotes returns what credit notes say of each refund that applies to any.
func (b *books) creditNotes() map[string][]*stripe.Fact {
	var notes map[string][]*stripe.Fact
	for _, g := range b.groups {
		if notes == nil {
			notes = g.credited
		} else if len(g.credited) > 0 {
			notes = maps.Clone(notes)
			maps.Copy(notes, g.credited)
		}
	}
	return notes
}

// applied is how much of a refund, or of its reversal, applies to one credit note, signed as the
// entry is, and what of that is tax as the note states it.
type applied struct {
	note        *stripe.Fact
	amount, tax int64
}

// apply divides an entry among the credit notes that it applies to, as far as they say; the first of
// them that says no figure has all that is left.
func apply(e *Entry, notes []*stripe.Fact) []applied {
	var list []applied
	left := e.Amount
	for _, note := range notes {
		amount := left
		if note.Amount > 0 && note.ObjectID != note.TransactionID {
			amount = min(note.Amount, max(left, -left))
			if e.Amount < 0 {
				amount = -amount
			}
		}
		if amount != 0 {
			list = append(list, applied{note: note, amount: amount})
			left -= amount
		}
	}
	return list
}
