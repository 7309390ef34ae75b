package stripe

import (
	"cmp"
	"time"

	"tributary/processor/identity"
)

// readDispute reads charge.dispute.*. What a dispute moved is in its balance_transactions, which
// every event of it carries, whole: https://docs.stripe.com/api/disputes/object.
//
// Traps:
//   - amount is what the cardholder claims, and no movement. An inquiry (warning_…) or a prevented
//     dispute moves nothing; of a charge that was refunded in part, what comes back of a lost
//     dispute is that part alone ("partially won"):
//     https://support.stripe.com/questions/dispute-for-full-charge-amount-after-a-partial-refund-was-issued
//   - Funds may be withdrawn, come back, and be withdrawn again: each is a balance transaction of
//     its own.
//   - Stripe's dispute fee is in the transaction's fee, and no part of its amount: it is a cost of
//     the seller's, not of the sale.
//   - Where no event held a transaction, funds_withdrawn, or closed as lost, claims the amount;
//     funds_reinstated, or closed as won, says that it was withdrawn and came back.
func readDispute(ev *event, dp object) {
	id, charge, intent := dp.mustText("id"), dp.id("charge"), dp.id("payment_intent")
	f := Fact{
		ObjectID: id, Kind: Dispute, Source: FromDispute, OccurredAt: ev.created, ParentID: cmp.Or(charge, intent), Certain: true,
		Currency: dp.text("currency"),
	}
	ev.name(identity.Movement, id, identity.Object, f.ParentID, "dispute")
	ev.name(identity.Object, charge, identity.Object, intent, "dispute.payment_intent")
	ev.disputeTransactions(dp, f)

	status := dp.text("status")
	closed := ev.typ == "charge.dispute.closed"
	reinstated := ev.typ == "charge.dispute.funds_reinstated" || closed && status == "won"
	withdrawn := ev.typ == "charge.dispute.funds_withdrawn"
	if !reinstated && !withdrawn && (!closed || status != "lost") {
		return
	}
	f.Currency, f.Amount = dp.mustCurrency("currency"), -dp.mustInteger("amount")
	if at := dp.moment("created"); !withdrawn && !at.IsZero() {
		f.OccurredAt = at
	}
	ev.money(f)
	if reinstated {
		f.Kind, f.Amount, f.OccurredAt = DisputeReversal, -f.Amount, ev.created
		ev.money(f)
	}
}

// disputeTransactions books each balance transaction of a dispute.
func (ev *event) disputeTransactions(dp object, f Fact) {
	var transactions []object
	for _, t := range dp.array("balance_transactions") {
		if t.present() && t.text("id") != "" && t.integer("amount") != 0 {
			transactions = append(transactions, t)
		}
	}
	if len(transactions) == 0 {
		return
	}
	f.Currency, f.Source = dp.mustCurrency("currency"), FromBalance
	claimed, won := dp.mustInteger("amount"), dp.text("status") == "won"
	var withdrawn int64 // by the first of them
	for _, t := range transactions {
		f.Amount, f.TransactionID = t.integer("amount"), t.text("id")
		f.Kind = Dispute
		if f.Amount > 0 {
			f.Kind = DisputeReversal
		} else if withdrawn == 0 {
			withdrawn = -f.Amount
		}
		f.OccurredAt = at(t, ev.created)
		if currency := t.mustCurrency("currency"); currency != f.Currency {
			s := f
			s.Kind, s.Currency = SettlementOf(f.Kind), currency
			ev.money(s)
			f.Amount = inDisputesCurrency(t, claimed, withdrawn)
			if won && len(transactions) == 2 && f.Kind == DisputeReversal {
				f.Amount = claimed
			}
		}
		ev.money(f)
	}
}

// at returns when a balance transaction was made, or the given time where it does not say.
func at(t object, otherwise time.Time) time.Time {
	if made := t.moment("created"); !made.IsZero() {
		return made
	}
	return otherwise
}

// inDisputesCurrency returns what a balance transaction in another currency moved, in minor units
// of the dispute's currency: as much of the claim as it is of the first withdrawal, which withdrew
// the claim.
func inDisputesCurrency(t object, claimed, withdrawn int64) int64 {
	amount := t.integer("amount")
	if withdrawn == 0 {
		withdrawn = max(amount, -amount)
	}
	if amount == -withdrawn {
		return -claimed
	}
	return Share(claimed, amount, withdrawn)
}
