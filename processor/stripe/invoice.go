package stripe

import (
	"cmp"
	"slices"

	"tributary/processor/identity"
)

// readInvoice reads invoice.paid, invoice.payment_succeeded and invoice.overpaid: who bought what,
// with its tax, and how much of it is paid. Whatever of that no payment explains is booked as the
// invoice's remainder (processor/ledger).
//
// Traps:
//   - Both events come for one payment; invoice.payment_succeeded does not come when the invoice
//     was paid outside Stripe.
//   - Up to API 2025-02 the invoice names subscription, payment_intent, charge and tax itself; from
//     basil (2025-03-31) on they stand under parent, payments and total_taxes.
//   - amount_paid is what moved: what was due less what is still owed. Due is the total, less a
//     credit balance, and more where the customer owed from before (starting_balance). A trial's
//     invoice moves 0 and is no sale.
//   - What was overpaid is beside amount_paid (amount_remaining is "the difference between
//     amount_due and amount_paid"), and is credited to the customer's balance: the next invoice's
//     amount_paid is smaller by it.
//   - Up to API 2025-02 an invoice may be paid outside Stripe (paid_out_of_band) and show an
//     amount_paid of 0.
//   - Lines may be negative (prorations, adjustments); what they add up to is the total, and only
//     the total moves. Only then may the tax be more than the total, or negative.
func readInvoice(ev *event, in object) {
	id, customer, subscription, keys := ev.invoiceNames(in)
	f := in.terms(ev, id, customer, subscription, keys)
	f.Currency, f.Amount = in.mustCurrency("currency"), in.mustAmount("amount_paid")
	f.Certain = in.flag("paid_out_of_band")
	due := f.Due
	if due == UnknownAmount {
		due = f.Total
	}
	if f.Amount == 0 && f.Certain {
		f.Amount = due // paid, and not by Stripe
	}
	if f.Amount <= due {
		f.Amount += in.amount("amount_overpaid")
	}
	if at := in.child("status_transitions").time("paid_at"); !at.IsZero() {
		f.OccurredAt = at
	}
	if f.Amount == 0 && f.Total > 0 { // the customer's balance paid it, whatever a session asked for
		f.Certain = true
		ev.fact(f)
	}
	ev.money(f)
	if f.Amount != 0 && !f.Certain {
		ev.nearBy(identity.InvoiceHour, id, customer, f.Currency, f.OccurredAt)
		// A bank debit is begun when the invoice is finalised, and paid days later: a charge that is
		// known by what went back of it alone was made then.
		if at := in.child("status_transitions").time("finalized_at"); f.OccurredAt.Sub(at) > identity.EarliestPayment {
			f.OccurredAt = at
			ev.begun(identity.InvoiceHour, f)
		}
	}
}

// terms returns the fact of an invoice without what was paid of it: the total with its tax,
// shipping and discount, what of it is due, what was sold, and who bought.
func (o object) terms(ev *event, id, customer, subscription string, keys []key) Fact {
	f := Fact{
		ObjectID: id, Kind: Payment, Source: FromInvoice, OccurredAt: ev.created,
		Total: o.integer("total"), Due: UnknownAmount, Noted: UnknownAmount,
		CustomerID: customer, ExternalID: external(keys), SubscriptionID: subscription,
		BillingReason: o.text("billing_reason"),
	}
	var key string
	if f.Tax, key = o.tax(); f.Total > 0 && (f.Tax < 0 || f.Tax > f.Total) && !o.mayBeNegative(f.Total-f.Tax) {
		o.missing(key)
	}
	if due, known := o.number("amount_due"); known {
		f.Due = due
	}
	if noted, known := o.number("pre_payment_credit_notes_amount"); known {
		f.Noted = noted
	}
	if ship := o.child("shipping_cost"); ship.present() {
		f.Shipping = ship.integer("amount_total")
	}
	for _, d := range o.array("total_discount_amounts") {
		f.Discount += d.integer("amount")
	}
	f.Lines = o.invoiceLines(f)
	return f
}

// readUnpaidInvoice reads invoice.finalized, .payment_failed, .marked_uncollectible and .voided for
// their names, and for the total and tax of which a payment of the invoice has its share: a part
// may be paid while no other event of the invoice has come. The fact has the amount 0, so no
// remainder is booked. What is paid by then is known by its payments, and stays whatever becomes of
// the invoice: they were made long before, so that a remainder could not be distinguished from
// payments that no event ties to the invoice.
func readUnpaidInvoice(ev *event, in object) {
	id, customer, subscription, keys := ev.invoiceNames(in)
	if f := in.terms(ev, id, customer, subscription, keys); f.Total > 0 {
		f.Currency = in.mustCurrency("currency")
		ev.fact(f)
	}
}

// tax of an invoice: its own sum, else its parts, in whichever place its version has them. key is
// that place.
func (o object) tax() (sum int64, key string) {
	sum, known := o.number("tax")
	if known {
		return sum, "tax"
	}
	for _, key = range []string{"total_taxes", "total_tax_amounts"} {
		for _, t := range o.array(key) {
			sum += t.integer("amount")
		}
		if sum != 0 {
			break
		}
	}
	return sum, key
}

// mayBeNegative reports whether an invoice says that net, its total without tax, is right, or has a
// line that is negative, or lines that the event does not hold.
func (o object) mayBeNegative(net int64) bool {
	if stated, known := o.number("total_excluding_tax"); known && stated == net || o.child("lines").flag("has_more") {
		return true
	}
	return slices.ContainsFunc(o.lines(), func(l Line) bool { return l.Net < 0 })
}

// invoiceNames ties an invoice to its customer, subscription, payments and promotion codes.
func (ev *event) invoiceNames(in object) (id, customer, subscription string, keys []key) {
	id, customer = in.mustText("id"), in.customer()
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
		s := line.lineSubscription()
		if subscription == "" {
			subscription = s
		}
		// A consolidated invoice has several.
		ev.name(identity.Object, id, identity.Subscription, s, "invoice.lines.subscription")
	}
	sale := ev.node(identity.Object, id)
	buyer := ev.node(identity.Customer, customer)
	plan := ev.node(identity.Subscription, subscription)
	ev.belong(sale, buyer, "invoice.customer")
	ev.belong(sale, plan, "invoice.subscription")
	ev.name(identity.Object, in.id("payment_intent"), identity.Object, id, "invoice.payment_intent")
	ev.name(identity.Object, in.id("charge"), identity.Object, id, "invoice.charge")
	for _, p := range in.array("payments") {
		if p.present() {
			ev.invoicePayment(p, id, "invoice.payments")
		}
	}
	keys = append(keys, planKeys...)
	ev.credit(keys, sale, buyer, plan)
	ev.credit(discounts(in), sale)
	ev.email(in, "customer_email", sale, buyer)
	return id, customer, subscription, keys
}

// grandchild goes down several steps, as far as there are objects.
func (o object) grandchild(keys ...string) object {
	for _, k := range keys {
		o = o.child(k)
	}
	return o
}

// lineSubscription returns the subscription that a line of an invoice belongs to.
func (o object) lineSubscription() string {
	if !o.present() {
		return ""
	}
	if s := o.id("subscription"); s != "" {
		return s
	}
	parent := o.child("parent")
	return cmp.Or(
		parent.child("subscription_item_details").id("subscription"),
		parent.child("invoice_item_details").id("subscription"),
	)
}

// readInvoicePayment reads invoice_payment.paid (API basil and later): which payment intent paid
// which invoice, and how much of it. It is the only event that ties the two in those versions.
func readInvoicePayment(ev *event, p object) {
	invoice := p.id("invoice")
	if invoice == "" {
		p.missing("invoice")
		return
	}
	p.mustText("id")
	p.mustAmount("amount_paid")
	p.mustCurrency("currency")
	ev.invoicePayment(p, invoice, "invoice_payment")
}

// readDetached reads invoice_payment.detached: the payment intent is free to pay another invoice,
// and what it moved stays with the seller. The event may be all that is known of that payment.
// https://docs.stripe.com/changelog/clover/2026-01-28/detach-payment-from-invoice
func readDetached(ev *event, p object) {
	id, invoice := p.mustText("id"), p.id("invoice")
	ev.name(identity.Object, id, identity.Object, invoice, "invoice_payment")
	var intent string
	if pay := p.child("payment"); pay.present() { // as invoice_payment.paid says, which may come later
		intent = pay.id("payment_intent")
		ev.name(identity.Object, intent, identity.Object, invoice, "invoice_payment")
	}
	ev.fact(Fact{
		ObjectID: id, Kind: Detached, Source: FromInvoicePayment, OccurredAt: ev.created, ParentID: intent,
		InvoiceID: invoice, Certain: true, Currency: p.mustCurrency("currency"), Amount: p.amount("amount_paid"),
	})
	if intent != "" && !p.child("status_transitions").time("paid_at").IsZero() { // the event is of another day
		ev.paidOf(p, invoice, intent)
	}
}

// invoicePayment reads one payment of an invoice, as its own event or a list in the invoice has it.
// https://docs.stripe.com/api/invoice-payment/object
//
// Traps:
//   - A payment of type payment_record was made outside Stripe, and is money all the same: it is a
//     payment of its own, known by the invoice payment's id.
//   - One payment intent may pay several invoices, and then moved the sum of its invoice payments.
//   - What was overpaid is beside amount_paid.
//   - One that was canceled ties nothing: its payment intent may pay something else.
func (ev *event) invoicePayment(p object, invoice, source string) {
	pay := p.child("payment")
	var intent, charge string
	id, status := p.text("id"), p.text("status")
	if pay.present() && status != "canceled" {
		intent, charge = pay.id("payment_intent"), pay.id("charge")
		ev.name(identity.Object, intent, identity.Object, invoice, source)
		ev.name(identity.Object, charge, identity.Object, invoice, source)
	}
	if id == "" || p.get("amount_paid") == nil || status != "" && status != "paid" {
		return
	}
	if ev.paidOf(p, invoice, cmp.Or(intent, charge)) {
		ev.name(identity.Object, id, identity.Object, invoice, source)
	}
}

// paidOf adds what a payment paid of an invoice, as an invoice payment says, and reports whether that
// is anything.
func (ev *event) paidOf(p object, invoice, payment string) bool {
	f := Fact{
		ObjectID: p.text("id"), Kind: Payment, Source: FromInvoicePayment, OccurredAt: ev.created, ParentID: payment,
		InvoiceID: invoice, Certain: true, Currency: p.text("currency"), Amount: p.amount("amount_paid"),
	}
	if asked := p.integer("amount_requested"); asked == 0 || f.Amount <= asked {
		f.Amount += p.amount("amount_overpaid")
	}
	if at := p.child("status_transitions").time("paid_at"); !at.IsZero() {
		f.OccurredAt = at
	}
	if f.Amount == 0 {
		return false
	}
	f.Currency = p.mustCurrency("currency")
	ev.money(f)
	return true
}
