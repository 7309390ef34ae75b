package stripe

import (
	"maps"
	"slices"

	"tributary/processor/identity"
)

// readCreditNote reads credit_note.created, .updated and .voided: an invoice that is lowered after
// it was issued. https://docs.stripe.com/api/credit_notes/object
//
// Traps:
//   - What is refunded by a credit note moves by its own refund objects; they are only named here,
//     because they tie a refund to its invoice where nothing else does.
//   - What is credited to the customer's balance moves nothing now: the next invoice's amount_paid
//     is smaller.
//   - out_of_band_amount was given back outside Stripe, and so was what refunds a payment record:
//     no other object states it. It is booked under the credit note, as an invoice paid outside
//     Stripe is booked under the invoice.
//   - A credit note may be voided, which takes that back: it writes both, whichever event came
//     first.
//   - A refund may apply to it in part, and to several credit notes (amount_refunded).
//   - Its lines may name lines of the invoice: then what it refunds goes back for their products.
//   - It states its own tax, which need not be the invoice's share: none for a line without tax.
//   - Of an invoice that is open it first lessens what is due (pre_payment_amount), and with it the
//     tax and the products that are left to be paid.
//   - One that was voided says nothing any more of refunds that stand, nor of what is due.
func readCreditNote(ev *event, cn object) {
	id, invoice := cn.mustText("id"), cn.id("invoice")
	if invoice == "" {
		cn.missing("invoice")
		return
	}
	ev.name(identity.Movement, id, identity.Object, invoice, "credit_note.invoice")
	ev.name(identity.Object, invoice, identity.Customer, cn.customer(), "credit_note.customer")
	ev.name(identity.Movement, cn.id("refund"), identity.Object, invoice, "credit_note.refund")
	outside := cn.amount("out_of_band_amount")
	before := cn.beforePayment()
	figures := map[string]int64{cn.id("refund"): 0}
	for _, re := range cn.array("refunds") {
		if re.present() {
			ev.name(identity.Movement, re.id("refund"), identity.Object, invoice, "credit_note.refunds")
			figures[re.id("refund")] += re.amount("amount_refunded")
		}
		if re.present() && re.is("type", "payment_record_refund") {
			outside += re.amount("amount_refunded")
		}
	}
	if cn.get("amount") != nil {
		total := cn.amount("amount")
		if outside > total {
			cn.missing("amount (less than what it gave back)")
		}
		before = min(before, total)
	}
	if outside != 0 || before != 0 {
		figures[id] = before
	}
	ev.credited(cn, invoice, figures)
	if outside == 0 {
		return
	}
	f := Fact{
		ObjectID: id, Kind: Refund, Source: FromCreditNote, OccurredAt: cn.mustTime("created"),
		ParentID: invoice, Certain: true,
		Currency: cn.mustCurrency("currency"), Amount: -outside, CustomerID: cn.customer(),
	}
	ev.money(f)
	if cn.is("status", "void") {
		f.Kind, f.Amount, f.OccurredAt = RefundReversal, -f.Amount, ev.created
		if at := cn.time("voided_at"); !at.IsZero() {
			f.OccurredAt = at
		}
		ev.money(f)
	}
}

// beforePayment returns what a credit note took off what is due of its invoice. Up to API 2025-05
// only its type tells whether that is all of it or nothing.
// https://docs.stripe.com/api/credit_notes/create
func (o object) beforePayment() int64 {
	switch {
	case o.get("pre_payment_amount") != nil:
		return o.amount("pre_payment_amount")
	case o.is("type", "pre_payment"):
		return o.amount("amount")
	}
	return 0
}

// credited notes for which lines of its invoice a credit note was issued, and what of it is tax,
// under each of its refunds, with the figure of each: how much of the refund applies to the note, 0
// for all; and under itself what of it was before payment.
func (ev *event) credited(cn object, invoice string, figures map[string]int64) {
	lines, total := cn.creditedLines(), int64(0)
	tax, stated := cn.creditedTax()
	if stated {
		total = cn.amount("amount")
		if tax < 0 || tax > total {
			cn.missing("amount (less than its tax)")
		}
	}
	if len(lines) == 0 && total == 0 {
		return
	}
	for _, id := range slices.Sorted(maps.Keys(figures)) {
		if id != "" {
			ev.fact(Fact{
				ObjectID: id, Kind: Credited, Source: FromCreditNote, OccurredAt: ev.created, ParentID: invoice,
				TransactionID: cn.text("id"), Certain: !cn.is("status", "void"),
				Currency: cn.mustCurrency("currency"), Amount: figures[id], Total: total, Tax: tax, Lines: lines,
			})
		}
	}
}

// creditedTax returns the tax of a credit note, and reports whether it states any, be it none: in
// total_taxes from API basil (2025-03-31) on, and in tax_amounts before.
// https://docs.stripe.com/api/credit_notes/object
func (o object) creditedTax() (tax int64, stated bool) {
	for _, list := range []string{"total_taxes", "tax_amounts"} {
		if o.get(list) == nil {
			continue
		}
		stated = true
		for _, t := range o.array(list) {
			tax += t.integer("amount")
		}
	}
	return tax, stated
}
