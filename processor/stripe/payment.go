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
	ev.name(identity.Object, id, identity.Object, pi.id("latest_charge"), "payment_intent.latest_charge")
	readPayment(ev, pi, id, FromPaymentIntent, pi.mustInteger("amount_received"))
}

// readCharge reads charge.succeeded: the poorest description of a payment, but the only one of charges made without a
// payment intent. An uncaptured charge has moved nothing yet.
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
	readPayment(ev, ch, booked, FromCharge, amount)
}

// readPayment books a payment intent or charge under id, or under the invoice that an older shape names.
func readPayment(ev *event, o object, id, source string, amount int64) {
	keys := o.metadata("metadata")
	customer, invoice := o.id("customer"), o.id("invoice")
	booked := id
	if invoice != "" {
		ev.name(identity.Object, id, identity.Object, invoice, source+".invoice")
		booked = invoice
	}
	ev.name(identity.Object, booked, identity.Customer, customer, source+".customer")
	ev.credit(keys, identity.New(identity.Object, booked), identity.New(identity.Customer, customer))
	ev.money(Fact{
		ObjectID: booked, Kind: Payment, Source: source, OccurredAt: ev.created,
		Settled:  o.has("invoice") || len(keys) > 0,
		Currency: o.mustText("currency"), Amount: amount, CustomerID: customer, ExternalID: external(keys),
	})
}
