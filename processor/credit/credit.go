// Package credit stores a person's decision who is credited with a sale. It is a name of the sale
// like any other: it is only ever added, it is copied by a rebuild, and the last one stands.
package credit

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"

	"tributary/processor/identity"
	"tributary/processor/recompute"
)

// Source begins the sources of the edges that corrections are.
const Source = "credit"

// Correction is one decision.
type Correction struct {
	Sale     string        // any Stripe id of the sale, or of a refund or dispute of it
	Decision identity.Node // an affiliate, a click, identity.Nobody or identity.Undone
	Reason   string        // why, for people
	Author   string        // who decided it
}

// ErrUnknown says that a correction names a sale or a click that nothing is known of.
var ErrUnknown = errors.New("nothing is known by this id")

// Apply stores a correction, and books the sale with its refunds and disputes. A later one replaces
// it.
func Apply(ctx context.Context, store recompute.Store, r *recompute.Recomputer, workspace string, c Correction, now time.Time) error {
	sale, err := saleOf(ctx, store, workspace, c.Sale)
	if err != nil {
		return err
	}
	if c.Decision.Type() == identity.Click {
		clicks, err := store.Clicks(ctx, workspace, []identity.Node{c.Decision})
		if err != nil {
			return err
		}
		if clicks[c.Decision] == nil {
			return fmt.Errorf("click %s: %w in workspace %s (hint: a click must be stored before a sale can be credited to it)",
				c.Decision.Value(), ErrUnknown, workspace)
		}
	}
	at := now.UTC().Truncate(time.Millisecond)
	source := Source + "." + strings.Join(strings.Fields(c.Author+": "+c.Reason), " ")
	correction := identity.NewCorrection(at, c.Decision)
	edges := []identity.Edge{{A: sale, B: correction, Source: source, At: at}}
	if c.Decision.Type() == identity.Click {
		edges = append(edges, identity.Edge{A: correction, B: c.Decision, Source: source, At: at})
	}
	return r.Catalogue(ctx, workspace, edges, nil)
}

// saleOf returns the name of the sale that an id belongs to.
func saleOf(ctx context.Context, store recompute.Store, workspace, id string) (identity.Node, error) {
	sale, movement := identity.New(identity.Object, id), identity.New(identity.Movement, id)
	edges, err := store.Names(ctx, workspace, []identity.Node{sale, movement})
	if err != nil {
		return "", err
	}
	for _, e := range edges {
		switch {
		case e.A == sale:
			return sale, nil
		case e.B.Type() == identity.Object:
			return e.B, nil
		}
	}
	facts, err := store.Facts(ctx, workspace, []string{id})
	if err != nil {
		return "", err
	}
	for _, f := range facts[id] {
		// A refund whose names are not stored yet says itself what it belongs to.
		if f.ParentID != "" && recompute.Subject(f).Type() == identity.Movement {
			return identity.New(identity.Object, f.ParentID), nil
		}
	}
	if len(facts[id]) > 0 {
		return sale, nil
	}
	return "", fmt.Errorf("sale %s: %w in workspace %s (hint: ids are case sensitive; --workspace names another workspace)",
		id, ErrUnknown, workspace)
}

// Explain returns who made a correction and why, of its edge's source.
func Explain(source string) string { return strings.TrimPrefix(source, Source+".") }
