package stripe

import "tributary/processor/identity"

// readDispute reads charge.dispute.created, .updated and .closed, which move nothing: an inquiry may never withdraw anything, and
// a lost dispute withdraws nothing more. They tell which payment it is about, and may hold its balance transactions.
func readDispute(ev *event, dp object) {
	id := dp.mustText("id")
	charge, intent := dp.id("charge"), dp.id("payment_intent")
	parent := charge
	if parent == "" {
		parent = intent
	}
	ev.name(identity.Movement, id, identity.Object, parent, "dispute")
	ev.name(identity.Object, charge, identity.Object, intent, "dispute.payment_intent")
	for _, t := range dp.array("balance_transactions") {
		if !t.present() {
			continue
		}
		kind := DisputeReversal
		if t.integer("amount") < 0 {
			kind = Dispute
		}
		ev.settle(id, kind, dp.text("currency"), t)
	}
}

// readFundsWithdrawn reads charge.dispute.funds_withdrawn: the money leaves.
func readFundsWithdrawn(ev *event, dp object) { readFunds(ev, dp, Dispute, -1) }

// readFundsReinstated reads charge.dispute.funds_reinstated: the dispute was won, or withdrawn by the cardholder.
func readFundsReinstated(ev *event, dp object) { readFunds(ev, dp, DisputeReversal, +1) }

func readFunds(ev *event, dp object, kind string, sign int64) {
	readDispute(ev, dp)
	parent := dp.id("charge")
	if parent == "" {
		parent = dp.id("payment_intent")
	}
	ev.money(Fact{
		ObjectID: dp.text("id"), Kind: kind, Source: FromDispute, OccurredAt: ev.created, ParentID: parent, Settled: true,
		Currency: dp.mustCurrency("currency"), Amount: sign * dp.mustInteger("amount"),
	})
}
