package stripe

import (
	"strings"

	"tributary/processor/identity"
)

// readRefund reads refund.created, refund.updated, refund.failed and charge.refund.updated: one refund, one movement.
//
// Traps:
//   - A pending refund has already left Stripe's balance and is booked.
//   - A refund may be undone: status failed or canceled writes the refund and its reversal, whichever event came first, so
//     that the two add up to nothing in any order.
//   - refund.* comes for all refunds only since API 2024-10-28; before, charge.refunded is all there is.
func readRefund(ev *event, re object) {
	charge, intent := re.id("charge"), re.id("payment_intent")
	parent := charge
	if parent == "" {
		parent = intent
	}
	ev.name(identity.Object, charge, identity.Object, intent, "refund.payment_intent")
	f := ev.refund(re, parent, "refund")
	if status := re.text("status"); status == "failed" || status == "canceled" || strings.HasSuffix(ev.typ, ".failed") {
		ev.settlement(f.ObjectID, RefundReversal, f.Currency, re, "failure_balance_transaction")
		f.Kind, f.Amount, f.OccurredAt = RefundReversal, -f.Amount, ev.created
		ev.money(f)
	}
}

// refund books one refund object.
func (ev *event) refund(re object, parent, source string) Fact {
	f := Fact{
		ObjectID: re.mustText("id"), Kind: Refund, Source: FromRefund, OccurredAt: re.mustTime("created"), ParentID: parent, Settled: true,
		Currency: re.mustCurrency("currency"), Amount: -re.mustInteger("amount"), CustomerID: re.id("customer"),
	}
	ev.name(identity.Movement, f.ObjectID, identity.Object, parent, source)
	ev.settlement(f.ObjectID, Refund, f.Currency, re, "balance_transaction")
	ev.money(f)
	return f
}

// readChargeRefunded reads charge.refunded: the charge's cumulative refunded amount. What of it no refund object explains
// is booked as the charge's residual refund (processor/join). Older shapes carry the refunds themselves.
func readChargeRefunded(ev *event, ch object) {
	id := ch.mustText("id")
	ev.name(identity.Object, id, identity.Object, ch.id("payment_intent"), "charge.payment_intent")
	if invoice := ch.id("invoice"); invoice != "" {
		ev.name(identity.Object, id, identity.Object, invoice, "charge.invoice")
	}
	ev.money(Fact{
		ObjectID: id, Kind: RefundedTotal, Source: FromCharge, OccurredAt: ev.created, ParentID: id, Settled: true,
		Currency: ch.mustCurrency("currency"), Amount: ch.mustInteger("amount_refunded"), CustomerID: ch.id("customer"),
	})
	for _, re := range ch.array("refunds") {
		if re.present() {
			ev.refund(re, id, "charge.refunds")
		}
	}
}
