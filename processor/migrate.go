package main

import (
	"context"
	databasesql "database/sql"
	"errors"
	"fmt"
	"log/slog"
	"maps"
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
	Cluster string `help:"Cluster of system.clusters on whose servers an empty database is laid out: clicks sharded, money on each. Not for a single server, a Replicated database, ClickHouse Cloud, or tables that are there." placeholder:"NAME"`
	Print   bool   `help:"Print the statements as they are executed on this ClickHouse, and execute none."`

	Workspaces string `help:"JSON array of workspaces, the same file as the edge's: their retention_days are put in force. Without it, what is in force stays." type:"path" placeholder:"FILE"`
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
	var workspaces []schemas.Workspace
	if c.Workspaces != "" {
		if workspaces, err = schemas.ReadWorkspaces(c.Workspaces); err != nil {
			return err
		}
	}
	var steps []string
	err = migrate(ctx, c.ClickhouseDSN, on, func(step string) {
		log.Debug("migrate", "step", step)
		steps = append(steps, step)
	})
	if len(steps) > 0 {
		log.Info("migrate", "steps", len(steps), "last", steps[len(steps)-1])
	}
	if err != nil {
		return err
	}
	tables, err := openSchema(c.ClickhouseDSN)
	if err != nil {
		return err
	}
	defer tables.close()
	if newer, err := newerTables(ctx, tables.db); err != nil {
		return err
	} else if newer != "" {
		log.Warn(newer)
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

// retentionWarning says that the tables keep what the workspaces file says they should not; "" if
// they do not, and while neither can be asked.
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
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return sql.Layout{}, err
	}
	db, err := reached(ctx, options)
	if err != nil {
		return sql.Layout{}, err
	}
	defer db.Close()
	return sql.Detect(ctx, db, cluster)
}

// reachWithin is how long ClickHouse may take to say that it is there.
const reachWithin = 10 * time.Second

// reached returns connections to a ClickHouse that has answered. Without the question a command
// would wait for minutes for a port at which somebody else listens.
func reached(ctx context.Context, options *clickhousego.Options) (*databasesql.DB, error) {
	options.DialTimeout = reachWithin / 2
	db := clickhouse.OpenCommandDB(options)
	ctx, cancel := context.WithTimeout(ctx, reachWithin)
	defer cancel()
	if err := db.PingContext(ctx); err != nil {
		return nil, errors.Join(clickhouse.Unreached(err), db.Close())
	}
	return db, nil
}

// ensureDatabase creates the database that a DSN names, if it is missing.
func ensureDatabase(ctx context.Context, dsn string, on sql.Layout) error {
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return err
	}
	database := options.Auth.Database
	if database == "" || database == "default" {
		return nil
	}
	options.Auth.Database = "default" // the database cannot be created over a connection that is already in it
	db, err := reached(ctx, options)
	if err != nil {
		return err
	}
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
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return err
	}
	on.Database = options.Auth.Database
	if on.Database == "" {
		on.Database = "default"
	}
	settings := clickhousego.Settings(sql.Settings())
	if on.Kind == sql.Cloud { // another server may answer than the one that has waited for rows
		settings["select_sequential_consistency"] = 1
	}
	maps.Copy(settings, options.Settings)
	options.Settings = settings
	db, err := reached(ctx, options)
	if err != nil {
		return err
	}
	defer db.Close()
	return on.Migrate(ctx, db, progress)
}

// schema reports whether ClickHouse has the tables of this program's version.
type schema struct {
	db      *databasesql.DB
	current atomic.Bool // migrations go forward only, so it is asked until it is true
	newer   atomic.Pointer[string]
}

// openSchema does not connect.
func openSchema(dsn string) (*schema, error) {
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return nil, err
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
	newer, err := newerTables(ctx, s.db)
	if err != nil {
		return err
	}
	s.newer.Store(&newer)
	s.current.Store(true)
	return nil
}

// warning says that the tables are newer than this program, once check has asked.
func (s *schema) warning() string {
	if w := s.newer.Load(); w != nil {
		return *w
	}
	return ""
}

// newerTables returns a sentence if a newer version of this program has migrated the database, or
// "". Programs go on with such tables, unless the changelog says otherwise.
func newerTables(ctx context.Context, db *databasesql.DB) (string, error) {
	unknown, err := sql.Unknown(ctx, db)
	if err != nil || unknown == 0 {
		return "", err
	}
	return fmt.Sprintf("the tables are of a newer version than this program: %d of their migrations are not known here "+
		"(hint: CHANGELOG.md of the newer version says whether older programs go on with its tables)", unknown), nil
}

// refuseNewer returns an error if a newer version of this program has migrated the database: tables
// that are made beside would not be as the live ones, and lose what is in columns that are not
// known.
func refuseNewer(ctx context.Context, dsn string) error {
	options, err := clickhouse.Options(dsn)
	if err != nil {
		return err
	}
	db, err := reached(ctx, options)
	if err != nil {
		return err
	}
	defer db.Close()
	unknown, err := sql.Unknown(ctx, db)
	if err == nil && unknown > 0 {
		err = fmt.Errorf("the tables are of a newer version than this program, by %d migrations, and it would rebuild them "+
			"as its own (hint: rebuild with the newer version; deploy/README.md says how to go back)", unknown)
	}
	return err
}
