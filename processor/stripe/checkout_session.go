package stripe

import "tributary/processor/identity"

// readSession reads checkout.session.completed, .async_payment_succeeded, .async_payment_failed and
// .expired.
//
// A session is a sale only when payment_status is "paid": asynchronous methods (SEPA, Boleto, ACH)
// complete unpaid and are paid later, or fail; a trial completes with "no_payment_required"; an
// expired one was never paid. In any state it reports names: a buyer who came by a click and gave
// up may pay by another session. One that is completed unpaid also states the total and tax of its
// payment intent: of a payment that is captured by hand no later event of the session says them.
//
// Traps:
//   - Only a session carries client_reference_id.
//   - Its line items are in no event. Where it has no invoice, its metadata alone may name a
//     product.
//   - With a subscription an invoice reports the same money, and a session that does not know it
//     books nothing.
//   - With invoice_creation enabled an invoice will come, which may never be named: the payment is
//     booked at once, and may be that invoice's.
//   - One-time sessions without an invoice are known by their payment intent; a session without
//     either by its own id.
//   - Since API 2025-03-31 currency is the seller's and presentment_details the buyer's; before,
//     currency_conversion holds the seller's currency and total, and currency the buyer's. The
//     seller's is what Stripe settles.
func readSession(ev *event, s object) {
	id := s.mustText("id")
	invoice, intent := s.id("invoice"), s.id("payment_intent")
	customer, subscription := s.customer(), s.id("subscription")
	keys := append(ev.metadata(s, "metadata"), ev.clientReference(s)...)
	keys = append(keys, discounts(s)...)
	if details := s.child("total_details"); details.present() {
		keys = append(keys, discounts(details.child("breakdown"))...)
	}

	canonical := id
	switch {
	case invoice != "":
		canonical = invoice
	case intent != "":
		canonical = intent
	}
	sale := ev.node(identity.Object, canonical)
	ev.name(identity.Object, id, identity.Object, invoice, "session")
	ev.name(identity.Object, id, identity.Object, intent, "session")
	ev.name(identity.Object, intent, identity.Object, invoice, "session")
	buyer, plan := ev.node(identity.Customer, customer), ev.node(identity.Subscription, subscription)
	ev.belong(sale, buyer, "session.customer")
	ev.belong(sale, plan, "session.subscription")
	ev.credit(keys, sale, buyer, plan)
	ev.email(s, "customer_email", sale, buyer)
	ev.emailIn(s, "customer_details", sale, buyer)

	readSessionMoney(ev, s, Fact{
		ObjectID: id, Kind: Payment, Source: FromSession, OccurredAt: ev.created, ParentID: intent, InvoiceID: invoice,
		CustomerID: customer, ExternalID: external(keys), SubscriptionID: subscription,
	})
}

// readSessionMoney reads what a session says was paid, or is to be paid by its payment intent. f
// says whose session it is.
func readSessionMoney(ev *event, s object, f Fact) {
	status := s.mustText("payment_status")
	paid := status == "paid" && !ev.namesOnly
	if !paid && (status != "unpaid" && status != "paid" || f.ParentID == "" || f.InvoiceID != "" ||
		s.get("amount_total") == nil) {
		return
	}
	awaitsInvoice := f.InvoiceID == "" && s.child("invoice_creation").present() &&
		s.child("invoice_creation").flag("enabled")
	if f.InvoiceID == "" && (s.is("mode", "subscription") || awaitsInvoice && f.ParentID == "") {
		return
	}
	f.Certain = !awaitsInvoice
	f.Currency, f.Amount = s.mustCurrency("currency"), s.mustAmount("amount_total")
	if details := s.child("total_details"); details.present() {
		f.Tax, f.Shipping = details.part("amount_tax", f.Amount), details.part("amount_shipping", f.Amount)
		f.Discount = details.amount("amount_discount")
	}
	if conv := s.child("currency_conversion"); conv.present() && conv.text("source_currency") != "" {
		seen := f
		f.Currency, f.Amount = conv.mustCurrency("source_currency"), conv.mustAmount("amount_total")
		// The parts are given in the buyer's currency only: each keeps its share of the total.
		f.Tax = Share(seen.Tax, f.Amount, seen.Amount)
		f.Shipping = Share(seen.Shipping, f.Amount, seen.Amount)
		f.Discount = Share(seen.Discount, f.Amount, seen.Amount)
		seen.Kind = Presented
		ev.money(seen)
	}
	switch {
	case f.Amount == 0:
		return
	case !paid:
		f.Total, f.Amount = f.Amount, 0
		f.Lines = soldAs(s.product(), f)
		ev.fact(f)
		return
	}
	f.Lines = soldAs(s.product(), f)
	ev.money(f)
	ev.presented(s, f)
	switch {
	case f.InvoiceID != "" && f.ParentID == "":
		// The session may be the only event of the invoice, and the payment comes beside it.
		ev.nearBy(identity.InvoiceHour, f.InvoiceID, f.CustomerID, f.Currency, ev.created)
	case awaitsInvoice:
		ev.nearBy(identity.PaymentHour, f.ParentID, f.CustomerID, f.Currency, ev.created)
	}
}
