package ledger

import (
	"cmp"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// share of an invoice's tax, shipping, discount and products, and of what was paid beyond its
// total.
type share struct {
	tax, shipping, discount, beyond int64
	products                        parts
}

// group is one group of objects that name each other.
type group struct {
	nodes     []identity.Node
	payments  map[string]*payment
	invoices  map[string]*invoice
	movements []*stripe.Fact            // refunds, reversals, disputes, and figures
	settled   map[string][]*stripe.Fact // what Stripe's balance says, by object
	credited  map[string]*stripe.Fact   // by refund: for which lines of its invoice it was made
	detached  map[string]time.Time      // when invoice payments were taken off their invoices
	search    *join.Search
	credit    *credit // nil: not asked for yet
	joined    *group  // by assumed links: the one that stands for all of them
}

func (g *group) head() *group {
	for g.joined != nil {
		g = g.joined
	}
	return g
}

// newGroup sorts the facts of one account and mode by payment and invoice.
func (k *Evidence) newGroup(nodes []identity.Node, of accountMode) *group {
	g := &group{
		nodes:    slices.Clone(nodes),
		payments: map[string]*payment{},
		invoices: map[string]*invoice{},
	}
	slices.Sort(g.nodes)
	for _, n := range g.nodes {
		typ, id := n.Split()
		object := n
		if typ != identity.Object {
			object = identity.New(identity.Object, id)
		}
		payment := k.paymentOf(object)
		facts := k.Facts[n]
		for i := range facts {
			if f := &facts[i]; (accountMode{f.Account, f.Livemode}) == of {
				k.place(g, f, payment)
			}
		}
		switch own := class(id); {
		case typ != identity.Object:
		case own == classInvoice:
			g.invoice(id)
		case own == classCharge && payment != "":
			p := g.payment(payment)
			p.charges = append(p.charges, id) // nodes are sorted
		case own != classInvoicePayment && payment != "":
			g.payment(payment)
		}
	}
	k.link(g)
	for _, p := range g.payments {
		p.read()
		p.customer, p.ours = k.buyer(p.customer), k.credited(p)
	}
	for _, i := range g.invoices {
		if i.read(); i.source != nil {
			i.customer = k.buyer(i.source.CustomerID)
		}
	}
	times := g.times()
	g.search = join.NewSearch(k.Graph, k.Clicks, g.nodes, times, k.Policies.At(times.First))
	return g
}

// credited reports whether an event named who is to be credited with a payment itself, and not only
// with its buyer: our keys are in its metadata. A promotion code may stand on anything.
func (k *Evidence) credited(p *payment) bool {
	named := func(id string) bool {
		for _, e := range k.Graph.From(identity.New(identity.Object, id)) {
			switch e.B.Type() {
			case identity.Click, identity.Reference, identity.External, identity.Affiliate:
				return true
			}
		}
		return false
	}
	return named(p.id) || slices.ContainsFunc(p.charges, named)
}

// place gives a fact to whom it is about. id is the payment that the fact's object belongs to, as
// paymentOf returns it.
func (k *Evidence) place(g *group, f *stripe.Fact, id string) {
	switch {
	case f.Kind == stripe.Payment && f.Source == stripe.FromInvoice:
		g.invoice(f.ObjectID).facts = append(g.invoice(f.ObjectID).facts, f)
	case f.Kind == stripe.Payment || f.Kind == stripe.Presented || f.Kind == stripe.Authorization:
		if f.Source == stripe.FromInvoicePayment && f.ParentID != "" {
			id = cmp.Or(k.paymentOf(identity.New(identity.Object, f.ParentID)), f.ParentID)
		}
		if id != "" {
			g.payment(id).facts = append(g.payment(id).facts, f)
		}
		if f.Source == stripe.FromSession && (f.Kind == stripe.Payment || id == "") {
			k.placeSession(g, f, id)
		}
	case f.Kind == stripe.Detached:
		if g.detached == nil {
			g.detached = map[string]time.Time{}
		}
		if at, known := g.detached[f.ObjectID]; !known || f.OccurredAt.Before(at) {
			g.detached[f.ObjectID] = f.OccurredAt
		}
	case f.Kind == stripe.Transferred:
		g.payment(cmp.Or(id, f.ObjectID)).passedOn = true
	case f.Kind == stripe.Begun && f.Source == stripe.FromInvoice:
		g.invoice(f.ObjectID).begun = append(g.invoice(f.ObjectID).begun, f.OccurredAt)
	case f.Kind == stripe.Begun:
		p := g.payment(cmp.Or(id, f.ObjectID))
		p.begun = append(p.begun, f)
	case f.Kind == stripe.Credited:
		if g.credited == nil {
			g.credited = map[string]*stripe.Fact{}
		}
		if known := g.credited[f.ObjectID]; known == nil || compareFacts(f, known) < 0 {
			g.credited[f.ObjectID] = f
		}
	case isSettlement(f.Kind):
		if g.settled == nil {
			g.settled = map[string][]*stripe.Fact{}
		}
		g.settled[f.ObjectID] = append(g.settled[f.ObjectID], f)
	default:
		if id != "" && f.Kind == stripe.RefundedTotal {
			g.payment(id).charged = append(g.payment(id).charged, f)
		} else if id != "" && f.Kind == stripe.Failed {
			g.payment(id).failed = append(g.payment(id).failed, f)
		}
		g.movements = append(g.movements, f)
	}
}

// placeSession gives a session's amount to the invoice that it names, or stands for.
func (k *Evidence) placeSession(g *group, f *stripe.Fact, payment string) {
	invoice := f.InvoiceID
	if payment == "" && invoice == "" {
		for _, e := range k.Graph.From(identity.New(identity.Object, f.ObjectID)) {
			if typ, id := e.B.Split(); typ == identity.Object && class(id) == classInvoice {
				invoice = smaller(invoice, id)
			}
		}
	}
	switch {
	case invoice == "":
	case f.Kind == stripe.Presented:
		g.invoice(invoice).presented = append(g.invoice(invoice).presented, f)
	default:
		g.invoice(invoice).facts = append(g.invoice(invoice).facts, f)
	}
}

func (g *group) payment(id string) *payment {
	p := g.payments[id]
	if p == nil {
		p = &payment{id: id, group: g}
		g.payments[id] = p
	}
	return p
}

func (g *group) invoice(id string) *invoice {
	i := g.invoices[id]
	if i == nil {
		i = &invoice{id: id, due: stripe.UnknownAmount, group: g}
		g.invoices[id] = i
	}
	return i
}

// link ties payments to the invoices that any event says they pay. A refund that a credit note of
// an invoice names ties its own payment to that invoice.
func (k *Evidence) link(g *group) {
	tie := func(i *invoice, payment string) {
		if p := g.payments[payment]; p != nil && !slices.Contains(p.invoices, i) {
			p.invoices = append(p.invoices, i)
			i.payments = append(i.payments, p)
		}
	}
	for _, id := range sortedKeys(g.invoices) {
		i := g.invoices[id]
		for _, e := range k.Graph.From(identity.New(identity.Object, id)) {
			switch e.B.Type() {
			case identity.Object:
				tie(i, k.paymentOf(e.B))
			case identity.Movement:
				for _, e := range k.Graph.From(e.B) {
					if e.B.Type() == identity.Object {
						tie(i, k.paymentOf(e.B))
					}
				}
			}
		}
	}
	for _, id := range sortedKeys(g.payments) {
		p := g.payments[id]
		var largest map[[2]string]int64 // by invoice payment: its event may come twice
		for _, f := range p.facts {
			if f.InvoiceID != "" {
				tie(g.invoice(f.InvoiceID), p.id)
			}
			if f.Source != stripe.FromInvoicePayment {
				continue
			}
			if largest == nil {
				largest = make(map[[2]string]int64)
			}
			key := [2]string{f.InvoiceID, f.ObjectID}
			largest[key] = max(largest[key], f.Amount)
		}
		g.share(p, largest)
		slices.SortFunc(p.invoices, func(a, b *invoice) int { return cmp.Compare(a.id, b.id) })
	}
	g.replace()
}

// replace makes a sale of its own of each payment that was taken off its only invoice, if another
// one has paid of that invoice since. What it moved stays with the seller.
func (g *group) replace() {
	if len(g.detached) == 0 {
		return
	}
	for _, id := range sortedKeys(g.payments) {
		p := g.payments[id]
		off, known := p.takenOff(g.detached)
		if !known || len(p.invoices) != 1 {
			continue
		}
		i := p.invoices[0]
		if !slices.ContainsFunc(i.payments, func(other *payment) bool { return other.paidAfter(i, off, g.detached) }) {
			continue
		}
		p.apart, p.shares = p.shares[i.id], nil
		i.detached += p.apart
		p.invoices = nil
		i.payments = slices.DeleteFunc(i.payments, func(other *payment) bool { return other == p })
	}
}

// takenOff returns when the last of the invoice payments of a payment was taken off its invoice,
// and reports whether all of them were.
func (p *payment) takenOff(detached map[string]time.Time) (at time.Time, all bool) {
	for _, f := range p.facts {
		if f.Source != stripe.FromInvoicePayment {
			continue
		}
		off, known := detached[f.ObjectID]
		if !known {
			return time.Time{}, false
		}
		if off.After(at) {
			at = off
		}
	}
	return at, !at.IsZero()
}

// paidAfter reports whether a payment has paid of an invoice after a time, and was not taken off.
func (p *payment) paidAfter(i *invoice, at time.Time, detached map[string]time.Time) bool {
	return slices.ContainsFunc(p.facts, func(f *stripe.Fact) bool {
		_, off := detached[f.ObjectID]
		return f.Source == stripe.FromInvoicePayment && f.InvoiceID == i.id && !off && f.OccurredAt.After(at)
	})
}

// share notes how much a payment paid of each invoice, by invoice and invoice payment. One that was
// taken off its invoice pays none of it once it pays another; until then it stays where it was,
// unless another payment takes its place (replace).
func (g *group) share(p *payment, paid map[[2]string]int64) {
	if len(paid) == 0 {
		return
	}
	p.shares = map[string]int64{}
	off := map[string]int64{}
	for key, amount := range paid {
		if _, detached := g.detached[key[1]]; detached {
			off[key[0]] += amount
		} else {
			p.shares[key[0]] += amount
		}
	}
	if len(p.shares) == 0 {
		p.shares = off
	}
	for id, amount := range off {
		if _, pays := p.shares[id]; !pays {
			p.shares[id] = 0
			g.invoice(id).detached += amount
		}
	}
}

// times of a group's payments, by all sources. A payment that is only known by its refunds was made
// when its charge was.
func (g *group) times() join.Times {
	var at join.Times
	widen := func(t time.Time) {
		if t.After(at.Last) {
			at.Last = t
		}
		if at.First.IsZero() || t.Before(at.First) {
			at.First = t
		}
	}
	for _, p := range g.payments {
		for _, f := range p.facts {
			if f.Kind == stripe.Payment && f.Amount != 0 { // a session may be days before its payment
				widen(f.OccurredAt)
			}
		}
	}
	for _, i := range g.invoices {
		for _, f := range i.facts {
			if f.Amount != 0 { // an invoice may be issued a month before it is paid
				widen(f.OccurredAt)
			}
		}
	}
	if !at.First.IsZero() {
		return at
	}
	for _, p := range g.payments {
		for _, f := range p.begun {
			widen(f.OccurredAt)
		}
	}
	return at
}
