package replay_test

import (
	"context"
	"log/slog"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/replay"
)

// After the raw events are restored from a backup, which views do not see, an exchange brings back
// what the lines of invoices say, and leaves nothing of events that are no longer there.
func TestPeriodsAfterRestore(t *testing.T) {
	dsn := chdbtest.Start(t)
	live, liveDB := openDatabase(t, dsn, "")
	shadow, shadowDB := openDatabase(t, dsn, "_replay")
	file := workspaces(t, `[{"id":"shop","stripe_accounts":[""]}]`)
	for _, statement := range []string{
		`INSERT INTO stripe_events (workspace, event_id, type, livemode, created, received_at, body) VALUES
		('shop', 'evt_1', 'invoice.finalized', true, '2026-09-10 09:00:00', '2026-09-10 09:00:00',
		'{"id":"evt_1","object":"event","type":"invoice.finalized","created":1788944400,"livemode":true,
		"data":{"object":{"id":"in_1","object":"invoice",
		"status":"open","currency":"usd","billing_reason":"subscription_create","lines":{"data":[{"amount":1200,
		"type":"subscription","proration":false,"period":{"start":1788944400,"end":1820480400}}]}}}}')`,
		"TRUNCATE TABLE invoice_periods",
		"INSERT INTO invoice_periods (workspace, livemode, invoice_id, whole) VALUES ('shop', true, 'in_gone', 1)",
	} {
		if err := live.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	b := &replay.Rebuild{Live: live, Shadow: shadow, LiveDB: liveDB, ShadowDB: shadowDB, Batch: 100,
		Log: slog.New(slog.DiscardHandler),
		Handlers: func(_ context.Context, s *clickhouse.Store) (*replay.Handlers, error) {
			r := recompute.New(recompute.Config{Store: s, Rates: clickhousetest.FixedRates{"usd": "1"},
				Log: slog.New(slog.DiscardHandler)})
			return &replay.Handlers{Recomputer: r, Clicks: &consume.Clicks{Store: s, Recomputer: r},
				Payments: &consume.Payments{Store: s, Recomputer: r, Workspace: file.OfEvent,
					Events: consume.NewEventsMetric()}}, nil
		}}
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := b.Exchange(t.Context()); err != nil {
		t.Fatal(err)
	}
	var invoice string
	var amounts []int64
	if err := live.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&invoice, &amounts) },
		"SELECT invoice_id, lines.amount FROM invoice_periods FINAL ORDER BY invoice_id"); err != nil {
		t.Fatal(err)
	}
	if invoice != "in_1" || len(amounts) != 1 || amounts[0] != 1200 {
		t.Errorf("the last invoice is %q with lines of %v, want in_1 with one of 1200", invoice, amounts)
	}
}
