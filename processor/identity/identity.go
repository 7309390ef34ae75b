// Package identity names buyers and sales, and walks from what has changed to the sales it touches,
// and from a sale to every click and affiliate that could be credited with it.
package identity

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"tributary/schemas"
)

// Node is one name, "type:value". Names of two workspaces never meet.
type Node string

// Types of nodes.
const (
	Object       = "object"       // a Stripe object that stands for one payment: invoice, payment intent, session, charge
	Movement     = "movement"     // a refund or credit note, which belongs to a payment
	Dispute      = "dispute"      // a dispute, which belongs to a payment; the seller may number refunds alike
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
	Public       = "public"       // what anybody may have written about another name, which is its value; see PublicName
	Again        = "again"        // a metadata field that was set back to an older value, or emptied; see NewAgain
	Correction   = "correction"   // a person's decision who is credited with a sale; see NewCorrection
	FirstSale    = "first_sale"   // of a customer, subscription or external id; its edge's At is when they first paid
	PaymentHour  = "payment_hour" // an hour in which a customer paid in a currency, by a payment that may be an invoice's
	InvoiceHour  = "invoice_hour" // an hour in which an invoice of a customer in a currency was paid
)

// Catalogue stands for the operator's catalogues of affiliates; its edge's At is since when there
// is one.
const (
	catalogueType           = "catalogue"
	Catalogue          Node = catalogueType + ":affiliates"
	CatalogueIsInForce Node = catalogueType + ":in_force"
)

// CatalogueSource is the source of what an operator's catalogue says.
const CatalogueSource = "catalogue"

// New makes a node.
func New(typ, value string) Node { return Node(typ + ":" + value) }

// Split returns a node's type and value.
func (n Node) Split() (typ, value string) {
	if i := strings.IndexByte(string(n), ':'); i >= 0 {
		return string(n[:i]), string(n[i+1:])
	}
	return string(n), ""
}

// Is reports whether n is New(typ, value).
func (n Node) Is(typ, value string) bool {
	at := len(typ)
	return len(n) == at+len(":")+len(value) && n[at] == ':' && string(n[at+1:]) == value && string(n[:at]) == typ
}

// Type of the node.
func (n Node) Type() string { typ, _ := n.Split(); return typ }

// Value of the node.
func (n Node) Value() string { _, value := n.Split(); return value }

// ClickRef names a click by whatever id a customer passed along: ours is a click, any other a
// reference, which the clicks that carry it as their foreign id resolve. An id that a program
// failed to fill in is no name at all.
func ClickRef(value string) (Node, bool) {
	value = strings.TrimSpace(value)
	if schemas.IsUnfilled(value) {
		return "", false
	}
	if id, ok := schemas.ParseClickID(value); ok {
		return New(Click, id.String()), true
	}
	return New(Reference, value), true
}

// PublicName is what anybody may have written about a name: a browser's click under a foreign id or
// for an affiliate, or a lead that no secret key vouched for. It is a name beside n, so that what a
// backend says of n and what the public says of it are both kept, and neither hides the other.
func PublicName(n Node) Node { return New(Public, string(n)) }

// OfPublic returns the name of which the public said something; any other name itself.
func OfPublic(n Node) Node {
	if n.Type() == Public {
		return Node(n.Value())
	}
	return n
}

// NewAgain says that a field got the value target at a moment, which it may have had before: the
// edge to target itself keeps only the first time. A target without a value: it was emptied.
func NewAgain(at time.Time, target Node) Node {
	return New(Again, strconv.FormatInt(at.Unix(), 10)+" "+string(target))
}

// AgainOf returns the value that a field was set back to; without a value, that it was emptied.
func AgainOf(n Node) Node {
	_, target, _ := strings.Cut(n.Value(), " ")
	return Node(target)
}

// testMode begins the values of names that both of Stripe's modes may use, where an event of test
// mode mentioned them.
const testMode = "test mode/"

// OfTestMode reports whether a name is known from test mode only.
func (n Node) OfTestMode() bool { return strings.HasPrefix(n.Value(), testMode) }

// shared reports whether both modes may use a name: the seller's own id of a buyer or subscription,
// an address, a coupon or a code. Stripe's other ids are of one mode.
func (n Node) shared() bool {
	switch typ, id := n.Split(); typ {
	case External, Email, Coupon, Code, FirstSale:
		return true
	case Customer: // POST /v1/movements takes the seller's own
		return !strings.HasPrefix(id, "cus_") && !strings.HasPrefix(id, "acct_")
	case Subscription:
		return !strings.HasPrefix(id, "sub_")
	}
	return false
}

// InTestMode returns the name that stands for n in test mode: n itself, unless both modes may use
// it.
func (n Node) InTestMode() Node {
	if n.shared() {
		return New(n.Type(), testMode+n.Value())
	}
	return n
}

// TestMode returns the edges of an event of test mode so that no live sale finds them: a name that
// both modes may use is replaced by the same name in test mode. Sales of test mode find both, so
// that an integration can be tried with live clicks and leads.
func TestMode(edges []Edge) []Edge {
	apart := make([]Edge, 0, len(edges))
	for _, e := range edges {
		if e.B.shared() && !e.A.shared() && e.B.Type() != FirstSale {
			apart = append(apart, e)
		}
		e.A, e.B = e.A.InTestMode(), e.B.InTestMode()
		apart = append(apart, e)
	}
	return apart
}

// Nobody is the decision of a correction that credits nobody; Undone is the one that takes back all
// corrections before it.
const (
	Nobody Node = "nobody:"
	Undone Node = "undone:"
)

// NewCorrection names a decision: an affiliate, a click, Nobody or Undone. The names of later
// decisions are greater.
func NewCorrection(at time.Time, decision Node) Node {
	return New(Correction, fmt.Sprintf("%014d/%s", at.UnixMilli(), decision))
}

// Decision returns what a correction decides.
func Decision(correction Node) Node {
	_, decision, _ := strings.Cut(correction.Value(), "/")
	return Node(decision)
}

// Edge says that two names belong together. It is true in both directions and is never taken back.
type Edge struct {
	A, B   Node
	Source string    // field or event that said so
	At     time.Time // when it became true, UTC, by the source's own clock; the earliest report stays
	// Carried says that every sale which the edge concerns has been booked with it. Such an edge
	// asks for no work when it is reported again.
	Carried bool
	// Beyond is 0, or how many edges A has to names of B's type, of which this one stands for those
	// that are left out: see Cut.
	Beyond uint64
}

// OfCatalogue reports whether an operator's catalogue says so.
func (e Edge) OfCatalogue() bool { return e.Source == CatalogueSource }

// Most is how many edges a name may have to names of one type before they are cut: a name that a
// million leads or sales share costs a sale no more than one that some hundreds share.
const Most = 500

// Cut returns the part of a name's edges to one type of names that a lookup returns where there are
// more than Most. first and last are Most of them with the smallest and the greatest targets, in
// this order and in the opposite one; total is how many there are. Where another replica answered,
// last and total may have fewer.
//
// Of clicks both ends stay, the oldest and the latest, since their ids are in order of time: these
// are what a policy of first or of last touch credits. The objects of an hour are not compared when
// there are so many (ledger.MostNear), so that any of them will do. Any other name of which there
// are so many names nobody.
func Cut(first, last []Edge, total uint64) []Edge {
	a, typ := first[0].A, first[0].B.Type()
	if a.IsHour() {
		return first[:Most]
	}
	var kept []Edge
	if typ == Click {
		kept = slices.Concat(first[:Most/2], last[:min(Most/2, len(last))])
	}
	return append(kept, Edge{A: a, B: New(typ, ""), Beyond: max(total, uint64(len(first)))})
}

// IsHour reports whether n is an hour of payments or invoices.
func (n Node) IsHour() bool {
	typ := n.Type()
	return typ == PaymentHour || typ == InvoiceHour
}

// leadsTo holds, for a sale that is being resolved, which types of names may be followed from one
// type to the next. A customer's or a subscription's other sales are not followed: they are other
// movements.
var leadsTo = relate(map[string][]string{
	Object: {Object, Movement, Dispute, Customer, Subscription, External, Reference, Click, Affiliate,
		Promotion, Coupon, Email,
		PaymentHour, InvoiceHour,
		Correction},
	Movement:      {Object},
	Dispute:       {Object},
	Customer:      {Customer, External, Reference, Click, Affiliate, Promotion, Coupon, Email, FirstSale, Again},
	Subscription:  {External, Reference, Click, Affiliate, Promotion, Coupon, FirstSale, Again},
	External:      {Reference, Click, FirstSale, Public, Again},
	Reference:     {Click, Public},
	Public:        {Click, Reference, Program},
	Correction:    {Click, Affiliate},
	Promotion:     {Code, Coupon, Affiliate},
	Coupon:        {Affiliate},
	Code:          {Affiliate},
	Email:         {External, Reference, Click},
	Link:          {Affiliate},
	Affiliate:     {Program, Public},
	catalogueType: {catalogueType},
	Lead:          {Customer, Subscription, External, Reference, Click},
})

// touches holds, for a name of which something new is stored, which types of names lead to the
// sales and leads that may change by it. Links are not walked backwards: the ledger has the link of
// each entry's click.
var touches = relate(map[string][]string{
	Click:        {Object, Lead, Customer, External, Subscription, Reference, Email, Public, Correction},
	Reference:    {Object, Lead, Customer, External, Subscription, Email, Public},
	Affiliate:    {Object, Customer, Subscription, Promotion, Coupon, Code, Correction},
	External:     {Object, Lead, Customer, Subscription, Email},
	Customer:     {Object, Lead, Customer},
	Subscription: {Object, Lead},
	Promotion:    {Object, Customer, Subscription},
	Coupon:       {Object, Customer, Subscription, Promotion},
	Code:         {Promotion},
	Email:        {Object, Customer},
	Public:       {Reference, Affiliate, External},
	Correction:   {Object},
})

// Changes reports from which ends a new edge may be followed: only sales under those names may
// change by it. A coupon's sales do not change when another promotion code is made of the coupon.
func (e Edge) Changes() (a, b bool) {
	typA, typB := ordinal(e.A.Type()), ordinal(e.B.Type())
	return leadsTo.has(typA, typB), leadsTo.has(typB, typA)
}

// Touches reports whether something new about n may concern what is named m, or by m.
func (n Node) Touches(m Node) bool { return touches.has(ordinal(n.Type()), ordinal(m.Type())) }

// IsName reports whether e is among the names that A leads to: all but the sales and leads under a
// name that they may share. The sales of an hour are asked for as names.
func (e Edge) IsName() bool { return e.A.IsHour() || e.A.Standalone() || !e.B.Standalone() }

// LeadsOn reports whether a sale that n names may be credited by what n leads to.
func (n Node) LeadsOn() bool { return leadsTo[ordinal(n.Type())] != 0 }

// Alias returns another name of the same, under which sales may be known too; "" if there is none.
// A bare client_reference_id may be an affiliate; it was kept as a reference until one was known.
func (n Node) Alias() Node {
	if typ, value := n.Split(); typ == Affiliate {
		return New(Reference, value)
	}
	return ""
}

// Standalone reports whether n is a row of its own (a sale, a movement, a lead) and not a name that
// many of them may share.
func (n Node) Standalone() bool {
	switch n.Type() {
	case Object, Movement, Dispute, Lead:
		return true
	}
	return false
}
