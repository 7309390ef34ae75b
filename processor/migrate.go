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
	options, err := clickhouse.ParseDSN(c.ClickhouseDSN)
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
	return sql.Migrate(ctx, db, func(step string) { log.Info("migrate", "step", step) })
}
