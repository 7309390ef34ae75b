package recompute

import (
	"context"
	"strings"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// Changes is what a batch says of one workspace.
type Changes struct {
	Edges   []identity.Edge
	Changed []identity.Node // what else something new is known about: clicks, and sales that have a new fact
}

// fresh drops the edges that ask for no work: names that are known already, and whose sales have
// all been booked with them. Without it every renewal would book all sales of its customer again,
// and every start of a processor all sales of every affiliate.
//
// It is safe against a crash, because an edge is marked as carried only after its sales were
// booked: killed between storing and booking, the record is read again and the edge is still fresh.
// A sale that is stored later looks the edge up itself.
func (r *Recomputer) fresh(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	type ends struct{ a, b identity.Node }
	earliest := make(map[ends]identity.Edge, len(edges))
	order := make([]ends, 0, len(edges))
	for _, e := range edges {
		k := ends{e.A, e.B}
		old, twice := earliest[k]
		if !twice {
			order = append(order, k)
		}
		if !twice || e.At.Before(old.At) {
			earliest[k] = e
		}
	}
	var shared []identity.Edge
	for _, k := range order {
		if sharesName(earliest[k]) {
			shared = append(shared, earliest[k])
		}
	}
	if len(shared) > 0 {
		carried, err := r.cfg.Store.Carried(ctx, workspace, shared)
		if err != nil {
			return nil, err
		}
		for _, c := range carried {
			k := ends{c.A, c.B}
			if e, ok := earliest[k]; ok && !e.At.Before(c.At) {
				delete(earliest, k)
			}
		}
	}
	kept := make([]identity.Edge, 0, len(earliest))
	for _, k := range order {
		if e, ok := earliest[k]; ok {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// sharesName tells whether an edge changes what is known of a name that many sales may share. A
// foreign click id does too, but there is one for every click, and its click is looked at anyway.
func sharesName(e identity.Edge) bool {
	for _, n := range e.Changes() {
		if !n.Standalone() && n.Type() != identity.Reference {
			return true
		}
	}
	return false
}

// carried gives the shared names among edges, marked: everything that they concern is booked.
func carried(edges []clickhouse.EdgeRow) []clickhouse.EdgeRow {
	var marked []clickhouse.EdgeRow
	for _, e := range edges {
		if sharesName(e.Edge) {
			e.Carried = true
			marked = append(marked, e)
		}
	}
	return marked
}

func rows(workspace string, edges []identity.Edge) []clickhouse.EdgeRow {
	list := make([]clickhouse.EdgeRow, len(edges))
	for i, e := range edges {
		list[i] = clickhouse.EdgeRow{Workspace: workspace, Edge: e}
	}
	return list
}

// Subject names what a fact is about. Refunds and disputes, and what they were settled at, are
// movements that belong to a payment; everything else stands for the payment itself.
func Subject(f stripe.Fact) identity.Node {
	switch strings.TrimPrefix(f.Kind, stripe.Settlement+"_") {
	case stripe.Refund, stripe.RefundReversal, stripe.Dispute, stripe.DisputeReversal:
		return identity.New(identity.Movement, f.ObjectID)
	}
	return identity.New(identity.Object, f.ObjectID)
}
