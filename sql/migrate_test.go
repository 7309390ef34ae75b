package sql_test

import (
	"context"
	stdsql "database/sql"
	"path/filepath"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb/chdbtest"
	processor "tributary/processor/clickhouse"
	"tributary/sql"
	"tributary/sql/sqltest"
)

// The migrations are executed whatever there is of their own table and whatever the user's profile
// says, and every later start has nothing to do. The databases of sqltest, in which other tests
// work, are the same.
func TestMigrate(t *testing.T) {
	files, err := filepath.Glob("migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	pending := func(db *stdsql.DB, want int) {
		t.Helper()
		if got, err := sql.Pending(t.Context(), db); err != nil || got != want {
			t.Fatalf("pending: %d, %v; want %d", got, err, want)
		}
	}
	dsn, _ := unmigrated(t)
	options, err := processor.Options(chdbtest.WithProfile(t, dsn, chdbtest.OddProfile))
	if err != nil {
		t.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	pending(db, len(files))
	given, copied := sqltest.Open(t)
	pending(copied, 0)
	// Interrupted between the making of the table and its first row.
	ask(t, dsn, ask(t, given, "SELECT replace(create_table_query, currentDatabase() || '.', '') FROM system.tables "+
		"WHERE database = currentDatabase() AND name = '"+sql.VersionTable+"' FORMAT TSVRaw", nil), nil)
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatalf("with an empty %s: %v", sql.VersionTable, err)
	}
	pending(db, 0)
	before := tables(t, dsn)
	if got := tables(t, given); got != before {
		t.Errorf("the databases of sqltest have\n%s\nand the migrations make\n%s", got, before)
	}
	const rows = "SELECT name, total_rows FROM system.tables WHERE database = currentDatabase() AND total_rows > 0 " +
		"ORDER BY name FORMAT TSV"
	if got, want := ask(t, given, rows, nil), ask(t, dsn, rows, nil); got != want {
		t.Errorf("the databases of sqltest have the rows\n%s\nand the migrations make\n%s", got, want)
	}
	var said []string
	if err := sql.Migrate(t.Context(), db, func(s string) { said = append(said, s) }); err != nil {
		t.Fatal(err)
	}
	if len(said) != 1 || !strings.Contains(said[0], "nothing to do") {
		t.Errorf("the second migration said %q", said)
	}
	if after := tables(t, dsn); after != before {
		t.Errorf("the second migration changed the tables:\n%s\n%s", before, after)
	}
}

// tables returns how each table would be created, without a database's name.
func tables(t *testing.T, dsn string) string {
	t.Helper()
	return ask(t, dsn, `SELECT name, replaceAll(create_table_query, currentDatabase() || '.', '') FROM system.tables
		WHERE database = currentDatabase() ORDER BY name FORMAT TSV`, nil)
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
