package recompute

import (
	"context"
	"fmt"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// Catalogue stores what an operator says, in a catalogue or as a correction, and recomputes the
// sales and leads that it may change. No name leads from a link or an affiliate to the sales of
// their clicks: the rows of these say so themselves.
//
// A sale that looked its click's link up before the edges were stored may be inserted only after
// the first of two passes asked for it; its batch is over within the pause. Where replicas lag, the
// first pass may also ask one that does not have the edges yet, as when the one that took them
// cannot be reached any more; the second pass comes when all have them, and so does the second look
// at what names lead to. Only then are the edges marked as carried, so that whatever is cut off in
// the middle is done again.
func (r *Recomputer) Catalogue(ctx context.Context, workspace string, edges []identity.Edge) error {
	fresh, err := r.fresh(ctx, workspace, edges)
	if err != nil {
		return err
	}
	names := changedBy(fresh)
	return r.evenIfKilled(ctx, workspace, names, func(ctx context.Context) error {
		return r.cfg.Store.InsertEdges(ctx, rows(workspace, fresh))
	}, func() error {
		for pass := range 2 {
			if pass > 0 && slices.ContainsFunc(names, creditsClicks) {
				select {
				case <-ctx.Done():
					return ctx.Err()
				case <-time.After(r.cfg.BatchTime + r.cfg.ReplicaLag):
				}
			}
			credited, err := r.creditedBy(ctx, workspace, names)
			if err != nil {
				return err
			}
			if err := r.Recompute(ctx, workspace, credited, nil); err != nil {
				return err
			}
		}
		batch := map[string]*Changes{workspace: {Edges: fresh}}
		if err := r.Apply(ctx, batch, func(context.Context) error { return nil }); err != nil {
			return err
		}
		return r.Finish(ctx)
	})
}

// creditsClicks reports whether entries are credited by what a name says of their click.
func creditsClicks(n identity.Node) bool {
	return n.Type() == identity.Link || n.Type() == identity.Affiliate
}

// creditedBy returns the sales and leads that are credited to clicks of the links and affiliates
// among names.
func (r *Recomputer) creditedBy(ctx context.Context, workspace string, names []identity.Node) ([]identity.Node, error) {
	var links, affiliates []string
	for _, n := range names {
		switch n.Type() {
		case identity.Link:
			links = append(links, n.Value())
		case identity.Affiliate:
			affiliates = append(affiliates, n.Value())
		}
	}
	if len(links)+len(affiliates) == 0 {
		return nil, nil
	}
	return r.cfg.Store.CreditedBy(ctx, workspace, links, affiliates)
}

// Settlements stores facts of Stripe's balance, as `processor reconcile` read them, and recomputes
// the sales that they convert. Facts that are stored already change nothing.
func (r *Recomputer) Settlements(ctx context.Context, workspace string, settlements []stripe.Fact) error {
	for chunk := range slices.Chunk(settlements, chunkSize) {
		facts, changed := make([]clickhouse.FactRow, len(chunk)), make([]identity.Node, len(chunk))
		for i, f := range chunk {
			facts[i], changed[i] = clickhouse.FactRow{Workspace: workspace, Fact: f}, f.Subject()
		}
		changed = unique(changed)
		err := r.evenIfKilled(ctx, workspace, changed, func(ctx context.Context) error {
			return r.cfg.Store.InsertFacts(ctx, facts)
		}, func() error {
			batch := map[string]*Changes{workspace: {Changed: changed}}
			if err := r.Apply(ctx, batch, func(context.Context) error { return nil }); err != nil {
				return err
			}
			return r.Finish(ctx)
		})
		if err != nil {
			return err
		}
	}
	return nil
}

// later is when Background begins with what a command has not done by then.
const later = 2 * time.Minute

// evenIfKilled calls store, which stores something new about names, and then book, which books what
// lies under them. Before that it asks Background for the same, a while later: a command that is
// killed in between would leave its sales to their next records. What Background finds must be all,
// so that store has half of the time only.
func (r *Recomputer) evenIfKilled(ctx context.Context, workspace string, names []identity.Node,
	store func(context.Context) error, book func() error,
) error {
	requests := requestsFor(workspace, names, later)
	if err := r.cfg.Store.InsertDeferred(ctx, requests); err != nil {
		return err
	}
	storing, cancel := context.WithTimeoutCause(ctx, later/2,
		fmt.Errorf("ClickHouse has not stored it within %s (hint: run the command again)", later/2))
	defer cancel()
	if err := store(storing); err != nil {
		return err
	}
	if err := book(); err != nil {
		return err
	}
	return r.cfg.Store.InsertDeferred(ctx, done(requests))
}
