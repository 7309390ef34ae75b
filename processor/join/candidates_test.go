package join

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"tributary/processor/identity"
	"tributary/schemas"
)

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
	g, err := identity.Explore(t.Context(), func(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge,
		error) {
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
	sale, cus, sub, ext := identity.New(identity.Object, "in_1"), identity.New(identity.Customer, "cus_1"),
		identity.New(identity.Subscription, "sub_1"), identity.New(identity.External, "user_1")
	early, late, after := click(-48, "early"), click(-1, "late"), click(5, "after")
	edge := func(a, b identity.Node, source string) identity.Edge {
		return identity.Edge{A: a, B: b, Source: source}
	}

	f := func(what string, rule Rule, affiliate string, edges ...identity.Edge) {
		t.Helper()
		got := NewSearch(graph(t, edges...), clicks, []identity.Node{sale}, Times{at, at}, Policy{}).Best()
		if got.Rule != rule || got.AffiliateID != affiliate {
			t.Errorf("%s: credited %s by %s, want %s by %s", what, got.AffiliateID, got.Rule, affiliate, rule)
		}
	}
	f("nothing is named", RuleNone, "", edge(sale, cus, "x"))
	f("the sale's own click outranks the customer's later one", RuleClickID, "early", edge(sale, early, "m"),
		edge(sale, cus, "x"), edge(cus, late, "m"))
	f("of a customer's clicks the last before the sale", RuleStripeCustomer, "late", edge(sale, cus, "x"),
		edge(cus, early, "m"), edge(cus, late, "m"))
	f("a click after the sale is not its cause", RuleStripeCustomer, "late", edge(sale, cus, "x"), edge(cus, late, "m"),
		edge(cus, after, "m"))
	f("unless the sale names it", RuleClickID, "after", edge(sale, after, "m"))
	f("a subscription keeps what began it", RuleSubscription, "early", edge(sale, sub, "x"), edge(sub, early, "m"),
		edge(sale, cus, "x"), edge(cus, late, "m"))
	f("the external customer outranks Stripe's", RuleExternal, "early", edge(sale, ext, "m"), edge(ext, early, "l"),
		edge(sale, cus, "x"), edge(cus, late, "m"))
	f("the customer's external id leads on", RuleStripeCustomer, "late", edge(sale, cus, "x"), edge(cus, ext, "m"),
		edge(ext, late, "l"))
	f("an affiliate named in metadata needs no click", RuleAffiliate, "ann",
		edge(sale, identity.New(identity.Affiliate, "ann"), "metadata.pushLapAffiliateId"))
	f("any click outranks a bare affiliate", RuleStripeCustomer, "early",
		edge(sale, identity.New(identity.Affiliate, "ann"), "m"), edge(sale, cus, "x"), edge(cus, early, "m"))
	bare := identity.New(identity.Reference, "project_123")
	f("an unrelated reference is nobody's name", RuleNone, "", edge(sale, bare, "client_reference_id"))
	f("a reference that is a known affiliate counts", RuleAffiliate, "project_123",
		edge(sale, bare, "client_reference_id"), edge(identity.New(identity.Affiliate, "project_123"),
			identity.New(identity.Program, "p"), "click"))
	f("a reference that is a click's foreign id is that click", RuleClickID, "late",
		edge(sale, bare, "client_reference_id"), edge(bare, late, "click.foreign_id"))
}

// A name that nothing answers to is said, so that a person sees what the sale waits for.
func TestUnmetName(t *testing.T) {
	sale, wanted := identity.New(identity.Object, "pi_1"),
		identity.New(identity.Click, schemas.NewClickID(time.Unix(1_770_000_000, 0)).String())
	names := graph(t, identity.Edge{A: sale, B: wanted, Source: "m"})
	before := NewSearch(names, nil, []identity.Node{sale}, Times{}, Policy{})
	if c := before.Best(); c.Rule != RuleNone || c.Key != wanted {
		t.Errorf("found %v, want to wait for %q", c, wanted)
	}
}

func TestPolicy(t *testing.T) {
	const day = 24 * time.Hour
	at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	clicks := make(map[identity.Node]*Click)
	click := func(days int) identity.Node {
		id := schemas.NewClickID(at.AddDate(0, 0, -days))
		n := identity.New(identity.Click, id.String())
		clicks[n] = &Click{ID: id, ClickedAt: id.Time(), ReceivedAt: id.Time()}
		return n
	}
	sale, cus, ext := identity.New(identity.Object, "in_1"), identity.New(identity.Customer, "cus_1"),
		identity.New(identity.External, "user_1")
	c1, c10, c89, c91, c400 := click(1), click(10), click(89), click(91), click(400)
	c90, c90older := click(90), click(90)
	clicks[c90older].ClickedAt = clicks[c90].ClickedAt.Add(-time.Millisecond)
	names := func(a identity.Node, bs ...identity.Node) (edges []identity.Edge) {
		edges = append(edges, identity.Edge{A: sale, B: cus})
		for _, b := range bs {
			edges = append(edges, identity.Edge{A: a, B: b})
		}
		return edges
	}
	firstPaid := func(n identity.Node, days int) identity.Edge {
		return identity.Edge{A: n, B: identity.New(identity.FirstSale, n.Value()), At: at.AddDate(0, 0, -days)}
	}
	f := func(what string, p Policy, want identity.Node, edges ...identity.Edge) {
		t.Helper()
		got := identity.Node("")
		if c := NewSearch(graph(t, edges...), clicks, []identity.Node{sale}, Times{at, at}, p).Best(); c.Click != nil {
			got = identity.New(identity.Click, c.Click.ID.String())
		}
		if got != want {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
	}
	f("89 days are in the window", Policy{}, c89, names(sale, c89)...)
	f("91 days are not", Policy{}, "", names(sale, c91)...)
	f("90 days to the millisecond are", Policy{}, c90, names(sale, c90)...)
	f("one more is not", Policy{}, "", names(sale, c90older)...)
	f("a window of its own", Policy{Window: 5 * day}, c1, names(sale, c10, c1)...)
	f("a window of its own, too old", Policy{Window: 5 * day}, "", names(sale, c10)...)
	f("last touch", Policy{}, c1, names(sale, c10, c1, c89)...)
	f("first touch", Policy{Touch: FirstTouch}, c89, names(sale, c10, c1, c89)...)
	f("follow the last mapping", Policy{Touch: FirstTouch}, c1, names(cus, c10, c1)...)
	sub := identity.New(identity.Subscription, "sub_1")
	f("a subscription's clicks are followed, too", Policy{Touch: FirstTouch}, c1,
		[]identity.Edge{{A: sale, B: sub}, {A: sub, B: c10}, {A: sub, B: c1}}...)
	f("follow the first mapping", Policy{Follow: FirstTouch}, c10, names(cus, c10, c1)...)
	f("a renewal keeps the credit of the buyer's first sale", Policy{}, c400,
		append(names(cus, c400), firstPaid(cus, 320))...)
	f("a first sale that was too late gives its renewals nothing", Policy{}, "",
		append(names(cus, c400), firstPaid(cus, 300))...)
	f("a first sale on the last moment of the window", Policy{}, c400, append(names(cus, c400), firstPaid(cus, 310))...)
	f("a renewal on the last moment", Policy{Renewals: 400 * day}, c400, append(names(cus, c400), firstPaid(cus, 399))...)
	f("renewals for a year only", Policy{Renewals: 365 * day}, "", append(names(cus, c400), firstPaid(cus, 399))...)
	f("the sale's own external id keeps it too", Policy{}, c400,
		append([]identity.Edge{{A: sale, B: ext}, {A: ext, B: c400}}, firstPaid(ext, 399))...)
	if err := (Policy{Renewals: day}).Validate(); err == nil {
		t.Error("renewals shorter than the window are taken")
	}
	if _, err := NewPolicies(Policy{}, Policy{Window: day}); err == nil {
		t.Error("two policies of one day are taken")
	}
}

// What a clock that runs ahead may do, and who is credited when everything else is equal. Names
// come in any order, so a tie must not be decided by it.
func TestBoundsAndTies(t *testing.T) {
	at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	clicks := make(map[identity.Node]*Click)
	click := func(after time.Duration) identity.Node {
		id := schemas.NewClickID(at.Add(after))
		n := identity.New(identity.Click, id.String())
		clicks[n] = &Click{ID: id, ClickedAt: id.Time()}
		return n
	}
	sale, cus := identity.New(identity.Object, "in_1"), identity.New(identity.Customer, "cus_1")
	ann, bob := identity.New(identity.Affiliate, "ann"), identity.New(identity.Affiliate, "bob")
	f := func(what string, want identity.Node, edges ...identity.Edge) {
		t.Helper()
		for range 2 {
			slices.Reverse(edges)
			for _, touch := range []Touch{LastTouch, FirstTouch} {
				c := NewSearch(graph(t, edges...), clicks, []identity.Node{sale}, Times{at, at}, Policy{Touch: touch}).Best()
				got := identity.New(identity.Affiliate, c.AffiliateID)
				if c.Click != nil {
					got = identity.New(identity.Click, c.Click.ID.String())
				}
				if got != want {
					t.Errorf("%s: %q, want %q", what, got, want)
				}
			}
		}
	}
	ahead, later, before := click(skew), click(skew+time.Millisecond), click(-time.Hour)
	buyer := identity.Edge{A: sale, B: cus}
	f("a clock five minutes ahead", ahead, buyer, identity.Edge{A: cus, B: ahead}, identity.Edge{A: cus, B: before})
	f("and a millisecond", before, buyer, identity.Edge{A: cus, B: later}, identity.Edge{A: cus, B: before})
	named := func(who identity.Node, after time.Duration) identity.Edge {
		return identity.Edge{A: sale, B: who, Source: "m", At: at.Add(after)}
	}
	f("an affiliate named by a clock five minutes ahead", bob, named(ann, -time.Hour), named(bob, skew))
	f("and a second", ann, named(ann, -time.Hour), named(bob, skew+time.Second))
	first, second := click(-time.Minute), click(-time.Minute)
	f("clicks of one millisecond: the smaller id", min(first, second), named(first, 0), named(second, 0))
	f("affiliates of one second: the smaller id", ann, named(bob, 0), named(ann, 0))

	// The row's match_key, too.
	one, other := identity.New(identity.Promotion, "promo_1"), identity.New(identity.Promotion, "promo_2")
	codes := []identity.Edge{named(other, 0), named(one, 0), {A: one, B: ann}, {A: other, B: ann}}
	for range 2 {
		slices.Reverse(codes)
		if c := NewSearch(graph(t, codes...), clicks, []identity.Node{sale}, Times{at, at}, Policy{}).Best(); c.Key != one {
			t.Errorf("two codes of one affiliate: by %q, want %q", c.Key, one)
		}
	}
}

// An old click is refused with a word, not lost.
func TestCandidates(t *testing.T) {
	at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	clicks := make(map[identity.Node]*Click)
	click := func(days int) identity.Node {
		id := schemas.NewClickID(at.AddDate(0, 0, -days))
		n := identity.New(identity.Click, id.String())
		clicks[n] = &Click{ID: id, ClickedAt: id.Time()}
		return n
	}
	sale, cus := identity.New(identity.Object, "in_1"), identity.New(identity.Customer, "cus_1")
	edges := []identity.Edge{{A: sale, B: cus}, {A: cus, B: click(1)}, {A: cus, B: click(2)}, {A: cus, B: click(200)},
		{A: cus, B: click(-3)}, {A: cus, B: identity.New(identity.Click, schemas.NewClickID(at).String())}}
	var got []Outcome
	for _, w := range NewSearch(graph(t, edges...), clicks, []identity.Node{sale}, Times{at, at}, Policy{}).Candidates() {
		got = append(got, w.Outcome)
	}
	slices.Sort(got)
	if want := []Outcome{Outranked, Credited, TooLate, TooOld, Unknown}; !slices.Equal(got, want) {
		t.Errorf("%v, want %v", got, want)
	}
}

// What several metadata fields of a customer name is listed in one order, whenever it is asked for.
func TestCandidatesOfFieldsInOrder(t *testing.T) {
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	sale, cus := identity.New(identity.Object, "in_1"), identity.New(identity.Customer, "cus_1")
	edges, clicks := []identity.Edge{{A: sale, B: cus}}, make(map[identity.Node]*Click)
	for i := range 10 { // long before the sale
		id := schemas.NewClickID(at.AddDate(-1, 0, i))
		n := identity.New(identity.Click, id.String())
		clicks[n] = &Click{ID: id, ClickedAt: id.Time(), ReceivedAt: id.Time()}
		edges = append(edges, identity.Edge{A: cus, B: n, Source: fmt.Sprint("customer.metadata.field", i), At: at})
	}
	g := graph(t, edges...)
	for range 10 {
		found := NewSearch(g, clicks, []identity.Node{sale}, Times{at, at}, Policy{}).Candidates()
		if len(found) != 10 || !slices.IsSortedFunc(found, func(a, b Candidate) int {
			return a.Click.ClickedAt.Compare(b.Click.ClickedAt)
		}) {
			t.Fatalf("%d candidates, or not in the order of their fields", len(found))
		}
	}
}

func TestCatalogueOfLinksAndPromotionCodes(t *testing.T) {
	at := time.Date(2026, 6, 1, 10, 0, 0, 0, time.UTC)
	id := schemas.NewClickID(at.Add(-time.Hour))
	own := identity.New(identity.Click, id.String())
	clicks := map[identity.Node]*Click{own: {ID: id, ClickedAt: id.Time(), LinkID: "spring"}}
	sale, ann, program := identity.New(identity.Object, "in_1"), identity.New(identity.Affiliate, "ann"),
		identity.New(identity.Program, "p1")
	promo, coupon, code := identity.New(identity.Promotion, "promo_1"), identity.New(identity.Coupon, "SPRING"),
		identity.New(identity.Code, "ANN20")
	best := func(edges ...identity.Edge) Credit {
		g := graph(t, edges...)
		g.Add([]identity.Edge{{A: identity.New(identity.Link, "spring"), B: ann, Source: identity.CatalogueSource},
			{A: ann, B: program, Source: identity.CatalogueSource}})
		return NewSearch(g, clicks, []identity.Node{sale}, Times{at, at}, Policy{}).Best()
	}
	if c := best(identity.Edge{A: sale, B: own}); c.AffiliateID != "ann" || c.ProgramID != "p1" ||
		c.Click.AffiliateID != "ann" || clicks[own].AffiliateID != "" {
		t.Errorf("a click by a link of the catalogue is %+v's", c)
	}
	if c := best(identity.Edge{A: sale, B: promo}, identity.Edge{A: promo, B: code}, identity.Edge{A: code, B: ann},
		identity.Edge{A: ann, B: program}); c.Rule != RulePromotionCode || c.AffiliateID != "ann" || c.Key != promo {
		t.Errorf("a promotion code's code: %+v", c)
	}
	if c := best(identity.Edge{A: sale, B: promo}, identity.Edge{A: promo, B: coupon},
		identity.Edge{A: coupon, B: ann}); c.Rule != RulePromotionCode || c.AffiliateID != "ann" {
		t.Errorf("a promotion code's coupon: %+v", c)
	}
	if c := best(identity.Edge{A: sale, B: promo}, identity.Edge{A: promo, B: ann},
		identity.Edge{A: sale, B: identity.New(identity.Affiliate, "bob")}); c.Rule != RuleAffiliate ||
		c.AffiliateID != "bob" {
		t.Errorf("an affiliate named by the sale is outranked by a code: %+v", c)
	}
}
