package clickhouse_test

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/sql/sqltest"
)

// A row that no column can take is refused at once, by the driver or by the engine; whatever else
// goes wrong is waited out.
func TestRejected(t *testing.T) {
	dsn, db := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	good := clickhouse.FactRow{Workspace: "w", Fact: stripe.Fact{ObjectID: "pi_1", Kind: stripe.Payment,
		CreatedAt: time.Unix(1, 0), OccurredAt: time.Unix(1, 0), ReceivedAt: time.Unix(1, 0)}}
	if err := store.InsertLeads(t.Context(), []ledger.Lead{{Workspace: "w",
		EmailHash: strings.Repeat("x", 17)}}); !errors.Is(err, clickhouse.ErrRejected) {
		t.Errorf("17 bytes for a FixedString(16): %v", err)
	}
	if err := store.InsertFacts(t.Context(), []clickhouse.FactRow{good}); err != nil {
		t.Error(err)
	}
	if _, err := db.ExecContext(t.Context(), "ALTER TABLE facts ADD CONSTRAINT sane CHECK amount < 100"); err != nil {
		t.Fatal(err)
	}
	much := good
	much.Amount = 100
	if err := store.InsertFacts(t.Context(), []clickhouse.FactRow{much}); !errors.Is(err, clickhouse.ErrRejected) {
		t.Errorf("a row that the server refuses: %v", err)
	}
	if _, err := db.ExecContext(t.Context(), "RENAME TABLE facts TO elsewhere"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := store.InsertFacts(ctx, []clickhouse.FactRow{good}); errors.Is(err, clickhouse.ErrRejected) ||
		!errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("a table that is away for a moment: %v, want to wait", err)
	}
}
