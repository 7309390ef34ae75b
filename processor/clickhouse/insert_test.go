package clickhouse

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// A processor that starts when a newer version has migrated the tables, as one does that dies while
// it is being upgraded, inserts as before: whatever columns the tables have by then, and where.
func TestInsertsIntoTablesOfANewerVersion(t *testing.T) {
	store, _ := testStore(t)
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	edge := []EdgeRow{{Workspace: "w", Edge: identity.Edge{A: "customer:cus_1", B: "object:pi_1", Source: "test",
		At: at}}}
	for table, insert := range map[string]func(context.Context) error{
		"ledger": func(ctx context.Context) error {
			return store.InsertLedger(ctx, []ledger.Entry{{Workspace: "w", Kind: stripe.Payment, ObjectID: "pi_1",
				SaleID: "pi_1", Currency: "usd", OccurredAt: at, ReceivedAt: at, Status: ledger.Booked}})
		},
		"leads": func(ctx context.Context) error {
			return store.InsertLeads(ctx, []ledger.Lead{ledger.NewLead(&schemas.Lead{Workspace: "w",
				LeadId: make([]byte, 16), ReceivedAt: at.UnixMilli(), ExternalId: "u1", EventName: "Sign up",
				Mode: "async"})})
		},
		"stripe_events": func(ctx context.Context) error {
			return store.InsertEvents(ctx, []EventRow{{"w", &schemas.StripeEvent{ID: "evt_1", ReceivedAt: at}, at}})
		},
		"facts": func(ctx context.Context) error {
			return store.InsertFacts(ctx, []FactRow{{"w", stripe.Fact{ObjectID: "pi_1", CreatedAt: at, ReceivedAt: at,
				OccurredAt: at}}})
		},
		"clicks": func(ctx context.Context) error {
			return store.InsertClicks(ctx, []ClickRow{{Click: &schemas.Click{Workspace: "w", ClickId: make([]byte, 16),
				ClickedAt: at.UnixMilli(), ReceivedAt: at.UnixMilli()}}})
		},
		"identities":  func(ctx context.Context) error { return store.InsertEdges(ctx, edge) },
		"first_names": func(ctx context.Context) error { return store.InsertFirstNames(ctx, edge) },
		"dead_letters": func(ctx context.Context) error {
			return store.InsertDeadLetters(ctx, []DeadLetterRow{{At: at, RecordAt: at, Topic: "t"}})
		},
		"deferred_names": func(ctx context.Context) error {
			return store.InsertDeferred(ctx, []Deferred{{Workspace: "w", Name: "customer:cus_1", Request: "r"}})
		},
		"fx_rates": func(ctx context.Context) error { return store.InsertRates(ctx, []fx.Rate{{Currency: "eur"}}) },
		"day_rates": func(ctx context.Context) error {
			return store.InsertDayRates(ctx, []fx.DayRate{{Currency: "eur"}})
		},
		"erasures": func(ctx context.Context) error {
			return store.InsertErasures(ctx, []ErasureRow{{Workspace: "w", Alias: "a", At: at}})
		},
		"pipeline_status": func(ctx context.Context) error {
			return store.InsertStatus(ctx, []StatusRow{{What: "lag", Subject: "s", At: at}})
		},
	} {
		t.Run(table, func(t *testing.T) {
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := store.Exec(ctx, "ALTER TABLE "+table+
				" ADD COLUMN of_newer Array(String) DEFAULT ['x'] FIRST"); err != nil {
				t.Fatal(err)
			}
			if err := insert(ctx); err != nil {
				t.Fatal(err)
			}
			var stored uint64
			err := store.conn.QueryRow(ctx, "SELECT count() FROM "+table+" WHERE of_newer = ['x']").Scan(&stored)
			if err != nil || stored == 0 {
				t.Errorf("%d rows are stored, %v", stored, err)
			}
		})
	}
}

// Nor is it a record's fault that a newer version has given a column another type, into which the
// driver puts no value of this program's: nothing is set aside.
func TestInsertsIntoColumnsOfAnotherType(t *testing.T) {
	store, _ := testStore(t)
	store.command = true // a processor waits for what this returns
	lead := ledger.NewLead(&schemas.Lead{Workspace: "w", LeadId: make([]byte, 16), ExternalId: "u1", Mode: "async"})
	exec := func(statement string) {
		t.Helper()
		if err := store.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	exec("DROP VIEW leads_attributed_mv")
	for _, typ := range []string{"UInt16", "Array(UInt8)"} {
		exec("ALTER TABLE leads DROP COLUMN quantity")
		exec("ALTER TABLE leads ADD COLUMN quantity " + typ)
		err := store.InsertLeads(t.Context(), []ledger.Lead{lead})
		if err == nil || errors.Is(err, ErrRejected) || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %v", typ, err)
		}
	}
}
