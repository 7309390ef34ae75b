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

// Reader is what the evidence of a sale is loaded from; clickhouse.Store is the real one. An error is never an empty answer.
type Reader interface {
	Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error)
	Clicks(ctx context.Context, workspace string, nodes []identity.Node) (map[identity.Node]*join.Click, error)
}

// Load looks up what bears on about, which are sales, movements and leads of one workspace. Rates and policies are left to the
// caller. The names are asked of edges, which may remember what it was asked before (identity.Remember).
func Load(ctx context.Context, store Reader, workspace string, edges identity.Edges, about []identity.Node) (*ledger.Evidence, error) {
	graph, err := identity.Explore(ctx, edges, workspace, about)
	if err != nil {
		return nil, err
	}
	k := &ledger.Evidence{Workspace: workspace, Graph: graph}
	var objects []string
	seen := make(map[identity.Node]bool)
	for _, n := range about {
		if n.Type() == identity.Lead {
			continue
		}
		for _, member := range graph.Group(n) {
			if !seen[member] {
				seen[member] = true
				objects = append(objects, member.Value())
			}
		}
	}
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) { k.Clicks, err = store.Clicks(lctx, workspace, graph.Clicks()); return err })
	lookups.Go(func() (err error) { k.Facts, err = store.Facts(lctx, workspace, objects); return err })
	if err := lookups.Wait(); err != nil {
		return nil, err
	}
	return k, links(ctx, edges, k)
}

// links adds whose links the clicks came by that name no affiliate themselves.
func links(ctx context.Context, edges identity.Edges, k *ledger.Evidence) error {
	var nodes []identity.Node
	for _, c := range k.Clicks {
		if c.AffiliateID == "" && c.LinkID != "" {
			nodes = append(nodes, identity.New(identity.Link, c.LinkID))
		}
	}
	if len(nodes) == 0 {
		return nil
	}
	slices.Sort(nodes)
	owners, err := edges(ctx, k.Workspace, slices.Compact(nodes))
	if err != nil || len(owners) == 0 {
		return err
	}
	k.Graph.Add(owners)
	var affiliates []identity.Node
	for _, e := range owners {
		affiliates = append(affiliates, e.B)
	}
	slices.Sort(affiliates)
	programs, err := edges(ctx, k.Workspace, slices.Compact(affiliates))
	k.Graph.Add(programs)
	return err
}
