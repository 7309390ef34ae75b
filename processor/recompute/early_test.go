package recompute

import (
	"context"
	"maps"
	"slices"
	"testing"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// asking has one fact of each object but pi_none, and each click but none. It keeps what it was
// asked for.
type asking struct{ facts, clicks []string }

func (a *asking) Facts(_ context.Context, _ string, objects []string) (map[string][]stripe.Fact, error) {
	a.facts = append(a.facts, objects...)
	found := make(map[string][]stripe.Fact)
	for _, o := range objects {
		if o != "pi_none" {
			found[o] = []stripe.Fact{{ObjectID: o}}
		}
	}
	return found, nil
}

func (a *asking) Clicks(_ context.Context, _ string, nodes []identity.Node) (map[identity.Node]*join.Click, error) {
	found := make(map[identity.Node]*join.Click)
	for _, n := range nodes {
		a.clicks = append(a.clicks, n.Value())
		if n.Value() != "none" {
			found[n] = &join.Click{LinkID: n.Value()}
		}
	}
	return found, nil
}

// What was looked up early is not asked for again, whether it was found or not, and of it only what
// is asked for is given.
func TestEarly(t *testing.T) {
	object := func(id string) identity.Node { return identity.New(identity.Object, id) }
	click := func(id string) identity.Node { return identity.New(identity.Click, id) }
	store := new(asking)
	early, err := lookUpEarly(t.Context(), store, "default", []identity.Node{object("pi_1"), object("pi_2"),
		object("pi_none"), click("a"), click("b"), click("none"), identity.New(identity.Customer, "cus_1")})
	if err != nil {
		t.Fatal(err)
	}
	want := func(what string, got []string, want ...string) {
		t.Helper()
		slices.Sort(got)
		if !slices.Equal(got, want) {
			t.Errorf("%s: %v, want %v", what, got, want)
		}
	}
	want("facts asked for early", store.facts, "pi_1", "pi_2", "pi_none")
	want("clicks asked for early", store.clicks, "a", "b", "none")
	*store = asking{}
	for range 2 {
		found, err := early.Facts(t.Context(), "default", []string{"pi_1", "pi_none", "pi_3"})
		if err != nil {
			t.Fatal(err)
		}
		want("facts", slices.Collect(maps.Keys(found)), "pi_1", "pi_3")
		named, err := early.Clicks(t.Context(), "default", []identity.Node{click("b"), click("none")})
		if err != nil {
			t.Fatal(err)
		}
		if len(named) != 1 || named[click("b")] == nil {
			t.Errorf("clicks: %v, want b alone", named)
		}
	}
	want("facts asked for again", store.facts, "pi_3", "pi_3")
	want("clicks asked for again", store.clicks)
}
