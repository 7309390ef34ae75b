package stripe

import "tributary/processor/identity"

// readInvoice reads invoice.paid and invoice.payment_succeeded: the best description of a payment there is.
//
// Traps:
//   - Both events come for one payment; invoice.payment_succeeded does not come when the invoice was paid outside Stripe.
//   - Up to API 2025-02 the invoice names subscription, payment_intent, charge and tax itself; from basil (2025-03-31) on
//     they stand under parent, payments and total_taxes.
//   - amount_paid is what moved: total less credit balance and partial payments. A trial's invoice moves 0 and is no sale.
func readInvoice(ev *event, in object) {
	id := in.mustText("id")
	customer := in.id("customer")
	subscription, keys := in.id("subscription"), in.metadata("metadata")
	if details := in.child("subscription_details"); details.present() {
		keys = append(keys, details.metadata("metadata")...)
	}
	if details := in.child("parent").subscriptionDetails(); details.present() {
		subscription = details.id("subscription")
		keys = append(keys, details.metadata("metadata")...)
	}
	ev.name(identity.Object, id, identity.Customer, customer, "invoice.customer")
	ev.name(identity.Object, id, identity.Subscription, subscription, "invoice.subscription")
	ev.name(identity.Object, in.id("payment_intent"), identity.Object, id, "invoice.payment_intent")
	ev.name(identity.Object, in.id("charge"), identity.Object, id, "invoice.charge")
	for _, p := range in.array("payments") {
		if pay := p.child("payment"); pay.present() {
			ev.name(identity.Object, pay.id("payment_intent"), identity.Object, id, "invoice.payments")
			ev.name(identity.Object, pay.id("charge"), identity.Object, id, "invoice.payments")
		}
	}
	ev.credit(keys, identity.New(identity.Object, id), identity.New(identity.Customer, customer), identity.New(identity.Subscription, subscription))

	f := Fact{
		ObjectID: id, Kind: Payment, Source: FromInvoice, OccurredAt: ev.created, Settled: true,
		Currency: in.mustText("currency"), Amount: in.mustInteger("amount_paid"),
		CustomerID: customer, ExternalID: external(keys), SubscriptionID: subscription, BillingReason: in.text("billing_reason"),
	}
	if at := in.child("status_transitions"); at.present() && !at.moment("paid_at").IsZero() {
		f.OccurredAt = at.moment("paid_at")
	}
	if in.get("tax") != nil {
		f.Tax = in.integer("tax")
	} else {
		for _, t := range in.array("total_taxes") {
			f.Tax += t.integer("amount")
		}
	}
	if total := in.integer("total"); total != f.Amount {
		// Paid in part from a balance or by several payments: the money that moved carries its share of the tax.
		f.Tax = Share(f.Tax, f.Amount, total)
	}
	if ship := in.child("shipping_cost"); ship.present() {
		f.Shipping = ship.integer("amount_total")
	}
	for _, d := range in.array("total_discount_amounts") {
		f.Discount += d.integer("amount")
	}
	ev.money(f)
}

func (o object) subscriptionDetails() object {
	if !o.present() {
		return object{shape: o.shape}
	}
	return o.child("subscription_details")
}

// readInvoicePayment reads invoice_payment.paid (API basil and later): which payment intent paid which invoice, and how
// much of it. It is the only event that ties the two in those versions.
func readInvoicePayment(ev *event, p object) {
	invoice := p.id("invoice")
	if invoice == "" {
		p.missing("invoice")
		return
	}
	if pay := p.child("payment"); pay.present() {
		ev.name(identity.Object, pay.id("payment_intent"), identity.Object, invoice, "invoice_payment")
		ev.name(identity.Object, pay.id("charge"), identity.Object, invoice, "invoice_payment")
	}
	ev.money(Fact{
		ObjectID: invoice, Kind: Payment, Source: FromInvoicePayment, OccurredAt: ev.created, Settled: true,
		Currency: p.mustText("currency"), Amount: p.mustInteger("amount_paid"),
	})
}
