//go:build proof

package sql_test

import (
	stdsql "database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/pressly/goose/v3"

	"tributary/sql"
)

// Migration 15 moves the page views out of clicks and its rollups, also when it was interrupted and
// is executed again.
func TestPageViewsAreMoved(t *testing.T) {
	dsn, db := unmigrated(t)
	migrateTo(t, db, 15)
	ask(t, dsn, `INSERT INTO clicks (workspace, click_id, clicked_at, received_at, affiliate_id, visitor_id, url,
			trigger, version)
		SELECT 'shop', UUIDStringToNum(concat('024d5a1e-7800-7000-8000-00000000000', toString(number))),
			'2050-06-10 09:00:00', '2050-06-10 09:00:01', 'ann', 'v1', 'https://shop.example/', if(number = 0, 'link', 'pageview'), 1 FROM numbers(10)`, nil)
	ask(t, dsn, "TRUNCATE TABLE clicks_by_visitor", nil) // was not there before
	for _, interrupted := range []bool{true, false} {
		if interrupted { // after the page views were copied, and while a rollup was computed
			ask(t, dsn, `INSERT INTO page_views (workspace, page_view_id, viewed_at, visitor_id, url, version)
				SELECT workspace, click_id, clicked_at, visitor_id, url, version FROM clicks
				WHERE trigger = 'pageview' LIMIT 5`, nil)
			ask(t, dsn, "CREATE TABLE clicks_hourly_rebuilt AS clicks_hourly", nil)
			ask(t, dsn, "INSERT INTO clicks_hourly_rebuilt SELECT * FROM clicks_hourly", nil)
		}
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+sql.VersionTable+" WHERE version_id >= 15"); err != nil {
			t.Fatal(err)
		}
		migrateTo(t, db, 15)
		for query, want := range map[string]string{
			"SELECT count() FROM clicks FINAL":                                                                       "1",
			"SELECT count() FROM page_views FINAL":                                                                   "9",
			"SELECT uniqCombined64Merge(clicks) FROM clicks_hourly":                                                  "1",
			"SELECT uniqCombined64Merge(clicks) FROM clicks_minutely":                                                "1",
			"SELECT uniqCombined64Merge(page_views) FROM page_views_hourly":                                          "9",
			"SELECT sum(clicks) FROM funnel":                                                                         "1",
			"SELECT countIf(url != 'https://shop.example/' OR visitor_id != 'v1') FROM page_views FINAL":             "0",
			"SELECT count() FROM clicks_by_visitor FINAL":                                                            "1",
			"SELECT count() FROM system.tables WHERE database = currentDatabase() AND name LIKE 'clicks%\\_rebuilt'": "0",
		} {
			if got := column(t, dsn, query); len(got) != 1 || got[0] != want {
				t.Errorf("%s gives %v, want %s", query, got, want)
			}
		}
	}
}

// Migration 17 gives clicks smaller granules and keeps every row, also what was inserted while it
// ran and when it was interrupted after the exchange of the tables.
func TestClicksAreKept(t *testing.T) {
	dsn, db := unmigrated(t)
	migrateTo(t, db, 17)
	insert := func(table, ids string) {
		ask(t, dsn, `INSERT INTO `+table+` (workspace, click_id, clicked_at, affiliate_id, version)
			SELECT 'shop', UUIDStringToNum(concat(arrayJoin(`+ids+`), '-7800-7000-8000-000000000001')), '2050-06-10 09:00:00', 'ann', 1`, nil)
	}
	ask(t, dsn, "CREATE TABLE old AS clicks ENGINE = ReplacingMergeTree(version) PARTITION BY "+
		"toYYYYMM(fromUnixTimestamp64Milli(reinterpretAsInt64(reverse(substring(click_id, 1, 6))), 'UTC')) "+
		"ORDER BY (workspace, click_id) SETTINGS index_granularity = 256", nil)
	ask(t, dsn, "EXCHANGE TABLES old AND clicks", nil)
	insert("clicks", "['024d5a1e', '024e5a1e']") // of two months
	for _, interrupted := range []bool{false, true} {
		want := "2"
		if interrupted {
			want = "3"
			ask(t, dsn, "RENAME TABLE old TO clicks_0017", nil)
			insert("clicks_0017", "['024d5a1e', '024f5a1e']")
		}
		if _, err := db.ExecContext(t.Context(), "DELETE FROM "+sql.VersionTable+" WHERE version_id >= 17"); err != nil {
			t.Fatal(err)
		}
		migrateTo(t, db, 17)
		for query, want := range map[string]string{
			"SELECT count() FROM clicks FINAL WHERE affiliate_id = 'ann'": want,
			"SELECT countIf(create_table_query LIKE '%index_granularity = 1024%') FROM system.tables " +
				"WHERE database = currentDatabase() AND name = 'clicks'": "1",
			"SELECT count() FROM system.tables WHERE database = currentDatabase() AND name = 'clicks_0017'": "0",
		} {
			if got := column(t, dsn, query); len(got) != 1 || got[0] != want {
				t.Errorf("%s gives %v, want %s", query, got, want)
			}
		}
	}
}

// Migrations 18 and 19 on a database that holds clicks and money: what dashboards read is the same
// before and after the days are computed, and an entry whose day changed is under its last one
// only.
func TestRollupsOfAFullDatabase(t *testing.T) {
	dsn, db := unmigrated(t)
	migrateTo(t, db, 15)
	seed(t, dsn, "business.sql")
	ask(t, dsn, `INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, occurred_at, currency, amount, net_usd, status, version) VALUES
		('moved', 'm1', true, '2050-06-10', 'payment', 'pi_m', '2050-06-10 23:59:59', 'usd', 100, 1, 'booked', 1),
		('moved', 'm1', true, '2050-06-11', 'payment', 'pi_m', '2050-06-11 00:00:01', 'usd', 100, 1, 'booked', 2)`, nil)
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	for _, computed := range []bool{false, true} {
		if computed {
			refresh(t, dsn)
		}
		for query, want := range map[string]string{
			"SELECT sum(clicks) FROM clicks_by_dimension(workspace = 'shop', from = '2050-01-01 00:00:00', to = '2051-01-01 " +
				"00:00:00', dimensions = [''], stored = true)": "10",
			"SELECT sum(page_views) FROM clicks_by_dimension(workspace = 'shop', from = '2050-01-01 00:00:00', to = " +
				"'2051-01-01 00:00:00', dimensions = [''], stored = true)": "3",
			"SELECT toString(groupArray((day, amount))) FROM revenue FINAL WHERE workspace = 'moved'": "[('2050-06-11',100)]",
		} {
			for execution := range 6 { // from the third on the engine compiles aggregations
				if got := strings.TrimSpace(ask(t, dsn, query+" FORMAT TSVRaw", nil)); got != want {
					t.Errorf("computed %t, execution %d: %s gives %s, want %s", computed, execution, query, got, want)
				}
			}
		}
		if got := column(t, dsn, "SELECT count() FROM click_days WHERE least(changed_at, computed_at) < 0"); got[0] != "0" {
			t.Errorf("%s rows of click_days have a time before 1970, which max in the engine cannot compare", got[0])
		}
	}
}

// Migration 23 on a database that has leads, and migration 24 already: what browsers reported is no
// figure of leads any more, neither what was stored before nor a flood of it after.
func TestLeadsOfBrowsers(t *testing.T) {
	dsn, db := unmigrated(t)
	migrateTo(t, db, 22)
	p, err := goose.NewProvider(goose.DialectClickHouse, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.ApplyVersion(t.Context(), 24, true); err != nil {
		t.Fatal(err)
	}
	if pending, err := sql.Pending(t.Context(), db); err != nil || pending == 0 {
		t.Errorf("%d migrations are pending, %v", pending, err)
	}
	// u1 is a browser's invention at first, then a backend's; u2 a browser's; cus_1 one of Stripe.
	ask(t, dsn, `INSERT INTO leads (workspace, lead_id, received_at, external_id, person, event_name, mode, quantity,
			affiliate_id, match_rule, version) VALUES
		('shop', 'browser-1', '2050-06-10 09:00:00', 'u1', 'external:u1', 'Sign up', 'async', 100, 'eve', 'click_id', 7),
		('shop', 'backend-1', '2050-06-10 10:00:00', 'u1', 'external:u1', 'Sign up', 'async', 1, 'ann', 'click_id', 7),
		('shop', 'browser-2', '2050-06-10 09:00:00', 'u2', 'external:u2', 'Sign up', 'async', 1, 'eve', 'click_id', 7),
		('shop', 'stripe-1', '2050-06-10 09:00:00', 'u3', 'external:u3', 'Trial', 'stripe', 1, 'ann', 'click_id', 7)`, nil)
	ask(t, dsn, `INSERT INTO identities (workspace, key, target, source) SELECT 'shop',
		concat('lead:', lower(hex(toFixedString('backend-1', 16)))), 'external:u1', 'lead.external_id'`, nil)
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	ask(t, dsn, `INSERT INTO leads (workspace, lead_id, received_at, vouched, external_id, person, event_name, mode,
			quantity, affiliate_id, match_rule, version)
		SELECT 'shop', toString(number), '2050-06-11 09:00:00', false, toString(number),
			concat('external:', toString(number)), 'Sign up', 'async', 1, 'eve', 'click_id', 7 FROM numbers(1000)`, nil)
	// An imported lead counts on its own day.
	ask(t, dsn, `INSERT INTO leads (workspace, lead_id, received_at, occurred_at, external_id, person, event_name, mode,
			quantity, affiliate_id, match_rule, version)
		VALUES ('shop', 'import', '2050-06-11 09:00:00', '2049-02-03 09:00:00', 'u4', 'external:u4', 'Sign up', 'async', 1,
			'zoe', 'click_id', 7)`, nil)
	for query, want := range map[string]string{
		"toDate(received_at) FROM people ORDER BY person":                     "2050-06-10 2050-06-10 2049-02-03",
		"day FROM funnel WHERE affiliate_id = 'zoe'":                          "2049-02-03",
		"person, affiliate_id, quantity FROM people ORDER BY person":          "external:u1 ann 1 external:u3 ann 1 external:u4 zoe 1",
		"affiliate_id, sum(quantity) FROM public_leads GROUP BY affiliate_id": "eve 1001",
		"affiliate_id, leads, public_leads FROM funnel ORDER BY ALL":          "ann 2 0 eve 0 1 eve 0 1000 zoe 1 0",
		"affiliate_id, leads FROM affiliates ORDER BY affiliate_id":           "ann 2 zoe 1",
		"count() FROM leads_attributed FINAL WHERE vouched":                   "3",
		"quantity FROM leads FINAL WHERE NOT vouched AND quantity != 1":       "100",
	} {
		if got := strings.Join(column(t, dsn, "SELECT "+query), " "); got != want {
			t.Errorf("%s gives %q, want %q", query, got, want)
		}
	}
}

// Migration 73 has the lines of all invoices, of whatever version of the API, also of events that
// came while it ran, and when it was interrupted after any of its statements.
func TestLinesOfStoredInvoices(t *testing.T) {
	dsn, db := unmigrated(t)
	migrateTo(t, db, 72)
	text, err := os.ReadFile("migrations/0073_lines_of_invoices.sql")
	if err != nil {
		t.Fatal(err)
	}
	const from, until = 2525342400, 2528020800
	lines := []string{before("regular", 1200, time.Unix(from, 0), time.Unix(until, 0)),
		basil("regular", 1200, time.Unix(from, 0), time.Unix(until, 0))}
	came := 0
	event := func() {
		for _, line := range lines {
			came++
			ask(t, dsn, fmt.Sprintf(`INSERT INTO stripe_events (workspace, event_id, type, livemode, created, body)
				VALUES ('shop', 'evt_%[1]d', 'invoice.paid', true, '2050-02-01 00:00:00', '{"data":{"object":
				{"object":"invoice","id":"in_%[1]d","status":"paid","total":840,"lines":{"data":[%[2]s],
				"has_more":false}}}}')`, came, line), nil)
		}
	}
	event()
	statements := strings.Split(strings.TrimSpace(string(text)), ";\n")
	for last := range statements {
		for _, statement := range statements[:last+1] {
			ask(t, dsn, strings.TrimSuffix(statement, ";"), nil)
			event()
		}
	}
	migrateTo(t, db, 73)
	event()
	got := column(t, dsn, fmt.Sprintf(`SELECT (uniqExact(invoice_id), uniqExactIf(invoice_id, lines.amount = [1200]
		AND lines.period = [(%d, %d)]
		AND (lines.type = ['subscription'] OR lines.parent.type = ['subscription_item_details'])
		AND arraySum(lines.taxes[1].amount) + arraySum(lines.tax_amounts[1].amount) = 247
		AND whole = 840 AND shipping = 0 AND NOT more)) FROM invoice_periods FINAL`, from, until))
	if want := fmt.Sprintf("(%d,%d)", came, came); len(got) != 1 || got[0] != want {
		t.Errorf("invoices, and those with their lines: %v, want %s", got, want)
	}
}

// A migration that was interrupted is executed again from its beginning, whatever was executed of
// it.
func TestMigrateAfterCrash(t *testing.T) {
	dsn, db := unmigrated(t)
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for _, file := range files {
		version, err := goose.NumericComponent(file)
		if err != nil {
			t.Fatal(err)
		}
		migrateTo(t, db, version)
		want := tables(t, dsn)
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("DELETE FROM %s WHERE version_id = %d", sql.VersionTable,
			version)); err != nil {
			t.Fatal(err)
		}
		migrateTo(t, db, version)
		if got := tables(t, dsn); got != want {
			t.Errorf("after %s was executed again the tables are\n%s\nand were\n%s", file, got, want)
		}
	}
}

// migrateTo executes the migrations up to a version, as a program of that time did.
func migrateTo(t *testing.T, db *stdsql.DB, version int64) {
	t.Helper()
	p, err := goose.NewProvider(goose.DialectClickHouse, db, os.DirFS("migrations"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := p.UpTo(t.Context(), version); err != nil {
		t.Fatalf("migration %d: %v", version, err)
	}
}
