package stripe

import "tributary/processor/identity"

// readFundsWithdrawn reads charge.dispute.funds_withdrawn. Money moves here and on funds_reinstated, not when a dispute
// opens or closes: an inquiry may never withdraw anything, and a lost dispute withdraws nothing more.
func readFundsWithdrawn(ev *event, dp object) { readDispute(ev, dp, Dispute, -1) }

// readFundsReinstated reads charge.dispute.funds_reinstated: the dispute was won, or withdrawn by the cardholder.
func readFundsReinstated(ev *event, dp object) { readDispute(ev, dp, DisputeReversal, +1) }

func readDispute(ev *event, dp object, kind string, sign int64) {
	id := dp.mustText("id")
	charge, intent := dp.id("charge"), dp.id("payment_intent")
	parent := charge
	if parent == "" {
		parent = intent
	}
	ev.name(identity.Movement, id, identity.Object, parent, "dispute")
	ev.name(identity.Object, charge, identity.Object, intent, "dispute.payment_intent")
	ev.money(Fact{
		ObjectID: id, Kind: kind, Source: FromDispute, OccurredAt: ev.created, ParentID: parent, Settled: true,
		Currency: dp.mustText("currency"), Amount: sign * dp.mustInteger("amount"),
	})
}
