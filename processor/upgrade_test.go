//go:build proof

package main

import (
	"bytes"
	"compress/gzip"
	"database/sql"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"

	"tributary/deploy/local/chdb/chdbtest"
)

// testdata/upgrade holds some customers' rows of a database that the first build's local run made
// of its demo traffic, as ClickHouse exported them (FORMAT Native): migration 8, the ledger by
// rules 0.
const upgradeFrom = 8

// What the first build had booked of them, by day, kind, currency and affiliate, and its leads.
const upgradeTotals = `2026-11-17	payment	usd	aff_kenji	4410	44.1
2026-11-22	payment	usd	aff_lena	12900	129
2026-11-22	refund	usd	aff_lena	-12900	-129
2026-11-23	payment	usd	aff_paul	12568	125.68
2026-11-24	payment	usd	aff_kenji	4410	44.1
2026-11-24	refund	usd	aff_paul	-3142	-31.42
2026-11-25	payment	usd	aff_kenji	3545	35.45
2026-11-25	refund	usd	aff_kenji	-4410	-44.1
2026-11-26	payment	usd	aff_lena	38192	352.8
2026-11-26	refund	usd	aff_lena	-4774	-44.1
`

const (
	askTotals = `SELECT day, kind, currency, affiliate_id, sum(amount), sum(net_usd) FROM ledger FINAL
WHERE status = 'booked' AND amount != 0 GROUP BY ALL ORDER BY ALL FORMAT TSV`
	askLeads = "SELECT event_name, affiliate_id, match_rule, count() FROM leads FINAL WHERE mode != 'stripe' GROUP BY " +
		"ALL ORDER BY ALL FORMAT TSV"
	askClicks = "SELECT affiliate_id, count() FROM clicks FINAL GROUP BY ALL ORDER BY ALL FORMAT TSV"
)

// fillOld inserts the rows of testdata/upgrade.
func fillOld(t *testing.T, dsn string) {
	t.Helper()
	for _, table := range []string{"stripe_events", "clicks", "leads", "identities", "ledger"} {
		packed, err := os.ReadFile(filepath.Join("testdata", "upgrade", table+".native.gz"))
		if err != nil {
			t.Fatal(err)
		}
		rows, err := gzip.NewReader(bytes.NewReader(packed))
		if err != nil {
			t.Fatal(err)
		}
		askHTTP(t, dsn, "INSERT INTO "+table+" FORMAT Native", rows)
	}
}

// A database of the first build is brought here by the two documented commands, and then has the
// same totals.
func TestUpgrade(t *testing.T) {
	dsn := chdbtest.Start(t)
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	migrateTo(t, clickhousego.OpenDB(options), upgradeFrom)
	ask := func(query string, body io.Reader) string { t.Helper(); return askHTTP(t, dsn, query, body) }
	fillOld(t, dsn)
	if got := ask(askTotals, nil); got != upgradeTotals {
		t.Fatalf("the golden rows add up to\n%s", got)
	}
	leads, clicks := ask(askLeads, nil), ask(askClicks, nil)
	if strings.Count(leads, "\n") == 0 || strings.Count(clicks, "\n") < 3 {
		t.Fatalf("the golden rows have leads\n%s and clicks\n%s", leads, clicks)
	}

	if err := migrateBeside(t.Context(), dsn, dsn, func(string) {}); err != nil {
		t.Fatal(err)
	}
	store, err := openStore(t.Context(), dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := checkRules(t.Context(), store); err == nil || !strings.Contains(err.Error(), "replay rebuild --exchange") {
		t.Errorf("before the rebuild processor run says %v", err)
	}
	rebuild := replayRebuildCommand{From: "tables", Exchange: true, IfOlder: true}
	rebuild.ClickhouseDSN = dsn
	for range 2 { // the second does nothing
		if err := rebuild.Run(t.Context(), slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if err := checkRules(t.Context(), store); err != nil {
			t.Error(err)
		}
		for query, want := range map[string]string{askTotals: upgradeTotals, askLeads: leads, askClicks: clicks} {
			if got := ask(query, nil); got != want {
				t.Errorf("%s:\n%swant\n%s", query, got, want)
			}
		}
	}
}

// migrateTo applies the migrations up to a number.
func migrateTo(t *testing.T, db *sql.DB, last int64) {
	t.Helper()
	defer db.Close()
	p, err := goose.NewProvider(goose.DialectClickHouse, db, os.DirFS("../sql/migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), last); err != nil {
		t.Fatal(err)
	}
}

func askHTTP(t *testing.T, dsn, query string, body io.Reader) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	values := url.Values{"query": {query}, "database": {strings.TrimPrefix(u.Path, "/")}, "wait_end_of_query": {"1"}}
	if body == nil {
		body = strings.NewReader("")
	}
	target := url.URL{Scheme: "http", Host: u.Host, Path: "/", RawQuery: values.Encode(), User: u.User}
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, target.String(), body)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	if err != nil || response.StatusCode != http.StatusOK {
		t.Fatalf("%s: %d %v\n%s", query, response.StatusCode, err, text)
	}
	return string(text)
}
