package sql_test

import (
	stdsql "database/sql"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	clickhousestore "tributary/processor/clickhouse"
	"tributary/processor/rollup/rolluptest"
	"tributary/sql"
	"tributary/sql/sqltest"
)

var update = flag.Bool("update", false, "rewrite schema/ and the golden answers")

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

// A row that a command has stored is on the disk when the command says so: it is in no topic, from
// which it could be read again after a loss of power. reconcile --keep-rates stores facts.
func TestCommandsRowsAreSynced(t *testing.T) {
	for _, table := range []string{
		"identities", "first_names", "erasures", "earning_rules", "earning_months", "earning_lines", "spend", "facts",
	} {
		schema, err := os.ReadFile("schema/" + table + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		for _, setting := range []string{"fsync_after_insert = 1", "fsync_part_directory = 1"} {
			if !strings.Contains(string(schema), setting) {
				t.Errorf("%s lacks the setting %s", table, setting)
			}
		}
	}
}

// TestSchema keeps schema/, of which sqltest makes its databases, equal to what the migrations lead
// to, so that a change of a table shows in review as one. That a database of sqltest, to which new
// migrations are applied, is what all migrations make is seen by TestMigrate.
func TestSchema(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	if *update {
		var db *stdsql.DB
		dsn, db = unmigrated(t)
		if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
			t.Fatal(err)
		}
	}
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	database := strings.TrimPrefix(u.Path, "/") + "."
	create := func(table string) string {
		ddl := ask(t, dsn, "SHOW CREATE TABLE `"+table+"` FORMAT TSVRaw", nil)
		return strings.ReplaceAll(strings.TrimSpace(ddl), database, "") + ";\n"
	}
	tables := column(t, dsn, "SELECT name FROM system.tables WHERE database = currentDatabase() AND name NOT LIKE "+
		"'.%' AND name != '"+sql.VersionTable+"' ORDER BY name")
	want := []string{"schema.go"}
	for _, table := range tables {
		golden(t, "schema/"+table+".sql", create(table))
		want = append(want, table+".sql")
	}
	versions := column(t, dsn, "SELECT version_id FROM "+sql.VersionTable+" ORDER BY version_id")
	golden(t, "sqltest/versions.sql", create(sql.VersionTable)+"INSERT INTO "+sql.VersionTable+
		" (version_id, is_applied)\n    SELECT arrayJoin(["+strings.Join(versions, ", ")+"]), 1;\n")
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
// somebody. Of the columns of views with parameters, and of views that fill a table, the server
// keeps no comments.
func TestComments(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	tables := "SELECT name FROM system.tables WHERE database = currentDatabase() AND name != '" + sql.VersionTable + "'"
	for _, table := range column(t, dsn, tables+" AND comment = ''") {
		t.Errorf("table or view %s has no comment", table)
	}
	tables += " AND engine != 'MaterializedView' AND NOT (engine = 'View' AND position(create_table_query, '{') > 0)"
	for _, name := range column(t, dsn, "SELECT table || '.' || name FROM system.columns "+
		"WHERE database = currentDatabase() AND comment = '' AND table IN ("+tables+")") {
		t.Errorf("column %s has no comment", name)
	}
}
