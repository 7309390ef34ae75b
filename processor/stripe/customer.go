package stripe

import "tributary/processor/identity"

// readCustomer reads customer.created and customer.updated: whose customer this is in the seller's database, and which
// click brought them (pimmsCustomerId and pimmsClickId, and the other programmes' keys). Nothing moves.
func readCustomer(ev *event, c object) {
	ev.credit(c.metadata("metadata"), identity.New(identity.Customer, c.mustText("id")))
}

// readSubscription reads customer.subscription.created and .updated for the keys in its metadata. The money comes with its
// invoices.
func readSubscription(ev *event, s object) {
	ev.credit(s.metadata("metadata"), identity.New(identity.Subscription, s.mustText("id")), identity.New(identity.Customer, s.id("customer")))
}
