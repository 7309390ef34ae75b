package traffic

import (
	"slices"
	"time"
)

// afterwards lets some payments go back, in part or whole.
func (s *buyer) afterwards(p payment) {
	w := s.w
	x := w.r.Float64()
	// A session of the older Adaptive Pricing is refunded in the buyer's currency and was booked in
	// the seller's.
	if p.charge == "" || s.localIntents(p) {
		return
	}
	if x >= w.opts.Refunds {
		s.failLate(p, w.opts.LateFailures, p.at, 0)
		return
	}
	at := p.at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if at.After(w.opts.Until) {
		return
	}
	if w.opts.Rare {
		s.cashBack(p, at)
	}
	switch {
	case w.opts.Rare && x < .2*w.opts.Refunds:
		s.disputePart(p, at)
		return
	case x < .12*w.opts.Refunds, w.opts.Rare && x < .4*w.opts.Refunds:
		s.dispute(p, at)
		return
	}
	var back int64
	for range 1 + w.r.IntN(3) {
		amount := p.paid - back
		if amount <= 0 || at.After(w.opts.Until) {
			break
		}
		if w.chance(.6) {
			amount = max(currencies[p.currency].step, whole(amount/4, p.currency))
		}
		var kept int64
		kept, at = s.refund(p, at, amount, back)
		back += kept
		at = at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	}
	if back < p.paid {
		s.failLate(p, w.opts.FailRefunded, at, back)
	}
}

// failLate lets a share of payments fail after they succeeded, as the debit of a bank account may.
// The bank takes what was not refunded before.
func (s *buyer) failLate(p payment, share float64, after time.Time, back int64) {
	w := s.w
	if share <= 0 || !w.chance(share) {
		return
	}
	at := after.Add(around(w.r, w.opts.Tempo.Refund) + time.Second).Truncate(time.Second)
	if at.After(w.opts.Until) {
		return
	}
	t := s.settle(balanceChargeFailure, p.charge, "X", back-p.paid, p.currency, at)
	o := s.chargeObject(p, back, false)
	o["status"], o["paid"], o["failure_balance_transaction"] = "failed", false, t.ID
	o["failure_code"] = "insufficient_funds"
	s.event("charge.failed", at, o, object{"status": "succeeded", "paid": true})
	s.deliver()
	s.move(p, Movement{Object: p.charge, Kind: Refund, Amount: back - p.paid, OccurredAt: at, Balance: t.ID})
	s.payAgain(p, at)
}

// payAgain lets another charge succeed after one failed late: of the same payment intent, or, of an
// invoice that was paid at once, of another one. A part of it may go back too.
func (s *buyer) payAgain(p payment, failed time.Time) {
	w := s.w
	again := p
	again.at = failed.Add(around(w.r, w.opts.Tempo.Refund) + time.Second).Truncate(time.Second)
	if p.intent == "" || !w.chance(.5) || again.at.After(w.opts.Until) {
		return
	}
	again.again, again.charge = true, w.id("ch")
	if p.invoice != "" && p.other == "" && p.due == 0 && p.paid <= p.total && w.chance(.5) {
		again.intent, again.replaces = w.id("pi"), p.charge
	}
	s.event("payment_intent.succeeded", again.at, s.intentObject(again, "succeeded"), nil)
	s.event("charge.succeeded", again.at, s.chargeObject(again, 0, false), nil)
	if again.replaces != "" && s.api.since(basil) {
		s.event("invoice_payment.paid", again.at, s.invoicePaymentObject(again), nil)
	}
	s.deliver()
	s.book(again, again.at)
	at := again.at.Add(around(w.r, w.opts.Tempo.Refund) + time.Second).Truncate(time.Second)
	if w.opts.FailRefunded > 0 && w.chance(w.opts.FailRefunded) && !at.After(w.opts.Until) {
		s.refund(again, at, max(currencies[p.currency].step, whole(p.paid/3, p.currency)), 0)
	}
}

// refund reports one refund. It returns how much of it stayed refunded (nothing, where the bank
// sent it back) and when that was known.
//
// Stripe sends refund.* for every refund since 2024-10-28
// (https://docs.stripe.com/changelog/acacia/2024-10-28/refund-webhook-update), and charge.refunded
// with the cumulative amount as ever. Of those that do not stay some fail, and some waited for the
// buyer's bank details and are canceled: https://docs.stripe.com/refunds#cancel-refund
func (s *buyer) refund(p payment, at time.Time, amount, before int64) (kept int64, settled time.Time) {
	w := s.w
	id, fails, later := w.id("re"), w.chance(w.often(.08)), at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	canceled := fails && w.opts.Rare && w.fate(id).IntN(2) == 0
	made, undone := "succeeded", "failed"
	if canceled {
		made, undone = "requires_action", "canceled"
	}
	s.event("refund.created", at, s.refundObject(p, id, at, amount, made), nil)
	previous := object{"amount_refunded": before, "receipt_url": nil}
	if before+amount == p.paid {
		previous["refunded"] = false
	}
	s.event("charge.refunded", at, s.chargeObject(p, before+amount, false), previous)
	tax, stated := s.creditRefund(p, id, at, amount, before)
	s.deliver()
	s.move(p, Movement{Object: id, Kind: Refund, Amount: -amount, Tax: -tax, Stated: stated, OccurredAt: at,
		Balance: s.settle(balanceRefund, id, "", -amount, p.currency, at).ID})
	if !fails || later.After(w.opts.Until) {
		return amount, at
	}
	failed := s.refundObject(p, id, at, amount, undone)
	failed["failure_balance_transaction"] = "txn_" + id[3:] + "F"
	if !canceled {
		failed["failure_reason"] = "expired_or_canceled_card"
		s.event("refund.failed", later, failed, object{"status": made})
	}
	s.event("charge.refund.updated", later, failed, object{"status": made})
	if w.opts.Rare {
		s.event("refund.updated", later, failed, object{"status": made})
		s.event("charge.updated", later, s.chargeObject(p, before, false), object{"amount_refunded": before + amount})
	}
	s.deliver()
	s.move(p, Movement{Object: id, Kind: RefundReversal, Amount: amount, Tax: tax, Stated: stated, OccurredAt: later,
		Balance: s.settle(balanceRefundFailure, id, "F", amount, p.currency, later).ID})
	return 0, later
}

// dispute reports a dispute that is lost, or won and paid back, or of an inquiry, which moves
// nothing.
func (s *buyer) dispute(p payment, at time.Time) {
	w, id := s.w, s.w.id("dp")
	if half := whole(p.paid/2, p.currency); w.opts.Rare && half > 0 && w.fate("part "+id).IntN(3) == 0 {
		p.paid = half // a buyer may dispute a part
	}
	inquiry, won, again := w.chance(.15), w.chance(.4), w.chance(.5)
	later := at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if inquiry {
		s.event("charge.dispute.created", at, s.disputeObject(p, id, at, "warning_needs_response"), nil)
		s.deliver()
		if !later.After(w.opts.Until) {
			s.event("charge.dispute.closed", later, s.disputeObject(p, id, at, "warning_closed"), nil)
			s.deliver()
		}
		return
	}
	withdrawn := s.withdraw(p, id, at)
	if later.After(w.opts.Until) {
		return
	}
	if !won {
		s.event("charge.dispute.closed", later, s.disputeObject(p, id, at, "lost", withdrawn), nil)
		s.deliver()
		return
	}
	reinstated := s.settle(balanceAdjustment, id, "R", p.paid, p.currency, later)
	s.event("charge.dispute.funds_reinstated", later, s.disputeObject(p, id, at, "won", withdrawn, reinstated), nil)
	s.move(p, Movement{Object: id, Kind: DisputeReversal, Amount: p.paid, OccurredAt: later, Balance: reinstated.ID})
	s.event("charge.dispute.closed", later, s.disputeObject(p, id, at, "won", withdrawn, reinstated), nil)
	s.deliver()
	last := later.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if w.opts.Rare && again && !last.After(w.opts.Until) {
		s.withdrawAgain(p, id, at, last, withdrawn, reinstated)
	}
}

// often returns a share as it is, and a large one where the rare is as frequent as the rest.
func (w *World) often(share float64) float64 {
	if w.opts.Rare {
		return .4
	}
	return share
}

// withdrawAgain reports that the bank changed its mind about a dispute that was won.
func (s *buyer) withdrawAgain(p payment, id string, made, at time.Time, before ...BalanceTransaction) {
	t := s.settle(balanceAdjustment, id, "W", -p.paid, p.currency, at)
	all := slices.Concat(before, []BalanceTransaction{t})
	s.event("charge.dispute.funds_withdrawn", at, s.disputeObject(p, id, made, "lost", all...), nil)
	s.event("charge.dispute.closed", at, s.disputeObject(p, id, made, "lost", all...), nil)
	s.deliver()
	s.move(p, Movement{Object: id, Kind: Dispute, Amount: -p.paid, OccurredAt: at, Balance: t.ID})
}

// disputePart reports a dispute over the whole of a payment of which a part was refunded before.
// The dispute is lost, and that part comes back: Stripe calls it partially won.
// https://support.stripe.com/questions/dispute-for-full-charge-amount-after-a-partial-refund-was-issued
func (s *buyer) disputePart(p payment, at time.Time) {
	w := s.w
	back := max(currencies[p.currency].step, whole(p.paid/4, p.currency))
	if w.opts.SettleUSD && p.currency != "usd" || back >= p.paid {
		s.dispute(p, at) // in another currency the part follows only from its proportion
		return
	}
	back, at = s.refund(p, at, back, 0)
	id := w.id("dp")
	at = at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	later := at.Add(around(w.r, w.opts.Tempo.Refund)).Truncate(time.Second)
	if at.After(w.opts.Until) {
		return
	}
	withdrawn := s.withdraw(p, id, at)
	if later.After(w.opts.Until) {
		return
	}
	all := []BalanceTransaction{withdrawn}
	if back > 0 {
		t := s.settle(balanceAdjustment, id, "R", back, p.currency, later)
		all = append(all, t)
		s.event("charge.dispute.funds_reinstated", later, s.disputeObject(p, id, at, "lost", all...), nil)
		s.move(p, Movement{Object: id, Kind: DisputeReversal, Amount: back, OccurredAt: later, Balance: t.ID})
	}
	s.event("charge.dispute.closed", later, s.disputeObject(p, id, at, "lost", all...), nil)
	s.deliver()
}

// cashBack reports a refund of what the customer had sent to their cash balance: it was never a
// sale, and no revenue goes back. https://docs.stripe.com/payments/customer-balance/refunding
func (s *buyer) cashBack(p payment, at time.Time) {
	id, happens := s.w.id("re"), s.w.chance(.2)
	if s.customer == "" || !happens {
		return
	}
	p.charge, p.intent = "", ""
	o := s.refundObject(p, id, at, p.paid, "succeeded")
	o["charge"], o["customer"], o["customer_account"] = nil, s.customerID(), s.customerAccount()
	s.event("refund.created", at, o, nil)
	s.deliver()
}

// withdraw opens a dispute about all of a payment, for which Stripe takes the money at once.
func (s *buyer) withdraw(p payment, id string, at time.Time) BalanceTransaction {
	withdrawn := s.settle(balanceAdjustment, id, "", -p.paid, p.currency, at.Add(time.Second))
	s.event("charge.dispute.created", at, s.disputeObject(p, id, at, "needs_response"), nil)
	s.event("charge.dispute.funds_withdrawn", at.Add(time.Second), s.disputeObject(p, id, at, "needs_response", withdrawn),
		nil)
	s.deliver()
	s.move(p, Movement{Object: id, Kind: Dispute, Amount: -p.paid, OccurredAt: at.Add(time.Second), Balance: withdrawn.ID})
	return withdrawn
}
