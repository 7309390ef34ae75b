package stripe

import (
	"cmp"

	"tributary/processor/identity"
)

// readPaymentIntent reads payment_intent.succeeded.
//
// Traps:
//   - It comes for invoices and sessions too, and from API basil on it no longer names its invoice.
//     A bare one is certain to be a sale of its own only in an older shape that says "invoice":
//     null. Our keys in its metadata make that likely, and no more: Checkout writes
//     payment_intent_data.metadata also where it creates an invoice.
//   - amount_received is what moved; amount is what was asked for. What was not captured of it was
//     released.
//   - With several captures it comes again for each, and amount_received grows.
//   - Up to API 2022-08-01 it holds its charges in charges; since then it names the last one in
//     latest_charge.
//   - Where neither a session nor an invoice states tax, shipping and discount, its amount_details
//     may. Sellers write it, and Stripe need not check it: what is more than the amount says nothing.
//     https://docs.stripe.com/payments/payment-line-items
func readPaymentIntent(ev *event, pi object) {
	id := pi.mustText("id")
	for _, ch := range ev.chargesOf(pi) {
		ev.settlement(ch.text("id"), Payment, pi.text("currency"), ch, "balance_transaction")
		ev.released(ch, id)
		ev.refundsOf(ch)
	}
	received := pi.mustAmount("amount_received")
	if asked := pi.amount("amount"); asked > received {
		ev.money(Fact{
			ObjectID: id, Kind: Authorization, Source: FromPaymentIntent, OccurredAt: ev.created,
			Currency: pi.mustCurrency("currency"), Amount: asked, Captured: received,
		})
	}
	f := Fact{ObjectID: id, Source: FromPaymentIntent, Amount: received}
	tax, shipping, discount := pi.child("amount_details").parts()
	if asked := pi.integer("amount"); min(tax, shipping, discount) >= 0 && tax+shipping <= asked &&
		max(tax, shipping, discount) > 0 {
		f.Tax, f.Shipping, f.Discount, f.Total = tax, shipping, discount, asked
	}
	readPayment(ev, pi, f)
}

// parts returns what a payment intent's amount_details say of its amount: tax and discount stand
// there for the whole of it, or else on its lines.
func (o object) parts() (tax, shipping, discount int64) {
	for _, line := range o.array("line_items") {
		tax += line.child("tax").integer("total_tax_amount")
		discount += line.integer("discount_amount")
	}
	tax = cmp.Or(o.child("tax").integer("total_tax_amount"), tax)
	return tax, o.child("shipping").integer("amount"), cmp.Or(o.integer("discount_amount"), discount)
}

// readPaymentIntentCanceled reads payment_intent.canceled: whatever was authorised is released, and
// was never paid. Of several captures those before it stay:
// https://docs.stripe.com/payments/multicapture
func readPaymentIntentCanceled(ev *event, pi object) {
	if pi.integer("amount_received") != 0 {
		readPaymentIntent(ev, pi)
		return
	}
	id := pi.mustText("id")
	for _, ch := range ev.chargesOf(pi) {
		ev.released(ch, id)
	}
	ev.money(Fact{
		ObjectID: id, Kind: Authorization, Source: FromPaymentIntent, OccurredAt: ev.created,
		Currency: pi.mustCurrency("currency"), Amount: pi.amount("amount"),
	})
}

// chargesOf names the charges of a payment intent, and returns those that it holds as whole
// objects.
func (ev *event) chargesOf(pi object) []object {
	id := pi.text("id")
	ev.name(identity.Object, id, identity.Object, pi.id("latest_charge"), "payment_intent.latest_charge")
	charges := pi.array("charges")
	if ch := pi.child("latest_charge"); ch.present() {
		charges = append(charges, ch)
	}
	var whole []object
	for _, ch := range charges {
		if ch.present() && ch.text("id") != "" && !ch.is("status", "failed") {
			ev.name(identity.Object, id, identity.Object, ch.text("id"), "payment_intent.charges")
			whole = append(whole, ch)
		}
	}
	return whole
}

// readCharge reads charge.succeeded and charge.captured: the poorest description of a payment, but
// the only one of charges made without a payment intent. A charge that is not captured yet has
// moved nothing; what is captured may be less or more than was authorised first.
func readCharge(ev *event, ch object) {
	id, intent := ch.mustText("id"), ch.id("payment_intent")
	if ev.transferred(ch) {
		return
	}
	ev.name(identity.Object, id, identity.Object, intent, "charge.payment_intent")
	ev.released(ch, intent)
	if !isCaptured(ch) {
		return
	}
	ev.settlement(id, Payment, ch.text("currency"), ch, "balance_transaction")
	readCaptured(ev, ch, id, intent)
	ev.refundsOf(ch)
}

// transferred reports whether a charge on a connected account is what its platform passed on to it,
// by a destination charge or a transfer, and notes it. The buyer paid the platform, whose own charge
// is the sale. https://docs.stripe.com/api/charges/object#charge_object-source_transfer
func (ev *event) transferred(ch object) bool {
	if ch.id("source_transfer") == "" {
		return false
	}
	ev.money(Fact{
		ObjectID: ch.text("id"), Kind: Transferred, Source: FromCharge, OccurredAt: ev.created, Certain: true,
		Currency: ch.mustCurrency("currency"), Amount: ch.mustAmount("amount"),
	})
	return true
}

// readCaptured reads a captured charge as a payment.
func readCaptured(ev *event, ch object, id, intent string) {
	amount := ch.mustAmount("amount")
	switch captured := ev.captured(ch); {
	case captured != UnknownAmount:
		amount = captured
	case ev.typ == "charge.captured":
		// Before API 2020-08 there is no amount_captured. Nothing can be refunded before the
		// capture, so whatever the capture itself shows as refunded was released by it.
		amount -= ch.part("amount_refunded", amount)
	}
	readPayment(ev, ch, Fact{ObjectID: id, Source: FromCharge, ParentID: intent, Amount: amount})
}

// isCaptured reports whether a charge was captured, in whole or in part. A charge that does not say
// so was.
func isCaptured(ch object) bool { return !ch.has("captured") || ch.flag("captured") }

// captured returns how much of a charge was captured, UnknownAmount where its version does not say.
func (ev *event) captured(ch object) int64 {
	if !isCaptured(ch) {
		return 0
	}
	if ch.get("amount_captured") != nil {
		return ch.amount("amount_captured")
	}
	return UnknownAmount
}

// released notes that less was captured of a charge than was authorised.
func (ev *event) released(ch object, intent string) {
	captured := ev.captured(ch)
	if ev.typ == "charge.captured" && captured == UnknownAmount && ev.releasesAreRefunds {
		captured = ch.integer("amount") - ch.integer("amount_refunded")
	}
	if captured == UnknownAmount || captured >= ch.integer("amount") {
		return
	}
	ev.money(Fact{
		ObjectID: ch.text("id"), Kind: Authorization, Source: FromCharge, OccurredAt: ev.created, ParentID: intent,
		Currency: ch.mustCurrency("currency"), Amount: ch.integer("amount"), Captured: captured,
	})
}

// readChargeUpdated reads charge.updated: the balance transaction, which Stripe makes some seconds
// after an asynchronously captured charge; how much was captured by now; how much is refunded,
// which becomes less when a refund fails; and that the payment failed.
//
// An endpoint without charge.captured learns of a capture by this event alone:
// https://docs.stripe.com/payments/payment-intents/asynchronous-capture
func readChargeUpdated(ev *event, ch object) {
	id, intent := ch.mustText("id"), ch.id("payment_intent")
	if ev.transferred(ch) {
		return
	}
	ev.name(identity.Object, id, identity.Object, intent, "charge.payment_intent")
	ev.settlement(id, Payment, ch.text("currency"), ch, "balance_transaction")
	ev.released(ch, intent)
	if ch.is("status", "failed") {
		ev.failed(ch)
		return
	}
	if ev.capturedNow(ch) {
		readCaptured(ev, ch, id, intent)
	}
	ev.refundedTotal(ch)
	ev.refundsOf(ch)
}

// capturedNow reports whether charge.updated may be the report of a capture. A charge of long ago
// whose description or refunds change is no payment of today: an event that says what it changed
// must have changed what a capture changes.
func (ev *event) capturedNow(ch object) bool {
	if status := ch.text("status"); ev.captured(ch) <= 0 || status != "" && status != "succeeded" {
		return false
	}
	if !ev.previous.present() {
		return true
	}
	for _, changed := range []string{"captured", "amount_captured", "balance_transaction", "paid", "status"} {
		if ev.previous.has(changed) {
			return true
		}
	}
	return false
}

// readChargeExpired reads charge.expired: what was authorised and never captured is released.
func readChargeExpired(ev *event, ch object) {
	id, intent := ch.mustText("id"), ch.id("payment_intent")
	ev.name(identity.Object, id, identity.Object, intent, "charge.payment_intent")
	ev.released(ch, intent)
}

// readChargeFailed reads charge.failed. Most attempts that fail never moved anything. A debit of a
// bank account may have been counted before, and even have succeeded; the ledger knows whether it
// had. https://docs.stripe.com/api/charges/object#charge_object-failure_balance_transaction
func readChargeFailed(ev *event, ch object) {
	ch.mustText("id")
	if !ev.transferred(ch) {
		ev.failed(ch)
	}
}

// failed notes that a charge failed which Stripe's balance had counted, or which does not say so.
// An attempt that was declined names nothing: of one intent there may be thousands.
func (ev *event) failed(ch object) {
	counted := ch.has("balance_transaction") || ch.has("failure_balance_transaction")
	if counted && ch.get("balance_transaction") == nil && ch.get("failure_balance_transaction") == nil {
		return
	}
	id, intent := ch.text("id"), ch.id("payment_intent")
	ev.name(identity.Object, id, identity.Object, intent, "charge.payment_intent")
	ev.name(identity.Object, id, identity.Object, ch.id("invoice"), "charge.invoice")
	ev.money(Fact{
		ObjectID: id, Kind: Failed, Source: FromCharge, OccurredAt: ev.created, ParentID: intent, Certain: true,
		CustomerID: ch.customer(), Currency: ch.mustCurrency("currency"), Amount: ch.mustAmount("amount"),
	})
}

// readPayment books a payment intent or charge, of which f says what differs between them.
func readPayment(ev *event, o object, f Fact) {
	keys := ev.metadata(o, "metadata")
	f.Kind, f.OccurredAt, f.Currency = Payment, ev.created, o.mustCurrency("currency")
	f.CustomerID, f.ExternalID, f.InvoiceID = o.customer(), external(keys), o.id("invoice")
	f.Certain = o.has("invoice")
	ev.name(identity.Object, f.ObjectID, identity.Object, f.InvoiceID, f.Source+".invoice")
	sale, buyer := ev.node(identity.Object, f.ObjectID), ev.node(identity.Customer, f.CustomerID)
	ev.belong(sale, buyer, f.Source+".customer")
	ev.credit(keys, sale, buyer)
	ev.email(o, "receipt_email", sale, buyer)
	ev.emailIn(o, "billing_details", sale, buyer)
	if f.Amount == 0 {
		return
	}
	f.Lines = soldAs(o.product(), f)
	ev.money(f)
	f.Tax = 0 // the ledger finds the share of what the payment is booked with
	ev.presented(o, f)
	if !f.Certain {
		ev.nearBy(identity.PaymentHour, cmp.Or(f.ParentID, f.ObjectID), f.CustomerID, f.Currency, f.OccurredAt)
	}
}
