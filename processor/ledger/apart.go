package ledger

import (
	"slices"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// of returns the part of a group that a payment or invoice belongs to, where the group is of
// several sales that have nothing in common any more; else the group.
func (g *group) of(id string) *group {
	if part := g.apart[id]; part != nil {
		return part
	}
	return g
}

// divideCredit finds who is credited with each sale of a group of which a payment was taken off its
// invoice, and belongs to it no more. Whoever brought the buyer to one of them did not bring them to
// the other, which may be of another subscription, or of before the click. A sale that names no buyer
// itself has the names of all together, at its own time. What a session says that made an invoice
// and its payment holds for both.
func (k *Evidence) divideCredit(g *group) {
	parts := g.parts()
	if parts == nil {
		return
	}
	for _, n := range g.nodes {
		if part := parts[k.saleNode(n)]; part != nil {
			part.nodes = append(part.nodes, n)
		}
	}
	g.apart = parts
	for _, part := range parts {
		if part.search == nil { // searched already by another of its ids
			part.search = k.searchPart(g, part)
		}
	}
}

// parts divides the payments and invoices of a group into those that still belong together, and
// returns the part of each by its id; nil if no payment was taken off an invoice. What is connected
// neither with such a payment nor with such an invoice is in no part.
func (g *group) parts() map[string]*group {
	var left []string // payments that were taken off an invoice
	for id, p := range g.payments {
		if len(p.former) > 0 {
			left = append(left, id)
		}
	}
	if len(left) == 0 {
		return nil
	}
	slices.Sort(left)
	parts := map[string]*group{}
	var collect func(part *group, id string)
	collect = func(part *group, id string) {
		if parts[id] != nil {
			return
		}
		parts[id] = part
		if p := g.payments[id]; p != nil {
			part.payments[id] = p
			for _, i := range p.invoices {
				collect(part, i.id)
			}
		}
		if i := g.invoices[id]; i != nil {
			part.invoices[id] = i
			for _, p := range i.payments {
				collect(part, p.id)
			}
		}
	}
	for _, former := range left {
		for _, i := range g.payments[former].former {
			for _, id := range []string{former, i.id} {
				collect(&group{payments: map[string]*payment{}, invoices: map[string]*invoice{}}, id)
			}
		}
	}
	return parts
}

// searchPart finds the candidates for a part of a group.
func (k *Evidence) searchPart(g, part *group) *join.Search {
	at := part.times()
	if at.First.IsZero() {
		at = g.times()
	}
	shared := part.ofSessions()
	if !k.namesBuyer(part.nodes) {
		shared = g.nodes
	}
	shared = slices.DeleteFunc(slices.Clone(shared),
		func(n identity.Node) bool { return slices.Contains(part.nodes, n) })
	return join.NewSearch(k.Graph, k.Clicks, part.nodes, at, k.Policies.At(at.First), shared...)
}

// attachedBefore reports whether a fact says nothing of a payment but that it was attached, perhaps
// days after it was made, to an invoice that it was taken off since.
func (p *payment) attachedBefore(f *stripe.Fact) bool {
	return f.Source == stripe.FromInvoicePayment && p.source != nil && p.source.Source != stripe.FromInvoicePayment &&
		slices.ContainsFunc(p.former, func(i *invoice) bool { return i.id == f.InvoiceID })
}

// ofSessions lists the invoices that sessions of a group's payments name, and which have the names
// that the sessions say.
func (g *group) ofSessions() []identity.Node {
	var list []identity.Node
	for _, p := range g.payments {
		for _, f := range p.facts {
			if f.Source == stripe.FromSession && f.InvoiceID != "" {
				list = append(list, identity.New(identity.Object, f.InvoiceID))
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

// divided reports whether a group, or one that is assumed to belong to it, is of several sales.
func (b *books) divided(of *group) bool {
	return slices.ContainsFunc(b.groups, func(g *group) bool { return g.apart != nil && g.head() == of.head() })
}

// selling lists the groups, or parts of them, whose payments and invoices are of a sale, and those
// that these are assumed to belong to.
func (b *books) selling(sale string) map[*group]bool {
	parts := map[*group]bool{}
	for _, g := range b.groups {
		for id, p := range g.payments {
			if p.sale() != sale {
				continue
			}
			parts[g.of(id)] = true
			for _, i := range p.assumed {
				parts[i.group.of(i.id)] = true
			}
		}
		for id, i := range g.invoices {
			if i.sale() != sale {
				continue
			}
			parts[g.of(id)] = true
			for _, p := range i.payments {
				parts[p.group.of(p.id)] = true
			}
		}
	}
	return parts
}

// saleNode returns the payment or invoice that an object, refund or dispute belongs to; empty for what
// only ties the two.
func (k *Evidence) saleNode(n identity.Node) string {
	typ, id := n.Split()
	if typ == identity.Object {
		if class(id) == classInvoice {
			return id
		}
		if payment := k.paymentOf(n); payment != "" {
			return payment
		}
	}
	invoice := ""
	for _, e := range k.Graph.From(n) {
		if typ, other := e.B.Split(); typ != identity.Object {
			continue
		} else if class(other) == classInvoice {
			invoice = smaller(invoice, other)
		} else if payment := k.paymentOf(e.B); payment != "" {
			return payment
		}
	}
	return invoice
}

// namesBuyer reports whether any of some names leads to a buyer.
func (k *Evidence) namesBuyer(nodes []identity.Node) bool {
	return slices.ContainsFunc(nodes, func(n identity.Node) bool {
		return slices.ContainsFunc(k.Graph.From(n), func(e identity.Edge) bool {
			return e.B.Type() == identity.Customer || e.B.Type() == identity.External
		})
	})
}
