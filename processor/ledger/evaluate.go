package ledger

import (
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
)

// Evaluation is everything that could have been credited with a sale, and by which bounds it was
// judged.
type Evaluation struct {
	// First and Last are when the sale happened, by all its sources; zero: no source says.
	First, Last time.Time
	Policy      join.Policy
	List        []join.Candidate // the credited one first
}

// Evaluate returns what could have been credited with the sale that object belongs to, and why it
// was or was not.
func (k *Evidence) Evaluate(object identity.Node) Evaluation {
	b, g := k.find(object)
	if g == nil {
		return Evaluation{}
	}
	searches := b.searches(g, k.saleIn(g, object))
	w := Evaluation{
		First:  searches[0].At.First,
		Last:   searches[0].At.Last,
		Policy: searches[0].Policy,
		List:   searches[0].Candidates(),
	}
	if len(searches) > 1 {
		best, _ := join.Merge(searches...)
		w.List = nil
		for _, s := range searches {
			for _, c := range s.Candidates() {
				if c.Outcome == join.Credited && !c.Same(best) {
					c.Outcome = join.Outranked
				}
				w.List = append(w.List, c)
			}
		}
		slices.SortStableFunc(
			w.List,
			func(a, b join.Candidate) int {
				return boolOrder(a.Outcome == join.Credited, b.Outcome == join.Credited)
			},
		)
	}
	return w
}

// find returns the group of an object, and the books that it is in.
func (k *Evidence) find(object identity.Node) (*books, *group) {
	groups, near, _ := k.Near(object, nil, 4*MostNear)
	for _, b := range k.open(groups, near) {
		for _, g := range b.groups {
			if slices.Contains(g.nodes, object) {
				return b, g
			}
		}
	}
	return nil, nil
}

// SaleOf returns the id of the sale that object belongs to, empty if nothing is known of it, and
// which of the objects that are given, all of the group of that one, belong to the same sale.
func (k *Evidence) SaleOf(object identity.Node, of []identity.Node) (sale string, same []identity.Node) {
	_, g := k.find(object)
	if g == nil {
		return "", of
	}
	sale = k.saleIn(g, object)
	if g.apart == nil {
		return sale, of
	}
	for _, n := range of {
		if k.saleIn(g, n) == sale {
			same = append(same, n)
		}
	}
	return sale, same
}

// saleIn returns the id of the sale of an object of a group.
func (k *Evidence) saleIn(g *group, object identity.Node) string {
	id := k.saleNode(object)
	if p := g.payments[id]; p != nil {
		return p.sale()
	}
	if i := g.invoices[id]; i != nil && g.apart != nil {
		return i.sale()
	}
	if i := sortedKeys(g.invoices); len(i) > 0 {
		return i[0]
	}
	for _, id := range sortedKeys(g.payments) {
		return g.payments[id].sale()
	}
	return ""
}
