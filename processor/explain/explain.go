// Package explain tells a movement's story: what Stripe said about it, which names belong together, who could have been
// credited, and every version that its row has had.
package explain

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/load"
	"tributary/processor/stripe"
)

// ErrUnknown says that nothing was ever heard of the object.
var ErrUnknown = errors.New("nothing is known about this object")

// Store is what a story is told from; load.Store is the real one.
type Store interface {
	Edges(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
	Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error)
	Versions(ctx context.Context, workspace string, sales []string) ([]load.VersionRow, error)
	ObjectOf(ctx context.Context, workspace string, entry join.EntryID) (string, error)
}

// Story is everything about one sale, or about each sale of a customer or subscription.
type Story struct {
	Asked string `json:"asked"`
	Sales []Sale `json:"sales"`
}

// Sale is one payment with all that belongs to it.
type Sale struct {
	Objects []string `json:"objects"` // Stripe objects that stand for it, and its refunds and disputes
	Events  []Event  `json:"events"`  // in the order in which Stripe made them
	Names   []Name   `json:"names"`   // what ties it to whom
	Entries []Entry  `json:"entries"`
}

// Event is what one Stripe event said about money.
type Event struct {
	At       time.Time `json:"at"`
	ID       string    `json:"id"`
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Source   string    `json:"source"`
	Amount   int64     `json:"amount_minor"`
	Currency string    `json:"currency"`
	Received time.Time `json:"received_at"`
}

// Name is one edge of the names.
type Name struct {
	From   string    `json:"from"`
	To     string    `json:"to"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

// Entry is one movement with every version that its row has had, the oldest first; the last one stands.
type Entry struct {
	ID       string            `json:"entry_id"`
	Kind     string            `json:"kind"`
	Object   string            `json:"object"`
	Versions []load.VersionRow `json:"versions"`
}

// Tell gathers the story of object: a Stripe id, or an entry's id in 32 hexadecimal digits.
func Tell(ctx context.Context, store Store, workspace, object string) (*Story, error) {
	asked := object
	if raw, err := hex.DecodeString(object); err == nil && len(raw) == 16 {
		if object, err = store.ObjectOf(ctx, workspace, join.EntryID(raw)); err != nil {
			return nil, err
		}
		if object == "" {
			return nil, ErrUnknown
		}
	}
	edges := identity.Remember(store.Edges)
	from := make([]identity.Node, 0, 4)
	for _, typ := range []string{identity.Object, identity.Movement, identity.Customer, identity.Subscription} {
		from = append(from, identity.New(typ, object))
	}
	sales, err := identity.Touched(ctx, edges, workspace, from)
	if err != nil {
		return nil, err
	}
	graph, err := identity.Explore(ctx, edges, workspace, sales)
	if err != nil {
		return nil, err
	}
	groups := make([][]identity.Node, 0, len(sales))
	for _, n := range sales {
		groups = append(groups, graph.Group(n))
	}
	// What was asked for was tried as every type of name; the type that it really has is the one with company.
	slices.SortStableFunc(groups, func(a, b []identity.Node) int { return len(b) - len(a) })
	story := &Story{Asked: asked}
	told := make(map[string]bool)
	for _, group := range groups {
		if told[group[0].Value()] {
			continue
		}
		for _, member := range group {
			told[member.Value()] = true
		}
		sale, err := tell(ctx, store, workspace, graph, group)
		if err != nil {
			return nil, err
		}
		if len(sale.Events) > 0 || len(sale.Entries) > 0 || len(sale.Names) > 0 {
			story.Sales = append(story.Sales, sale)
		}
	}
	if len(story.Sales) == 0 {
		return nil, ErrUnknown
	}
	return story, nil
}

func tell(ctx context.Context, store Store, workspace string, graph *identity.Graph, group []identity.Node) (Sale, error) {
	var sale Sale
	for _, n := range group {
		sale.Objects = append(sale.Objects, n.Value())
	}
	slices.Sort(sale.Objects)
	facts, err := store.Facts(ctx, workspace, sale.Objects)
	if err != nil {
		return sale, err
	}
	for _, list := range facts {
		for _, f := range list {
			sale.Events = append(sale.Events, Event{f.CreatedAt, f.EventID, f.Kind, f.ObjectID, f.Source, f.Amount, f.Currency, f.ReceivedAt})
		}
	}
	slices.SortFunc(sale.Events, func(a, b Event) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Kind, b.Kind))
	})
	sale.Names = names(graph, group)
	rows, err := store.Versions(ctx, workspace, sale.Objects)
	if err != nil {
		return sale, err
	}
	entries := make(map[string]*Entry)
	var order []string
	for _, v := range rows {
		e := entries[v.EntryID]
		if e == nil {
			e = &Entry{ID: v.EntryID, Kind: v.Kind, Object: v.ObjectID}
			entries[v.EntryID] = e
			order = append(order, v.EntryID)
		}
		e.Versions = append(e.Versions, v)
	}
	for _, id := range order {
		sale.Entries = append(sale.Entries, *entries[id])
	}
	return sale, nil
}

// names lists every edge that can be walked from the group, each once and in one direction.
func names(graph *identity.Graph, group []identity.Node) []Name {
	var list []Name
	seen := make(map[identity.Node]bool)
	pairs := make(map[[2]identity.Node]bool)
	queue := slices.Clone(group)
	for i := 0; i < len(queue); i++ {
		n := queue[i]
		if seen[n] {
			continue
		}
		seen[n] = true
		for _, e := range graph.From(n) {
			if !pairs[[2]identity.Node{e.B, e.A}] {
				pairs[[2]identity.Node{e.A, e.B}] = true
				list = append(list, Name{string(e.A), string(e.B), e.Source, e.At})
			}
			queue = append(queue, e.B)
		}
	}
	slices.SortFunc(list, func(a, b Name) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return slices.CompactFunc(list, func(a, b Name) bool { return a.From == b.From && a.To == b.To })
}
