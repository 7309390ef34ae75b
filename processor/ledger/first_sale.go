package ledger

import (
	"slices"

	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// AppendFirstSales appends edges that say when a buyer paid. The earliest of them is the first
// sale, from which the attribution window of all later ones is measured. An invoice or session that
// is not paid, which is a fact of the amount 0, is none.
func AppendFirstSales(edges []identity.Edge, f *stripe.Fact) []identity.Edge {
	if f.Kind != stripe.Payment || f.Amount == 0 {
		return edges
	}
	buyers := [...]struct{ typ, value string }{
		{identity.Customer, f.CustomerID}, {identity.Subscription, f.SubscriptionID}, {identity.External, f.ExternalID},
	}
	for _, buyer := range buyers {
		if buyer.value != "" {
			edges = append(edges, identity.Edge{
				A: identity.New(buyer.typ, buyer.value), B: identity.New(identity.FirstSale, buyer.value),
				Source: f.Source, At: f.OccurredAt,
			})
		}
	}
	return edges
}

// FirstSales returns those edges that no event says by itself, and that are not known yet. An
// invoice payment says when a part of an invoice was paid, and not by whom; events of the invoice
// say who owes it, perhaps long before the last part is paid.
func (k *Evidence) FirstSales() []identity.Edge {
	var paid []*stripe.Fact
	for _, facts := range k.Facts {
		for i := range facts {
			if facts[i].Source == stripe.FromInvoicePayment {
				paid = append(paid, &facts[i])
			}
		}
	}
	slices.SortFunc(paid, compareFacts)
	var fresh []identity.Edge
	for _, part := range paid {
		owed := k.Facts[identity.New(identity.Object, part.InvoiceID)]
		for i := range owed {
			of := &owed[i]
			if of.Source != stripe.FromInvoice || of.Account != part.Account || of.Livemode != part.Livemode {
				continue
			}
			f := *part
			f.CustomerID, f.SubscriptionID, f.ExternalID = of.CustomerID, of.SubscriptionID, of.ExternalID
			edges := AppendFirstSales(nil, &f)
			if !f.Livemode {
				edges = identity.TestMode(edges)
			}
			fresh = append(fresh, slices.DeleteFunc(edges, k.knows)...)
		}
	}
	return fresh
}

// knows reports whether the evidence has an edge, with the same time or an earlier one.
func (k *Evidence) knows(e identity.Edge) bool {
	return slices.ContainsFunc(k.Graph.From(e.A), func(known identity.Edge) bool {
		return known.B == e.B && !known.At.After(e.At)
	})
}
