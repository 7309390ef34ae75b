package clickhouse

import (
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/identity"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

// testStore returns a Store over a new database with all tables.
func testStore(tb testing.TB) (*Store, string) {
	tb.Helper()
	dsn, _ := sqltest.Open(tb)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	store, err := Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { store.Close() })
	return store, options.Auth.Database
}

// Whichever way the ids are asked for, the named ones of the batch are found and no others.
func TestNamedClicks(t *testing.T) {
	store, _ := testStore(t)
	ctx, at := t.Context(), time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	name := func(workspace string, ids ...schemas.ClickID) {
		t.Helper()
		var edges []EdgeRow
		for _, id := range ids {
			click := identity.New(identity.Click, id.String())
			edges = append(edges, EdgeRow{Workspace: workspace, Edge: identity.Edge{
				A: identity.New(identity.Object, "cs_"+id.String()), B: click, Source: "client_reference_id", At: at}})
		}
		if err := store.InsertEdges(ctx, edges); err != nil {
			t.Fatal(err)
		}
	}
	ids := func(n int, apart time.Duration) []schemas.ClickID {
		list := make([]schemas.ClickID, n)
		for i := range list {
			list[i] = schemas.NewClickID(at.Add(time.Duration(i) * apart))
		}
		return list
	}
	live, scattered := ids(50, time.Second), ids(2*maxClickRanges, time.Hour)
	crowded := ids(maxNamedClicks+2, time.Millisecond)
	name("shop", live[7], live[7], live[20], scattered[3], scattered[150])
	name("shop", crowded[1:]...) // among them many of the batch's time that are not in it
	name("other", live[8])
	for _, c := range []struct {
		what      string
		ids, want []schemas.ClickID
	}{
		{"a live batch", live, []schemas.ClickID{live[7], live[20]}},
		{"more times than ranges", scattered, []schemas.ClickID{scattered[3], scattered[150]}},
		{"more names than are read", []schemas.ClickID{crowded[0], crowded[5], crowded[len(crowded)-1]},
			[]schemas.ClickID{crowded[5], crowded[len(crowded)-1]}},
		{"nothing", nil, nil},
	} {
		got, err := store.NamedClicks(ctx, "shop", c.ids)
		if err != nil {
			t.Fatal(c.what, err)
		}
		slices.SortFunc(got, schemas.ClickID.Compare)
		slices.SortFunc(c.want, schemas.ClickID.Compare)
		if !slices.Equal(got, c.want) {
			t.Errorf("%s: named are %v, want %v", c.what, got, c.want)
		}
	}
}

// The longest lists that a lookup sends are within what ClickHouse parses.
func TestLongestLookups(t *testing.T) {
	store, _ := testStore(t)
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	nodes, edges := make([]identity.Node, lookupChunk), make([]identity.Edge, lookupChunk)
	leads := make([][16]byte, lookupChunk)
	for i := range nodes {
		leads[i] = schemas.NewClickID(at)
		nodes[i] = identity.New(identity.Click, schemas.ClickID(leads[i]).String())
		edges[i] = identity.Edge{A: nodes[i], B: nodes[i], At: at}
	}
	_, edgesErr := store.AllEdges(t.Context(), "shop", nodes)
	_, carriedErr := store.Carried(t.Context(), "shop", edges)
	_, clicksErr := store.Clicks(t.Context(), "shop", nodes)
	_, leadsErr := store.Leads(t.Context(), "shop", leads)
	if err := errors.Join(edgesErr, carriedErr, clicksErr, leadsErr); err != nil {
		t.Error(err)
	}
}
