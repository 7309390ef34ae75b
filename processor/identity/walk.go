package identity

import "context"

// Edges looks names up: every edge of workspace that begins at one of the nodes. An error is not an answer (the batch
// waits); an absent edge is a definite miss.
type Edges func(ctx context.Context, workspace string, nodes []Node) ([]Edge, error)

// Remember asks for each node once. It serves one look at the names, begun after one's own are stored: whatever somebody
// stores while it lasts, they will look at themselves. Not for concurrent use.
func Remember(edges Edges) Edges {
	known := make(map[Node][]Edge)
	return func(ctx context.Context, workspace string, nodes []Node) ([]Edge, error) {
		var fresh []Node
		for _, n := range nodes {
			if _, ok := known[n]; !ok {
				fresh = append(fresh, n)
			}
		}
		if len(fresh) > 0 {
			got, err := edges(ctx, workspace, fresh)
			if err != nil {
				return nil, err
			}
			for _, n := range fresh {
				known[n] = nil
			}
			for _, e := range got {
				known[e.A] = append(known[e.A], e)
			}
		}
		var out []Edge
		for _, n := range nodes {
			out = append(out, known[n]...)
		}
		return out, nil
	}
}

// depth bounds both walks. The longest road is movement → object → object → customer → external → reference → click.
const depth = 8

// Touched walks from names about which something new is known to the objects and leads that it may concern. The names
// that are objects or leads themselves are among the answer.
func Touched(ctx context.Context, edges Edges, workspace string, changed []Node) ([]Node, error) {
	seen := make(map[Node]bool, len(changed))
	var found []Node
	frontier := make([]Node, 0, len(changed))
	visit := func(n Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		switch n.Type() {
		case Object, Lead, Movement:
			found = append(found, n)
		default:
			frontier = append(frontier, n)
			if typ, value := n.Split(); typ == Affiliate {
				// A bare client_reference_id may be this affiliate; it was kept as a reference until one was known.
				ref := New(Reference, value)
				if !seen[ref] {
					seen[ref] = true
					frontier = append(frontier, ref)
				}
			}
		}
	}
	for _, n := range changed {
		visit(n)
	}
	for range depth {
		if len(frontier) == 0 {
			break
		}
		step := frontier
		frontier = nil
		got, err := edges(ctx, workspace, step)
		if err != nil {
			return nil, err
		}
		for _, e := range got {
			if touches[e.A.Type()][e.B.Type()] {
				visit(e.B)
			}
		}
	}
	return found, nil
}

// Graph is the part of the names that was walked from some objects or leads: enough to resolve each of them.
type Graph struct{ out map[Node][]Edge }

// Explore loads everything that bears on the given objects and leads, level by level, all of them together.
func Explore(ctx context.Context, edges Edges, workspace string, from []Node) (*Graph, error) {
	g := &Graph{out: make(map[Node][]Edge)}
	seen := make(map[Node]bool, len(from))
	var frontier []Node
	visit := func(n Node) {
		if seen[n] {
			return
		}
		seen[n] = true
		if _, follow := leadsTo[n.Type()]; follow {
			frontier = append(frontier, n)
		}
		if typ, value := n.Split(); typ == Reference {
			// The catalogue of affiliates may know a bare reference.
			if a := New(Affiliate, value); !seen[a] {
				seen[a] = true
				frontier = append(frontier, a)
			}
		}
	}
	for _, n := range from {
		visit(n)
	}
	for range depth {
		if len(frontier) == 0 {
			break
		}
		step := frontier
		frontier = nil
		got, err := edges(ctx, workspace, step)
		if err != nil {
			return nil, err
		}
		for _, e := range got {
			if leadsTo[e.A.Type()][e.B.Type()] {
				g.out[e.A] = append(g.out[e.A], e)
				visit(e.B)
			}
		}
	}
	return g, nil
}

// From gives the edges that lead on from n.
func (g *Graph) From(n Node) []Edge { return g.out[n] }

// Group gives the payment that n belongs to: all objects that are aliases of each other, and the movements that belong
// to them, n's own among them, in no particular order.
func (g *Graph) Group(n Node) []Node {
	seen := map[Node]bool{n: true}
	group := []Node{n}
	for i := 0; i < len(group); i++ {
		for _, e := range g.out[group[i]] {
			if t := e.B.Type(); (t == Object || t == Movement) && !seen[e.B] {
				seen[e.B] = true
				group = append(group, e.B)
			}
		}
	}
	return group
}

// Clicks gives every click that the graph names, for one lookup.
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
