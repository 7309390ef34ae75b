package main

import (
	"context"
	"database/sql"
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
	"tributary/processor/consume"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

// converted is a ledger on a real ClickHouse, with a source of rates that is a file of this test.
type converted struct {
	t          *testing.T
	db         *sql.DB
	store      *clickhouse.Store
	rates      *fx.Live
	recomputer *recompute.Recomputer
	sources    []fx.Source
	file       string
}

func newConverted(t *testing.T, rates string) *converted {
	t.Helper()
	dsn, db := sqltest.Open(t)
	c := &converted{t: t, db: db, file: filepath.Join(t.TempDir(), "bank.csv")}
	log := slog.New(slog.DiscardHandler)
	var err error
	if c.store, err = clickhouse.OpenUnpaced(dsn, log, prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.store.Close() })
	if c.sources, err = fx.ParseSources([]string{"file:" + c.file}); err != nil {
		t.Fatal(err)
	}
	c.publish(rates)
	c.rates = c.live()
	if _, err := c.rates.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	c.recomputer = recompute.New(recompute.Config{Store: c.store, Rates: c.rates, Log: log})
	return c
}

func (c *converted) live() *fx.Live {
	return fx.NewLive(c.store, c.sources, fx.StripeExponents(), slog.New(slog.DiscardHandler), nil)
}

func (c *converted) publish(rates string) {
	c.t.Helper()
	if err := os.WriteFile(c.file, []byte("date,currency,usd\n"+rates), 0o600); err != nil {
		c.t.Fatal(err)
	}
}

// fetch reads the source in another process, as processor fx --fetch is one.
func (c *converted) fetch() {
	c.t.Helper()
	if _, err := c.live().Load(c.t.Context()); err != nil {
		c.t.Fatal(err)
	}
}

// run keeps rates and ledger up to date until the test ends. Neither the sources nor the ledger are
// looked at again within the test, but for rates that arrive.
func (c *converted) run() {
	ctx, stop := context.WithCancel(c.t.Context())
	ended := make(chan error, 3)
	go func() { ended <- c.recomputer.Sweep(ctx, time.Hour) }()
	go func() { ended <- c.recomputer.RestateRates(ctx) }()
	go func() { ended <- c.rates.Run(ctx, time.Hour, 50*time.Millisecond, c.recomputer.Wake) }()
	c.t.Cleanup(func() {
		stop()
		for range 3 {
			if err := <-ended; err != nil {
				c.t.Error(err)
			}
		}
	})
}

// paid books an invoice of 10.50 on a day, and returns what its row says: USD, source, day of the
// rate.
func (c *converted) paid(id, currency string, at time.Time) func() string {
	c.t.Helper()
	money := &consume.Payments{
		Store: c.store, Recomputer: c.recomputer, Workspace: func(*schemas.StripeEvent) (string,
			bool) {
			return "default", true
		},
		Events: consume.NewEventsMetric(),
	}
	body := fmt.Appendf(nil,
		`{"id":"evt_%s","object":"event","type":"invoice.paid","created":%d,"livemode":true,"data":{"object":`+
			`{"id":"%s","object":"invoice","currency":"%s","amount_paid":1050,"total":1050,"customer":"cus_1"}}}`,
		id, at.Unix(), id, currency)
	event := &schemas.StripeEvent{ID: "evt_" + id, Type: "invoice.paid", Livemode: true, ReceivedAt: at, Body: body}
	if err := money.Handle(c.t.Context(), []*kgo.Record{schemas.StripeRecord(event, "cus_1")}, nil); err != nil {
		c.t.Fatal(err)
	}
	return func() string {
		c.t.Helper()
		var text string
		row := c.db.QueryRow(`SELECT concat(ifNull(toString(amount_usd), 'NULL'), ' ', fx_source, ' ', ifNull(toString(fx_date), ''))
			FROM ledger FINAL WHERE object_id = ?`, id)
		if err := row.Scan(&text); err != nil {
			c.t.Fatal(err)
		}
		return strings.TrimSpace(text)
	}
}

func (c *converted) becomes(row func() string, want string) {
	c.t.Helper()
	for deadline := time.Now().Add(3 * time.Minute); row() != want; time.Sleep(20 * time.Millisecond) {
		if time.Now().After(deadline) {
			c.t.Fatalf("the row says %q, want %q", row(), want)
		}
	}
}

func (c *converted) report(command *fxCommand, today, on fx.Date) (*fxReport, string) {
	c.t.Helper()
	report, err := command.report(c.t.Context(), c.store, c.rates, today, on)
	if err != nil {
		c.t.Fatal(err)
	}
	var text strings.Builder
	if err := report.print(&text); err != nil {
		c.t.Fatal(err)
	}
	return report, text.String()
}

// A sale without a rate is booked, and is no dollars; a week later another process stores the rate,
// and the row is completed at once: neither the refresh nor the sweep waits for its hour.
func TestRateThatArrivesCompletesTheRow(t *testing.T) {
	c := newConverted(t, "2026-03-02,gbp,1.3\n2026-03-02,sek,0\n")
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	row := c.paid("in_1", "eur", at)
	if got := row(); got != "NULL" {
		t.Fatalf("without a rate: %s", got)
	}
	_, text := c.report(&fxCommand{}, fx.DateOf(at)+9, 0)
	for _, want := range []string{
		"too old for today", "eur  1 entry  2026-03-02", "aed       0.272294077603812117  2026-03-11  0 d  pegs",
		`file:bank sek 2026-03-02: "0": rate is not a positive Decimal(38,18); it is left out`,
	} {
		if !strings.Contains(text, want) {
			t.Errorf("%q is missing:\n%s", want, text)
		}
	}
	c.run()
	c.publish("2026-03-02,gbp,1.3\n2026-03-02,eur,1.1\n")
	start := time.Now()
	c.fetch()
	c.becomes(row, "11.55 file:bank 2026-03-02")
	t.Logf("completed %s after the rate arrived", time.Since(start).Round(time.Millisecond))
	if warning := c.rates.Warning(); !strings.Contains(warning, "eur (1 since 2026-03-02)") {
		t.Errorf("the warning of /readyz: %q", warning)
	}
	report, text := c.report(&fxCommand{Currency: "eur", On: "2026-03-02"}, fx.DateOf(at)+9, fx.DateOf(at))
	const answer = "A movement in EUR on 2026-03-02 is converted by 1.1 USD per unit (file:bank, of 2026-03-02). " +
		"Stripe's amounts in EUR have 2 decimals.\n"
	if len(report.Rates) != 1 || report.Rates[0].AgeDays != 9 || text != answer {
		t.Errorf("%+v\n%s", report, text)
	}
}

// What was booked by the rate before a crash, because its own day's was held back, is booked again
// by its own day's once that is confirmed.
func TestConfirmedMoveCompletesItsDays(t *testing.T) {
	c := newConverted(t, "2026-03-02,isk,0.0089\n2026-03-03,isk,0.0069\n2026-03-04,isk,0.0051\n")
	second := c.paid("in_2", "isk", time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC))
	third := c.paid("in_3", "isk", time.Date(2026, 3, 4, 10, 0, 0, 0, time.UTC))
	if got := second() + ", " + third(); got != "0.09345 file:bank 2026-03-02, 0.09345 file:bank 2026-03-02" {
		t.Fatalf("held back: %s", got)
	}
	if report, text := c.report(&fxCommand{}, 0, 0); len(report.HeldBack) != 2 || !strings.Contains(text,
		"is held back against") {
		t.Errorf("%+v\n%s", report.HeldBack, text)
	}
	c.run()
	c.publish("2026-03-05,isk,0.0045\n2026-03-06,isk,0.0045\n")
	c.fetch()
	c.becomes(second, "0.07245 file:bank 2026-03-03")
	c.becomes(third, "0.05355 file:bank 2026-03-04")
}

// A rate that was final, and that its source corrects, or gives at last for a day that it had
// passed over, converts its sales again, once, and no others; so does a period that is stated,
// changed and withdrawn.
func TestRevisedRateConvertsAgain(t *testing.T) {
	const others = "2026-03-02,gbp,1.3,\n2026-03-04,gbp,1.32,\n2026-03-02,sek,0.1,\n2026-03-04,eur,1.1,\n"
	c := newConverted(t, "")
	publish := func(rates string) {
		c.publish("")
		if err := os.WriteFile(c.file, []byte("date,currency,usd,valid_from\n"+others+rates), 0o600); err != nil {
			t.Fatal(err)
		}
		c.fetch()
	}
	publish("2026-03-03,eur,1.18,\n")
	if _, err := c.rates.Load(t.Context()); err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 3, 3, 10, 0, 0, 0, time.UTC)
	corrected, passed := c.paid("in_1", "eur", at), c.paid("in_2", "gbp", at)
	pegged, left := c.paid("in_3", "xof", at), c.paid("in_4", "sek", at.AddDate(0, 0, -1))
	aed, twd := c.paid("in_5", "aed", at), c.paid("in_6", "twd", at)
	c.becomes(corrected, "12.39 file:bank 2026-03-03")
	c.becomes(passed, "13.65 file:bank 2026-03-02")
	c.becomes(pegged, "1.888843 pegs 2026-03-03") // 1050 / 655.957 × 1.18
	c.becomes(aed, "2.859088 pegs 2026-03-03")
	c.run()
	publish("2026-03-03,eur,1.08,\n2026-03-03,gbp,1.31,\n,aed,0.27,2020-01-01\n,twd,0.03,2020-01-01\n")
	c.becomes(corrected, "11.34 file:bank 2026-03-03")
	c.becomes(passed, "13.755 file:bank 2026-03-03")
	c.becomes(pegged, "1.728772 pegs 2026-03-03") // 1050 / 655.957 × 1.08
	c.becomes(aed, "2.835 file:bank 2020-01-01")
	c.becomes(twd, "0.315 file:bank 2020-01-01")
	publish(",aed,0.28,2020-01-01\n")
	c.becomes(aed, "2.94 file:bank 2020-01-01")
	c.becomes(twd, "NULL")
	publish("")
	c.becomes(aed, "2.859088 pegs 2026-03-03")
	c.becomes(left, "1.05 file:bank 2026-03-02")
	// How many rates each row has had. ledger_log may show a version a moment after the ledger does.
	c.becomes(func() (text string) {
		err := c.db.QueryRow(`SELECT arrayStringConcat(arraySort(groupArray(concat(object_id, ' ', toString(n)))), ', ') FROM
			(SELECT object_id, uniqExact(bitAnd(version, 1099511627775)) AS n FROM ledger_log GROUP BY object_id)`).Scan(&text)
		if err != nil {
			t.Fatal(err)
		}
		return text
	}, "in_1 2, in_2 2, in_3 2, in_4 1, in_5 4, in_6 3")
}

// A refund in a currency that the euro has replaced meanwhile, and a sale in a pegged one.
func TestFixedRatesConvert(t *testing.T) {
	c := newConverted(t, "2025-12-31,bgn,0.6005\n2025-12-31,eur,1.175\n2026-01-15,eur,1.16\n")
	row := c.paid("in_1", "bgn", time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC))
	if got := row(); got != "6.227535 pegs 2026-01-15" { // 10.50 / 1.95583 × 1.16
		t.Errorf("BGN: %s", got)
	}
	row = c.paid("in_2", "aed", time.Date(2026, 1, 15, 10, 0, 0, 0, time.UTC))
	if got := row(); got != "2.859088 pegs 2026-01-15" { // 10.50 / 3.6725
		t.Errorf("AED: %s", got)
	}
}
