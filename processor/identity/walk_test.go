package identity_test

import (
	"context"
	"slices"
	"testing"
	"time"

	"tributary/processor/identity"
)

// Two graphs share the lists of a memory. What is added to one of them, and in which direction it
// follows the objects of a payment, changes nothing for the other.
func TestGraphsShareAMemory(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	var (
		invoice  = identity.New(identity.Object, "in_1")
		intent   = identity.New(identity.Object, "pi_1")
		customer = identity.New(identity.Customer, "cus_1")
		external = identity.New(identity.External, "user_1")
		click    = identity.New(identity.Click, "1")
		other    = identity.New(identity.Click, "2")
	)
	rows := []identity.Edge{ // as a lookup returns them: sorted by names, but for what was reported first
		{A: customer, B: click, At: at}, {A: customer, B: external, At: at},
		{A: external, B: click, At: at},
		{A: invoice, B: customer, At: at}, {A: invoice, B: intent, At: at},
		{A: intent, B: customer, At: at}, {A: intent, B: invoice, At: at.Add(-time.Hour)},
		{A: external, B: other, At: at},
	}
	stored := func(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge, error) {
		others := func(e identity.Edge) bool { return !slices.Contains(nodes, e.A) }
		return slices.DeleteFunc(slices.Clone(rows), others), nil
	}
	memory := make(identity.Memory).Of(stored)
	explore := func() *identity.Graph {
		g, err := identity.Explore(t.Context(), memory, "default", []identity.Node{invoice})
		if err != nil {
			t.Fatal(err)
		}
		return g
	}
	want := map[identity.Node][]identity.Node{
		customer: {click, external}, external: {click, other}, invoice: {customer, intent}, intent: {invoice, customer},
	}
	check := func(g *identity.Graph) {
		t.Helper()
		for n, ends := range want {
			var got []identity.Node
			for _, e := range g.From(n) {
				if got = append(got, e.B); e.A != n || e.B.Belongs() && !e.At.Equal(at.Add(-time.Hour)) {
					t.Errorf("from %s: %v", n, e)
				}
			}
			if slices.Sort(got); !slices.Equal(got, slices.Sorted(slices.Values(ends))) {
				t.Errorf("%s leads to %s, want %s", n, got, ends)
			}
		}
		if got := slices.Sorted(slices.Values(g.Objects())); !slices.Equal(got, []identity.Node{invoice, intent}) {
			t.Errorf("objects %s", got)
		}
	}
	first := explore()
	check(first)
	for n := range want {
		first.Add([]identity.Edge{
			{A: n, B: identity.New(identity.Click, "added"), At: at},
			{A: n, B: identity.New(identity.Reference, "added"), At: at},
		})
	}
	first.Add([]identity.Edge{{A: invoice, B: identity.New(identity.Object, "pi_2"), At: at}})
	check(explore())
}
