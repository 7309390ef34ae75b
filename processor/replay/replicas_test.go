package replay_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/replay"
)

// On several servers a rebuild, its exchange and a repair copy rows only from tables whose rows of
// other servers they have waited for.
func TestCopiesWaitForReplicas(t *testing.T) {
	dsn := chdbtest.Start(t)
	replicas := clickhousetest.NewReplicas(t, dsn)
	open := func(suffix string) (*clickhouse.Store, string) {
		direct, database := openDatabase(t, dsn, suffix)
		if suffix == "" {
			if err := direct.Exec(t.Context(), "INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, "+
				"version) VALUES ('shop', unhex('01980000000070008000000000000001'), now() - 600, now() - 600, 'v1', 1)"); err != nil {
				t.Fatal(err)
			}
		}
		u, err := url.Parse(replicas.URL)
		if err != nil {
			t.Fatal(err)
		}
		u.Path = "/" + database
		store, err := clickhouse.Open(u.String(), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store, database
	}
	live, liveDB := open("")
	shadow, shadowDB := open("_replay")
	checked, checkedDB := open("_audit_x")
	log := slog.New(slog.DiscardHandler)
	over := func(store recompute.Store) *replay.Handlers {
		r := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"usd": "1"}, Log: log})
		return &replay.Handlers{Recomputer: r, Clicks: &consume.Clicks{Store: store, Recomputer: r},
			Payments: &consume.Payments{Store: store, Recomputer: r, Events: consume.NewEventsMetric()}}
	}
	copies := func(when string, want int) {
		t.Helper()
		if unsynced, n := replicas.Unsynced(); len(unsynced) > 0 || n < want {
			t.Errorf("%s %d copies, want %d or more; not waited for before:\n%s", when, n, want, strings.Join(unsynced, "\n"))
		}
	}
	waited := func(database, table string) bool {
		return slices.ContainsFunc(replicas.Statements(), func(s string) bool {
			return s == fmt.Sprintf("SYSTEM SYNC REPLICA `%s`.`%s` LIGHTWEIGHT", database, table)
		})
	}

	a := &audit.Audit{Live: live, Shadow: checked, ShadowDB: checkedDB, Batch: 100, Log: log,
		Handlers: func(_ context.Context, store recompute.Store, _ func() time.Time) (*replay.Handlers, error) {
			return over(store), nil
		}}
	if _, err := a.Run(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if waited(checkedDB, "ledger") {
		t.Error("an audit that repairs nothing waits, and its role may not")
	}
	if _, _, err := a.Repair(t.Context(), time.Time{}); err != nil {
		t.Fatal(err)
	}
	if !waited(checkedDB, "ledger") {
		t.Error("a repair does not wait for what it has written into the shadow")
	}

	b := &replay.Rebuild{Live: live, Shadow: shadow, LiveDB: liveDB, ShadowDB: shadowDB, Batch: 100, OneDatabase: true,
		Log: log, Handlers: func(_ context.Context, s *clickhouse.Store) (*replay.Handlers, error) { return over(s), nil }}
	if result, err := b.Run(t.Context()); err != nil || !result.Equal() {
		t.Fatalf("the rebuild differs: %+v, %v", result, err)
	}
	copies("a rebuild makes", 3)
	if err := b.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	copies("a rebuild and its exchange make", 9)
	for _, table := range []string{"ledger", "revenue", "identities", "leads"} {
		if !waited(shadowDB, table) {
			t.Errorf("%s is copied into the live database, and nothing waited for it", table)
		}
	}
	var clicks uint64
	if err := live.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&clicks) },
		"SELECT count() FROM "+clickhouse.Table(shadowDB, "clicks")); err != nil || clicks == 0 {
		t.Errorf("the rebuild has %d clicks (%v)", clicks, err)
	}
}
