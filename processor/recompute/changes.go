package recompute

import (
	"context"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
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
// It is safe against a crash, because an edge is marked as carried only after its sales were booked
// (marks.go): killed between storing and booking, the record is read again and the edge is still
// fresh. A sale that is stored later looks the edge up itself.
func (r *Recomputer) fresh(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	type ends struct{ a, b identity.Node }
	places := make(map[ends]int, len(edges)) // in earliest
	earliest := make([]identity.Edge, 0, len(edges))
	for _, e := range edges {
		k := ends{e.A, e.B}
		place, twice := places[k]
		switch {
		case !twice:
			places[k] = len(earliest)
			earliest = append(earliest, e)
		case e.At.Before(earliest[place].At):
			earliest[place] = e
		}
	}
	var shared []identity.Edge
	known := make(map[int]bool)
	for place, e := range earliest {
		switch {
		case !sharesName(e):
		case r.marks.has(workspace, e):
			known[place] = true
		default:
			shared = append(shared, e)
		}
	}
	if len(shared) > 0 {
		carried, err := r.cfg.Store.Carried(ctx, workspace, shared)
		if err != nil {
			return nil, err
		}
		for _, c := range carried {
			if place, ok := places[ends{c.A, c.B}]; ok && !earliest[place].At.Before(c.At) {
				known[place] = true
			}
		}
	}
	kept := earliest[:0]
	for place, e := range earliest {
		if !known[place] {
			kept = append(kept, e)
		}
	}
	return kept, nil
}

// changedBy returns the names from which new edges may be followed.
func changedBy(edges []identity.Edge) []identity.Node {
	changed := make([]identity.Node, 0, len(edges))
	for _, e := range edges {
		a, b := e.Changes()
		if a {
			changed = append(changed, e.A)
		}
		if b {
			changed = append(changed, e.B)
		}
	}
	return changed
}

// sharesName reports whether an edge may be followed from a name that many sales may share. Foreign
// click ids are not counted: there is one for every click, and its click is looked up anyway.
func sharesName(e identity.Edge) bool {
	shared := func(n identity.Node) bool { return !n.Standalone() && n.Type() != identity.Reference }
	a, b := e.Changes()
	return a && shared(e.A) || b && shared(e.B)
}

// carried returns the shared names among edges, marked: everything that they concern is booked. The
// mark is stored in one direction, that in which fresh asks for it. Whoever reports the edge the
// other way round does its work once more.
func carried(edges []clickhouse.EdgeRow) []clickhouse.EdgeRow {
	var marked []clickhouse.EdgeRow
	for _, e := range edges {
		if sharesName(e.Edge) {
			e.Carried, e.OneWay = true, true
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
