package access

import (
	"cmp"
	"fmt"
	"net/url"
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/race"
	"tributary/sql"
	"tributary/sql/sqltest"
)

func TestMain(m *testing.M) { chdbtest.Main(m) }

// rows are an affiliate's sale, one that was the affiliate's until it was credited to somebody
// else, one of another workspace, in test mode, and of nobody; the lines of statements; and clicks.
var rows = []string{
	entry(1, "acme", true, "ann", 1), entry(2, "acme", true, "ann", 1), entry(2, "acme", true, "bob", 2),
	entry(3, "other", true, "ann", 1), entry(4, "acme", false, "ann", 1), entry(5, "acme", true, "", 1),
	"INSERT INTO earning_lines (workspace, livemode, month, closing, affiliate_id, usd) VALUES " +
		"('acme', true, '2026-10-01', 'c', 'ann', 7), ('acme', true, '2026-10-01', 'c', 'bob', 8)",
	"INSERT INTO earning_months (workspace, livemode, month, closing) VALUES ('acme', true, '2026-10-01', 'c'), " +
		"('other', true, '2026-10-01', 'c')",
	"INSERT INTO clicks_by_day (workspace, dimension, value, day, clicks) VALUES " +
		"('acme', 'affiliate', 'ann', '2026-10-01', 3), " +
		"('acme', 'affiliate', 'bob', '2026-10-01', 4), ('acme', 'campaign', 'ann', '2026-10-01', 5)",
	"INSERT INTO stripe_events (workspace, event_id, body) VALUES ('acme', 'evt_1', '{}')",
}

// entry returns the INSERT of an entry of the ledger over 10.00 USD.
func entry(id int, workspace string, live bool, affiliate string, version int) string {
	rule := map[bool]string{true: "none", false: "affiliate"}[affiliate == ""]
	return fmt.Sprintf("INSERT INTO ledger (workspace, entry_id, livemode, kind, object_id, occurred_at, day, "+
		"received_at, status, currency, amount, net_usd, affiliate_id, match_rule, version) VALUES "+
		"('%s', unhex('%032x'), %t, 'payment', 'pi_%[2]d', '2026-10-01 00:00:00', '2026-10-01', '2026-10-01 00:00:00', "+
		"'booked', 'usd', 1000, 10, '%[4]s', '%s', %d)",
		workspace, id, live, affiliate, rule, version)
}

// What each role may do, and what it may not.
func TestRoles(t *testing.T) {
	const administrator = ""
	s := newSite(t)
	for _, role := range []struct {
		name   string
		quotas bool
		test   func(*site)
	}{
		{administrator, false, prepare}, {"migrator", false, testMigrator}, {"writer", false, testWriter},
		{"dashboard", false, testDashboard}, {"analyst", false, testAnalyst}, {"affiliate", false, testAffiliate},
		{"affiliate", true, testQuota},
	} {
		closing := s.open(role.name, role.quotas)
		t.Run(cmp.Or(role.name, "administrator"), func(t *testing.T) {
			s.t = t
			role.test(s)
		})
		s.t = t
		closing()
	}
}

func prepare(s *site) {
	sqltest.Fill(s.t, "http://"+s.address+"/"+database)
	testSyntax(s)
	s.may(rows...)
	s.may("CREATE DATABASE elsewhere", "CREATE TABLE elsewhere.t (a Int8) ENGINE = MergeTree ORDER BY a")
}

// migrate makes sure of the database and its tables.
func migrate(s *site) {
	s.t.Helper()
	connect := func(database string) *clickhouse.Options {
		options, err := clickhouse.ParseDSN("http://" + s.address + "/" + database)
		if err != nil {
			s.t.Fatal(err)
		}
		return options
	}
	root := clickhouse.OpenDB(connect("default"))
	defer root.Close()
	if err := sql.EnsureDatabase(s.t.Context(), root, database, sql.Layout{}); err != nil {
		s.t.Fatal(err)
	}
	db := clickhouse.OpenDB(connect(database))
	defer db.Close()
	if err := sql.Migrate(s.t.Context(), db, func(string) {}); err != nil {
		s.t.Fatal(err)
	}
}

// mayWait checks that the role may wait for other servers, and that it may where an audit migrates a
// database of its own. No table here has replicas, so that it fails; the right is looked at first.
func mayWait(s *site) {
	s.t.Helper()
	const shadow = database + "_audit_x3"
	s.may("CREATE DATABASE "+shadow, "CREATE TABLE "+shadow+".ledger AS ledger")
	for _, table := range []string{"ledger", shadow + ".ledger"} {
		statement := "SYSTEM SYNC REPLICA " + table + " LIGHTWEIGHT"
		if _, err := s.ask(statement, nil); err == nil || refused.MatchString(err.Error()) {
			s.t.Errorf("%s: %v, want that only the table is refused", statement, err)
		}
	}
	s.may("DROP DATABASE " + shadow)
}

func testMigrator(s *site) {
	for _, shadow := range []string{database + "_replay", database + "_audit_x1"} {
		s.may("CREATE DATABASE "+shadow, "CREATE TABLE "+shadow+".ledger AS ledger", "DROP DATABASE "+shadow)
	}
	s.may("ALTER TABLE ledger DELETE WHERE entry_id = unhex('99')", "CREATE TABLE revenue_rebuilt AS revenue",
		"EXCHANGE TABLES revenue_rebuilt AND revenue", "EXCHANGE TABLES revenue_rebuilt AND revenue",
		"DROP TABLE revenue_rebuilt",
		"CREATE VIEW v AS SELECT 1", "DROP VIEW v")
	mayWait(s)
	s.mayNot("CREATE DATABASE more", "DROP TABLE elsewhere.t", "SELECT a FROM elsewhere.t", "CREATE USER eve",
		"GRANT SELECT ON *.* TO default", "SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')")
	migrate(s) // again, as an upgrade does
}

func testWriter(s *site) {
	s.may("INSERT INTO ledger SELECT * FROM ledger FINAL WHERE entry_id = unhex('99')",
		"SELECT count() FROM stripe_events",
		"CREATE DATABASE tributary_audit_x2", "CREATE TABLE tributary_audit_x2.ledger AS ledger",
		"DROP DATABASE tributary_audit_x2")
	mayWait(s)
	s.mayNot("ALTER TABLE ledger DELETE WHERE true", "TRUNCATE TABLE ledger", "DROP TABLE ledger",
		"CREATE DATABASE tributary_replay",
		"CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a", "ALTER TABLE ledger ADD COLUMN a Int8",
		"OPTIMIZE TABLE ledger",
		"DROP DATABASE "+database, "SELECT a FROM elsewhere.t", "SELECT 1 SETTINGS optimize_move_to_prewhere_if_final = 1")
}

// readers do what nobody who only reads may do.
var readers = []string{
	"INSERT INTO ledger SELECT * FROM ledger", "ALTER TABLE ledger DELETE WHERE true", "TRUNCATE TABLE ledger",
	"DROP TABLE ledger", "CREATE TABLE t (a Int8) ENGINE = MergeTree ORDER BY a", "CREATE DATABASE more",
	"CREATE USER eve", "SET readonly = 0",
	"SELECT a FROM elsewhere.t", "SELECT 1 SETTINGS optimize_move_to_prewhere_if_final = 1",
	"SELECT * FROM url('http://127.0.0.1:1/', CSV, 'a String')", "SELECT 1 SETTINGS max_memory_usage = 0",
}

func testDashboard(s *site) {
	s.want("SELECT count() FROM ledger FINAL", "5")
	s.may("SELECT body FROM stripe_events", "SELECT 1 SETTINGS max_execution_time = 10")
	s.mayNot(readers...)
	s.mayNot("SELECT 1 SETTINGS max_execution_time = 3600")
	answerAll(s, 0)
}

func testAnalyst(s *site) {
	s.want("SELECT count() FROM revenue FINAL", "5")
	s.may("SELECT 1 SETTINGS max_execution_time = 300",
		"SELECT * FROM people")
	s.mayNot(readers...)
	s.mayNot("SELECT body FROM stripe_events", "SELECT key FROM identities", "SELECT reason FROM dead_letters",
		"SELECT name FROM first_names", "SELECT object_id FROM facts",
		"SELECT 1 SETTINGS max_execution_time = 3600",
		"SELECT * FROM mergeTreeIndex(tributary, identities)", "SELECT * FROM view(SELECT name FROM first_names)",
		`SELECT count() FROM revenue SETTINGS additional_table_filters =
			{'tributary.revenue': 'amount NOT IN (SELECT offset FROM tributary.dead_letters)'}`,
		`SELECT count() FROM dead_letters SETTINGS parallel_replicas_mode = 'custom_key_sampling', max_parallel_replicas = 2,
			parallel_replicas_custom_key = 'body = \'\'', parallel_replicas_count = 2, enable_parallel_replicas = 1`)
	answerAll(s, 1, "dead_letters", "product_names")
}

// answerAll asks every named question but some: what a role of readers is for. Under the race detector
// it asks every second, from the first or the second on.
func answerAll(s *site, first int, but ...string) {
	s.t.Helper()
	questions, err := sql.Questions()
	if err != nil {
		s.t.Fatal(err)
	}
	given := map[string]string{"workspace": "acme", "from": "2026-10-01 00:00:00", "to": "2026-11-01 00:00:00",
		"month": "2026-10-01", "since": "2026-10-01 00:00:00", "until": "2026-10-02 00:00:00", "affiliate": "ann",
		"dimension": "affiliate", "step": "86400", "sale": "pi_1"}
	for i, q := range questions {
		if slices.Contains(but, q.Name) || race.Enabled && i%2 != first {
			continue
		}
		parameters := make(url.Values)
		for _, p := range q.Parameters {
			value := p.Default
			if other, ok := given[p.Name]; ok && !p.Optional {
				value = other
			}
			parameters.Set(p.Name, value)
		}
		if _, err := s.ask(q.Text, parameters); err != nil {
			s.t.Errorf("%s: %v", q.Name, err)
		}
	}
	if len(questions) < 10 {
		s.t.Errorf("only %d questions", len(questions))
	}
}

// An affiliate sees its own sales as they are credited now, whether it writes FINAL or not.
func testAffiliate(s *site) {
	for _, final := range []string{"", " FINAL"} {
		s.want("SELECT count(), sum(amount), hex(any(entry_id)) FROM revenue"+final, "1\t1000\t00000000000000000000000000000001")
	}
	s.want("SELECT sum(clicks) FROM clicks_by_day", "3")
	s.want("SELECT sum(usd) FROM earning_lines", "7")
	s.want("SELECT count() FROM earning_months", "1")
	s.mayNot(readers...)
	s.mayNot("SELECT sale_id FROM revenue", "SELECT customer_id FROM revenue", "SELECT * FROM revenue",
		"SELECT amount FROM ledger",
		"SELECT count() FROM clicks", "SELECT visitors FROM clicks_by_day", "SELECT object_id FROM earning_lines",
		"SELECT * FROM sales", "SELECT amount FROM revenue SETTINGS final = 0",
		"SELECT amount FROM revenue SETTINGS apply_row_policy_after_final = 0", "SELECT 1 SETTINGS max_execution_time = 3600")
	s.mayNot(roundabout...)
	// An error in a row that it may not see would show what is there.
	s.want("SELECT sum(amount) FROM revenue WHERE throwIf(entry_id != unhex('00000000000000000000000000000001')) = 0", "1000")
	s.want("SELECT sum(amount) FROM revenue PREWHERE throwIf(entry_id != unhex('00000000000000000000000000000001')) = 0",
		"1000")
	s.want("SELECT count() FROM revenue SETTINGS optimize_trivial_count_query = 1", "1")
	s.want("SELECT min(entry_id) = max(entry_id) FROM revenue SETTINGS optimize_use_implicit_projections = 1", "1")
	s.want("SELECT groupArray(name) FROM (SELECT name FROM system.tables WHERE database = 'tributary' ORDER BY name)",
		"['clicks_by_day','earning_lines','earning_months','revenue']")
	s.want("SELECT count() FROM system.columns WHERE table = 'revenue' AND name IN ('sale_id', 'customer_id', 'affiliate_id')", "0")
}

// roundabout are ways to what an affiliate may not see that do not name its table or column
// plainly, and statements by which it would leave its role or the server.
var roundabout = []string{
	"SELECT sum(amount) FROM merge('tributary', '^revenue$')", "SELECT * FROM merge('tributary', '.*')",
	"SELECT * FROM remote('127.0.0.1', tributary.ledger)", "SELECT * FROM view(SELECT * FROM ledger)",
	"SELECT * FROM viewExplain('EXPLAIN', '', (SELECT 1 FROM ledger))", "SELECT * FROM loop(tributary.ledger) LIMIT 1",
	"SELECT * FROM mergeTreeIndex(tributary, revenue)", "SELECT * FROM mergeTreeIndex(tributary, ledger)",
	"SELECT * FROM file('/etc/passwd', LineAsString)", "SELECT file('/etc/passwd')",
	"SELECT * FROM executable('id', CSV, 'a String')", "SELECT 1 INTO OUTFILE '/tmp/out'",
	"SELECT 1 FROM revenue WHERE sale_id != ''", "SELECT amount FROM revenue ORDER BY customer_id",
	"SELECT count(sale_id) FROM revenue", "SELECT tuple(*) FROM revenue", "SELECT COLUMNS('.*') FROM revenue",
	"SELECT _part_offset FROM revenue", "SELECT 1 FROM earning_lines, ledger", "SELECT count() FROM ledger",
	"SELECT workspace FROM revenue", "SELECT workspace FROM mergeTreeIndex(tributary, revenue)",
	"SELECT value FROM mergeTreeIndex(tributary, clicks_by_day)", "SELECT value FROM clicks_by_day",
	"SELECT affiliate_id FROM mergeTreeIndex(tributary, earning_lines)",
	"EXPLAIN indexes = 1 SELECT count() FROM clicks_by_day WHERE value = 'bob'",
	"EXPLAIN SELECT amount FROM ledger", "EXPLAIN ESTIMATE SELECT * FROM ledger", "DESCRIBE ledger", "EXISTS TABLE ledger",
	"SHOW CREATE TABLE revenue", "SHOW CREATE VIEW sales", "SHOW CREATE ROW POLICY tributary_affiliate ON tributary.revenue",
	"SHOW USERS", "SELECT * FROM system.users", "SELECT * FROM system.row_policies", "CHECK TABLE ledger",
	"SYSTEM FLUSH LOGS", "SYSTEM STOP MERGES revenue", "OPTIMIZE TABLE revenue",
	"DETACH TABLE revenue", "RENAME TABLE revenue TO other", "CREATE FUNCTION f AS x -> x",
	"CREATE VIEW v AS SELECT * FROM ledger", "CREATE ROW POLICY p ON tributary.revenue USING 1 TO ALL",
	"ALTER USER default SETTINGS final = 0", "BACKUP TABLE ledger TO Disk('default', 'b')",
}

// testQuota reads the quota: how many questions a machine answers in a minute decides no test.
func testQuota(s *site) {
	s.want("SELECT duration, max_queries, max_execution_time FROM system.quota_usage ORDER BY duration",
		"60\t60\t\\N\n3600\t\\N\t300")
}

// A role that is not rendered, or a file that is not one of a role, is nobody's.
func TestEveryFileIsUsed(t *testing.T) {
	for _, database := range []string{"", "a-b", "1a", "a`; DROP DATABASE b"} {
		if _, err := (sql.Layout{Database: database}).Access(false); err == nil {
			t.Errorf("roles of the database %q", database)
		}
	}
	all, err := sql.Layout{Database: database}.Access(true)
	if err != nil {
		t.Fatal(err)
	}
	files, err := os.ReadDir(".")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.Join(all, "\n")
	for _, f := range files {
		role, ok := strings.CutSuffix(f.Name(), ".sql")
		if ok && role != "workloads" && !strings.Contains(text, "CREATE ROLE IF NOT EXISTS tributary_"+role) {
			t.Errorf("%s makes no role", f.Name())
		}
	}
	if !strings.Contains(text, "CREATE WORKLOAD") {
		t.Error("no workloads")
	}
}
