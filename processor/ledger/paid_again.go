package ledger

import (
	"cmp"
	"slices"
	"time"

	"tributary/processor/stripe"
)

// attempt is the captures of a payment that lie between two failures of its charges. A payment
// intent whose charge fails after it succeeded can be paid again, by another charge: then each
// attempt is a payment of its own day, and each failure takes back the one before it. Where no
// event of the first capture arrives, the captures of the first attempt are what else says that it
// was paid: invoice payments, a session, or the invoice.
type attempt struct {
	after    *stripe.Fact // the failure before it; nil: none
	captures []*stripe.Fact
	amount   int64 // of the payment, minor units of its currency; 0 without captures
}

// attempts sorts the captures of a payment by the failures of its charges, in order of time; the
// attempt n ends with the failure n. A charge was captured before it failed, whatever the times of
// the two events are.
func (p *payment) attempts() []attempt {
	first := map[string]*stripe.Fact{}
	for _, f := range p.failed {
		if known := first[f.ObjectID]; known == nil || compareFacts(f, known) < 0 {
			first[f.ObjectID] = f
		}
	}
	list := make([]attempt, 1, 1+len(first))
	for _, f := range first {
		list = append(list, attempt{after: f})
	}
	failures := list[1:]
	slices.SortFunc(failures, func(a, b attempt) int {
		return cmp.Or(a.after.CreatedAt.Compare(b.after.CreatedAt), cmp.Compare(a.after.ObjectID, b.after.ObjectID))
	})
	for _, f := range p.facts {
		if !isCapture(f) {
			continue
		}
		n := slices.IndexFunc(failures, func(a attempt) bool {
			return f.ObjectID == a.after.ObjectID || f.CreatedAt.Before(a.after.CreatedAt)
		})
		if n < 0 {
			n = len(failures)
		}
		list[n].captures = append(list[n].captures, f)
	}
	if len(failures) > 0 && len(list[0].captures) == 0 {
		for _, f := range p.facts {
			paid := f.Source == stripe.FromInvoicePayment || f.Source == stripe.FromSession && f.InvoiceID == ""
			if paid && f.Kind == stripe.Payment && f.Amount != 0 && f.OccurredAt.Before(failures[0].after.CreatedAt) {
				list[0].captures = append(list[0].captures, f)
			}
		}
	}
	return list
}

// isCapture reports whether a fact says what was captured of a payment.
func isCapture(f *stripe.Fact) bool {
	return f.Kind == stripe.Payment && (f.Source == stripe.FromPaymentIntent || f.Source == stripe.FromCharge)
}

// mostCaptured returns the capture after which most was captured; nil without captures.
func mostCaptured(facts []*stripe.Fact) *stripe.Fact {
	var top *stripe.Fact
	for _, f := range facts {
		if isCapture(f) && (top == nil || f.Amount > top.Amount || f.Amount == top.Amount && compareFacts(f, top) < 0) {
			top = f
		}
	}
	return top
}

// readAgain finds the amounts of a payment's attempts, after the payment itself was read from the
// first that captured anything.
func (p *payment) readAgain(captured *stripe.Fact) {
	for n := range p.tried {
		a := &p.tried[n]
		switch top := mostCaptured(a.captures); {
		case len(a.captures) == 0:
		case top == nil || captured == nil && top.Currency != p.currency:
			a.amount = p.amount
		case top.Currency == p.currency:
			a.amount = top.Amount
		default: // the session states the amount in the seller's currency
			a.amount = stripe.Share(p.amount, top.Amount, captured.Amount)
		}
	}
}

// takenBack returns what a failure of a charge took back; 0 if it took nothing, because nothing had
// been paid since the failure before it.
func (p *payment) takenBack(failed *stripe.Fact) int64 {
	n := slices.IndexFunc(p.tried, func(a attempt) bool {
		return a.after != nil && a.after.ObjectID == failed.ObjectID
	})
	return p.tried[n-1].amount
}

// firstTried returns the index of the first attempt that captured anything; -1 if none did.
func (p *payment) firstTried() int {
	return slices.IndexFunc(p.tried, func(a attempt) bool { return len(a.captures) > 0 })
}

// onlyFailure returns the failure of a charge that had paid by a time, of which no other event is
// known; nil if there is none.
func (p *payment) onlyFailure(paid time.Time) *stripe.Fact {
	if len(p.tried) < 2 || len(p.tried[0].captures) > 0 || !p.tried[1].after.CreatedAt.After(paid) {
		return nil
	}
	return p.tried[1].after
}

// payBy lets a payment take the amount of its first attempt from its invoice, which says that it
// was paid.
func (p *payment) payBy(f *stripe.Fact, amount int64) {
	p.source, p.currency, p.amount, p.at, p.silent = f, f.Currency, amount, f.OccurredAt, false
	p.tried[0].captures, p.tried[0].amount = []*stripe.Fact{f}, amount
}

// failedAtLast reports whether nothing is left of the payment: it failed, and was not made again.
func (p *payment) failedAtLast() bool {
	n := len(p.tried)
	return n > 0 && p.tried[n-1].amount == 0 &&
		slices.ContainsFunc(p.failed, func(f *stripe.Fact) bool { return p.takenBack(f) > 0 })
}

// failure returns the charge whose failure took back what was paid in an attempt; "" if none did.
func (p *payment) failure(n int) string {
	if n+1 < len(p.tried) && p.takenBack(p.tried[n+1].after) > 0 {
		return p.tried[n+1].after.ObjectID
	}
	return ""
}

// failureOf returns the charge whose failure took back what a movement of the payment is taken
// from. Of a movement whose charge is unknown that is what was paid last.
func (p *payment) failureOf(charge string) string {
	if p == nil {
		return ""
	}
	failed := p.failure(max(0, p.firstTried()))
	for n := range p.tried {
		switch {
		case charge != "" && p.failure(n) == charge:
			return charge
		case p.tried[n].amount > 0:
			failed = p.failure(n)
		}
	}
	if charge != "" {
		return ""
	}
	return failed
}

// chargeOf returns the charge that paid in an attempt: the one whose failure ended it, else the
// only one that did not fail; empty if that is unknown, or if no charge failed at all.
func (p *payment) chargeOf(n int) string {
	if len(p.tried) == 0 {
		return ""
	}
	if n+1 < len(p.tried) {
		return p.tried[n+1].after.ObjectID
	}
	charge := ""
	for _, id := range p.charges {
		switch {
		case slices.ContainsFunc(p.tried[1:], func(a attempt) bool { return a.after.ObjectID == id }):
		case charge != "":
			return ""
		default:
			charge = id
		}
	}
	return charge
}

// bookAgain books what was paid after each failure of the payment's charges, beside the first
// payment, which e is. Where nothing was, the entry is there with the amount 0, for whoever knew
// less may have booked one.
func (b *books) bookAgain(p *payment, e Entry) {
	first := p.firstTried()
	if first < 0 {
		return
	}
	due := e.Amount - e.beyond
	for n, a := range p.tried[1:] {
		again := e
		again.ID = NewEntryID(b.account, b.livemode, p.id, stripe.Payment, "after "+a.after.ObjectID)
		again.OccurredAt, again.ReceivedAt, again.Amount = a.after.OccurredAt, a.after.ReceivedAt, 0
		if n+1 != first && a.amount > 0 {
			again.Amount, again.ReceivedAt = a.amount, mostCaptured(a.captures).ReceivedAt
			again.OccurredAt, again.charge = earliest(a.captures), p.chargeOf(n+1)
		}
		again.beyond = max(0, again.Amount-due)
		of := func(whole int64) int64 { return stripe.Share(whole, again.Amount-again.beyond, due) }
		again.Tax, again.Shipping, again.Discount = of(e.Tax), of(e.Shipping), of(e.Discount)
		again.divide(e.Products)
		b.entries = append(b.entries, again)
		b.sale(e.SaleID).add(&again, p.failure(n+1))
	}
}

// earliest returns when the first of the facts happened.
func earliest(facts []*stripe.Fact) time.Time {
	return slices.MinFunc(facts, func(a, b *stripe.Fact) int { return a.OccurredAt.Compare(b.OccurredAt) }).OccurredAt
}
