package stripe

import "tributary/processor/identity"

// readRefund reads refund.created, refund.updated, refund.failed and charge.refund.updated: one
// refund, one movement.
//
// Traps:
//   - A pending refund has already left Stripe's balance and is booked.
//   - A refund may be undone: status failed or canceled writes the refund and its reversal,
//     whichever event came first, so that the two add up to nothing in any order. A charge's own
//     list of refunds has such refunds too.
//   - refund.* comes for all refunds only since API 2024-10-28; before, charge.refunded is all
//     there is.
//   - Before API basil the release of an authorisation is a refund object too. It does not say so
//     itself: the charge does.
//   - On a connected account a transfer that is reversed is a refund of what the platform passed
//     on. The refund of the sale is the platform's. Where the account itself gave the transfer
//     back, the charge alone says what it was.
//   - A refund of a customer's cash balance has neither charge nor payment intent. What funded that
//     balance was no sale, so giving it back moves no revenue.
//     https://docs.stripe.com/payments/customer-balance/refunding
func readRefund(ev *event, re object) {
	charge, intent := re.id("charge"), re.id("payment_intent")
	parent := charge
	if parent == "" {
		parent = intent
	}
	if parent == "" || re.id("source_transfer_reversal") != "" {
		return
	}
	if whole := re.child("charge"); whole.present() {
		if ev.transferred(whole) {
			return
		}
		ev.wholeCharge(whole)
	}
	ev.name(identity.Object, charge, identity.Object, intent, "refund.payment_intent")
	ev.name(identity.Object, parent, identity.Customer, re.customer(), "refund.customer")
	ev.refund(re, parent, "refund")
}

// wholeCharge reads the charge of a refund or dispute: who bought, when, and for which invoice. No
// webhook holds it. A backfill asks for it, because the charge may be older than all that is read.
func (ev *event) wholeCharge(ch object) {
	id := ch.text("id")
	ev.name(identity.Object, id, identity.Object, ch.id("payment_intent"), "charge.payment_intent")
	ev.name(identity.Object, id, identity.Object, ch.id("invoice"), "charge.invoice")
	ev.name(identity.Object, id, identity.Customer, ch.customer(), "charge.customer")
	if isCaptured(ch) {
		ev.chargeBegun(ch)
	}
	if in := ch.child("invoice"); in.present() {
		readUnpaidInvoice(ev, in) // an event of its payment may be of another period
	}
}

// refund books one refund object, and its reversal where it failed.
func (ev *event) refund(re object, parent, source string) {
	f := Fact{
		ObjectID: re.mustText("id"), Kind: Refund, Source: FromRefund, OccurredAt: re.mustTime("created"),
		ParentID: parent, Certain: !ev.releasesAreRefunds, CustomerID: re.customer(),
		Currency: re.mustCurrency("currency"), Amount: -re.mustAmount("amount"),
	}
	ev.name(identity.Movement, f.ObjectID, identity.Object, parent, source)
	ev.settlement(f.ObjectID, Refund, f.Currency, re, "balance_transaction")
	ev.money(f)
	if status := re.text("status"); status == "failed" || status == "canceled" || ev.typ == "refund.failed" {
		ev.settlement(f.ObjectID, RefundReversal, f.Currency, re, "failure_balance_transaction")
		f.Kind, f.Amount, f.OccurredAt = RefundReversal, -f.Amount, ev.created
		ev.money(f)
	}
}

// readChargeRefunded reads charge.refunded: the charge's cumulative refunded amount. What of it no
// refund object explains is booked step by step (processor/ledger). Older shapes carry the refunds
// themselves.
//
// It may be all that is known of a charge. It books no payment then, but its customer shows who is
// to be credited, and when it was charged which invoice it may have paid.
func readChargeRefunded(ev *event, ch object) {
	id, intent, customer := ch.mustText("id"), ch.id("payment_intent"), ch.customer()
	if ev.transferred(ch) {
		return
	}
	ev.name(identity.Object, id, identity.Object, intent, "charge.payment_intent")
	ev.name(identity.Object, id, identity.Object, ch.id("invoice"), "charge.invoice")
	ev.name(identity.Object, id, identity.Customer, customer, "charge.customer")
	ev.released(ch, intent)
	ch.mustAmount("amount_refunded")
	ev.refundedTotal(ch)
	ev.refundsOf(ch)
	if isCaptured(ch) {
		ev.chargeBegun(ch)
	}
}

// chargeBegun notes when a charge was made that may be known by its refund alone: a click that came
// later does not credit it. Up to API 2025-02 a charge says which invoice it paid; of others the
// hour is stored, too, by which such an invoice is found.
func (ev *event) chargeBegun(ch object) {
	at := ch.time("created")
	if at.IsZero() {
		at = ev.created
	}
	hours := identity.PaymentHour
	if ch.has("invoice") {
		hours = ""
	}
	ev.begun(hours, Fact{
		ObjectID: ch.id("id"), Source: FromCharge, OccurredAt: at, ParentID: ch.id("payment_intent"),
		CustomerID: ch.customer(), Currency: ch.text("currency"), Amount: ch.amount("amount"),
		Captured: ev.captured(ch), Certain: ch.child("payment_method_details").is("type", "card"),
	})
}

// refundedTotal notes how much of a captured charge is refunded by now. Before API basil the figure
// includes what was released of the authorisation, once that is released: the ledger finds out from
// all facts of the charge how much, and when.
func (ev *event) refundedTotal(ch object) {
	if !isCaptured(ch) || ch.get("amount_refunded") == nil {
		return // of an authorisation that was not captured all that is called refunded was released
	}
	ev.fact(Fact{
		ObjectID: ch.text("id"), Kind: RefundedTotal, Source: FromCharge, OccurredAt: ev.created,
		ParentID: ch.id("payment_intent"), Certain: !ev.releasesAreRefunds, CustomerID: ch.customer(),
		Currency: ch.mustCurrency("currency"), Amount: ch.amount("amount_refunded"),
		Total: ch.amount("amount"), Captured: ev.captured(ch),
		Lines: soldAs(ch.product(), Fact{Amount: ch.integer("amount")}),
	})
}

// refundsOf books the refund objects that a charge holds, up to API 2022-11-15.
func (ev *event) refundsOf(ch object) {
	for _, re := range ch.array("refunds") {
		if re.present() {
			ev.refund(re, ch.text("id"), "charge.refunds")
		}
	}
}
