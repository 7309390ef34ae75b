package sql_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"flag"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/pressly/goose/v3"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	clickhousestore "tributary/processor/clickhouse"
	"tributary/processor/rollup/rolluptest"
	"tributary/sql"
	"tributary/sql/sqltest"
)

var update = flag.Bool("update", false, "rewrite schema/ and the golden answers")

// migrated returns the DSN of a fresh database in which the migrations were executed, and a
// connection to it. Tests that are not about migrations take sqltest.Open's.
func migrated(t testing.TB) (dsn string, db *stdsql.DB) {
	t.Helper()
	dsn, db = unmigrated(t)
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	return dsn, db
}

// ask runs one statement over HTTP, as curl would, and returns the answer's text.
func ask(t testing.TB, dsn, statement string, parameters map[string]string) string {
	t.Helper()
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	values := u.Query() // settings
	values.Set("database", strings.TrimPrefix(u.Path, "/"))
	for name, value := range parameters {
		if strings.Contains(statement, "{"+name+":") {
			values.Set("param_"+name, value)
		}
	}
	response, err := http.Post(u.Scheme+"://"+u.Host+"/?"+values.Encode(), "text/plain", strings.NewReader(statement))
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		t.Fatal(err)
	}
	if response.StatusCode != http.StatusOK {
		t.Fatalf("%s\n%s", statement, body)
	}
	return string(body)
}

func column(t *testing.T, dsn, statement string) []string {
	t.Helper()
	return strings.Fields(ask(t, dsn, statement+" FORMAT TSV", nil))
}

// golden compares with a file, or writes it.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.MkdirAll(filepath.Dir(path), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(got), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Errorf("%v: run go test ./sql -update", err)
		return
	}
	if got != string(want) {
		t.Errorf("%s differs; if the change is meant, run go test ./sql -update\n--- is\n%s\n--- was\n%s", path, got,
			want)
	}
}

// An interrupted start migrates again, and so does every later one: nothing may happen.
func TestMigrateTwice(t *testing.T) {
	dsn, db := migrated(t)
	before := ask(t, dsn, "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() "+
		"ORDER BY name FORMAT TSV", nil)
	var said []string
	if err := sql.Migrate(t.Context(), db, func(s string) { said = append(said, s) }); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "nothing to do") {
		t.Errorf("the second migration said %q", said)
	}
	if after := ask(t, dsn, "SELECT name, create_table_query FROM system.tables WHERE database = currentDatabase() "+
		"ORDER BY name FORMAT TSV", nil); after != before {
		t.Errorf("the second migration changed the tables:\n%s\n%s", before, after)
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

// unmigrated returns the DSN of a fresh database without tables, and a connection to it.
func unmigrated(t testing.TB) (dsn string, db *stdsql.DB) {
	t.Helper()
	dsn = chdbtest.Start(t)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db = clickhouse.OpenDB(options)
	t.Cleanup(func() { db.Close() })
	return dsn, db
}

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

// refresh computes the days of clicks as the processor does once they have been quiet for a minute.
func refresh(t testing.TB, dsn string) {
	t.Helper()
	store, err := clickhousestore.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rolluptest.Refresh(t, store)
}

// A migration that was interrupted is executed again from its beginning, whatever was executed of
// it.
func TestMigrateAfterCrash(t *testing.T) {
	dsn, db := unmigrated(t)
	schema := func() string {
		return strings.Join(column(t, dsn, "SELECT create_table_query FROM system.tables WHERE database = "+
			"currentDatabase() AND name != '"+sql.VersionTable+"' ORDER BY name"), "\n")
	}
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
		want := schema()
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf("DELETE FROM %s WHERE version_id = %d", sql.VersionTable,
			version)); err != nil {
			t.Fatal(err)
		}
		migrateTo(t, db, version)
		if got := schema(); got != want {
			t.Errorf("after %s was executed again the tables are\n%s\nand were\n%s", file, got, want)
		}
	}
	// Interrupted between the making of its own table and the first row of it.
	fresh, db := unmigrated(t)
	ask(t, fresh, ask(t, dsn, "SELECT replace(create_table_query, currentDatabase() || '.', '') FROM system.tables "+
		"WHERE database = currentDatabase() AND name = '"+sql.VersionTable+"' FORMAT TSVRaw", nil), nil)
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Errorf("with an empty %s: %v", sql.VersionTable, err)
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

func TestPending(t *testing.T) {
	dsn := chdbtest.Start(t)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	expect := func(want int) {
		t.Helper()
		if got, err := sql.Pending(t.Context(), db); err != nil || got != want {
			t.Fatalf("pending: %d, %v; want %d", got, err, want)
		}
	}
	expect(len(files))
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	expect(0)
}

func TestEnsureDatabase(t *testing.T) {
	base := chdbtest.Address(t)
	options, err := clickhouse.ParseDSN(base + "/default")
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	const name = "ensured`\\ 1"
	drop := func() {
		_, _ = db.ExecContext(context.Background(), "DROP DATABASE IF EXISTS `ensured\\`\\\\ 1` SYNC")
	}
	drop()
	defer drop()
	for range 2 {
		if err := sql.EnsureDatabase(t.Context(), db, name, sql.Layout{}); err != nil {
			t.Fatal(err)
		}
	}
	var n uint64
	if err := db.QueryRowContext(t.Context(), "SELECT count() FROM system.databases WHERE name = ?",
		name).Scan(&n); err != nil || n != 1 {
		t.Fatalf("%d databases of that name, %v", n, err)
	}
}

// TestSchema keeps schema/ equal to what the migrations lead to, so that a change of a table shows
// in review as one.
func TestSchema(t *testing.T) {
	dsn, _ := migrated(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/") + "."
	tables := column(t, dsn, "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE "+
		"'.%' AND name != '"+sql.VersionTable+"' ORDER BY name")
	want := make([]string, 0, len(tables))
	for _, table := range tables {
		ddl := ask(t, dsn, "SHOW CREATE TABLE `"+table+"` FORMAT TSVRaw", nil)
		golden(t, "schema/"+table+".sql", strings.ReplaceAll(strings.TrimSpace(ddl), database, "")+";\n")
		want = append(want, table+".sql")
	}
	files, err := os.ReadDir("schema")
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range files {
		switch {
		case slices.Contains(want, f.Name()):
		case *update:
			if err := os.Remove("schema/" + f.Name()); err != nil {
				t.Fatal(err)
			}
		default:
			t.Errorf("schema/%s describes no table any more", f.Name())
		}
	}
}

// The server keeps comments and shows them to analysts; a column without one is a question to
// somebody. Views with parameters explain themselves in their migration: the server keeps no
// comments of their columns.
func TestComments(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	tables := "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'MaterializedView' " +
		"AND NOT (engine = 'View' AND position(create_table_query, '{') > 0) AND name != '" + sql.VersionTable + "'"
	for _, table := range column(t, dsn, tables+" AND engine != 'View' AND comment = ''") {
		t.Errorf("table %s has no comment", table)
	}
	for _, name := range column(t, dsn, "SELECT table || '.' || name FROM system.columns "+
		"WHERE database = currentDatabase() AND comment = '' AND table IN ("+tables+")") {
		t.Errorf("column %s has no comment", name)
	}
}

func question(t testing.TB, name string) sql.Question {
	t.Helper()
	q, err := sql.AskQuestion(name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueryUnknown(t *testing.T) {
	if _, err := sql.AskQuestion("nothing_of_this_name"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown question gives %v", err)
	}
}

// values are what the golden answers are asked with; a parameter that is not here has its default.
var values = map[string]string{
	"workspace": "shop", "limit": "10", "sale": "pi_1",
	"from": "2050-06-10 00:00:00", "to": "2050-06-12 00:00:00", "lookback_days": "30", "month": "2050-06-01",
}

// valuesOf are other values for single questions, whose data lies elsewhere.
var valuesOf = map[string]map[string]string{
	"affiliate_by_day": {"affiliate": "ann"},
	"affiliate_sales":  {"affiliate": "ann"},

	"attribution_models":      june("models"),
	"attribution_differences": june("models"),
	"channel_effects":         june("models"),

	// Half an hour before a day in India begins, in euro, by month.
	"trend": {
		"workspace": "studio", "from": "2050-05-31 18:30:00", "to": "2050-09-30 18:30:00", "unit": "month",
		"timezone": "Asia/Kolkata", "currency": "eur",
	},
	"breakdown":         summer("dimension", "campaign", "without", "{'country':['IN']}"),
	"funnel":            summer(),
	"new_and_returning": summer("unit", "month", "timezone", "America/New_York"),
	"time_to_purchase":  summer("dimension", "channel"),
	"lifetime_value":    summer(),
	"cohorts":           summer("unit", "month", "dimension", "channel"),
	"landing_pages":     summer(),
	"live_events":       summer("only", "{'affiliate':['ann','bob']}"),
	"money_at_risk":     summer(),
	"recurring_revenue": summer(),
	"return_on_spend":   summer(),
	"what_changed":      {"workspace": "changes", "since": "2020-01-02 00:00:00", "until": "2020-01-04 00:00:00"},
}

func june(workspace string) map[string]string {
	return map[string]string{"workspace": workspace, "from": "2050-06-01 00:00:00", "to": "2050-07-01 00:00:00"}
}

// summer are the three months of the studio, with other values by name.
func summer(others ...string) map[string]string {
	given := map[string]string{"workspace": "studio", "from": "2050-06-01 00:00:00", "to": "2050-09-01 00:00:00"}
	for i := 0; i < len(others); i += 2 {
		given[others[i]] = others[i+1]
	}
	return given
}

// parameters returns a value for each parameter of a question.
func parameters(q sql.Question) map[string]string {
	given := make(map[string]string, len(q.Parameters))
	for _, p := range q.Parameters {
		given[p.Name] = p.Default
		if value, ok := values[p.Name]; ok {
			given[p.Name] = value
		}
		if value, ok := valuesOf[q.Name][p.Name]; ok {
			given[p.Name] = value
		}
	}
	return given
}

// seed fills the tables that the processor fills, from all files or from those that are named; the
// rest is the materialized views' work.
func seed(t *testing.T, dsn string, names ...string) {
	t.Helper()
	files, err := filepath.Glob("testdata/seed/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d seeds, %v", len(files), err)
	}
	for _, file := range files {
		if len(names) > 0 && !slices.Contains(names, filepath.Base(file)) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range strings.Split(string(text), ";\n") {
			if strings.Contains(statement, "INSERT") {
				ask(t, dsn, statement, nil)
			}
		}
	}
}

// queries returns the names of all queries.
func queries(t *testing.T) []string {
	t.Helper()
	all, err := sql.Questions()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d questions, %v", len(all), err)
	}
	names := make([]string, len(all))
	for i, q := range all {
		names[i] = q.Name
	}
	return names
}

// The declared parameters of a question are those that its statement uses, of the same types.
func TestQuestionParameters(t *testing.T) {
	use := regexp.MustCompile(`\{(\w+):([^}]+)\}`)
	all, err := sql.Questions()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		used := make(map[string]string)
		for _, m := range use.FindAllStringSubmatch(q.Text, -1) {
			if before, ok := used[m[1]]; ok && before != m[2] {
				t.Errorf("%s uses %s as %s and %s", q.Name, m[1], before, m[2])
			}
			used[m[1]] = m[2]
		}
		declared := make(map[string]string)
		for _, p := range q.Parameters {
			declared[p.Name] = p.Type
		}
		if !maps.Equal(used, declared) {
			t.Errorf("%s uses %v and declares %v", q.Name, used, declared)
		}
		if !strings.HasSuffix(q.Title, "?") || q.Meaning == "" {
			t.Errorf("%s says neither what it asks nor what its answer means", q.Name)
		}
	}
}

// TestQueries asks every question of one small business and compares with the golden answers,
// before and after the days of clicks are computed and all parts are merged: an answer that depends
// on either is wrong.
func TestQueries(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	for _, merged := range []bool{false, true} {
		if merged {
			refresh(t, dsn)
			for _, table := range []string{"click_days", "leads_attributed", "revenue", "ledger", "ledger_log",
				"clicks", "page_views"} {
				ask(t, dsn, "OPTIMIZE TABLE "+table+" FINAL", nil)
			}
		}
		for _, name := range queries(t) {
			t.Run(fmt.Sprintf("%s/merged=%t", name, merged), func(t *testing.T) {
				q := question(t, name)
				golden(t, "testdata/queries/"+name+".golden.tsv", ask(t, dsn, q.Text+"FORMAT TSVWithNames", parameters(q)))
			})
		}
	}
}

// An empty database has an answer to every question, too: the page is opened before the first
// click.
func TestQueriesOfNothing(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	for _, name := range queries(t) {
		q := question(t, name)
		ask(t, dsn, q.Text+"FORMAT TSVWithNames", parameters(q))
	}
}

var (
	read  = regexp.MustCompile(`(?m)(?:FROM|(?:LEFT|CROSS) JOIN)\s+([a-z_]+)(\s+AS\s+\w+)?(\s+FINAL)?`)
	final = map[string]bool{"click_days": false, "revenue": true, "leads_attributed": true, "ledger_log": true,
		"ledger_written": false}
	// Views that choose the version themselves.
	chosen = []string{
		"clicks_counted", "clicks_by_dimension", "people", "public_leads", "sales", "sale_touches",
		"channel_effects", "activity",
		"spend_shown", "statements",
		"statement_lines",
	}
	// Questions that read stored records themselves; the page asks them for one day only, or when
	// it has nothing else to show.
	stored = map[string]string{
		"flagged_clicks": "clicks", "dead_letters": "dead_letters", "pipeline_status": "pipeline_status",
	}
)

// The rules of queries/: each says its question, reads only what materialized views fill, reads
// replaced rows with FINAL, and never lets a filter on a column that a later version may change run
// before FINAL has chosen the version.
func TestQueryRules(t *testing.T) {
	for table := range final {
		view, err := os.ReadFile("schema/" + table + "_mv.sql")
		if err != nil || !strings.Contains(string(view), " TO "+table+"\n") {
			t.Errorf("no materialized view fills %s: %v", table, err)
		}
	}
	for _, name := range queries(t) {
		text := question(t, name).Text
		if strings.Contains(text, "PREWHERE") || !strings.Contains(text, "optimize_move_to_prewhere_if_final = 0") {
			t.Errorf("%s: its filters may reach PREWHERE", name)
		}
		_, statement, _ := strings.Cut(text, "\nSELECT")
		for _, m := range read.FindAllStringSubmatch(statement, -1) {
			if slices.Contains(chosen, m[1]) {
				continue
			}
			needs, known := final[m[1]]
			if stored[name] == m[1] {
				needs, known = true, true
			}
			if !known {
				t.Errorf("%s reads %s, which no materialized view fills", name, m[1])
			}
			if (m[3] != "") != needs {
				t.Errorf("%s reads %s, FINAL: %t", name, m[1], m[3] != "")
			}
		}
	}
}
