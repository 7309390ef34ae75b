package reconcile_test

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/explain"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/processor/reconcile"
	"tributary/processor/stripe"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

var update = flag.Bool("update", false,
	"write what the report says into testdata; read the difference before committing it")

// shop is a ledger on the real engine that a few events have been booked into.
func shop(t *testing.T) *clickhouse.Store {
	dsn, _ := sqltest.Open(t)
	log := slog.New(slog.DiscardHandler)
	store, err := clickhouse.Open(dsn, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	recomputer := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"usd": "1", "eur": "1.1"},
		Log: log})
	money := &consume.Payments{Store: store, Recomputer: recomputer, Workspace: func(*schemas.StripeEvent) (string,
		bool) {
		return "default", true
	}, Events: consume.NewEventsMetric()}
	data, err := os.ReadFile("testdata/events.txt")
	if err != nil {
		t.Fatal(err)
	}
	for i, line := range strings.Split(strings.TrimSpace(string(data)), "\n") {
		if strings.HasPrefix(line, "#") || line == "" {
			continue
		}
		typ, rest, _ := strings.Cut(line, " ")
		stamp, object, _ := strings.Cut(rest, " ")
		at, err := time.Parse("2006-01-02T15:04", stamp)
		if err != nil {
			t.Fatal(err)
		}
		id := fmt.Sprintf("evt_%d", i)
		body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":%s}}`, id,
			typ, at.Unix(), object)
		record := schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: true,
			ReceivedAt: at.Add(time.Second), Body: []byte(body)}, id)
		err = money.Handle(t.Context(), []*kgo.Record{record}, func(ctx context.Context, r *kgo.Record, step, reason string,
			cause error) error {
			letter := schemas.DeadLetterRecord(r, step, reason, cause)
			letter.Topic = schemas.TopicDeadLetters
			return money.Handle(ctx, []*kgo.Record{letter}, nil)
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	return store
}

func export(t *testing.T, path string) []reconcile.Transaction {
	t.Helper()
	file, err := os.Open(path)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	var list []reconcile.Transaction
	if err := reconcile.ReadExport(file, fx.StripeExponents(),
		func(x reconcile.Transaction) error { list = append(list, x); return nil }); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
	return list
}

// The same books in three spellings are equal to the cent; with faults planted into them each is
// found, with its cause.
func TestCompare(t *testing.T) {
	store := shop(t)
	period, err := reconcile.NewPeriod("2026-03-01", "2026-03-10")
	if err != nil {
		t.Fatal(err)
	}
	scope := reconcile.Scope{Workspace: "default", Livemode: true, Period: period}
	for _, test := range []struct {
		file  string
		equal bool
	}{{"report.csv", true}, {"balance_history.csv", true}, {"api.json", true}, {"faults.csv", false}} {
		t.Run(test.file, func(t *testing.T) {
			report, err := reconcile.Compare(t.Context(), store, scope, export(t, filepath.Join("testdata", test.file)))
			if err != nil {
				t.Fatal(err)
			}
			var said strings.Builder
			if err := report.Print(&said, fx.StripeExponents()); err != nil {
				t.Fatal(err)
			}
			if equal := report.Err() == nil; equal != test.equal ||
				errors.Is(report.Err(), reconcile.ErrDifferences) == test.equal {
				t.Errorf("equal: %v (%v)\n%s", equal, report.Err(), said.String())
			}
			golden := filepath.Join("testdata", test.file+".txt")
			if *update {
				if err := os.WriteFile(golden, []byte(said.String()), 0o644); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(golden)
			if err != nil || string(want) != said.String() {
				t.Errorf("%v; got:\n%s\nwant:\n%s", err, said.String(), want)
			}
		})
	}
}

// What Stripe settled converts the entry, and the settlement is not taken for another payment. It
// may be of several transactions: two captures, and the release of what was not captured.
func TestSettlementsAreKept(t *testing.T) {
	store := shop(t)
	recomputer := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"usd": "1", "eur": "1.1"},
		Log: slog.New(slog.DiscardHandler)})
	at := time.Date(2026, 3, 2, 10, 5, 0, 0, time.UTC)
	var settlements []stripe.Fact
	for _, x := range []reconcile.Transaction{
		{ID: "txn_9", Category: "charge", Source: "ch_2", Amount: 12600, PresentedAmount: 11400},
		{ID: "txn_10", Category: "charge", Source: "ch_2", Amount: 1620, PresentedAmount: 1500},
		{ID: "txn_11", Category: "partial_capture_reversal", Source: "re_9", ChargeID: "ch_2", Amount: -1100,
			PresentedAmount: -1000},
	} {
		x.Created, x.Currency, x.Presented = at, "usd", "eur"
		if !x.Settled() {
			t.Fatal("not settled")
		}
		settlements = append(settlements, x.Settlement("", true))
	}
	for range 2 {
		if err := recomputer.Settlements(t.Context(), "default", settlements); err != nil {
			t.Fatal(err)
		}
	}
	rows, err := explain.Versions(t.Context(), store, "default", []string{"in_2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.ObjectID == "in_2" && r.Kind == "payment" && r.FXSource == "stripe" {
			if r.AmountUSD != "131.2" || r.Amount != 11900 {
				t.Errorf("%+v", r)
			}
			return
		}
	}
	t.Errorf("no version by Stripe's rate: %+v", rows)
}
