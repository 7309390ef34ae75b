// Package sqltest gives tests databases with all tables, in the engine of chdbtest.
package sqltest

import (
	"context"
	stdsql "database/sql"
	"fmt"
	"strings"
	"sync"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

// Open returns the DSN of a new database with the tables and rows that the migrations make, and a
// connection to it. Both end with the test.
//
// The migrations are executed once a test process. Every database is then made from the tables that
// they made, which takes a sixth of the CPU time. Tests of the migrations themselves call
// sql.Migrate.
func Open(tb testing.TB) (dsn string, db *stdsql.DB) {
	tb.Helper()
	dsn = chdbtest.Start(tb)
	db = fill(tb, dsn)
	tb.Cleanup(func() { db.Close() })
	return dsn, db
}

// Fill makes those tables and rows in a database of the engine of chdbtest, unless it has tables,
// and makes the database, unless it is there. Nobody drops it but the test.
func Fill(tb testing.TB, dsn string) {
	tb.Helper()
	fill(tb, dsn).Close()
}

func fill(tb testing.TB, dsn string) *stdsql.DB {
	tb.Helper()
	once.Do(func() { failure = migrate(chdbtest.Address(tb)) })
	if failure != nil {
		tb.Fatal(failure)
	}
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	if err := copyTemplate(tb.Context(), db, options); err != nil {
		tb.Fatal(err)
	}
	return db
}

// template is the database in which the migrations are executed. It ends with the engine.
const template = "test_template"

var (
	once    sync.Once
	failure error
	creates []string // the statements that create template's tables, and then its views
	filled  []string // the tables into which the migrations wrote rows
)

// migrate executes the migrations in template, and notes what they made.
func migrate(address string) error {
	ctx := context.Background() // not the test's: other tests use template too
	options, err := clickhouse.ParseDSN(address + "/default")
	if err != nil {
		return err
	}
	server := clickhouse.OpenDB(options)
	defer server.Close()
	if err := sql.EnsureDatabase(ctx, server, template, sql.Layout{}); err != nil {
		return err
	}
	options.Auth.Database = template
	db := clickhouse.OpenDB(options)
	defer db.Close()
	if err := sql.Migrate(ctx, db, func(string) {}); err != nil {
		return err
	}
	rows, err := db.QueryContext(ctx, `
		SELECT name, create_table_query, coalesce(total_rows, 0) > 0 FROM system.tables
		WHERE database = currentDatabase() ORDER BY engine IN ('View', 'MaterializedView'), name`)
	if err != nil {
		return fmt.Errorf("list tables: %w", err)
	}
	defer rows.Close()
	for rows.Next() {
		var name, create string
		var hasRows bool
		if err := rows.Scan(&name, &create, &hasRows); err != nil {
			return fmt.Errorf("list tables: %w", err)
		}
		creates = append(creates, create)
		if hasRows {
			filled = append(filled, name)
		}
	}
	return rows.Err()
}

// copyTemplate makes the tables, views and rows of template in the database of the options.
func copyTemplate(ctx context.Context, db *stdsql.DB, options *clickhouse.Options) error {
	root := *options
	root.Auth.Database = template
	server := clickhouse.OpenDB(&root)
	defer server.Close()
	name, tables := options.Auth.Database, 0
	if err := sql.EnsureDatabase(ctx, server, name, sql.Layout{}); err != nil {
		return err
	}
	if err := db.QueryRowContext(ctx, "SELECT count() FROM system.tables WHERE database = currentDatabase()").
		Scan(&tables); err != nil || tables > 0 {
		return err
	}
	for _, create := range creates {
		if _, err := db.ExecContext(ctx, strings.ReplaceAll(create, template+".", name+".")); err != nil {
			return fmt.Errorf("copy a table: %w", err)
		}
	}
	for _, table := range filled {
		if _, err := db.ExecContext(ctx, "INSERT INTO "+table+" SELECT * FROM "+template+"."+table); err != nil {
			return fmt.Errorf("copy the rows of %s: %w", table, err)
		}
	}
	return nil
}
