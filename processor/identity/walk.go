package identity

import (
	"context"
	"slices"
	"strings"
)

// Edges looks names up: every edge of workspace that begins at one of the nodes. An error is not an
// answer (the batch waits); an absent edge is a definite miss.
type Edges func(ctx context.Context, workspace string, nodes []Node) ([]Edge, error)

// Remember returns edges with a Memory of its own.
func Remember(edges Edges) Edges { return make(Memory).Of(edges) }

// Memory keeps what names were found to lead to: each node is looked up once. It serves one walk,
// begun after the caller's own edges are stored. An edge that another writer stores during the walk
// may be missed, and needs no other walk: that writer looks up its edges' sales after it has stored
// them. It is not safe for concurrent use.
type Memory map[Node][]Edge

// put keeps all edges of nodes.
func (m Memory) put(nodes []Node, edges []Edge) {
	for _, n := range nodes {
		m[n] = nil
	}
	for len(edges) > 0 {
		same := ofOneName(edges)
		m[same[0].A] = together(m[same[0].A], same)
		edges = edges[len(same):]
	}
}

// ofOneName returns the first edges that one name has: they lie beside each other, but for what was
// reported first.
func ofOneName(edges []Edge) []Edge {
	same := 1
	for same < len(edges) && edges[same].A == edges[0].A {
		same++
	}
	return edges[:same:same]
}

// together returns both lists in one, without copying where there is only one.
func together(known, more []Edge) []Edge {
	if known == nil {
		return more
	}
	return append(known, more...)
}

// Of returns edges that asks only for what is not known yet.
func (m Memory) Of(edges Edges) Edges {
	return func(ctx context.Context, workspace string, nodes []Node) ([]Edge, error) {
		fresh := make([]Node, 0, len(nodes))
		for _, n := range nodes {
			if _, ok := m[n]; !ok {
				fresh = append(fresh, n)
			}
		}
		if len(fresh) > 0 {
			got, err := edges(ctx, workspace, fresh)
			if err != nil {
				return nil, err
			}
			m.put(fresh, got)
			if len(fresh) == len(nodes) {
				return got, nil
			}
		}
		total := 0
		for _, n := range nodes {
			total += len(m[n])
		}
		out := make([]Edge, 0, total)
		for _, n := range nodes {
			out = append(out, m[n]...)
		}
		return out, nil
	}
}

// depth bounds both walks. The longest way is movement → object → object → customer → external →
// public → reference → public → click, where objects may follow each other more than once: a
// payment intent may pay several invoices, and an invoice be paid by several.
const depth = 24

// spread walks the graph breadth first from start, with one query a level. It calls enter once for
// each name that it reaches: ask reports whether to look up the name's edges, and alias is another
// name for the same thing, "" if there is none. follow gets edges of one name, and calls visit for
// the ends of those that are to be followed.
func spread(
	ctx context.Context,
	edges Edges,
	workspace string,
	start []Node,
	seen map[Node]bool,
	enter func(Node) (ask bool, alias Node),
	follow func(edges []Edge, visit func(Node)),
) error {
	var frontier []Node
	var visit func(Node)
	visit = func(n Node) {
		if n == "" || seen[n] {
			return
		}
		seen[n] = true
		ask, alias := enter(n)
		if ask {
			frontier = append(frontier, n)
		}
		visit(alias)
	}
	for _, n := range start {
		visit(n)
	}
	for range depth {
		if len(frontier) == 0 {
			break
		}
		level := frontier
		frontier = nil
		got, err := edges(ctx, workspace, level)
		if err != nil {
			return err
		}
		for len(got) > 0 {
			same := ofOneName(got)
			follow(same, visit)
			got = got[len(same):]
		}
	}
	return nil
}

// Touched walks from names about which something new is known to the objects and leads that it may
// concern. The names that are objects or leads themselves are among the answer. many are the names
// that too many of them share: none beyond those is in found.
func Touched(ctx context.Context, edges Edges, workspace string, changed []Node) (found, many []Node, err error) {
	err = spread(ctx, edges, workspace, changed, make(map[Node]bool), func(n Node) (ask bool, alias Node) {
		if n.Standalone() {
			found = append(found, n)
			return false, ""
		}
		return true, n.Alias()
	}, func(edges []Edge, visit func(Node)) {
		for _, e := range edges {
			switch {
			case !e.A.Touches(e.B):
			case e.Beyond > 0:
				many = append(many, e.A)
			default:
				visit(e.B)
			}
		}
	})
	return found, many, err
}

// Graph is the part of the names that was walked from some objects or leads: enough to resolve each
// of them.
type Graph struct {
	out  map[Node][]Edge
	seen map[Node]bool
	all  []Node                   // of those seen, what belongs to a payment, as the walk came to them
	cut  map[Node]map[Node]uint64 // Edge.Beyond of what was cut, by its ends
}

// Explore loads everything that bears on the given objects and leads, level by level, all of them
// together.
func Explore(ctx context.Context, edges Edges, workspace string, from []Node) (*Graph, error) {
	g := &Graph{
		out:  make(map[Node][]Edge, 2*len(from)), // sales and movements lead to some names, which most share
		seen: make(map[Node]bool, 4*len(from)),
		cut:  make(map[Node]map[Node]uint64),
	}
	return g, g.Explore(ctx, edges, workspace, from)
}

// Explore loads what bears on some more of them.
func (g *Graph) Explore(ctx context.Context, edges Edges, workspace string, from []Node) error {
	return spread(ctx, edges, workspace, from, g.seen, func(n Node) (ask bool, alias Node) {
		switch typ, value := n.Split(); {
		case typ == Reference:
			alias = New(Affiliate, value) // the catalogue of affiliates may know a bare reference
		case typ == Public && strings.HasPrefix(value, Affiliate+":"):
			alias = Catalogue // where there is one, the public names no affiliates
		}
		if n.Belongs() {
			g.all = append(g.all, n)
		}
		return n.LeadsOn(), alias
	}, g.follow)
}

// follow adds the edges of one name, and visits where they lead. Where all of them do the list is
// kept as it is.
func (g *Graph) follow(edges []Edge, visit func(Node)) {
	a := edges[0].A
	belongs := a.Belongs()
	if g.out[a] == nil && !slices.ContainsFunc(edges, func(e Edge) bool {
		leads, _ := e.Changes()
		return !leads || e.Beyond > 0 || belongs && e.B.Belongs()
	}) {
		g.out[a] = edges
		for _, e := range edges {
			visit(e.B)
		}
		return
	}
	g.out[a] = slices.Grow(g.out[a], len(edges))
	for _, e := range edges {
		leads, _ := e.Changes()
		switch {
		case !leads:
			continue
		case e.Beyond > 0:
			g.addCut(e)
			continue
		case !g.pair(e):
			g.out[a] = append(g.out[a], e)
		}
		visit(e.B)
	}
}

// Objects returns everything that belongs to payments which the graph knows.
func (g *Graph) Objects() []Node { return g.all }

// pair lets the graph follow e in both directions, where both ends are objects of one payment, and
// reports whether they are. Which of an edge's two rows was found must not matter. Walk through it:
// the walk looks an invoice up before its payment is stored, and the payment after it. By the
// payment's row alone the invoice would be of the payment's group, and of one without the payment
// too, and would be booked as both.
func (g *Graph) pair(e Edge) bool {
	if !e.A.Belongs() || !e.B.Belongs() {
		return false
	}
	for range 2 {
		out := g.out[e.A]
		if i := slices.IndexFunc(out, func(o Edge) bool { return o.B == e.B }); i < 0 {
			g.out[e.A] = append(out, e)
		} else if e.At.Before(out[i].At) {
			out[i].At = e.At
		}
		e.A, e.B = e.B, e.A
	}
	return true
}

// Belongs reports whether n is an object of a payment, or a movement that belongs to one.
func (n Node) Belongs() bool {
	typ := n.Type()
	return typ == Object || typ == Movement || typ == Dispute
}

// Unsorted returns the names that the id of a payment, refund or dispute may be.
func Unsorted(id string) []Node { return []Node{New(Object, id), New(Movement, id), New(Dispute, id)} }

// Add lets the graph follow more edges, found after it was explored.
func (g *Graph) Add(edges []Edge) {
	for _, e := range edges {
		if leads, _ := e.Changes(); !leads || g.pair(e) {
			continue
		}
		if e.Beyond > 0 {
			g.addCut(e)
			continue
		}
		if !slices.ContainsFunc(g.out[e.A], func(o Edge) bool { return o.B == e.B }) {
			g.out[e.A] = append(g.out[e.A], e)
		}
	}
}

// From returns the edges that lead on from n.
func (g *Graph) From(n Node) []Edge { return g.out[n] }

// Same returns the other ids of a customer: one that is an account too has two.
func (g *Graph) Same(n Node) (ids []Node) {
	if n.Type() != Customer {
		return nil
	}
	for _, e := range g.out[n] {
		if e.B.Type() == Customer {
			ids = append(ids, e.B)
		}
	}
	return ids
}

// Beyond returns how many edges n has to names of the types of which some were cut; 0 if none were.
func (g *Graph) Beyond(n Node) (total uint64) {
	for _, edges := range g.cut[n] {
		total += edges
	}
	return total
}

// Cut returns how many names have edges that were cut.
func (g *Graph) Cut() int { return len(g.cut) }

func (g *Graph) addCut(e Edge) {
	if g.cut[e.A] == nil {
		g.cut[e.A] = make(map[Node]uint64)
	}
	g.cut[e.A][e.B] = e.Beyond
}

// Group returns the payment that n belongs to: all objects that are aliases of each other, and the
// movements that belong to them, n's own among them, in no particular order.
func (g *Graph) Group(n Node) []Node {
	seen := map[Node]bool{n: true}
	group := []Node{n}
	for i := 0; i < len(group); i++ {
		for _, e := range g.out[group[i]] {
			if e.B.Belongs() && !seen[e.B] {
				seen[e.B] = true
				group = append(group, e.B)
			}
		}
	}
	return group
}

// Clicks returns every click that the graph names, for one lookup.
func (g *Graph) Clicks() []Node {
	seen := map[Node]bool{}
	var clicks []Node
	for _, out := range g.out {
		for _, e := range out {
			if e.B.Type() == Click && !seen[e.B] {
				seen[e.B] = true
				clicks = append(clicks, e.B)
			}
		}
	}
	return clicks
}
