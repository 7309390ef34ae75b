package ledger

import (
	"cmp"
	"fmt"
	"math"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// moneyOut is one movement of a refund or dispute, whose share of its sale's tax is to be found.
// index is its place among the entries.
type moneyOut struct {
	index  int
	id     string // distinguishes movements of one time
	failed string // as in pool
}

// refund is one refund object.
type refund struct {
	id       string
	booked   *stripe.Fact // as it was made
	reversed *stripe.Fact // it failed, or was taken back
	certain  bool         // no release of an authorisation
	released bool         // a release of an authorisation, or of what a platform passed on: no refund
	payment  *payment     // nil: it belongs to an invoice
	charge   string       // as far as it is known
	total    int64        // what it adds to its charge's refunded total, negative, in the total's currency
}

// bookMoneyOut books every refund, reversal and dispute of a group, and for each charge what its
// refunded totals say beyond them.
func (b *books) bookMoneyOut(g *group) {
	refunds := b.refunds(g)
	for _, r := range refunds {
		for _, f := range []*stripe.Fact{r.booked, r.reversed} {
			if f == nil {
				continue
			}
			sale := b.saleOf(r.payment, f)
			e := b.entry(g, sale, f, r.id, f.Kind, "")
			if !r.released {
				e.Amount = f.Amount
			}
			b.moveOut(e, r.payment.failureOf(r.charge), f.Kind+r.id)
		}
	}
	for _, id := range sortedKeys(g.payments) {
		b.bookFigures(g, g.payments[id], refunds)
	}
	b.bookDisputes(g)
}

// moveOut books money that goes back of a sale; failed is as in pool. Its credit and its buyer are
// those of the sale, and it has its share of the tax.
func (b *books) moveOut(e Entry, failed, id string) {
	s := b.sale(e.SaleID)
	if e.MatchRule != "none" {
		e.MatchRule, e.MatchKey = "sale", e.SaleID
	}
	e.CustomerID = cmp.Or(e.CustomerID, s.customer)
	e.ExternalCustomerID, e.SubscriptionID = s.external, s.subscription
	b.entries = append(b.entries, e)
	s.out = append(s.out, moneyOut{len(b.entries) - 1, id, failed})
}

// saleOf returns the sale of a movement: its payment's, else the invoice that it names.
func (b *books) saleOf(p *payment, f *stripe.Fact) string {
	if p != nil {
		return p.sale()
	}
	if f.ParentID != "" {
		return f.ParentID
	}
	return f.ObjectID
}

// refunds lists the refund objects of a group in order of their ids.
func (b *books) refunds(g *group) []*refund {
	byID := map[string]*refund{}
	for _, f := range g.movements {
		if f.Kind != stripe.Refund && f.Kind != stripe.RefundReversal {
			continue
		}
		r := byID[f.ObjectID]
		if r == nil {
			r = &refund{id: f.ObjectID}
			byID[f.ObjectID] = r
		}
		r.certain = r.certain || f.Certain
		which := &r.booked
		if f.Kind == stripe.RefundReversal {
			which = &r.reversed
		}
		if *which == nil || compareFacts(f, *which) < 0 {
			*which = f
		}
		if f.ParentID != "" && class(f.ParentID) != classInvoice {
			r.payment = g.payments[b.paymentOf(identity.New(identity.Object, f.ParentID))]
			if class(f.ParentID) == classCharge {
				r.charge = smaller(r.charge, f.ParentID)
			}
		}
	}
	list := make([]*refund, 0, len(byID))
	for _, id := range sortedKeys(byID) {
		if r := byID[id]; r.booked != nil {
			r.total = r.booked.Amount
			if r.payment != nil {
				r.total = r.payment.inTotals(r.booked)
			}
			list = append(list, r)
		}
	}
	slices.SortStableFunc(list, func(a, b *refund) int {
		return cmp.Or(a.booked.OccurredAt.Compare(b.booked.OccurredAt), cmp.Compare(a.id, b.id))
	})
	for _, r := range list {
		r.released = r.payment != nil && r.payment.passedOn
	}
	for _, id := range sortedKeys(g.payments) {
		g.payments[id].findReleases(list)
	}
	return list
}

// inTotals returns the amount of a refund in the currency of the charge's refunded totals: one in
// the currency that the buyer saw is its share of the payment.
func (p *payment) inTotals(f *stripe.Fact) int64 {
	if len(p.charged) == 0 || p.charged[0].Currency == f.Currency {
		return f.Amount
	}
	seen := best(p.facts, func(x *stripe.Fact) bool { return x.Kind == stripe.Presented && x.Currency == f.Currency })
	if seen == nil {
		return f.Amount
	}
	return stripe.Share(f.Amount, p.amount, seen.Amount)
}

// released returns how much of what was authorised of a payment was not captured, and whether
// nothing was.
func (p *payment) released() (release int64, all bool) {
	var authorized, captured int64
	currency := ""
	for _, f := range p.facts {
		if f.Kind == stripe.Authorization {
			authorized, captured, currency = max(authorized, f.Amount), max(captured, f.Captured), f.Currency
		}
	}
	if authorized == 0 {
		return 0, false
	}
	if p.source != nil && p.currency == currency {
		captured = max(captured, p.amount)
	}
	for _, f := range p.charged {
		captured = max(captured, f.Captured)
		if f.Captured == stripe.UnknownAmount && captured == 0 {
			return 0, false // it was captured, and nobody says how much of it
		}
	}
	return max(0, authorized-captured), captured == 0
}

// findReleases marks the refund objects of a payment that are the release of its authorisation, as
// Stripe made them until API basil: all, where nothing was captured; else, of those that are as
// large as what was not captured, the one that was made nearest to the last capture.
//
// The version of an event is its endpoint's, and Stripe goes by that of the request that captured:
// an event of a newer version may be of a release all the same, if it was made with the capture.
func (p *payment) findReleases(refunds []*refund) {
	release, all := p.released()
	if release == 0 {
		return
	}
	var found *refund
	last, known := p.lastCapture()
	for _, r := range refunds {
		away := r.booked.OccurredAt.Sub(last).Abs()
		switch {
		case r.payment != p:
		case all:
			r.released = true
		case r.certain && (!known || away > withCapture):
		case -r.booked.Amount == release && (found == nil || away < found.booked.OccurredAt.Sub(last).Abs()):
			found = r
		}
	}
	if found != nil {
		found.released = true
	}
}

// withCapture is how near to a capture the release of the rest is made.
const withCapture = time.Minute

// lastCapture returns when all that was captured of a payment was, as far as its events say, and
// whether an event of the capture says so. What is left is released then. An event of a refund
// knows how much was captured, and not when.
func (p *payment) lastCapture() (at time.Time, known bool) {
	var most int64
	captures := func(f *stripe.Fact) bool {
		return f.Kind == stripe.Payment && (f.Source == stripe.FromCharge || f.Source == stripe.FromPaymentIntent)
	}
	for _, f := range p.facts {
		captured := f.Captured
		if captures(f) {
			captured = f.Amount
		}
		if captured > most || captured == most && f.CreatedAt.Before(at) {
			most, at = captured, f.CreatedAt
		}
	}
	return at, slices.ContainsFunc(p.facts, func(f *stripe.Fact) bool {
		return captures(f) && f.Amount == most && f.CreatedAt.Sub(at) <= withCapture
	})
}

// figure is the refunded total of a charge that one event states.
type figure struct {
	fact   *stripe.Fact
	amount int64
	failed bool // the payment had failed by then: all of it went back
	void   bool // an attempt failed before the payment was made, which took nothing back
}

// key distinguishes the figures of a charge. It has the total as Stripe wrote it, because how much
// of it was released may become known later. It has the second of the event too: a total returns to
// an earlier figure when a refund fails, and both days count.
func (f figure) key() string {
	return fmt.Sprintf("%d@%d", f.fact.Amount, f.fact.CreatedAt.Unix())
}

// figures returns the refunded totals of a charge in order of time. What was released of the
// authorisation is no refund, but is in every total from the last capture on. A total of an API
// version without refund objects includes it too, if an event of the capture states that amount
// (see findReleases).
func (p *payment) figures(charge string) []figure {
	release, _ := p.released()
	last, known := p.lastCapture()
	included := known && release > 0 && slices.ContainsFunc(p.charged, func(f *stripe.Fact) bool {
		return f.ObjectID == charge && f.Amount == release && f.CreatedAt.Sub(last).Abs() <= withCapture
	})
	var list []figure
	for _, f := range p.charged {
		if f.ObjectID != charge {
			continue
		}
		amount := f.Amount
		if (!f.Certain || included) && amount >= release && !f.CreatedAt.Before(last.Add(-withCapture)) {
			amount -= release
		}
		list = append(list, figure{fact: f, amount: amount})
	}
	for _, f := range p.failed {
		if f.ObjectID == charge && p.source != nil {
			back := p.takenBack(f)
			if back > 0 && f.Currency != p.currency {
				back = f.Amount // in the currency that the buyer saw
			}
			list = append(list, figure{fact: f, amount: back, failed: back > 0, void: back == 0})
		}
	}
	slices.SortFunc(list, func(a, b figure) int {
		return cmp.Or(
			a.fact.CreatedAt.Compare(b.fact.CreatedAt),
			cmp.Compare(a.amount, b.amount),
			compareFacts(a.fact, b.fact),
		)
	})
	for n := 1; n < len(list); n++ { // nothing is refunded of a payment that has failed
		if list[n-1].failed {
			list[n].amount, list[n].failed = list[n-1].amount, true
		}
	}
	return list
}

// bookFigures books what the refunded totals of a payment's charges say beyond its refund objects:
// for each total one refund, of what was refunded since the total before it, and one reversal, of
// what is less than before because a refund failed. Both are written for every total, for whoever
// knows less may have booked them.
func (b *books) bookFigures(g *group, p *payment, refunds []*refund) {
	charges := map[string]bool{}
	for _, f := range slices.Concat(p.charged, p.failed) {
		charges[f.ObjectID] = true
	}
	for _, charge := range sortedKeys(charges) {
		figures := p.figures(charge)
		own := slices.DeleteFunc(slices.Clone(refunds), func(r *refund) bool {
			return r.payment != p || r.charge != charge && (r.charge != "" || len(charges) > 1 ||
				p.failureOf("") != p.failureOf(charge)) // what was paid again is given back, not what failed
		})
		if len(own) == 0 && !slices.ContainsFunc(figures, func(f figure) bool { return f.fact.Amount > 0 }) {
			continue // nothing was ever booked for it
		}
		own = slices.DeleteFunc(own, func(r *refund) bool { return r.released })
		steps := map[string]*step{}
		var order []string
		var before int64
		for _, f := range figures {
			key := f.key()
			s := steps[key]
			if s == nil {
				s = &step{fact: f.fact}
				steps[key], order = s, append(order, key)
			}
			if f.void {
				continue
			}
			unexplained := f.unexplained(own)
			s.refunded += max(0, unexplained-before)
			s.reversed += max(0, before-unexplained)
			before = unexplained
		}
		for _, key := range order {
			s := steps[key]
			e := b.entry(g, p.sale(), s.fact, charge, stripe.Refund, key)
			e.Amount = -s.refunded
			b.moveOut(e, p.failureOf(charge), stripe.Refund+charge+key)
			e = b.entry(g, p.sale(), s.fact, charge, stripe.RefundReversal, key)
			e.Amount = s.reversed
			b.moveOut(e, p.failureOf(charge), stripe.RefundReversal+charge+key)
		}
	}
}

// step is what was refunded, or reversed, between two refunded totals of a charge.
type step struct {
	fact               *stripe.Fact // that said so first
	refunded, reversed int64
}

// clockSkew is how much later than an event whose total includes it a refund may seem to have been
// made, because the two times are of different clocks.
const clockSkew = 5 * time.Second

// unexplained returns what of a refunded total the refund objects of that time do not explain. It
// is negative where they are more than the total: one of them failed, and no event says which.
//
// Refunds of the event's own second, or a little later by another clock, explain it only where they
// fit: whether the total includes them does not follow from the times. A refund that is known to
// have failed by then is not included; where the total is too small, those that failed later are
// taken out too, for the event of a failure may be a little late. A payment that failed went back
// once, whenever its refund was made.
func (f figure) unexplained(refunds []*refund) int64 {
	at, left := f.fact.CreatedAt, f.amount
	var failedLater []*refund
	for _, r := range refunds {
		switch {
		case !f.failed && !r.booked.OccurredAt.Before(at), r.reversed != nil && r.reversed.OccurredAt.Before(at):
		case r.reversed != nil:
			failedLater = append(failedLater, r)
			left += r.total
		default:
			left += r.total
		}
	}
	slices.SortStableFunc(
		failedLater,
		func(a, b *refund) int { return a.reversed.OccurredAt.Compare(b.reversed.OccurredAt) },
	)
	for _, r := range failedLater {
		if left >= 0 {
			break
		}
		left -= r.total
	}
	for _, r := range refunds {
		if made := r.booked.OccurredAt; !f.failed && !made.Before(at) && !made.After(at.Add(clockSkew)) &&
			left+r.total >= 0 {
			left += r.total
		}
	}
	return left
}

// bookDisputes books each balance transaction of a dispute, and what the dispute claims where no
// transaction is known.
func (b *books) bookDisputes(g *group) {
	type key struct{ kind, dispute, transaction string }
	byKey := map[key]*stripe.Fact{}
	known := map[key]bool{} // by kind and dispute
	var order []key
	for _, f := range g.movements {
		if f.Kind != stripe.Dispute && f.Kind != stripe.DisputeReversal {
			continue
		}
		k := key{f.Kind, f.ObjectID, f.TransactionID}
		switch top := byKey[k]; {
		case top == nil:
			order = append(order, k)
			byKey[k] = f
		case f.OccurredAt.Before(top.OccurredAt) || f.OccurredAt.Equal(top.OccurredAt) && compareFacts(f, top) < 0:
			byKey[k] = f
		}
		if f.TransactionID != "" {
			known[key{f.Kind, f.ObjectID, ""}] = true
		}
	}
	slices.SortFunc(order, func(a, b key) int {
		return cmp.Or(
			cmp.Compare(a.kind, b.kind),
			cmp.Compare(a.dispute, b.dispute),
			cmp.Compare(a.transaction, b.transaction),
		)
	})
	for _, k := range order {
		f := byKey[k]
		var p *payment
		charge := ""
		if f.ParentID != "" {
			p = g.payments[b.paymentOf(identity.New(identity.Object, f.ParentID))]
			if class(f.ParentID) == classCharge {
				charge = f.ParentID
			}
		}
		e := b.entry(g, b.saleOf(p, f), f, k.dispute, k.kind, k.transaction)
		e.transaction = k.transaction
		if k.transaction != "" || !known[key{k.kind, k.dispute, ""}] {
			e.Amount = f.Amount
		}
		b.moveOut(e, p.failureOf(charge), k.kind+k.dispute+k.transaction)
	}
}

// shareTax gives every movement of a sale its share of the sale's tax, which Stripe does not say:
// in order of time, the share of all that went back by then, less the shares of the movements
// before it. So they add up to the sale's tax, to the last cent, when all of it went back. What was
// paid beyond the total has no tax of it, and goes back first. In another currency than the sale's
// there is none, unless it is the one that the buyer saw. What goes back of a payment that failed
// has that payment's own tax. A refund of a credit note has the tax that the note states, and all
// others share what that leaves.
func (b *books) shareTax(s *sale, notes map[string][]*stripe.Fact) {
	slices.SortFunc(s.out, func(x, y moneyOut) int {
		e, f := &b.entries[x.index], &b.entries[y.index]
		return cmp.Or(
			e.OccurredAt.Compare(f.OccurredAt),
			boolOrder(e.Amount < 0, f.Amount < 0),
			cmp.Compare(x.id, y.id),
		)
	})
	stated := b.takeStatedTax(s, notes)
	back := map[pool]int64{}
	for _, m := range s.out {
		e := &b.entries[m.index]
		of := pool{e.Currency, m.failed}
		p, left := s.paid[of], e.Amount
		for _, a := range s.applied[m.index] {
			if statesTax(a.note, e) {
				left -= a.amount
			}
		}
		if p == nil || p.tax == 0 || left == 0 {
			continue
		}
		before := back[of]
		back[of] = before - left
		tax, due := p.tax-min(stated[of].tax, p.tax), max(0, p.amount-p.beyond-stated[of].amount)
		share := func(went int64) int64 { return stripe.Share(tax, min(max(went-p.beyond, 0), due), due) }
		e.Tax, e.TaxDerived = e.Tax+share(before)-share(before-left), true
	}
}

// statesTax reports whether a credit note that an entry applies to states its tax.
func statesTax(note *stripe.Fact, e *Entry) bool {
	return note.Total > 0 && note.Currency == e.Currency
}

// takeStatedTax gives each refund of a credit note, in order of time, its share of the tax that the
// note states. Together they never take more tax than was paid, if that is known. It returns what
// they took.
func (b *books) takeStatedTax(s *sale, notes map[string][]*stripe.Fact) map[pool]paid {
	if len(notes) == 0 {
		return nil
	}
	taken := map[pool]paid{}
	went := map[string]int64{} // by note
	s.applied = map[int][]applied{}
	for _, m := range s.out {
		e := &b.entries[m.index]
		of := pool{e.Currency, m.failed}
		list := apply(e, notes[e.ObjectID])
		if len(list) == 0 {
			continue
		}
		s.applied[m.index] = list
		p := s.paid[of]
		switch {
		case p == nil && len(s.paid) > 0:
			continue // in another currency than what was paid
		case p == nil:
			p = &paid{tax: math.MaxInt64} // nothing is known of that
		}
		for n := range list {
			a := &list[n]
			if !statesTax(a.note, e) {
				continue
			}
			before := went[a.note.TransactionID]
			went[a.note.TransactionID] = before - a.amount
			share := func(went int64) int64 {
				return stripe.Share(a.note.Tax, min(max(went, 0), a.note.Total), a.note.Total)
			}
			was, all := taken[of], taken[of]
			all.amount -= a.amount
			all.tax += share(before-a.amount) - share(before)
			a.tax = min(was.tax, p.tax) - min(all.tax, p.tax)
			e.Tax += a.tax
			taken[of] = all
		}
	}
	return taken
}
