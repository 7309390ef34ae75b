package main

import (
	"context"
	databasesql "database/sql"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"

	"tributary/processor/clickhouse"
	"tributary/processor/retention"
	"tributary/schemas"
	"tributary/sql"
)

type migrateCommand struct {
	clickhouseSettings
	Workspaces string `help:"JSON array of workspaces, the edge's too: their retention_days are put in force. Without it, what is in force stays." type:"path" placeholder:"FILE"`
}

func (c *migrateCommand) Run(ctx context.Context, log *slog.Logger) error {
	var workspaces []schemas.Workspace
	if c.Workspaces != "" {
		var err error
		if workspaces, err = schemas.ReadWorkspaces(c.Workspaces); err != nil {
			return err
		}
	}
	if err := migrate(ctx, c.ClickhouseDSN, func(step string) { log.Info("migrate", "step", step) }); err != nil {
		return err
	}
	if c.Workspaces == "" {
		return nil
	}
	store, err := c.open(ctx, log)
	if err != nil {
		return err
	}
	defer store.Close()
	return retain(ctx, store, workspaces, log)
}

// retain puts the retention of the workspaces in force.
func retain(ctx context.Context, store *clickhouse.Store, workspaces []schemas.Workspace, log *slog.Logger) error {
	changed, err := retention.Apply(ctx, store, workspaces)
	for _, table := range changed {
		log.Info("retention is in force", "table", table)
	}
	return err
}

// retentionWarning says that the tables keep what the workspaces file says they should not; "" if they do
// not, and while neither can be asked.
func retentionWarning(ctx context.Context, store *clickhouse.Store, file string) string {
	if file == "" {
		return ""
	}
	workspaces, err := schemas.ReadWorkspaces(file)
	if err != nil {
		return "" // the reloader says so
	}
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if differs, err := retention.Differs(ctx, store, workspaces); err != nil || !differs {
		return ""
	}
	return "retention_days of the workspaces file is not in force (hint: processor migrate --workspaces FILE)"
}

// migrate creates the database that a DSN names, if it is missing, and brings its tables up to
// date.
func migrate(ctx context.Context, dsn string, progress func(string)) error {
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		return fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	database := options.Auth.Database
	if database != "" && database != "default" {
		// The database cannot be created over a connection that is already in it.
		root := *options
		root.Auth.Database = "default"
		db := clickhousego.OpenDB(&root)
		err := sql.EnsureDatabase(ctx, db, database)
		db.Close()
		if err != nil {
			return err
		}
	}
	db := clickhousego.OpenDB(options)
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
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read --clickhouse-dsn: %w", err)
	}
	return &schema{db: clickhousego.OpenDB(options)}, nil
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
