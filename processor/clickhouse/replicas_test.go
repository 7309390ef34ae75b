package clickhouse_test

import (
	"log/slog"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/sql/sqltest"
)

// A table that is computed again waits for its sources' rows on other servers each time that it is
// filled; on a single server it waits for nothing.
func TestRebuildDerivedWaits(t *testing.T) {
	dsn := chdbtest.Start(t)
	sqltest.Fill(t, dsn)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	open := func(dsn string) *clickhouse.Store {
		store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	if err := open(dsn).Sync(t.Context(), "ledger", "no_such_table"); err != nil {
		t.Errorf("a single server waits: %v", err)
	}
	for table, want := range map[string][]string{
		"revenue":          {"ledger", "exchange", "ledger", "revenue_days"},
		"leads_attributed": {"leads", "exchange", "leads"},
		"invoice_periods":  {"stripe_events", "exchange", "stripe_events"},
	} {
		replicas := clickhousetest.NewReplicas(t, dsn)
		store := open(replicas.URL + u.Path)
		if err := clickhouse.RebuildDerived(t.Context(), store, table); err != nil {
			t.Fatal(err)
		}
		var order []string // what was waited for, and what was exchanged
		for _, s := range replicas.Statements() {
			if waited, ok := strings.CutPrefix(s, "SYSTEM SYNC REPLICA "); ok {
				waited = strings.TrimSuffix(waited, " LIGHTWEIGHT")
				order = append(order, strings.ReplaceAll(waited[strings.LastIndexByte(waited, '.')+1:], "`", ""))
			} else if strings.HasPrefix(s, "EXCHANGE ") {
				order = append(order, "exchange")
			}
		}
		if !slices.Equal(order, want) {
			t.Errorf("%s waits for %v, want %v", table, order, want)
		}
		replicas.Refuse(497, "ACCESS_DENIED")
		if err := store.Sync(t.Context(), table); err == nil || !strings.Contains(err.Error(), "GRANT SYSTEM SYNC REPLICA") {
			t.Errorf("without the right: %v, want a hint at it", err)
		}
		replicas.Refuse(159, "TIMEOUT_EXCEEDED")
		if err := store.Sync(t.Context(), table); err == nil || !strings.Contains(err.Error(), "system.replication_queue") {
			t.Errorf("a server that lags for long: %v, want a hint at it", err)
		}
	}
}

// What a command has waited for on one server it does not read from another one, which a balancer
// may choose.
func TestSyncMeetsOneServer(t *testing.T) {
	dsn := chdbtest.Start(t)
	sqltest.Fill(t, dsn)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	replicas := clickhousetest.NewReplicas(t, dsn)
	store, err := clickhouse.OpenCommand(replicas.URL+u.Path, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for _, step := range []struct{ name, fails string }{{"a", ""}, {"a", ""}, {"b", "b "}, {"a", ""}} {
		replicas.Name(step.name)
		err := store.Sync(t.Context(), "ledger")
		if (err != nil) != (step.fails != "") || err != nil && !strings.HasPrefix(err.Error(), step.fails) {
			t.Errorf("server %s answers: %v", step.name, err)
		}
	}
}
