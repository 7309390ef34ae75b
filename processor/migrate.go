package main

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"log/slog"
	"maps"
	"sync/atomic"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/sql"
)

type migrateCommand struct {
	clickhouseSettings
	Cluster string `help:"Cluster of system.clusters on whose servers an empty database is laid out: clicks sharded, money on each. Not for a single server, a Replicated database, ClickHouse Cloud, or tables that are there." placeholder:"NAME"`
	Print   bool   `help:"Print the statements as they are executed on this ClickHouse, and execute none."`
}

func (c *migrateCommand) Run(ctx context.Context, log *slog.Logger) error {
	if c.Print {
		return c.print(ctx)
	}
	on := sql.Layout{}
	if c.Cluster != "" {
		on = sql.Layout{Kind: sql.Cluster, Cluster: c.Cluster}
	}
	if err := ensureDatabase(ctx, c.ClickhouseDSN, on); err != nil {
		return err
	}
	on, err := detect(ctx, c.ClickhouseDSN, c.Cluster)
	if err != nil {
		return err
	}
	return migrate(ctx, c.ClickhouseDSN, on, func(step string) { log.Info("migrate", "step", step) })
}

func (c *migrateCommand) print(ctx context.Context) error {
	layout, err := detect(ctx, c.ClickhouseDSN, c.Cluster)
	if err != nil {
		return err
	}
	text, err := layout.Print()
	if err != nil {
		return err
	}
	_, err = fmt.Print(text)
	return err
}

// detect returns the layout of the database that a DSN names.
func detect(ctx context.Context, dsn, cluster string) (sql.Layout, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return sql.Layout{}, fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	return sql.Detect(ctx, db, cluster)
}

// ensureDatabase creates the database that a DSN names, if it is missing.
func ensureDatabase(ctx context.Context, dsn string, on sql.Layout) error {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	database := options.Auth.Database
	if database == "" || database == "default" {
		return nil
	}
	options.Auth.Database = "default" // the database cannot be created over a connection that is already in it
	db := clickhouse.OpenDB(options)
	defer db.Close()
	return sql.EnsureDatabase(ctx, db, database, on)
}

// migrateBeside creates and migrates a database for a command, in the layout of the live one.
func migrateBeside(ctx context.Context, live, dsn string, progress func(string)) error {
	on, err := detect(ctx, live, "")
	if err != nil {
		return err
	}
	if err := ensureDatabase(ctx, dsn, on); err != nil {
		return err
	}
	return migrate(ctx, dsn, on, progress)
}

// migrate brings the tables of the database that a DSN names up to date.
func migrate(ctx context.Context, dsn string, on sql.Layout, progress func(string)) error {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	on.Database = options.Auth.Database
	if on.Database == "" {
		on.Database = "default"
	}
	given := options.Settings
	options.Settings = sql.Settings()
	maps.Copy(options.Settings, given)
	db := clickhouse.OpenDB(options)
	defer db.Close()
	return on.Migrate(ctx, db, progress)
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
