package clickhouse

import (
	"cmp"
	"fmt"
	"math/big"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
)

// What is looked up without FINAL is what FINAL finds, and so what stays when parts are merged: of
// edges that came several times, with other times, sources and marks, and of names with more rows
// than are read.
func TestEdgesStandAsByFinal(t *testing.T) {
	store, _ := testStore(t)
	ctx := t.Context()
	if err := store.conn.Exec(ctx, "SYSTEM STOP MERGES identities"); err != nil {
		t.Fatal(err)
	}
	random := rand.New(rand.NewPCG(1, 2))
	var nodes []identity.Node
	for i := range 40 {
		nodes = append(nodes, identity.New(identity.Object, fmt.Sprintf("pi_%d", i)),
			identity.New(identity.Customer, fmt.Sprintf("cus_%d", i)))
	}
	// Of one name there are as many edges as are kept, each twice, and of another one more.
	full, many := identity.New(identity.External, "full"), identity.New(identity.External, "many")
	nodes = append(nodes, full, many)
	begin := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	for insert := range 6 {
		var rows []EdgeRow
		add := func(a, b identity.Node, source string, at time.Time, mark bool) {
			rows = append(rows, EdgeRow{Workspace: "w", OneWay: mark,
				Edge: identity.Edge{A: a, B: b, Source: source, At: at, Carried: mark}})
		}
		for range 200 {
			a := nodes[2*random.IntN(40)]
			if random.IntN(2) == 0 {
				a = nodes[2*random.IntN(40)+1]
			}
			source := []string{"session", "invoice"}[random.IntN(2)]
			add(a, identity.New(identity.Reference, fmt.Sprint(random.IntN(4))), source,
				begin.Add(time.Duration(random.IntN(3))*time.Second), random.IntN(3) == 0)
		}
		for i := range identity.Most + 1 {
			target := identity.New(identity.Click, fmt.Sprintf("%04d", i))
			if i < identity.Most && insert < 2 {
				add(full, target, "lead", begin.Add(time.Duration(insert)*time.Second), false)
			}
			if insert == 2 {
				add(many, target, "lead", begin, false)
			}
		}
		if err := store.InsertEdges(ctx, rows); err != nil {
			t.Fatal(err)
		}
	}
	order := func(edges []identity.Edge) []identity.Edge {
		slices.SortFunc(edges, func(x, y identity.Edge) int {
			return cmp.Or(cmp.Compare(x.A, y.A), cmp.Compare(x.B, y.B))
		})
		return edges
	}
	want, err := Collect(ctx, store, "identities", `SELECT key, target, source, at, carried FROM identities FINAL
WHERE workspace = 'w' AND (startsWith(key, 'object:') OR startsWith(key, 'customer:') OR startsWith(key, 'external:'))`,
		nil, scanEdge)
	if err != nil {
		t.Fatal(err)
	}
	uncut := func(edges []identity.Edge) []identity.Edge {
		return order(slices.DeleteFunc(slices.Clone(edges), func(e identity.Edge) bool { return e.A == many }))
	}
	for range 2 { // the second time it is known for which names FINAL is needed
		got, err := store.AllEdges(ctx, "w", nodes)
		if err != nil || !slices.Equal(order(got), order(slices.Clone(want))) {
			t.Errorf("all edges: %d, want %d (%v)", len(got), len(want), err)
		}
		got, err = store.Neighbours(ctx, "w", nodes)
		if err != nil {
			t.Fatal(err)
		}
		if !slices.Equal(uncut(got), uncut(want)) {
			t.Errorf("edges of names that are not cut: %v, want %v", uncut(got), uncut(want))
		}
		cut := slices.DeleteFunc(slices.Clone(got), func(e identity.Edge) bool { return e.A != many })
		if n := len(cut); n != identity.Most+1 || cut[n-1].Beyond != identity.Most+1 {
			t.Errorf("%d edges of the name that is cut, the last of them %v", n, cut[n-1])
		}
	}
}

// A row that is twice in one block is found once, before any merge.
func TestRepeatedRowsOfABlock(t *testing.T) {
	store, _ := testStore(t)
	ctx, at := t.Context(), time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	fact := FactRow{Workspace: "w", Fact: stripe.Fact{ObjectID: "pi_1", Kind: "payment", Source: "session",
		EventID: "evt_1", CreatedAt: at, ReceivedAt: at, OccurredAt: at, Currency: "usd", Amount: 100}}
	entry := ledger.Entry{Workspace: "w", ID: ledger.NewEntryID("w", true, "pi_1", "payment", ""), Livemode: true,
		Kind: "payment", ObjectID: "pi_1", SaleID: "pi_1", OccurredAt: at, Currency: "usd", Amount: 100,
		MatchCandidates: []string{}, Status: ledger.Booked, Version: ledger.VersionOf(big.NewInt(1))}
	for _, insert := range []func() error{
		func() error { return store.InsertFacts(ctx, []FactRow{fact, fact}) },
		func() error { return store.InsertLedger(ctx, []ledger.Entry{entry, entry}) },
	} {
		if err := insert(); err != nil {
			t.Fatal(err)
		}
	}
	for _, table := range []string{"facts", "ledger", "revenue", "ledger_log", "ledger_written"} {
		counts, err := Collect(ctx, store, table, "SELECT count() FROM "+table+" FINAL", nil,
			func(rows driver.Rows, n *uint64) error { return rows.Scan(n) })
		if err != nil || counts[0] != 1 {
			t.Errorf("%s: %d rows are found (%v)", table, counts, err)
		}
	}
}
