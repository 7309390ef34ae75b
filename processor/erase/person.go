package erase

import (
	"context"
	"fmt"
	"slices"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
)

// Person is all names of one person that an erasure removes.
type Person struct {
	Workspace string
	Names     []identity.Node // customers, external ids, hashes of e-mail addresses
	Visitors  []string        // visitor ids of browsers
	Clicks    []string        // UUIDs, of page views too
	Foreign   []string        // ids that the site itself uses for clicks
	Leads     []identity.Node
	Objects   []identity.Node // what they paid, were refunded and disputed: its events may say who they are
	Known     bool            // something is stored under the names, or they are erased already
}

// Find finds all names of a person from some of them: the customers, external ids and e-mail
// addresses that edges connect, the clicks that lead to them, and all clicks of the browsers that
// made those. A click may be given by the site's own id too, as a reference; visitors are ids of
// browsers, given beside from.
func Find(ctx context.Context, store *clickhouse.Store, workspace string, from []identity.Node,
	visitors []string,
) (*Person, error) {
	p := &Person{Workspace: workspace, Visitors: slices.Clone(visitors)}
	objects, err := p.addNames(ctx, store, from)
	if err != nil {
		return nil, err
	}
	if err := p.addObjects(ctx, store, objects); err != nil {
		return nil, err
	}
	if err := p.addBrowsers(ctx, store); err != nil {
		return nil, err
	}
	if !p.Known {
		known, err := p.mentioned(ctx, store)
		if err != nil {
			return nil, fmt.Errorf("find mentions of the names: %w", err)
		}
		p.Known = known
	}
	return p, nil
}

// addNames adds the names that were given and all that edges connect with them, and returns the
// objects that these edges lead to.
func (p *Person) addNames(
	ctx context.Context, store *clickhouse.Store, from []identity.Node,
) (objects []identity.Node, err error) {
	seen := make(map[identity.Node]bool)
	for found := from; len(found) > 0; {
		var next []identity.Node // of found, those whose edges are the person's too
		for _, n := range found {
			if seen[n] {
				continue
			}
			seen[n] = true
			follow, err := p.add(n, from)
			if err != nil {
				return nil, err
			}
			if follow {
				next = append(next, n)
			}
		}
		if len(next) == 0 {
			break
		}
		edges, err := store.AllEdges(ctx, p.Workspace, next)
		if err != nil {
			return nil, err
		}
		p.Known = p.Known || len(edges) > 0
		found = nil
		for _, e := range edges {
			switch {
			case !leadsToPerson(e):
			case e.B.Type() == identity.Object:
				objects = append(objects, e.B)
			default:
				found = append(found, e.B)
			}
		}
	}
	return objects, nil
}

// add adds a name to the person's, and reports whether its edges lead to more of them. from are the
// names that were given.
func (p *Person) add(n identity.Node, from []identity.Node) (follow bool, err error) {
	switch n.Type() {
	case identity.Customer, identity.External, identity.Email:
		p.Names = append(p.Names, n)
		return true, nil
	case identity.Reference:
		if slices.Contains(from, n) {
			p.Foreign = append(p.Foreign, n.Value())
		}
		return true, nil
	case identity.Public: // of an id that anybody could have guessed the public's click may be anybody's
		name := identity.OfPublic(n)
		return slices.Contains(from, name) || join.Unguessable(name.Value()), nil
	case identity.Click:
		p.Clicks = append(p.Clicks, n.Value())
		return false, nil
	case identity.Lead:
		p.Leads = append(p.Leads, n)
		return false, nil
	}
	return false, fmt.Errorf("%s does not name a person (hint: give a customer, an external id, an e-mail "+
		"address, a visitor or a click)", n)
}

// leadsToPerson reports whether what an edge of one of a person's names leads to is this person's.
// A reference may be many people's, and so may what the public says of it.
func leadsToPerson(e identity.Edge) bool {
	shared := e.A.Type() == identity.Reference || e.A.Type() == identity.Public
	switch e.B.Type() {
	case identity.Customer, identity.External, identity.Email, identity.Lead:
		return !shared && !e.B.OfTestMode()
	case identity.Click, identity.Reference, identity.Public:
		return true
	case identity.Object:
		return !shared
	}
	return false
}

// mentioned reports whether names that no edge and no click has are on the list of erased names, or
// in a record that gave no edge: an event of a customer who never paid, or a dead letter.
func (p *Person) mentioned(ctx context.Context, store *clickhouse.Store) (bool, error) {
	list := new(List)
	if err := list.Load(ctx, store); err != nil {
		return false, err
	}
	for _, n := range p.listed() {
		if _, erased := list.alias(p.Workspace, n); erased {
			return true, nil
		}
	}
	return p.redaction(list).mentioned(ctx, store, p.Workspace)
}

// listed returns the names that the list of erased names gets, but for those of objects.
func (p *Person) listed() []identity.Node {
	names := slices.Clone(p.Names)
	for _, c := range p.Clicks {
		names = append(names, identity.New(identity.Click, c))
	}
	for _, v := range p.Visitors {
		names = append(names, identity.New(visitorType, v))
	}
	return names
}

// addObjects adds the person's payments, and what belongs to them. Not every event of a payment
// names the customer: a dispute has the buyer's address in its evidence, and a guest has no other
// name than that.
func (p *Person) addObjects(ctx context.Context, store *clickhouse.Store, frontier []identity.Node) error {
	seen := make(map[identity.Node]bool)
	for len(frontier) > 0 {
		edges, err := store.AllEdges(ctx, p.Workspace, frontier)
		if err != nil {
			return err
		}
		for _, n := range frontier {
			seen[n] = true
			p.Objects = append(p.Objects, n)
		}
		frontier = nil
		for _, e := range edges {
			if e.B.Belongs() && !seen[e.B] {
				seen[e.B] = true
				frontier = append(frontier, e.B)
			}
		}
	}
	slices.Sort(p.Objects)
	p.Objects = slices.Compact(p.Objects)
	return nil
}

// addBrowsers adds the visitors of the clicks, and all clicks and page views of the visitors.
func (p *Person) addBrowsers(ctx context.Context, store *clickhouse.Store) error {
	for range 2 { // clicks to visitors, visitors to clicks
		if len(p.Clicks)+len(p.Foreign)+len(p.Visitors) == 0 {
			return nil
		}
		found, err := visitorsOf(ctx, store, p.Workspace, p.Clicks, p.Foreign, p.Visitors)
		if err != nil {
			return fmt.Errorf("find clicks: %w", err)
		}
		p.Known = p.Known || len(found) > 0
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

// values returns what the names are of, without their types.
func values(names []identity.Node) []string {
	list := make([]string, len(names))
	for i, n := range names {
		list[i] = n.Value()
	}
	return list
}
