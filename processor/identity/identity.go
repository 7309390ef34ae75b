// Package identity names buyers and sales, and walks from what has changed to the sales it touches, and from a sale to
// every click and affiliate that could be credited with it.
package identity

import (
	"strings"
	"time"

	"tributary/schemas"
)

// Node is one name, "type:value". Names of two workspaces never meet.
type Node string

// Types of nodes.
const (
	Object       = "object"       // a Stripe object that stands for one payment: invoice, payment intent, session, charge
	Movement     = "movement"     // a refund or dispute, which belongs to a payment
	Customer     = "customer"     // Stripe's customer, cus_…
	Subscription = "subscription" // sub_…
	External     = "external"     // the buyer's id in the seller's own database
	Reference    = "reference"    // an id whose meaning the catalogue of clicks and affiliates decides
	Click        = "click"        // a click of ours, UUIDv7 in text form
	Affiliate    = "affiliate"    // an affiliate's id
	Program      = "program"      // the programme under which an affiliate was seen
	Lead         = "lead"         // a lead's id, hex
	Promotion    = "promotion"    // Stripe's promotion code, promo_…
	Coupon       = "coupon"       // the coupon behind promotion codes
	Code         = "code"         // what the buyer typed, upper case: Stripe compares codes without regard to case
	Email        = "email"        // keyed hash of an e-mail address, hex
)

// New makes a node.
func New(typ, value string) Node { return Node(typ + ":" + value) }

// Split gives a node's type and value.
func (n Node) Split() (typ, value string) {
	typ, value, _ = strings.Cut(string(n), ":")
	return typ, value
}

// Type of the node.
func (n Node) Type() string { typ, _ := n.Split(); return typ }

// Value of the node.
func (n Node) Value() string { _, value := n.Split(); return value }

// ClickRef names a click by whatever id a customer passed along: ours is a click, any other a reference, which the
// clicks that carry it as their foreign id resolve. An id that JavaScript failed to fill in is no name at all.
func ClickRef(value string) (Node, bool) {
	value = strings.TrimSpace(value)
	switch value {
	case "", "undefined", "null", "None", "nil", "false", "0":
		return "", false
	}
	if id, ok := schemas.ParseClickID(value); ok {
		return New(Click, id.String()), true
	}
	return New(Reference, value), true
}

// Edge says that two names belong together. It is true in both directions and is never taken back.
type Edge struct {
	A, B   Node
	Source string    // field or event that said so
	At     time.Time // when it became true, UTC, by the source's own clock
}

// leadsTo tells, for a sale that is being resolved, which types of names may be followed from one type to the next.
// A customer's or a subscription's other sales are not followed: they are other movements.
var leadsTo = map[string]map[string]bool{
	Object:       set(Object, Movement, Customer, Subscription, External, Reference, Click, Affiliate),
	Movement:     set(Object),
	Customer:     set(External, Reference, Click, Affiliate),
	Subscription: set(External, Reference, Click, Affiliate),
	External:     set(Reference, Click),
	Reference:    set(Click),
	Affiliate:    set(Program),
	Lead:         set(External, Reference, Click),
}

// touches tells, for a name about which something new is known, where the sales and leads lie that may change by it.
var touches = map[string]map[string]bool{
	Click:        set(Object, Lead, Customer, External, Subscription, Reference),
	Reference:    set(Object, Lead, Customer, External, Subscription),
	Affiliate:    set(Object, Customer, Subscription),
	External:     set(Object, Lead, Customer, Subscription),
	Customer:     set(Object),
	Subscription: set(Object),
}

func set(types ...string) map[string]bool {
	m := make(map[string]bool, len(types))
	for _, t := range types {
		m[t] = true
	}
	return m
}
