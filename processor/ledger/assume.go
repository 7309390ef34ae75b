package ledger

import (
	"cmp"
	"math"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// mostParts is of how many payments at most an invoice is assumed to consist, and for how many
// invoices one payment is assumed to be. mostCandidates is how many of them are tried.
const (
	mostParts      = 3
	mostCandidates = 12
)

// assume ties payments to invoices where no event does: since API basil neither a payment intent
// nor a charge names its invoice, and an endpoint without invoice_payment.paid is never told
// which. An invoice's remainder is then explained by payments
//
//   - of the same customer and currency,
//   - made from four hours before the invoice, or a part of it, was paid to one hour after it,
//   - that nothing else explains, and no invoice that any event names,
//   - that add up to the remainder exactly, the fewest that do: those of a session that awaits an
//     invoice before others, those nearer in time before others.
//
// Invoices are served in order of time: first all of them by payments without our keys, for the
// seller writes keys on sales of their own; then by what is left, for Checkout writes them also
// where it creates an invoice. What is left after that may be one payment for several invoices: of
// the payments without our keys, those that the remainders of two or three invoices add up to; of
// one that a credit note ties to an invoice, and no event says how much of it, what is beyond that
// invoice. And an invoice that only its session reports may have the one payment that was made with
// the session, whatever its amount. An invoice that says itself that it was paid outside Stripe is
// served by none. More evidence may undo all of it.
func (b *books) assume() {
	var invoices []*invoice
	var free, silent, beyond []*payment
	for _, g := range b.groups {
		for _, i := range g.invoices {
			outside := i.source != nil && i.source.Source == stripe.FromInvoice && i.source.Certain
			if i.remainder > 0 && !outside && i.customer != "" {
				invoices = append(invoices, i)
			}
		}
		for _, p := range g.payments {
			switch {
			case p.customer == "":
			case p.surplus() > 0:
				beyond = append(beyond, p)
			case !p.free:
			case p.silent:
				silent = append(silent, p)
			case p.source != nil:
				free = append(free, p)
			}
		}
	}
	if len(invoices) == 0 || len(free)+len(silent)+len(beyond) == 0 {
		return
	}
	slices.SortFunc(invoices, func(a, b *invoice) int {
		return cmp.Or(a.source.OccurredAt.Compare(b.source.OccurredAt), cmp.Compare(a.id, b.id))
	})
	for _, p := range free {
		p.ours = b.credited(p)
	}
	unkeyed := slices.DeleteFunc(slices.Clone(free), func(p *payment) bool { return p.ours && !p.awaits })
	serve(invoices, unkeyed)
	serve(invoices, free)
	serveTogether(invoices, unkeyed, 2, func(p *payment) int64 { return p.amount })
	serveTogether(invoices, beyond, 1, (*payment).surplus)
	serveSessions(invoices, unkeyed)
	b.assumeSilent(invoices, silent)
}

// serve explains the remainders of invoices, in their order, by free payments.
func serve(invoices []*invoice, free []*payment) {
	amount := func(p *payment) int64 { return p.amount }
	for _, i := range invoices {
		if i.remainder == 0 {
			continue
		}
		for _, p := range fewest(i.candidates(free), amount, 1, i.remainder) {
			i.take(p, p.amount)
		}
	}
}

// surplus returns what is left of a payment that one invoice is known to be paid by, when that
// invoice is paid: 0 where events state how much of it the payment paid.
func (p *payment) surplus() int64 {
	if len(p.invoices) != 1 || len(p.shares) > 0 || p.source == nil {
		return 0
	}
	i := p.invoices[0]
	if len(i.payments) > 1 || i.paid == 0 || p.currency != i.source.Currency {
		return 0
	}
	return p.amount - i.paid
}

// serveTogether looks for payments, the earliest first, whose amount is that of the remainders of
// invoices together, at least so many of them, and assigns it to them.
func serveTogether(invoices []*invoice, free []*payment, least int, amount func(*payment) int64) {
	slices.SortFunc(free, func(a, b *payment) int { return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.id, b.id)) })
	remainder := func(i *invoice) int64 { return i.remainder }
	for _, p := range free {
		var near []*invoice
		for _, i := range invoices {
			if i.remainder > 0 && i.mayBePaidBy(p) {
				near = append(near, i)
			}
		}
		near = near[:min(len(near), mostCandidates)]
		for _, i := range fewest(near, remainder, least, amount(p)) {
			i.take(p, i.remainder)
		}
	}
}

// withSession is how far from the completion of a session its payment is made.
const withSession = 10 * time.Minute

// serveSessions explains what a session asked for its invoice by the payment that was made with it,
// if there is only one: the customer's balance paid the rest, or was paid beside it.
func serveSessions(invoices []*invoice, free []*payment) {
	for _, i := range invoices {
		if i.remainder == 0 || i.source.Source != stripe.FromSession {
			continue
		}
		var made []*payment
		for _, p := range free {
			if i.mayBePaidBy(p) && p.at.Sub(i.source.OccurredAt).Abs() <= withSession {
				made = append(made, p)
			}
		}
		if len(made) == 1 {
			i.take(made[0], made[0].amount)
			i.remainder = 0
		}
	}
}

// mayBePaidBy reports whether a payment that nothing else explains may be of this invoice, by
// customer, currency and time.
func (i *invoice) mayBePaidBy(p *payment) bool {
	d := i.away(p.at)
	for _, a := range p.tried {
		if len(a.captures) > 0 {
			if of := i.away(earliest(a.captures)); of.Abs() < d.Abs() {
				d = of
			}
		}
	}
	return p.assumed == nil && p.customer == i.customer && p.currency == i.source.Currency &&
		d >= -identity.EarliestPayment && d <= identity.LatestPayment
}

// away returns how long a time lies after the report that something of the invoice is paid; it is
// negative before it. Each part of an invoice may have a report of its own: the nearest one counts.
func (i *invoice) away(at time.Time) time.Duration {
	d := at.Sub(i.source.OccurredAt)
	for _, f := range i.facts {
		if f.Amount != 0 && f.Source == i.source.Source && f.Currency == i.source.Currency {
			if of := at.Sub(f.OccurredAt); of.Abs() < d.Abs() {
				d = of
			}
		}
	}
	return d
}

// candidates lists the payments that may be a part of an invoice's remainder, best first.
func (i *invoice) candidates(free []*payment) []*payment {
	var near []*payment
	for _, p := range free {
		if p.amount <= i.remainder && i.mayBePaidBy(p) {
			near = append(near, p)
		}
	}
	slices.SortFunc(near, func(a, b *payment) int {
		return cmp.Or(
			boolOrder(a.awaits, b.awaits),
			boolOrder(!a.ours, !b.ours),
			cmp.Compare(i.away(a.at).Abs(), i.away(b.at).Abs()),
			cmp.Compare(a.id, b.id),
		)
	})
	return near[:min(len(near), mostCandidates)]
}

// boolOrder puts true first.
func boolOrder(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return -1
	}
	return 1
}

// fewest returns the first of the smallest sets of items, in their order, whose amounts add up to
// sum: of at least the given number of them, and at most mostParts.
func fewest[T any](from []T, amount func(T) int64, least int, sum int64) []T {
	for n := least; n <= mostParts; n++ {
		if found := combination(from, amount, n, sum); found != nil {
			return found
		}
	}
	return nil
}

func combination[T any](from []T, amount func(T) int64, n int, sum int64) []T {
	for i, x := range from {
		switch {
		case n == 1 && amount(x) == sum:
			return []T{x}
		case n > 1 && amount(x) < sum:
			if rest := combination(from[i+1:], amount, n-1, sum-amount(x)); rest != nil {
				return append([]T{x}, rest...)
			}
		}
	}
	return nil
}

// take lets a payment explain an amount of an invoice's remainder, and makes one sale of the two.
func (i *invoice) take(p *payment, amount int64) {
	p.assumed = append(p.assumed, i)
	if p.shares == nil {
		p.shares = map[string]int64{}
	}
	p.shares[i.id] = amount
	i.payments = append(i.payments, p)
	i.remainder -= amount
	i.join(p)
}

// join makes one sale of a payment's group and an invoice's.
func (i *invoice) join(p *payment) {
	if a, b := p.group.head(), i.group.head(); a != b {
		a.joined = b
	}
}

// assumeSilent ties charges that are only known by their refunds to the invoices of the same
// customer and currency that no payment explains: one of the same amount, or two or three that add
// up to it. Of several that fit, those nearest in time belong together: a charge is made when its
// invoice is finalised or paid. They book no payment, so the invoices' remainders stay, and their
// refunds are refunds of them.
func (b *books) assumeSilent(invoices []*invoice, silent []*payment) {
	type pair struct {
		p    *payment
		i    *invoice
		away time.Duration
	}
	var pairs []pair
	for _, p := range silent {
		near := b.near(p)
		for _, i := range invoices {
			if i.remainder == 0 || i.customer != p.customer || i.source.Currency != p.currency || !near[i.id] {
				continue
			}
			if away, possible := i.awayFromCharge(p); possible {
				pairs = append(pairs, pair{p, i, away})
			}
		}
	}
	slices.SortStableFunc(pairs, func(a, b pair) int { // of equal ones the invoice that was paid first
		return cmp.Or(cmp.Compare(a.away, b.away), cmp.Compare(a.p.id, b.p.id))
	})
	tie := func(p *payment, invoices ...*invoice) {
		p.assumed = invoices
		for _, i := range invoices {
			i.silent = p
			i.join(p)
		}
	}
	for _, x := range pairs {
		if x.p.assumed == nil && x.i.silent == nil && x.i.remainder == x.p.amount {
			tie(x.p, x.i)
		}
	}
	of := make(map[*payment][]*invoice, len(silent))
	var left []*payment // the nearest to an invoice first
	for _, x := range pairs {
		switch {
		case x.p.assumed != nil || x.i.silent != nil:
			continue
		case of[x.p] == nil:
			left = append(left, x.p)
		}
		of[x.p] = append(of[x.p], x.i)
	}
	for _, p := range left {
		near := slices.DeleteFunc(of[p], func(i *invoice) bool { return i.silent != nil })
		near = near[:min(len(near), mostCandidates)]
		tie(p, fewest(near, func(i *invoice) int64 { return i.remainder }, 2, p.amount)...)
	}
}

// awayFromCharge reports whether a charge, of which only the refunds are known, may have paid the
// invoice. away is the time between the charge and the nearest event of the invoice: it was
// finalised, or said that something was paid. A card is charged when the invoice is paid: if that
// is days after it was finalised, the first attempt failed, and a charge of that hour is another
// invoice's.
func (i *invoice) awayFromCharge(p *payment) (away time.Duration, possible bool) {
	away, possible = math.MaxInt64, len(p.begun) == 0
	for _, f := range p.begun {
		d := i.away(f.OccurredAt).Abs()
		if f.Certain && d > identity.EarliestPayment {
			continue
		}
		possible = true
		if away = min(away, d); !f.Certain {
			for _, finalized := range i.begun {
				away = min(away, f.OccurredAt.Sub(finalized).Abs())
			}
		}
	}
	return away, possible
}

// near returns the invoices of the hours near those in which a payment's charges were made.
func (b *books) near(p *payment) map[string]bool {
	near := map[string]bool{}
	for _, charge := range p.charges {
		for _, h := range b.HoursNear([]identity.Node{identity.New(identity.Object, charge)}) {
			for _, object := range b.Hours[h] {
				near[object.Value()] = true
			}
		}
	}
	return near
}
