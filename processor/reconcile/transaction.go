// Package reconcile compares the ledger with what others say of the same money: Stripe's balance
// transactions.
package reconcile

import (
	"fmt"
	"strings"
	"time"

	"tributary/processor/stripe"
)

// Transaction is one balance transaction of Stripe's: what one movement did to the account's
// balance. https://docs.stripe.com/api/balance_transactions/object
type Transaction struct {
	ID       string
	Account  string // whose balance it moved; empty where the export does not say
	Category string // reporting_category
	// Source is the charge, refund or dispute that moved the balance.
	Source string
	// ChargeID, IntentID and CustomerID belong to the source, where the export says so; empty
	// otherwise.
	ChargeID, IntentID, CustomerID string
	// Unnamed reports that the export cannot say which charge or payment intent any movement
	// belongs to: it lacks the column.
	Unnamed bool
	// More reports that it is the last of a list that goes on, End of one that does not: the API's
	// has_more.
	More, End bool
	Created   time.Time // UTC
	// Zoneless reports that the export does not say that Created is UTC: a report's column created is
	// in the time zone that was chosen for it.
	Zoneless bool

	// What the balance was moved by: minor units of the settlement currency, signed.
	Currency string
	Amount   int64

	// What the customer saw: minor units, signed like Amount. Empty currency: the source does not
	// say; then it is the settlement's if that is the ledger's currency, too.
	Presented       string
	PresentedAmount int64
}

// notCaptured is the category of what was authorised and not captured, where Stripe's balance had
// the whole authorisation at first.
const notCaptured = "partial_capture_reversal"

// chargeFailure is the category of what a payment moved that failed later.
const chargeFailure = "charge_failure"

// passedOn is the category under which a connected account's report counts what its platform passed
// on to it: the buyer paid the platform. Stripe's own category of it is that of a payment.
const passedOn = "transfer"

// categories of movements that sales are made of, by Stripe's reporting_category
// (https://docs.stripe.com/reports/reporting-categories), with the ledger's kind of each.
var categories = map[string]string{
	"charge":           stripe.Payment,
	"refund":           stripe.Refund,
	notCaptured:        stripe.Refund,
	"refund_failure":   stripe.RefundReversal,
	chargeFailure:      stripe.Refund,
	"dispute":          stripe.Dispute,
	"dispute_reversal": stripe.DisputeReversal,
}

// notSales are the reporting categories that move the balance and are no part of any sale. What is
// in neither table is reported, and never passed over: it may be a sale's.
var notSales = set(
	"advance", "advance_funding", "anticipation_repayment", "climate_order_purchase", "climate_order_refund",
	"connect_collection_transfer", "connect_reserved_funds", "contribution", "fee", "financing_paydown",
	"financing_paydown_reversal", "financing_payout", "financing_payout_reversal", "issuing_authorization_hold",
	"issuing_authorization_release", "issuing_disbursement", "issuing_dispute", "issuing_dispute_provisional_credit",
	"issuing_transaction", "network_cost", "payout", "payout_minimum_balance_hold", "payout_minimum_balance_release",
	"payout_reversal", "platform_earning", "platform_earning_refund", "reserve_hold", "reserve_release",
	"reserved_funds", "risk_reserved_funds", "tax", "topup", "topup_reversal", "transfer", "transfer_reversal",
	"unreconciled_customer_funds",
	// By the older field type.
	"application_fee", "application_fee_refund", "payment_unreconciled", "payout_cancel", "payout_failure",
	"reserve_transaction", "stripe_balance_payment_debit", "stripe_balance_payment_debit_reversal", "stripe_fee",
	"stripe_fx_fee", "tax_fee", "transfer_cancel", "transfer_failure",
	"transfer_refund",
)

func set(names ...string) map[string]bool {
	m := make(map[string]bool, len(names))
	for _, n := range names {
		m[n] = true
	}
	return m
}

// types are the same by the older field type, for exports that have no category.
var types = map[string]string{
	"charge": "charge", "payment": "charge",
	"refund": "refund", "payment_refund": "refund",
	"refund_failure": "refund_failure", "payment_failure_refund": chargeFailure,
}

// category returns the category of a transaction of a type. Disputes and failed refunds are both
// adjustments, which differ by their source and sign. Where a refund by another method than a card
// fails, what comes back is a payment_refund, as the refund itself was.
// https://docs.stripe.com/reports/balance-transaction-types
func category(typ, source string, amount int64) string {
	prefix, _, _ := strings.Cut(source, "_")
	switch c := types[typ]; {
	case c == "refund" && amount > 0, typ == "adjustment" && (prefix == "re" || prefix == "pyr"):
		return "refund_failure"
	case c != "":
		return c
	case typ != "adjustment" || prefix != "dp" && prefix != "du":
		return typ
	case amount > 0:
		return "dispute_reversal"
	}
	return "dispute"
}

// Kind returns the ledger's kind of the movement; empty for what is no movement of a sale: fees,
// payouts, transfers, top-ups.
func (t *Transaction) Kind() string { return categories[t.Category] }

// Settled reports whether Stripe converted the movement into USD.
func (t *Transaction) Settled() bool {
	return t.Currency == "usd" && t.Presented != "" && t.Presented != "usd" && t.Kind() != ""
}

// Settlement returns the fact that Stripe settled the movement in USD (processor/ledger:
// Stripe's own rate wins). What was authorised and not captured is a part of its payment's
// settlement, which had the whole authorisation.
func (t *Transaction) Settlement(account string, livemode bool) stripe.Fact {
	f := stripe.Fact{
		ObjectID: t.Source, Kind: stripe.SettlementOf(t.Kind()), Source: stripe.FromBalance, EventID: t.ID,
		Account: account, Livemode: livemode,
		CreatedAt: t.Created, ReceivedAt: t.Created, OccurredAt: t.Created, Certain: true,
		Currency: t.Currency, Amount: t.Amount,
	}
	switch kind := t.Kind(); {
	case kind == stripe.Dispute || kind == stripe.DisputeReversal:
		f.TransactionID = t.ID // a dispute may withdraw and give back more than once
	case t.Category == notCaptured && t.ChargeID != "":
		f.ObjectID, f.Kind = t.ChargeID, stripe.SettlementOf(stripe.Payment)
	}
	return f
}

// day of a moment, UTC.
func dayOf(t time.Time) string { return t.UTC().Format(time.DateOnly) }

// Period is a stretch of UTC days, both included.
type Period struct{ From, To time.Time }

// NewPeriod reads two days like 2026-03-31.
func NewPeriod(from, to string) (Period, error) {
	var p Period
	var err error
	if p.From, err = time.Parse(time.DateOnly, from); err != nil {
		return p, fmt.Errorf("%q is not a day like 2026-03-31", from)
	}
	if p.To, err = time.Parse(time.DateOnly, to); err != nil {
		return p, fmt.Errorf("%q is not a day like 2026-03-31", to)
	}
	if p.To.Before(p.From) {
		return p, fmt.Errorf("the period ends (%s) before it begins (%s)", to, from)
	}
	return p, nil
}

// End is the moment after the period.
func (p Period) End() time.Time { return p.To.AddDate(0, 0, 1) }

func (p Period) contains(t time.Time) bool { return !t.Before(p.From) && t.Before(p.End()) }
