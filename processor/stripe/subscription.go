package stripe

import "tributary/processor/identity"

// readSubscription reads customer.subscription.* for the keys in its metadata and the promotion
// codes that it was begun with. The money comes with its invoices; the end of a subscription takes
// no credit back.
//
// A subscription in its trial is a lead, "Started Trial" as Dub calls it, of as many as it has
// seats. One that Stripe's list gives to a backfill may have left its trial since.
func readSubscription(ev *event, s object) {
	id, customer := s.mustText("id"), s.customer()
	keys := ev.fields(s, "subscription")
	node := ev.node(identity.Subscription, id)
	ev.credit(append(keys, ev.removed(s, "subscription")...), node, ev.node(identity.Customer, customer))
	ev.credit(discounts(s), node) // the customer's other purchases were not discounted
	at := s.time("trial_start")
	if !s.is("status", "trialing") && (ev.typ != "customer.subscription.created" || at.IsZero()) {
		return
	}
	if at.IsZero() {
		at = ev.created
	}
	var seats int64
	for _, item := range s.array("items") {
		seats += item.integer("quantity")
	}
	ev.facts.Leads = append(ev.facts.Leads, Lead{
		Name: "Started Trial", ObjectID: id, CustomerID: customer, SubscriptionID: id, ExternalID: external(keys),
		Quantity: min(max(seats, 1), 100), At: at,
	})
}
