package erase

import (
	"context"
	"crypto/rand"
	"encoding/hex"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// Person is everybody's names that one erasure takes away.
type Person struct {
	Workspace string
	Names     []identity.Node // customers, the seller's own ids, hashes of e-mail addresses
	Visitors  []string        // browsers' own ids
	Clicks    []string        // theirs, in UUID form
	Leads     []identity.Node
}

// Find gathers a person's names from some of them: customer, external and e-mail names that belong together, the clicks that they are
// known by, and all clicks of those browsers. Visitors may be given too, by New(Visitor…).
func Find(ctx context.Context, store *clickhouse.Store, workspace string, from []identity.Node, visitors []string) (*Person, error) {
	p := &Person{Workspace: workspace, Visitors: slices.Clone(visitors)}
	seen := make(map[identity.Node]bool)
	for frontier := from; len(frontier) > 0; {
		var next []identity.Node
		for _, n := range frontier {
			if seen[n] {
				continue
			}
			seen[n] = true
			switch n.Type() {
			case identity.Customer, identity.External, identity.Email:
				p.Names = append(p.Names, n)
				next = append(next, n)
			case identity.Reference:
				next = append(next, n)
			case identity.Click:
				p.Clicks = append(p.Clicks, n.Value())
			case identity.Lead:
				p.Leads = append(p.Leads, n)
			default:
				return nil, fmt.Errorf("%s is no person's name: give a customer, the seller's own id, an e-mail address, a visitor or a click", n)
			}
		}
		if len(next) == 0 {
			break
		}
		edges, err := store.Edges(ctx, workspace, next)
		if err != nil {
			return nil, err
		}
		frontier = nil
		for _, e := range edges {
			switch e.B.Type() {
			case identity.Customer, identity.External, identity.Email, identity.Click, identity.Lead:
				if e.A.Type() != identity.Reference || e.B.Type() == identity.Click { // a reference may be many people's
					frontier = append(frontier, e.B)
				}
			case identity.Reference:
				frontier = append(frontier, e.B)
			}
		}
	}
	return p, p.browsers(ctx, store)
}

// browsers adds the visitors of the clicks, and all clicks of the visitors.
func (p *Person) browsers(ctx context.Context, store *clickhouse.Store) error {
	for range 2 { // clicks to visitors, visitors to clicks
		if len(p.Clicks)+len(p.Visitors) == 0 {
			return nil
		}
		found, err := Visitors(ctx, store, p.Workspace, p.Clicks, p.Visitors)
		if err != nil {
			return fmt.Errorf("find clicks: %w", err)
		}
		for _, v := range found {
			p.Clicks = append(p.Clicks, v.ClickID)
			if v.VisitorID != "" {
				p.Visitors = append(p.Visitors, v.VisitorID)
			}
		}
		slices.Sort(p.Clicks)
		slices.Sort(p.Visitors)
		p.Clicks, p.Visitors = slices.Compact(p.Clicks), slices.Compact(p.Visitors)
	}
	return nil
}

// ErrNobody says that the names are nobody's.
var ErrNobody = errors.New("nothing is known by these names")

// Run erases a person. The list comes first: whatever is read from then on is loaded without the names. Then every table is written
// without them. It may be interrupted and run again: the aliases stay.
func Run(ctx context.Context, store *clickhouse.Store, list *List, p *Person, now time.Time) error {
	if len(p.Names)+len(p.Clicks)+len(p.Visitors) == 0 {
		return ErrNobody
	}
	if err := list.Load(ctx, store); err != nil {
		return err
	}
	var rows []clickhouse.ErasureRow
	add := func(n identity.Node, alias string) {
		if _, known := list.Alias(p.Workspace, n); !known {
			rows = append(rows, clickhouse.ErasureRow{Workspace: p.Workspace, Name: hash(p.Workspace, n), Alias: alias, At: now})
		}
	}
	for _, n := range p.Names {
		alias := ""
		if n.Type() != identity.Email {
			alias = "erased_" + strings.ToLower(rand.Text()[:16])
		}
		add(n, alias)
	}
	for _, c := range p.Clicks {
		add(identity.New(identity.Click, c), "")
	}
	for _, v := range p.Visitors {
		add(identity.New(visitorType, v), "")
	}
	if err := store.InsertErasures(ctx, rows); err != nil {
		return err
	}
	if err := list.Load(ctx, store); err != nil {
		return err
	}
	return Again(ctx, store, list, p)
}

// Again writes every table without a person who is on the list already: what a processor that had an older list has loaded since.
func Again(ctx context.Context, store *clickhouse.Store, list *List, p *Person) error {
	f := p.forgotten(list)
	if len(f.Words) > 0 {
		if err := redactEvents(ctx, store, list, p.Workspace, f.Words); err != nil {
			return err
		}
	}
	if err := renameEdges(ctx, store, p.Workspace, f); err != nil {
		return err
	}
	if err := Forget(ctx, store, p.Workspace, f); err != nil {
		return err
	}
	if len(p.Clicks) == 0 {
		return nil
	}
	if err := ForgetClicks(ctx, store, p.Workspace, p.Clicks); err != nil {
		return err
	}
	for _, rollup := range []string{"clicks_hourly", "clicks_minutely"} { // they hold hashes of visitors
		if err := clickhouse.RebuildDerived(ctx, store, rollup); err != nil {
			return err
		}
	}
	return nil
}

func (p *Person) forgotten(list *List) Forgotten {
	var f Forgotten
	for _, n := range p.Names {
		alias, _ := list.Alias(p.Workspace, n)
		f.Nodes = append(f.Nodes, string(n))
		if n.Type() == identity.Email {
			f.Aliases = append(f.Aliases, "")
			continue
		}
		f.From, f.To = append(f.From, n.Value()), append(f.To, alias)
		f.Aliases = append(f.Aliases, string(identity.New(n.Type(), alias)))
		f.Nodes = append(f.Nodes, string(identity.New(identity.FirstSale, n.Value())))
		f.Aliases = append(f.Aliases, string(identity.New(identity.FirstSale, alias)))
		f.Words = append(f.Words, `"`+n.Value()+`"`)
	}
	for _, v := range p.Visitors {
		f.Nodes, f.Aliases = append(f.Nodes, visitorType+":"+v), append(f.Aliases, "")
	}
	for _, l := range p.Leads {
		f.Leads = append(f.Leads, l.Value())
	}
	return f
}

func redactEvents(ctx context.Context, store *clickhouse.Store, list *List, workspace string, words []string) error {
	events, err := EventsMentioning(ctx, store, workspace, words)
	if err != nil {
		return fmt.Errorf("find events: %w", err)
	}
	var rows []clickhouse.EventRow
	var ids []string
	for _, r := range events {
		if redacted, changed := list.Event(workspace, r.StripeEvent); changed {
			r.StripeEvent = redacted
			rows, ids = append(rows, r), append(ids, r.ID)
		}
	}
	if len(rows) == 0 {
		return nil
	}
	if err := store.InsertEvents(ctx, rows); err != nil {
		return err
	}
	return DropOriginals(ctx, store, workspace, ids)
}

// renameEdges writes the person's edges with the aliases. Those of an e-mail address are not written again: without the address nothing
// could ever tell them anew.
func renameEdges(ctx context.Context, store *clickhouse.Store, workspace string, f Forgotten) error {
	aliases := make(map[identity.Node]identity.Node, len(f.Nodes))
	for i, n := range f.Nodes {
		aliases[identity.Node(n)] = identity.Node(f.Aliases[i])
	}
	edges, err := store.Edges(ctx, workspace, slices.Sorted(maps.Keys(aliases)))
	if err != nil {
		return err
	}
	var rows []clickhouse.EdgeRow
	for _, e := range edges {
		for _, end := range []*identity.Node{&e.A, &e.B} {
			if alias, erased := aliases[*end]; erased {
				*end = alias
			}
		}
		if e.A != "" && e.B != "" {
			rows = append(rows, clickhouse.EdgeRow{Workspace: workspace, Edge: e})
		}
	}
	return store.InsertEdges(ctx, rows)
}

// EmailNode names a hashed address.
func EmailNode(hashed []byte) identity.Node {
	return identity.New(identity.Email, hex.EncodeToString(hashed))
}
