package stripe

import (
	"slices"

	"tributary/processor/identity"
)

// readCustomer reads customer.created, .updated and .deleted: whose customer this is in the
// seller's database, and which click brought them (pimmsCustomerId and pimmsClickId, and the other
// programmes' keys). Nothing moves. A customer that is deleted keeps its names: what it bought is
// still somebody's.
//
// A customer with any of our keys is a lead, "New customer" as Dub calls it: one, whichever event
// reported it first.
func readCustomer(ev *event, c object) {
	id := c.mustText("id")
	node := ev.node(identity.Customer, id)
	keys := ev.fields(c, "customer")
	ev.credit(slices.Concat(keys, ev.removed(c, "customer"), discounts(c)), node)
	ev.email(c, "email", node)
	if len(keys) == 0 || ev.typ == "customer.deleted" {
		return
	}
	at := c.time("created")
	if at.IsZero() {
		at = ev.created
	}
	ev.facts.Leads = append(ev.facts.Leads, Lead{Name: "New customer", ObjectID: id, CustomerID: id,
		ExternalID: external(keys), Quantity: 1, At: at})
}
