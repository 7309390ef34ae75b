package join

import (
	"context"
	"math/big"
	"math/rand"
	"testing"
	"time"

	"tributary/processor/identity"
	"tributary/schemas"
)

// The first field in which two versions differ decides, whatever stands behind it.
func TestVersionIsLexicographic(t *testing.T) {
	widths := []uint{3, 3, 32, 34, 4, 42, 8, 2}
	rng := rand.New(rand.NewSource(1))
	for range 2000 {
		var a, b Version
		less, decided := false, false
		for _, w := range widths {
			x, y := rng.Uint64()>>(64-w), rng.Uint64()>>(64-w)
			if rng.Intn(2) == 0 {
				y = x
			}
			a.push(w, x)
			b.push(w, y)
			if !decided && x != y {
				less, decided = x < y, true
			}
		}
		if a.Less(b) != less {
			t.Fatalf("%v < %v is %v, want %v", a, b, a.Less(b), less)
		}
		if got := a.Big().Cmp(b.Big()) < 0; got != less {
			t.Fatalf("as UInt128 %v < %v is %v, want %v", a.Big(), b.Big(), got, less)
		}
		if VersionOf(a.Big()) != a {
			t.Fatalf("%v does not come back", a)
		}
	}
}

func TestVersionFieldsFill128Bits(t *testing.T) {
	var v Version
	v.pushFact(7, 7, time.Unix(0, 0), time.Unix(0, 0))
	v.pushCredit(Credit{Rule: RuleManual}, 255, 3)
	if v.Big().BitLen() != 128 {
		t.Errorf("a payment's version has %d bits, want 128", v.Big().BitLen())
	}
	var r Version
	r.pushResidual(1, 1, time.Unix(0, 0), time.Unix(0, 0))
	r.pushCredit(Credit{Rule: RuleNone}, 0, 0)
	// Its class stands where a payment's does: the same entry never has both, but a manual correction outranks either.
	if got := new(big.Int).Rsh(r.Big(), 125).Uint64(); got != classBooked {
		t.Errorf("a residual's class reads %d, want %d", got, classBooked)
	}
}

// A value that does not fit counts as the largest that fits: it must never spill into the field before it.
func TestVersionSaturates(t *testing.T) {
	var a, b Version
	a.push(4, 1)
	a.push(8, 1<<20)
	b.push(4, 1)
	b.push(8, 255)
	if a != b {
		t.Errorf("%v, want %v", a, b)
	}
	if inverse(8, -5) != 255 || inverse(8, 0) != 255 || inverse(8, 255) != 0 || inverse(8, 1000) != 0 {
		t.Error("inverse does not saturate")
	}
}

func graph(t *testing.T, edges ...identity.Edge) *identity.Graph {
	t.Helper()
	all := make([]identity.Edge, 0, 2*len(edges))
	var from []identity.Node
	for _, e := range edges {
		all = append(all, e, identity.Edge{A: e.B, B: e.A, Source: e.Source, At: e.At})
		if e.A.Type() == identity.Object {
			from = append(from, e.A)
		}
	}
	g, err := identity.Explore(t.Context(), func(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge, error) {
		var out []identity.Edge
		for _, n := range nodes {
			for _, e := range all {
				if e.A == n {
					out = append(out, e)
				}
			}
		}
		return out, nil
	}, "w", from)
	if err != nil {
		t.Fatal(err)
	}
	return g
}

func TestPrecedence(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	clicks := make(map[identity.Node]*Click)
	click := func(hours int, affiliate string) identity.Node {
		id := schemas.NewClickID(at.Add(time.Duration(hours) * time.Hour))
		n := identity.New(identity.Click, id.String())
		clicks[n] = &Click{ID: id, ClickedAt: id.Time(), ReceivedAt: id.Time(), AffiliateID: affiliate}
		return n
	}
	sale, cus, sub, ext := identity.New(identity.Object, "in_1"), identity.New(identity.Customer, "cus_1"), identity.New(identity.Subscription, "sub_1"), identity.New(identity.External, "user_1")
	early, late, after := click(-48, "early"), click(-1, "late"), click(5, "after")
	edge := func(a, b identity.Node, source string) identity.Edge {
		return identity.Edge{A: a, B: b, Source: source}
	}

	f := func(what string, rule Rule, affiliate string, edges ...identity.Edge) {
		t.Helper()
		found, _, _ := credits(graph(t, edges...), clicks, []identity.Node{sale}, at)
		got := Credit{Rule: RuleNone}
		if len(found) > 0 {
			got = found[0]
		}
		if got.Rule != rule || got.AffiliateID != affiliate {
			t.Errorf("%s: credited %s by %s, want %s by %s", what, got.AffiliateID, got.Rule, affiliate, rule)
		}
	}
	f("nothing is named", RuleNone, "", edge(sale, cus, "x"))
	f("the sale's own click outranks the customer's later one", RuleClickID, "early", edge(sale, early, "m"), edge(sale, cus, "x"), edge(cus, late, "m"))
	f("of a customer's clicks the last before the sale", RuleStripeCustomer, "late", edge(sale, cus, "x"), edge(cus, early, "m"), edge(cus, late, "m"))
	f("a click after the sale is not its cause", RuleStripeCustomer, "late", edge(sale, cus, "x"), edge(cus, late, "m"), edge(cus, after, "m"))
	f("unless the sale names it", RuleClickID, "after", edge(sale, after, "m"))
	f("a subscription keeps what began it", RuleSubscription, "early", edge(sale, sub, "x"), edge(sub, early, "m"), edge(sale, cus, "x"), edge(cus, late, "m"))
	f("the external customer outranks Stripe's", RuleExternal, "early", edge(sale, ext, "m"), edge(ext, early, "l"), edge(sale, cus, "x"), edge(cus, late, "m"))
	f("the customer's external id leads on", RuleStripeCustomer, "late", edge(sale, cus, "x"), edge(cus, ext, "m"), edge(ext, late, "l"))
	f("an affiliate named in metadata needs no click", RuleAffiliate, "ann", edge(sale, identity.New(identity.Affiliate, "ann"), "metadata.pushLapAffiliateId"))
	f("any click outranks a bare affiliate", RuleStripeCustomer, "early", edge(sale, identity.New(identity.Affiliate, "ann"), "m"), edge(sale, cus, "x"), edge(cus, early, "m"))
	bare := identity.New(identity.Reference, "project_123")
	f("an unrelated reference is nobody's name", RuleNone, "", edge(sale, bare, "client_reference_id"))
	f("a reference that is a known affiliate counts", RuleAffiliate, "project_123", edge(sale, bare, "client_reference_id"), edge(identity.New(identity.Affiliate, "project_123"), identity.New(identity.Program, "p"), "click"))
	f("a reference that is a click's foreign id is that click", RuleClickID, "late", edge(sale, bare, "client_reference_id"), edge(bare, late, "click.foreign_id"))
	f("of several clicks under one foreign id the first received", RuleClickID, "early", edge(sale, bare, "client_reference_id pimms_id_"), edge(bare, late, "click.foreign_id"), edge(bare, early, "click.foreign_id"))
}

// A name that nothing answers to is said, so that a person sees what the sale waits for.
func TestUnmetName(t *testing.T) {
	sale, wanted := identity.New(identity.Object, "pi_1"), identity.New(identity.Click, schemas.NewClickID(time.Unix(1_770_000_000, 0)).String())
	found, unmet, before := credits(graph(t, identity.Edge{A: sale, B: wanted, Source: "m"}), nil, []identity.Node{sale}, time.Time{})
	if len(found) != 0 || unmet != wanted {
		t.Errorf("found %v, waits for %q, want %q", found, unmet, wanted)
	}
	_, _, after := credits(graph(t, identity.Edge{A: sale, B: wanted, Source: "m"}), map[identity.Node]*Click{wanted: {}}, []identity.Node{sale}, time.Time{})
	if after <= before {
		t.Errorf("a click that became known does not add to the knowledge: %d, then %d", before, after)
	}
}
