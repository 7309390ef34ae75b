// Package identity names buyers and sales, and walks from what has changed to the sales it touches,
// and from a sale to every click and affiliate that could be credited with it.
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
	Link         = "link"         // a link of the operator's catalogue
	FirstSale    = "first_sale"   // of a customer, subscription or external id; its edge's At is when they first paid
	PaymentHour  = "payment_hour" // an hour in which a customer paid in a currency, by a payment that may be an invoice's
	InvoiceHour  = "invoice_hour" // an hour in which an invoice of a customer in a currency was paid
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

// ClickRef names a click by whatever id a customer passed along: ours is a click, any other a
// reference, which the clicks that carry it as their foreign id resolve. An id that JavaScript
// failed to fill in is no name at all.
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
	At     time.Time // when it became true, UTC, by the source's own clock; the earliest telling stays
	// Carried says that every sale which it concerns has been booked with it: told again, it asks
	// for no work.
	Carried bool
}

// leadsTo tells, for a sale that is being resolved, which types of names may be followed from one
// type to the next. A customer's or a subscription's other sales are not followed: they are other
// movements.
var leadsTo = map[string]map[string]bool{
	Object:       set(Object, Movement, Customer, Subscription, External, Reference, Click, Affiliate, Promotion, Coupon, Email, PaymentHour, InvoiceHour),
	Movement:     set(Object),
	Customer:     set(External, Reference, Click, Affiliate, Promotion, Coupon, Email, FirstSale),
	Subscription: set(External, Reference, Click, Affiliate, Promotion, Coupon, FirstSale),
	External:     set(Reference, Click, FirstSale),
	Reference:    set(Click),
	Promotion:    set(Code, Coupon, Affiliate),
	Coupon:       set(Affiliate),
	Code:         set(Affiliate),
	Email:        set(External, Reference, Click),
	Link:         set(Affiliate),
	Affiliate:    set(Program),
	Lead:         set(Customer, Subscription, External, Reference, Click),
}

// touches tells, for a name about which something new is known, where the sales and leads lie that
// may change by it. Links are not walked backwards: the ledger knows which of its clicks came by
// which.
var touches = map[string]map[string]bool{
	Click:        set(Object, Lead, Customer, External, Subscription, Reference, Email),
	Reference:    set(Object, Lead, Customer, External, Subscription, Email),
	Affiliate:    set(Object, Customer, Subscription, Promotion, Coupon, Code),
	External:     set(Object, Lead, Customer, Subscription, Email),
	Customer:     set(Object, Lead),
	Subscription: set(Object, Lead),
	Promotion:    set(Object, Customer, Subscription),
	Coupon:       set(Object, Customer, Subscription, Promotion),
	Code:         set(Promotion),
	Email:        set(Object, Customer),
}

// Changes tells which ends of a new edge know more by it: those from which it may be followed. A
// popular coupon knows nothing new when another promotion code is made of it.
func (e Edge) Changes() []Node {
	var changed []Node
	if leadsTo[e.A.Type()][e.B.Type()] {
		changed = append(changed, e.A)
	}
	if leadsTo[e.B.Type()][e.A.Type()] {
		changed = append(changed, e.B)
	}
	return changed
}

// Standalone tells whether n is a row of its own (a sale, a movement, a lead) and not a name that
// many of them may share.
func (n Node) Standalone() bool {
	switch n.Type() {
	case Object, Movement, Lead:
		return true
	}
	return false
}

func set(types ...string) map[string]bool {
	m := make(map[string]bool, len(types))
	for _, t := range types {
		m[t] = true
	}
	return m
}
