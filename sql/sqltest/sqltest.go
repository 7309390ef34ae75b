// Package sqltest gives tests databases with all tables, in the engine of chdbtest.
package sqltest

import (
	"context"
	stdsql "database/sql"
	_ "embed"
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
	"tributary/sql/schema"
)

// versions has the statements that create and fill the table of the migrations' numbers.
//
//go:embed versions.sql
var versions string

// Open returns the DSN of a new database with the tables and rows that the migrations make, and a
// connection to it. Both end with the test.
//
// The tables are created from sql/schema, which takes a small part of the CPU time of all
// migrations. Migrations that sql/schema does not have yet are executed after that. Tests of the
// migrations themselves call sql.Migrate.
func Open(tb testing.TB) (dsn string, db *stdsql.DB) {
	tb.Helper()
	dsn = chdbtest.Start(tb)
	db = fill(tb, dsn)
	tb.Cleanup(func() { db.Close() })
	return dsn, db
}

// Patient returns the DSN with 90 seconds for each question instead of the 10 seconds of
// processor/query, which a loaded machine may need. It is for tests of what is answered.
func Patient(dsn string) string {
	separator := "?"
	if strings.Contains(dsn, "?") {
		separator = "&"
	}
	return dsn + separator + "max_execution_time=90"
}

// Fill makes those tables and rows in a database of the engine of chdbtest, unless it has tables,
// and makes the database, unless it is there. Nobody drops it but the test.
func Fill(tb testing.TB, dsn string) {
	tb.Helper()
	fill(tb, dsn).Close()
}

func fill(tb testing.TB, dsn string) *stdsql.DB {
	tb.Helper()
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	root := *options
	root.Auth.Database = "default"
	server := clickhouse.OpenDB(&root)
	defer server.Close()
	if err := sql.EnsureDatabase(tb.Context(), server, options.Auth.Database, sql.Layout{}); err != nil {
		tb.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	if err := create(tb.Context(), db); err != nil {
		tb.Fatal(err)
	}
	return db
}

// create makes the tables and rows, unless the database has tables.
func create(ctx context.Context, db *stdsql.DB) error {
	tables := 0
	if err := db.QueryRowContext(ctx, "SELECT count() FROM system.tables WHERE database = currentDatabase()").
		Scan(&tables); err != nil || tables > 0 {
		return err
	}
	creates, err := statements()
	if err != nil {
		return err
	}
	for _, statement := range creates {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			return fmt.Errorf("create what sql/schema has: %w (hint: go test ./sql -run TestSchema -update)", err)
		}
	}
	pending, err := sql.Pending(ctx, db)
	if err != nil {
		return err
	}
	if pending > 0 {
		return sql.Migrate(ctx, db, func(string) {})
	}
	// The row that Migrate writes.
	_, err = db.ExecContext(ctx, fmt.Sprintf("INSERT INTO ledger_rules VALUES (%d, now64(3))", sql.LedgerRules))
	return err
}

// statements returns what creates the tables, then the views, which read them, and the table of the
// migrations' numbers.
func statements() ([]string, error) {
	names, err := fs.Glob(schema.Files, "*.sql")
	if err != nil {
		return nil, err
	}
	var tables, views []string
	for _, name := range names {
		text, err := schema.Files.ReadFile(name)
		if err != nil {
			return nil, err
		}
		statement := strings.TrimSuffix(string(text), ";\n")
		if strings.HasPrefix(statement, "CREATE TABLE ") {
			tables = append(tables, statement)
		} else {
			views = append(views, statement)
		}
	}
	rows := strings.Split(strings.TrimSuffix(versions, ";\n"), ";\n")
	return slices.Concat(tables, views, rows), nil
}
