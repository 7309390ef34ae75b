package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql"
)

// A sale without a rate is booked, and is no dollars; a week later the rate arrives, and the row is completed at once: the sweep
// does not wait for its hour.
func TestRateThatArrivesCompletesTheRow(t *testing.T) {
	dsn := chdbtest.Start(t)
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := clickhousego.OpenDB(options)
	defer db.Close()
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	log := slog.New(slog.DiscardHandler)
	store, err := clickhouse.Open(dsn, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()

	file := filepath.Join(t.TempDir(), "bank.csv")
	write := func(text string) {
		if err := os.WriteFile(file, []byte("date,currency,usd\n"+text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("2026-03-02,gbp,1.3\n")
	sources, err := fx.ParseSources([]string{"file:" + file})
	if err != nil {
		t.Fatal(err)
	}
	table := newRates(store, sources, 2, log)
	if err := table.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	recomputer := recompute.New(recompute.Config{Store: store, Rates: table, Settle: time.Hour, Log: log})
	table.arrived = recomputer.Wake
	money := &consume.Payments{Store: store, Recomputer: recomputer, Workspace: func(string) string { return "default" }, Events: consume.NewEventsMetric()}
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	body := []byte(`{"id":"evt_1","object":"event","type":"invoice.paid","created":1772445600,"livemode":true,"data":{"object":{"id":"in_1","object":"invoice","currency":"eur","amount_paid":1050,"total":1050,"customer":"cus_1"}}}`)
	record := schemas.StripeRecord(&schemas.StripeEvent{ID: "evt_1", Type: "invoice.paid", Livemode: true, ReceivedAt: at, Body: body}, "cus_1")
	if err := money.Handle(t.Context(), []*kgo.Record{record}, nil); err != nil {
		t.Fatal(err)
	}
	row := func() (usd string, source string) {
		if err := db.QueryRow("SELECT toString(ifNull(toString(amount_usd), 'NULL')), fx_source FROM revenue FINAL WHERE object_id = 'in_1'").Scan(&usd, &source); err != nil {
			t.Fatal(err)
		}
		return usd, source
	}
	if usd, source := row(); usd != "NULL" || source != "" {
		t.Fatalf("without a rate: %s USD by %q", usd, source)
	}
	var said strings.Builder
	if report, err := (&fxCommand{}).report(t.Context(), store, table, fx.DateOf(at)+9, 0); err != nil {
		t.Error(err)
	} else if err := report.print(&said); err != nil || !strings.Contains(said.String(), "too old for today") || !strings.Contains(said.String(), "eur  1 entry  2026-03-02") {
		t.Errorf("%v\n%s", err, said.String())
	}

	ctx, stop := context.WithCancel(t.Context())
	swept := make(chan error, 1)
	go func() { swept <- recomputer.Sweep(ctx, time.Hour) }()
	defer func() {
		stop()
		if err := <-swept; err != nil {
			t.Error(err)
		}
	}()
	write("2026-03-02,gbp,1.3\n2026-03-02,eur,1.1\n")
	start := time.Now()
	if err := table.load(t.Context()); err != nil {
		t.Fatal(err)
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		usd, source := row()
		if usd == "11.55" && source == "file:bank" {
			break
		}
		if time.Now().After(deadline) {
			t.Fatalf("after the rate: %s USD by %q, want 11.55", usd, source)
		}
	}
	if report, err := (&fxCommand{Currency: "eur", On: "2026-03-02"}).report(t.Context(), store, table, fx.DateOf(at)+9, fx.DateOf(at)); err != nil || len(report.Rates) != 1 || report.Rates[0].AgeDays != 9 ||
		report.Answer.sentence() != "A movement in EUR on 2026-03-02 is converted by 1.1 USD per unit (file:bank, of 2026-03-02). Stripe's amounts in EUR have 2 decimals." {
		t.Errorf("%+v %v", report, err)
	}
	t.Logf("completed %s after the rate arrived", time.Since(start).Round(time.Millisecond))
}
