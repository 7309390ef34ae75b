// Package ledger books money: from all facts of a sale, everything that names it, and the rates, it
// computes the sale's rows. No I/O, no clock, no goroutine: same evidence, same rows; more
// evidence, greater versions.
package ledger

import (
	"cmp"
	"strings"
	"time"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// Rates answers with the rate of a movement's own day.
type Rates interface {
	Convert(currency string, at time.Time) (fx.Quote, int, bool) // the quote and Stripe's exponent of the currency
}

// Evidence is all that is known about some sales of one workspace.
type Evidence struct {
	Workspace string
	Graph     *identity.Graph
	// Hours holds the objects that are stored for an hour of payments or invoices near one of the
	// sales.
	Hours    map[identity.Node][]identity.Node
	Facts    map[identity.Node][]stripe.Fact // by what they are about (Fact.Subject)
	Clicks   map[identity.Node]*join.Click
	Rates    Rates
	Policies join.Policies
	// Hold returns whether the sales of one mode are held, or are booked in another workspace now;
	// nil: neither. See recompute.Config.Released.
	Hold func(livemode bool) Status

	near map[identity.Node][]identity.Node // by hour
}

// HoursNear returns the hours to search for the other side of payments and invoices: for a payment
// hours of the customer's invoices, for an invoice hours of the customer's payments. A customer
// with several ids is searched under each of them.
func (k *Evidence) HoursNear(objects []identity.Node) []identity.Node {
	var hours []identity.Node
	for _, n := range objects {
		for _, e := range k.Graph.From(n) {
			if !e.B.IsHour() {
				continue
			}
			near, known := k.near[e.B]
			if !known {
				if k.near == nil {
					k.near = make(map[identity.Node][]identity.Node)
				}
				near = e.B.Near()
				customer := identity.New(identity.Customer, e.B.Customer())
				for _, same := range k.Graph.Same(customer) {
					near = append(near, e.B.OfCustomer(customer.Value(), same.Value()).Near()...)
				}
				k.near[e.B] = near
			}
			if hours == nil { // the only ones of most payments
				hours = near[:len(near):len(near)]
			} else {
				hours = append(hours, near...)
			}
		}
	}
	return hours
}

// buyer returns the id under which a customer is compared: the smallest of a customer who is an
// account too, because each object may name either.
func (k *Evidence) buyer(customer string) string {
	id := customer
	for _, same := range k.Graph.Same(identity.New(identity.Customer, customer)) {
		id = min(id, same.Value())
	}
	return id
}

// MostNear is how many payments and invoices that lie near each other are compared. Beyond it
// nothing is assumed of any of them.
const MostNear = 100

// Near returns the groups of objects that may bear on n's, its own first: a payment and an invoice
// of one customer and currency that lie near each other in time, and so on from there. lookUp, if
// given, makes Hours and Graph know what was found so far, before the walk goes on; it returns
// whether it may. It also returns how many payments and invoices lie there.
//
// The walk goes by stored hours alone, which are only ever added to: what is near once stays near.
func (k *Evidence) Near(
	n identity.Node,
	lookUp func([]identity.Node) error,
	most int,
) (groups [][]identity.Node, near int, err error) {
	groups = [][]identity.Node{k.Graph.Group(n)}
	var found, seen map[identity.Node]bool // nil: nothing was found yet, as near most sales
	for i := 0; i < len(groups) && len(found) <= most; i++ {
		hours := k.HoursNear(groups[i])
		if len(hours) == 0 {
			continue
		}
		if lookUp != nil {
			if err := lookUp(hours); err != nil {
				return nil, 0, err
			}
		}
		for _, h := range hours {
			for _, object := range k.Hours[h] {
				if found == nil {
					found, seen = make(map[identity.Node]bool), members(groups[0], make(map[identity.Node]bool))
				}
				if found[object] = true; !seen[object] {
					group := k.Graph.Group(object)
					groups, seen = append(groups, group), members(group, seen)
				}
			}
		}
	}
	return groups, len(found), nil
}

// members adds the objects of a group to a set.
func members(group []identity.Node, set map[identity.Node]bool) map[identity.Node]bool {
	for _, n := range group {
		set[n] = true
	}
	return set
}

// The classes of Stripe's ids decide which object of a payment it is booked under.
const (
	classInvoice = iota
	classIntent
	classCharge
	classSession
	classInvoicePayment
)

func class(id string) int {
	switch {
	case strings.HasPrefix(id, "in_"):
		return classInvoice
	case strings.HasPrefix(id, "pi_"):
		return classIntent
	case strings.HasPrefix(id, "cs_"):
		return classSession
	case strings.HasPrefix(id, "inpay_"):
		return classInvoicePayment
	}
	return classCharge
}

// rank orders the sources of one payment by how much they know.
func rank(source string) int {
	switch source {
	case stripe.FromInvoice:
		return 5
	case stripe.FromSession:
		return 4
	case stripe.FromPaymentIntent:
		return 3
	case stripe.FromCharge:
		return 2
	case stripe.FromInvoicePayment:
		return 1
	}
	return 0
}

// compareFacts is the total order of facts about one thing: the richer source, the earlier event,
// the earlier delivery, and at last the event's id.
func compareFacts(a, b *stripe.Fact) int {
	if d := rank(b.Source) - rank(a.Source); d != 0 {
		return d
	}
	if d := a.CreatedAt.Compare(b.CreatedAt); d != 0 {
		return d
	}
	return cmp.Or(a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.EventID, b.EventID),
		cmp.Compare(a.ObjectID, b.ObjectID))
}

// best returns the first of the facts that are wanted, in that order; nil if none is.
func best(facts []*stripe.Fact, wanted func(*stripe.Fact) bool) *stripe.Fact {
	var top *stripe.Fact
	for _, f := range facts {
		if wanted(f) && (top == nil || compareFacts(f, top) < 0) {
			top = f
		}
	}
	return top
}

// paymentOf returns the id under which the payment that an object belongs to is booked: its
// payment intent, else its charge, else its session. It is empty for an invoice, and for a session
// that names nothing but its invoice.
//
// What its own facts say counts as much as the names: facts and names are two inserts, and one may
// be seen without the other.
func (k *Evidence) paymentOf(object identity.Node) string {
	id := object.Value()
	own := class(id)
	if own == classIntent || own == classInvoicePayment {
		return id
	}
	if own == classInvoice {
		return ""
	}
	var intent, charge string
	ofInvoice := false
	belongs := func(other string) {
		switch {
		case other == "":
		case class(other) == classIntent:
			intent = smaller(intent, other)
		case class(other) == classCharge:
			charge = smaller(charge, other)
		case class(other) == classInvoice:
			ofInvoice = true
		}
	}
	for _, e := range k.Graph.From(object) {
		if typ, other := e.B.Split(); typ == identity.Object {
			belongs(other)
		}
	}
	facts := k.Facts[object]
	for n := range facts {
		f := &facts[n]
		belongs(f.ParentID)
		belongs(f.InvoiceID)
	}
	switch {
	case intent != "":
		return intent
	case own == classSession && charge != "":
		return charge
	case own == classSession && ofInvoice:
		return ""
	}
	return id
}

// smaller returns the smaller id that is not empty.
func smaller(a, b string) string {
	if a == "" || b != "" && b < a {
		return b
	}
	return a
}

// accountMode is whose money it is. Facts of two never mix.
type accountMode struct {
	account  string
	livemode bool
}
