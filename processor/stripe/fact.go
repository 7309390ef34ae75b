// Package stripe turns a raw Stripe event into facts: what it says about money and what it says
// about names. The facts are a pure function of the body: same bytes, same facts; no clock, no
// network.
package stripe

import (
	"strings"
	"time"

	"tributary/processor/identity"
)

// Kinds of money movements.
const (
	Payment         = "payment"
	Refund          = "refund"
	RefundReversal  = "refund_reversal"
	Dispute         = "dispute"
	DisputeReversal = "dispute_reversal"
)

// Kinds of facts that are no movements themselves.
const (
	// RefundedTotal is how much of a charge was refunded by then, from which the refunds that no
	// event reports one by one are derived (processor/ledger).
	RefundedTotal = "refunded_total"
	// Failed says that a charge failed. Of one that had succeeded before, all is given back.
	Failed = "failed"
	// Detached says that a payment was taken off its invoice, and may pay another.
	Detached = "detached"
	// Transferred says that a charge on a connected account is what a platform passed on to it: the
	// platform sold, and has the sale.
	Transferred = "transferred"
	// Authorization says that of a charge or payment intent less was captured than was authorised:
	// the rest is released, and that is no refund.
	Authorization = "authorization"
	// Presented is what the buyer saw of a payment, in the buyer's own currency, where that is not
	// the seller's.
	Presented = "presented"
	// Begun says when a charge was made of which the event says only what went back, or when an
	// invoice was finalised that was paid hours later. Where no event ties the two, their times do
	// (processor/ledger).
	Begun = "begun"
	// Credited says for which lines of its invoice a refund was made, or the amount due was lessened
	// before payment, and how much of the credit note is tax.
	Credited = "credited"
)

// Settlement begins the kinds of facts that say what Stripe's balance was moved by, in its own
// currency, for a movement.
const Settlement = "settlement"

// SettlementOf returns the kind of the settlement of a movement.
func SettlementOf(kind string) string { return Settlement + "_" + kind }

// Sources of facts: the Stripe object that reports them.
const (
	FromCharge         = "charge"
	FromPaymentIntent  = "payment_intent"
	FromInvoicePayment = "invoice_payment"
	FromSession        = "session"
	FromInvoice        = "invoice"
	FromRefund         = "refund"
	FromDispute        = "dispute"
	FromCreditNote     = "credit_note"
	FromBalance        = "balance_transaction"
)

// Fact is what one event says about one movement of money. Amounts are minor units as Stripe sent
// them, signed: money out is negative (those of RefundedTotal, Failed, Detached, Transferred,
// Authorization, Presented and Begun are figures, and positive).
type Fact struct {
	ObjectID string // the Stripe object that the event describes
	Kind     string
	Source   string

	EventID    string
	Account    string // acct_… of a connected account, empty for the platform's own
	Livemode   bool
	CreatedAt  time.Time // of the event, UTC, seconds
	ReceivedAt time.Time // by the edge, UTC, milliseconds
	OccurredAt time.Time // when the money moved, as this source knows it, UTC

	// ParentID is what the object belongs to, where this source names it: of a refund or dispute
	// the charge, else the payment intent; of a credit note the invoice; of a charge, session or
	// invoice payment the payment intent, else the charge.
	ParentID string
	// InvoiceID of a payment is the invoice that this source says it pays.
	InvoiceID string
	// TransactionID is the balance transaction by which a dispute's money moved; of Credited it is the
	// credit note.
	TransactionID string
	// Certain says that the fact is a movement of its own whatever else becomes known. Otherwise a
	// payment may be an invoice's, which no event has named yet; a refund, or a refunded total, may
	// be the release of an authorisation. An invoice is certain if no payment of Stripe's explains
	// it: it was paid outside Stripe, or by the customer's balance alone, with the amount 0. A charge
	// that begun is of is certain if it was by card: such a charge is paid when it is made. What a
	// credit note says is certain until it is voided.
	Certain  bool
	Currency string // lower case

	// Amount of Credited is how much of the refund applies to the credit note, 0 for all of it; under the
	// note itself it is what the note took off before payment.
	//
	// Tax, Shipping and Discount of an invoice, a payment intent, and a session that is not paid, are
	// those of its whole Total; of any other payment those of Amount.
	Amount, Tax, Shipping, Discount int64
	// Total is what an invoice was issued for, or what is asked for by a session that is not paid or
	// by a payment intent that states its tax. Of a charge it is what was authorised. Of a credit note
	// it is all that the note gives back, or 0 if the note does not state its tax.
	Total int64
	// Due is what an invoice asks for: its total less what the customer's balance pays and credit
	// notes took off before it was paid, and more where the customer owed from before; UnknownAmount
	// where it does not say.
	Due int64
	// Noted is how much of that the credit notes that stand took off by then; UnknownAmount where
	// it does not say.
	Noted int64
	// Captured of an authorised charge, as this source knows it; UnknownAmount where it does not
	// say.
	Captured int64

	CustomerID, ExternalID, SubscriptionID, BillingReason string

	// Lines are what was sold, in parts of it: how large they are together does not matter. None:
	// this source names no product.
	Lines []Line
}

// Subject names what a fact is about. Refunds and disputes, and what they were settled at, belong
// to a payment; everything else stands for the payment itself. A seller may give a payment, a
// refund and a dispute of POST /v1/movements one id: they are three.
func (f *Fact) Subject() identity.Node { return identity.New(f.SubjectType(), f.ObjectID) }

// SubjectType is the type of Subject.
func (f *Fact) SubjectType() string {
	switch strings.TrimPrefix(f.Kind, Settlement+"_") {
	case Refund, RefundReversal, Credited:
		return identity.Movement
	case Dispute, DisputeReversal:
		return identity.Dispute
	}
	return identity.Object
}

// UnknownAmount stands in Fact.Captured and Fact.Due where an object does not say them.
const UnknownAmount = -1

// Lead is what an event says of somebody who has not paid yet.
type Lead struct {
	Name     string // as Dub calls it: "New customer", "Started Trial"
	ObjectID string // the Stripe object that became one; with Name the lead's identity

	CustomerID, SubscriptionID, ExternalID string

	Quantity int64 // of seats, at least 1
	At       time.Time
}

// Facts is everything that one event says.
type Facts struct {
	Created time.Time // of the event, UTC; also given beside a *ShapeError
	Thin    bool      // the event holds no object; its snapshot would say something
	Known   bool      // false: the event's type says nothing about money or names; it is kept raw and counted
	Money   []Fact
	Names   []identity.Edge
	Leads   []Lead
}
