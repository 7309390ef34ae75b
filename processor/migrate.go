package main

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/sql"
)

type migrateCommand struct{ clickhouseSettings }

func (c *migrateCommand) Run(ctx context.Context, log *slog.Logger) error {
	return migrate(ctx, c.ClickhouseDSN, func(step string) { log.Info("migrate", "step", step) })
}

// migrate creates the database that a DSN names, if it is missing, and brings its tables up to
// date.
func migrate(ctx context.Context, dsn string, progress func(string)) error {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	database := options.Auth.Database
	if database != "" && database != "default" {
		// The database cannot be created over a connection that is already in it.
		root := *options
		root.Auth.Database = "default"
		db := clickhouse.OpenDB(&root)
		err := sql.EnsureDatabase(ctx, db, database)
		db.Close()
		if err != nil {
			return err
		}
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	return sql.Migrate(ctx, db, progress)
}

// schema reports whether ClickHouse has the tables of this program's version.
type schema struct {
	db      *databasesql.DB
	current atomic.Bool // migrations go forward only, so it is asked until it is true
}

// openSchema does not connect.
func openSchema(dsn string) (*schema, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	return &schema{db: clickhouse.OpenDB(options)}, nil
}

func (s *schema) close() { _ = s.db.Close() }

// check returns an error while migrations are pending.
func (s *schema) check(ctx context.Context) error {
	if s.current.Load() {
		return nil
	}
	pending, err := sql.Pending(ctx, s.db)
	if err != nil {
		return err
	}
	if pending > 0 {
		return fmt.Errorf("%d migrations are pending (hint: run processor migrate)", pending)
	}
	s.current.Store(true)
	return nil
}
