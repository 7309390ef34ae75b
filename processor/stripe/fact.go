// Package stripe turns a raw Stripe event into facts: what it says about money and what it says about names. The facts
// are a pure function of the body: same bytes, same facts; no clock, no network.
package stripe

import (
	"time"

	"tributary/processor/identity"
)

// Kinds of money movements. RefundedTotal is not a movement but a charge's cumulative figure, from which the refunds that
// were never told one by one are derived (processor/join).
const (
	Payment         = "payment"
	Refund          = "refund"
	RefundReversal  = "refund_reversal"
	RefundedTotal   = "refunded_total"
	Dispute         = "dispute"
	DisputeReversal = "dispute_reversal"
)

// HoldEnded is the one kind that no event tells: the processor writes it when a held payment's time is over and no invoice has
// claimed it. It is a fact like the others, so that everybody who looks the sale up comes to the same end.
const HoldEnded = "hold_ended"

// Settlement begins the kinds of facts that say what Stripe's balance was moved by, in its own currency, for a movement.
const Settlement = "settlement"

// SettlementOf gives the kind of the settlement of a movement.
func SettlementOf(kind string) string { return Settlement + "_" + kind }

// Sources of a payment's amounts, poorest first; ledger orders them.
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

// Fact is what one event says about one movement of money. Amounts are minor units as Stripe sent them, signed: money
// out is negative (RefundedTotal is the cumulative figure and positive).
type Fact struct {
	ObjectID string // the Stripe object under which this source books the movement
	Kind     string
	Source   string

	EventID    string
	Account    string // acct_… of a connected account, empty for the platform's own
	Livemode   bool
	CreatedAt  time.Time // of the event, UTC, seconds
	ReceivedAt time.Time // by the edge, UTC, milliseconds
	OccurredAt time.Time // when the money moved, as this source knows it, UTC

	ParentID string // of a refund or dispute: the charge, else the payment intent
	Settled  bool   // false: may be the payment of an invoice that nobody has named yet; held until that is known
	Currency string // lower case

	Amount, Tax, Shipping, Discount int64

	CustomerID, ExternalID, SubscriptionID, BillingReason string
}

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
	Known   bool      // false: the event's type says nothing about money or names; it is kept raw and counted
	Money   []Fact
	Names   []identity.Edge
	Leads   []Lead
}
