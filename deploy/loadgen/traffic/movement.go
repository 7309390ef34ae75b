package traffic

import (
	"time"

	"tributary/schemas"
)

// Kinds of movement, as the ledger names them.
const (
	Payment         = "payment"
	Refund          = "refund"
	RefundReversal  = "refund_reversal"
	Dispute         = "dispute"
	DisputeReversal = "dispute_reversal"
)

// Movement is one true movement of money: what the ledger must hold once everything has arrived,
// whatever the order.
type Movement struct {
	// Object is what moved the money: the payment intent of a payment, or the invoice or invoice
	// payment that was paid outside Stripe; the refund; the dispute.
	Object string
	// Sale is what the payment is known by that this movement belongs to: its invoice if there is
	// one, else its payment intent.
	Sale string
	Kind string
	// Invoices is how many invoices a payment pays.
	Invoices int
	// Amount in minor units of Currency; money out is negative.
	Amount int64
	// Tax within Amount, with its sign. Payments state it, and refunds whose credit note does
	// (Stated): of others Stripe does not say how much is tax.
	// Where a customer's balance paid for a part of an invoice, the money that moved carries its
	// share of the tax, half to even.
	Tax    int64
	Stated bool
	// Unnoted is the tax of a payment where the credit notes are not known that took off a part of its
	// invoice before.
	Unnoted int64
	// Moved says that the payment was attached to an invoice, or taken off one, after it was made.
	Moved bool
	// Beyond is how much of Amount was paid beyond the total of the sale, which Tax is of; of
	// payments only.
	Beyond int64
	// Replaces is the charge that failed after it had paid the same, by another payment intent.
	Replaces string
	// Shipping and Discount of the sale, as its invoice or session states them, shared like the
	// tax; of payments only.
	Shipping, Discount int64
	Currency           string // lower case
	// OccurredAt by the best source there is: the created of the payment intent's event, else the
	// invoice's paid_at.
	OccurredAt time.Time
	Livemode   bool
	Customer   string // cus_…; empty for a guest
	// Channel says how the purchase names its click. Renewals inherit it.
	Channel Channel
	// Rule is the reason for the credit, as the ledger names it: see credit.go. Refunds and
	// disputes inherit their sale's.
	Rule string
	// ClickID is the click to be credited; zero when only an affiliate is known, or nothing.
	ClickID     schemas.ClickID
	AffiliateID string // empty when unattributed or when the click's link has no affiliate
	Attributed  bool
	Aliases     []string // every other object id that this movement goes by (session, payment intent, charge)
	// Charge is the charge that paid, or that the money goes back of; empty where it was paid outside
	// Stripe. A refund whose Object it is took the rest of it back: the charge failed.
	Charge string
	// Balance is the balance transaction by which Stripe moved the money; empty where it was paid
	// outside Stripe.
	Balance string
}

// Totals sums the amounts of movements by currency, in minor units.
func Totals(movements []Movement) map[string]int64 {
	sums := map[string]int64{}
	for _, m := range movements {
		sums[m.Currency] += m.Amount
	}
	return sums
}
