package recompute

import (
	"context"
	"slices"

	"golang.org/x/sync/errgroup"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
)

// Reader is what the evidence of a sale is loaded from; clickhouse.Store is the real one. An error
// is never an empty answer.
type Reader interface {
	Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error)
	Clicks(ctx context.Context, workspace string, nodes []identity.Node) (map[identity.Node]*join.Click, error)
	// OfCatalogue returns what the operator's catalogue says of links and affiliates.
	OfCatalogue(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
}

// Load looks up what bears on about, which are sales, movements and leads of one workspace. Rates
// and policies are left to the caller. The names are asked of edges, which may remember what it was
// asked before (identity.Remember).
func Load(
	ctx context.Context,
	store Reader,
	workspace string,
	edges identity.Edges,
	about []identity.Node,
) (*ledger.Evidence, error) {
	graph, err := identity.Explore(ctx, edges, workspace, about)
	if err != nil {
		return nil, err
	}
	k := &ledger.Evidence{Workspace: workspace, Graph: graph}
	members, err := nearby(ctx, edges, k, about)
	if err != nil {
		return nil, err
	}
	objects := make([]string, len(members))
	for i, n := range members {
		objects[i] = n.Value()
	}
	var found evidentClicks
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) { found, err = clicks(lctx, store, workspace, graph.Clicks()); return err })
	lookups.Go(func() error {
		facts, err := store.Facts(lctx, workspace, objects)
		k.Facts = bySubject(facts)
		return err
	})
	if err := lookups.Wait(); err != nil {
		return nil, err
	}
	k.Clicks = found.clicks
	found.addTo(graph)
	return k, nil
}

// bySubject sorts facts, which come by object, by what they are about.
func bySubject(facts map[string][]stripe.Fact) map[identity.Node][]stripe.Fact {
	sorted := make(map[identity.Node][]stripe.Fact, len(facts))
	for _, list := range facts {
		for len(list) > 0 { // those of one subject lie beside each other, nearly always all
			n, typ, same := list[0].Subject(), list[0].SubjectType(), 1
			for same < len(list) && list[same].SubjectType() == typ {
				same++
			}
			if sorted[n] == nil {
				sorted[n] = list[:same:same]
			} else {
				sorted[n] = append(sorted[n], list[:same]...)
			}
			list = list[same:]
		}
	}
	return sorted
}

// nearby lets the evidence know the names of all payments and invoices that may bear on the sales
// in about. It returns the objects of all of them.
func nearby(
	ctx context.Context,
	edges identity.Edges,
	k *ledger.Evidence,
	about []identity.Node,
) ([]identity.Node, error) {
	lookUp := func(hours []identity.Node) error {
		var fresh []identity.Node
		for _, h := range hours {
			if _, known := k.Hours[h]; !known {
				k.Hours[h] = nil
				fresh = append(fresh, h)
			}
		}
		if len(fresh) == 0 {
			return nil
		}
		found, err := edges(ctx, k.Workspace, fresh)
		if err != nil {
			return err
		}
		var objects []identity.Node
		for _, e := range found {
			k.Hours[e.A] = append(k.Hours[e.A], e.B)
			objects = append(objects, e.B)
		}
		return k.Graph.Explore(ctx, edges, k.Workspace, objects)
	}
	// One question for the hours of all sales, before each is looked at on its own.
	sales := slices.DeleteFunc(slices.Clone(about), func(n identity.Node) bool { return n.Type() == identity.Lead })
	all := k.Graph.Objects()
	hours := k.HoursNear(all)
	k.Hours = make(map[identity.Node][]identity.Node, len(hours))
	if err := lookUp(hours); err != nil {
		return nil, err
	}
	walked := make(map[identity.Node]bool, len(all)) // false: from another sale, and not to its end
	members := make([]identity.Node, 0, len(all))
	for _, n := range sales {
		if walked[n] {
			continue
		}
		groups, near, err := k.Near(n, lookUp, 4*ledger.MostNear)
		if err != nil {
			return nil, err
		}
		toEnd := near <= 4*ledger.MostNear // which is the end from each of them
		for _, group := range groups {
			for _, member := range group {
				before, seen := walked[member]
				if walked[member] = before || toEnd; !seen {
					members = append(members, member)
				}
			}
		}
	}
	return members, nil
}

// evidentClicks are clicks, and what the operator's catalogue says of them: whose their links are,
// and in which programmes their affiliates.
type evidentClicks struct {
	clicks map[identity.Node]*join.Click
	said   map[identity.Node][]identity.Edge // by the link or affiliate
}

// lookUpClicks looks the clicks among nodes up, and what the catalogue says of them.
func lookUpClicks(ctx context.Context, store Reader, workspace string, nodes []identity.Node) (evidentClicks, error) {
	clicks, err := store.Clicks(ctx, workspace, nodes)
	c := evidentClicks{clicks, make(map[identity.Node][]identity.Edge)}
	if err != nil {
		return c, err
	}
	return c, c.eachName(func(names []identity.Node) error {
		edges, err := store.OfCatalogue(ctx, workspace, names)
		for _, e := range edges {
			c.said[e.A] = append(c.said[e.A], e)
		}
		return err
	})
}

// addTo adds to a graph what the catalogue says of the clicks.
func (c *evidentClicks) addTo(graph *identity.Graph) {
	_ = c.eachName(func(names []identity.Node) error {
		for _, n := range names {
			graph.Add(c.said[n])
		}
		return nil
	})
}

// eachName calls one for the names of the clicks in a catalogue, and then for the affiliates whose
// their links are, if one has put into said whose they are. It calls it once for each name.
func (c *evidentClicks) eachName(one func(names []identity.Node) error) error {
	seen := make(map[identity.Node]bool)
	var names []identity.Node
	add := func(n identity.Node) {
		if !seen[n] {
			seen[n], names = true, append(names, n)
		}
	}
	for _, click := range c.clicks {
		if n, ok := click.CatalogueName(); ok {
			add(n)
		}
	}
	for len(names) > 0 {
		these := names
		names = nil
		if err := one(these); err != nil {
			return err
		}
		for _, n := range these {
			for _, e := range c.said[n] {
				if e.B.Type() == identity.Affiliate {
					add(e.B)
				}
			}
		}
	}
	return nil
}
