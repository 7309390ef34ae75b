package main

import (
	"context"
	"fmt"
	"log/slog"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/sql"
)

type migrateCommand struct{ clickhouseSettings }

func (c *migrateCommand) Run(ctx context.Context, log *slog.Logger) error {
	return migrate(ctx, c.ClickhouseDSN, func(step string) { log.Info("migrate", "step", step) })
}

// migrate creates the database that a DSN names, if it is missing, and brings its tables up to date.
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
