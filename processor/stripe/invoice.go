package stripe

import "tributary/processor/identity"

// readInvoice reads invoice.paid and invoice.payment_succeeded: the best description of a payment there is.
//
// Traps:
//   - Both events come for one payment; invoice.payment_succeeded does not come when the invoice was paid outside Stripe.
//   - Up to API 2025-02 the invoice names subscription, payment_intent, charge and tax itself; from basil (2025-03-31) on
//     they stand under parent, payments and total_taxes.
//   - amount_paid is what moved: total less credit balance and partial payments. A trial's invoice moves 0 and is no sale.
//     What was overpaid (amount_overpaid) is in it too, and goes to the customer's balance.
//   - Lines may be negative (prorations, adjustments); what they add up to is the total, and only the total moves.
func readInvoice(ev *event, in object) {
	id, customer, subscription, keys := ev.invoiceNames(in)
	f := Fact{
		ObjectID: id, Kind: Payment, Source: FromInvoice, OccurredAt: ev.created, Settled: true,
		Currency: in.mustCurrency("currency"), Amount: in.mustInteger("amount_paid"),
		CustomerID: customer, ExternalID: external(keys), SubscriptionID: subscription, BillingReason: in.text("billing_reason"),
	}
	if f.Amount == 0 && in.flag("paid_out_of_band") {
		f.Amount = in.integer("amount_due") // paid, and not by Stripe
	}
	if at := in.child("status_transitions"); at.present() && !at.moment("paid_at").IsZero() {
		f.OccurredAt = at.moment("paid_at")
	}
	f.Tax = in.tax()
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

// tax of an invoice: its own sum, else its parts, in whichever place its version has them.
func (o object) tax() int64 {
	if o.get("tax") != nil {
		return o.integer("tax")
	}
	var sum int64
	for _, list := range []string{"total_taxes", "total_tax_amounts"} {
		for _, t := range o.array(list) {
			sum += t.integer("amount")
		}
		if sum != 0 {
			break
		}
	}
	return sum
}

// readUnpaidInvoice reads invoice.finalized, .payment_failed, .marked_uncollectible and .voided for their names. None of them
// moves money: what was paid of an invoice before is told by its payments, and what is voided was never owed.
func readUnpaidInvoice(ev *event, in object) { ev.invoiceNames(in) }

// invoiceNames ties an invoice to its customer, subscription, payments and promotion codes.
func (ev *event) invoiceNames(in object) (id, customer, subscription string, keys []key) {
	id, customer = in.mustText("id"), in.id("customer")
	subscription, keys = in.id("subscription"), ev.metadata(in, "metadata")
	var planKeys []key
	for _, details := range []object{in.child("subscription_details"), in.grandchild("parent", "subscription_details")} {
		if details.present() {
			planKeys = append(planKeys, ev.metadata(details, "metadata")...)
			if s := details.id("subscription"); s != "" {
				subscription = s
			}
		}
	}
	for _, line := range in.array("lines") {
		if subscription != "" || !line.present() {
			break
		}
		if subscription = line.id("subscription"); subscription == "" {
			if item := line.grandchild("parent", "subscription_item_details"); item.present() {
				subscription = item.id("subscription")
			}
		}
	}
	sale, buyer, plan := identity.New(identity.Object, id), identity.New(identity.Customer, customer), identity.New(identity.Subscription, subscription)
	ev.name(identity.Object, id, identity.Customer, customer, "invoice.customer")
	ev.name(identity.Object, id, identity.Subscription, subscription, "invoice.subscription")
	ev.name(identity.Object, in.id("payment_intent"), identity.Object, id, "invoice.payment_intent")
	ev.name(identity.Object, in.id("charge"), identity.Object, id, "invoice.charge")
	for _, p := range in.array("payments") {
		if pay := p.grandchild("payment"); pay.present() {
			ev.name(identity.Object, pay.id("payment_intent"), identity.Object, id, "invoice.payments")
			ev.name(identity.Object, pay.id("charge"), identity.Object, id, "invoice.payments")
		}
	}
	keys = append(keys, planKeys...)
	ev.credit(keys, sale, buyer, plan)
	ev.credit(discounts(in), sale)
	ev.email(in.text("customer_email"), sale, buyer)
	return id, customer, subscription, keys
}

// grandchild goes down several steps, as far as there are objects.
func (o object) grandchild(keys ...string) object {
	for _, k := range keys {
		if !o.present() {
			return object{shape: o.shape, path: o.path}
		}
		o = o.child(k)
	}
	return o
}

// readInvoicePayment reads invoice_payment.paid (API basil and later): which payment intent paid which invoice, and how
// much of it. It is the only event that ties the two in those versions. A payment of type payment_record was made outside
// Stripe, and is money all the same.
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
		Currency: p.mustCurrency("currency"), Amount: p.mustInteger("amount_paid"),
	})
}
