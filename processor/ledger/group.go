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
	notes     []*stripe.Fact            // what credit notes say
	credited  map[string][]*stripe.Fact // by refund: what the credit notes say that it applies to
	detached  map[string]*stripe.Fact   // by invoice payment: that it was taken off its invoice
	search    *join.Search
	credit    *credit           // nil: not asked for yet
	apart     map[string]*group // by payment and invoice: parts of it that are sales of their own; most: nil
	joined    *group            // by assumed links: the one that stands for all of them
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
	for _, i := range g.invoices {
		if i.read(); i.source != nil {
			i.customer = k.buyer(i.source.CustomerID)
		}
	}
	g.applyNotes()
	k.link(g)
	for _, p := range g.payments {
		p.read()
		p.customer = k.buyer(p.customer)
	}
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
		i := g.invoice(f.ObjectID)
		i.facts = append(i.facts, f)
	case f.Kind == stripe.Payment || f.Kind == stripe.Presented || f.Kind == stripe.Authorization:
		if f.Source == stripe.FromInvoicePayment && f.ParentID != "" {
			id = cmp.Or(k.paymentOf(identity.New(identity.Object, f.ParentID)), f.ParentID)
		}
		if id != "" {
			p := g.payment(id)
			p.facts = append(p.facts, f)
		}
		if f.Source == stripe.FromSession && (f.Kind == stripe.Payment || id == "") {
			k.placeSession(g, f, id)
		}
	case f.Kind == stripe.Detached:
		if g.detached == nil {
			g.detached = map[string]*stripe.Fact{}
		}
		if known := g.detached[f.ObjectID]; known == nil || compareFacts(f, known) < 0 {
			g.detached[f.ObjectID] = f
		}
	case f.Kind == stripe.Transferred:
		g.payment(cmp.Or(id, f.ObjectID)).passedOn = true
	case f.Kind == stripe.Begun && f.Source == stripe.FromInvoice:
		g.invoice(f.ObjectID).begun = append(g.invoice(f.ObjectID).begun, f.OccurredAt)
	case f.Kind == stripe.Begun:
		p := g.payment(cmp.Or(id, f.ObjectID))
		p.begun = append(p.begun, f)
	case f.Kind == stripe.Credited:
		g.notes = append(g.notes, f)
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
		i = &invoice{id: id, due: stripe.UnknownAmount, noted: stripe.UnknownAmount, group: g}
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
		for _, f := range p.facts {
			if f.InvoiceID != "" {
				tie(g.invoice(f.InvoiceID), p.id)
			}
		}
		slices.SortFunc(p.invoices, func(a, b *invoice) int { return cmp.Compare(a.id, b.id) })
	}
	k.attach(g)
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
			// A session may be days before its payment.
			if f.Kind == stripe.Payment && f.Amount != 0 && !p.attachedBefore(f) {
				widen(f.OccurredAt)
			}
		}
	}
	for _, i := range g.invoices {
		for _, f := range i.facts {
			// An invoice may be issued a month before it is paid, or paid by what was taken off it since.
			if f.Amount != 0 && (len(i.left) == 0 || f.Amount > i.gone(f.CreatedAt)) {
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
