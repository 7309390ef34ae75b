package stripe

import "tributary/processor/identity"

// readPaymentIntent reads payment_intent.succeeded.
//
// Traps:
//   - It comes for invoices and sessions too, and from API basil on it no longer names its invoice. A bare one is settled
//     when it cannot be an invoice's: an older shape that says "invoice": null, or our keys in its metadata. Otherwise it
//     is held until a session, an invoice or time tells.
//   - amount_received is what moved; amount may be more (partial capture).
func readPaymentIntent(ev *event, pi object) {
	id := pi.mustText("id")
	charge := pi.id("latest_charge")
	ev.name(identity.Object, id, identity.Object, charge, "payment_intent.latest_charge")
	if ch := pi.child("latest_charge"); ch.present() {
		ev.settlement(charge, Payment, pi.text("currency"), ch, "balance_transaction")
	}
	readPayment(ev, pi, id, FromPaymentIntent, pi.mustInteger("amount_received"))
}

// readCharge reads charge.succeeded and charge.captured: the poorest description of a payment, but the only one of charges made
// without a payment intent. A charge that is not captured yet has moved nothing; what is captured may be less than was
// authorised.
func readCharge(ev *event, ch object) {
	id := ch.mustText("id")
	booked := id
	if intent := ch.id("payment_intent"); intent != "" {
		ev.name(identity.Object, id, identity.Object, intent, "charge.payment_intent")
		booked = intent
	}
	if ch.has("captured") && !ch.flag("captured") {
		return
	}
	amount := ch.mustInteger("amount")
	if ch.get("amount_captured") != nil {
		amount = ch.integer("amount_captured")
	}
	ev.settlement(id, Payment, ch.text("currency"), ch, "balance_transaction")
	readPayment(ev, ch, booked, FromCharge, amount)
}

// readChargeUpdated reads charge.updated for the balance transaction, which Stripe makes some seconds after an asynchronously
// captured charge. The rest of it was told before.
func readChargeUpdated(ev *event, ch object) {
	ev.settlement(ch.mustText("id"), Payment, ch.text("currency"), ch, "balance_transaction")
}

// readPayment books a payment intent or charge under id, or under the invoice that an older shape names.
func readPayment(ev *event, o object, id, source string, amount int64) {
	keys := ev.metadata(o, "metadata")
	customer, invoice := o.id("customer"), o.id("invoice")
	booked := id
	if invoice != "" {
		ev.name(identity.Object, id, identity.Object, invoice, source+".invoice")
		booked = invoice
	}
	sale, buyer := identity.New(identity.Object, booked), identity.New(identity.Customer, customer)
	ev.name(identity.Object, booked, identity.Customer, customer, source+".customer")
	ev.credit(keys, sale, buyer)
	ev.email(o.text("receipt_email"), sale, buyer)
	if details := o.child("billing_details"); details.present() {
		ev.email(details.text("email"), sale, buyer)
	}
	ev.money(Fact{
		ObjectID: booked, Kind: Payment, Source: source, OccurredAt: ev.created,
		Settled:  o.has("invoice") || certain(keys),
		Currency: o.mustCurrency("currency"), Amount: amount, CustomerID: customer, ExternalID: external(keys),
	})
}
