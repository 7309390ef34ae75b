package stripe

import (
	"cmp"
	"slices"
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
//     its own. So is the correction of a conversion: https://github.com/alphagov/pay-connector/pull/5011
//   - Stripe's dispute fee is in the transaction's fee, and no part of its amount: it is a cost of
//     the seller's, not of the sale.
//   - Where no event held a transaction, funds_withdrawn, or closed as lost, claims the amount;
//     funds_reinstated, or closed as won, says that it was withdrawn and came back.
func readDispute(ev *event, dp object) {
	id, charge, intent := dp.mustText("id"), dp.id("charge"), dp.id("payment_intent")
	f := Fact{
		ObjectID: id, Kind: Dispute, Source: FromDispute, OccurredAt: ev.created, ParentID: cmp.Or(charge, intent),
		Certain:  true,
		Currency: dp.text("currency"),
	}
	ev.name(identity.Dispute, id, identity.Object, f.ParentID, "dispute")
	ev.name(identity.Object, charge, identity.Object, intent, "dispute.payment_intent")
	if whole := dp.child("charge"); whole.present() {
		ev.wholeCharge(whole)
	}
	ev.disputeTransactions(dp, f)

	status := dp.text("status")
	closed := ev.typ == "charge.dispute.closed"
	reinstated := ev.typ == "charge.dispute.funds_reinstated" || closed && status == "won"
	withdrawn := ev.typ == "charge.dispute.funds_withdrawn"
	if !reinstated && !withdrawn && (!closed || status != "lost") {
		return
	}
	f.Currency, f.Amount = dp.mustCurrency("currency"), -dp.mustAmount("amount")
	if at := dp.time("created"); !withdrawn && !at.IsZero() {
		f.OccurredAt = at
	}
	ev.money(f)
	if reinstated {
		f.Kind, f.Amount, f.OccurredAt = DisputeReversal, -f.Amount, ev.created
		ev.money(f)
	}
}

// disputeTransactions books each balance transaction of a dispute, in order of time.
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
	slices.SortStableFunc(transactions, func(a, b object) int { return a.time("created").Compare(b.time("created")) })
	f.Currency, f.Source = dp.mustCurrency("currency"), FromBalance
	claim := claim{amount: dp.mustAmount("amount"), withdrawn: map[string]withdrawal{}}
	for n, t := range transactions {
		f.Amount, f.TransactionID = t.integer("amount"), t.text("id")
		f.Kind = Dispute
		if f.Amount > 0 {
			f.Kind = DisputeReversal
		}
		f.OccurredAt = at(t, ev.created)
		if currency := t.mustCurrency("currency"); currency != f.Currency {
			s := f
			s.Kind, s.Currency = SettlementOf(f.Kind), currency
			ev.money(s)
			won := dp.is("status", "won") && n == len(transactions)-1
			f.Amount = claim.moved(f.Amount, currency, won)
		}
		claim.out -= f.Amount
		ev.money(f)
	}
}

// claim follows what a dispute took, in minor units of its own currency, through balance
// transactions in others. Their amounts cannot be compared with each other: the rate changes from
// one to the next, by less than a fifth, and the account may settle in another currency by then.
type claim struct {
	amount    int64                 // what the cardholder claims
	out       int64                 // of it is withdrawn by now
	withdrawn map[string]withdrawal // the last one by its currency
}

// withdrawal is one, and what corrected it since, in its own currency and in the dispute's.
type withdrawal struct{ settled, claimed int64 }

// moved converts the amount of a balance transaction in another currency into the dispute's. won
// says that it is the last transaction of a dispute that was won.
func (c *claim) moved(settled int64, currency string, won bool) int64 {
	last := c.withdrawn[currency]
	if settled < 0 {
		return -c.withdraw(-settled, currency)
	}
	if won || last.settled == 0 {
		return c.out
	}
	return min(Share(last.claimed, settled, last.settled), c.out)
}

// withdraw returns what was withdrawn in the dispute's currency: all that is not withdrawn yet,
// unless another rate cannot explain the difference to that. Stripe also corrects the rate of a
// withdrawal by a small one, which takes its proportion of it.
func (c *claim) withdraw(settled int64, currency string) int64 {
	last, left := c.withdrawn[currency], max(0, c.amount-c.out)
	own := Share(last.claimed, settled, last.settled)
	if last.settled == 0 || own-left <= left/5 && left-own <= left/5 {
		own, last = left, withdrawal{}
	}
	if own > 0 {
		c.withdrawn[currency] = withdrawal{last.settled + settled, last.claimed + own}
	}
	return own
}

// at returns when a balance transaction was made, or the given time where it does not say.
func at(t object, otherwise time.Time) time.Time {
	if made := t.time("created"); !made.IsZero() {
		return made
	}
	return otherwise
}
