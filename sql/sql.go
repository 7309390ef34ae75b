// Package sql holds the tables: the migrations, the schema that they make, and the
// named queries of dashboards and analysts.
//
//	migrations/  executed by Migrate, in order, forward only
//	schema/      generated: every table and view as it stands after the migrations
//	queries/     named queries with typed parameters, each with a golden answer
//	templates/   the view that most of them read, as statements have it too: activity.go
//
// It speaks database/sql and links no driver: the caller brings the connection.
package sql

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed queries/*.sql
var queries embed.FS

// LedgerRules is the number of the rules by which this program books the ledger. Entries of other
// rules cannot stand beside its own: their versions are not comparable. Migrate notes it for a
// ledger that is empty; a rebuild notes it for one that it made anew. At most 63 (ledger.Version).
const LedgerRules = 17

// VersionTable is the table in which a database keeps the numbers of the migrations that it has
// seen. Migrate creates it.
const VersionTable = goose.DefaultTablename

// EnsureDatabase creates a database where it is missing, on the servers of a layout. db must be
// connected to another database.
func EnsureDatabase(ctx context.Context, db *sql.DB, name string, on Layout) error {
	statement := "CREATE DATABASE IF NOT EXISTS " + quoted(name) + on.databaseOnCluster()
	if on.Kind == ReplicatedDatabase {
		statement += " ENGINE = Replicated('/clickhouse/databases/" + literal(name) + "', '{shard}', '{replica}')"
	}
	if _, err := db.ExecContext(ctx, statement); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

// Settings are the settings of ClickHouse that a connection needs to migrate several servers: DDL
// waits for every server and fails if one does not answer in time, and an INSERT ends when its rows
// are on their shards. Times are in seconds. For a single server only one of them matters:
// ClickHouse refuses to drop tables of more than 50 GB by default, and what a migration or a
// command drops is a copy, or what a person has said to drop.
func Settings() map[string]any {
	return map[string]any{
		"distributed_ddl_output_mode":                   "throw",
		"distributed_ddl_task_timeout":                  240,
		"alter_sync":                                    2,
		"mutations_sync":                                2,
		"replication_wait_for_inactive_replica_timeout": 120,
		"distributed_foreground_insert":                 1,
		"distributed_product_mode":                      "global",
		"insert_deduplicate":                            0, // what an interrupted migration inserts again is meant
		"deduplicate_insert":                            "disable",
		"max_table_size_to_drop":                        0,
		"max_partition_size_to_drop":                    0,
	}
}

// provider returns the migrations as a layout executes them.
func (l Layout) provider(db *sql.DB) (*goose.Provider, error) {
	files, err := l.files()
	if err != nil {
		return nil, err
	}
	// A migration may come from a branch that was merged after one with a greater number.
	return goose.NewProvider(goose.DialectClickHouse, db, files, goose.WithAllowOutofOrder(true))
}

// Migrate brings a database up to this program's tables, in the layout that Detect finds.
func Migrate(ctx context.Context, db *sql.DB, progress func(string)) error {
	l, err := Detect(ctx, db, "")
	if err != nil {
		return err
	}
	return l.Migrate(ctx, db, progress)
}

// Migrate brings the database up to this program's tables, forward only. progress is called with
// every migration that was applied, and once when there was none.
//
// On several servers a lease in Keeper keeps two of them apart. On a single server and on
// ClickHouse Cloud nothing does: run it from one place at a time.
//
// ClickHouse has no transaction over DDL: of a migration that was interrupted some statements have
// been executed, and the next Migrate executes all of them again. So each of them must do no harm
// where it was executed before (IF NOT EXISTS).
func (l Layout) Migrate(ctx context.Context, db *sql.DB, progress func(string)) (err error) {
	p, err := l.provider(db)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	if l.Kind == Cluster || l.Kind == ReplicatedDatabase {
		lease, held, err := l.prepare(ctx, db)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, lease.end(context.WithoutCancel(ctx))) }()
		ctx = held
	}
	results, err := p.Up(ctx)
	for _, r := range results {
		progress(r.String())
	}
	if cause := context.Cause(ctx); err != nil && cause != nil && !errors.Is(err, cause) {
		err = fmt.Errorf("%w: %w", cause, err) // the lease is lost
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if sync := l.Sync("ledger"); sync != "" { // a new server has no rows yet of a ledger that others have
		if _, err := db.ExecContext(ctx, sync); err != nil {
			return fmt.Errorf("wait until the servers have all rows of ledger: %w", err)
		}
	}
	if _, err := db.ExecContext(ctx,
		fmt.Sprintf("INSERT INTO ledger_rules SELECT %d, now64(3) WHERE (SELECT count() FROM ledger) = 0",
			LedgerRules)); err != nil {
		return fmt.Errorf("note by which rules the ledger is booked: %w", err)
	}
	if len(results) == 0 {
		progress("nothing to do, the tables are up to date")
	}
	return nil
}

// prepare creates the tables that keep version and lease in Keeper, where every server sees the
// same, and takes the lease.
func (l Layout) prepare(ctx context.Context, db *sql.DB) (*lease, context.Context, error) {
	for _, statement := range l.keeperTables() {
		if _, err := db.ExecContext(ctx, statement); err != nil {
			err = fmt.Errorf("create the tables of versions in Keeper: %w", err)
			if strings.Contains(err.Error(), "keeper_map_path_prefix") {
				err = fmt.Errorf("%w (hint: <keeper_map_path_prefix> in each server's configuration)", err)
			}
			return nil, nil, err
		}
	}
	return takeLease(ctx, db)
}

// keeperTables have the columns that goose expects of VersionTable, and those of the lease.
func (l Layout) keeperTables() []string {
	on := rendering{Layout: l}.onCluster()
	path := "/tributary/" + literal(l.Database)
	return []string{
		"CREATE TABLE IF NOT EXISTS " + VersionTable + on +
			" (version_id Int64, is_applied UInt8, date Date DEFAULT now(), " +
			"tstamp DateTime DEFAULT now()) ENGINE = KeeperMap('" + path + "/versions') PRIMARY KEY version_id",
		"CREATE TABLE IF NOT EXISTS " + leaseTable + on + " (key String, owner String, until DateTime64(3)) " +
			"ENGINE = KeeperMap('" + path + "/lease') PRIMARY KEY key",
	}
}

// Pending counts the migrations that the database lacks; a program is not ready while there is one.
// It changes nothing.
func Pending(ctx context.Context, db *sql.DB) (int, error) {
	known, applied, err := versions(ctx, db)
	return without(known, applied), err
}

// Unknown counts the migrations of the database that this program does not have, as after a newer
// version was taken back. It changes nothing.
func Unknown(ctx context.Context, db *sql.DB) (int, error) {
	known, applied, err := versions(ctx, db)
	return without(applied, append(known, 0)), err // goose notes 0 for the table itself
}

// without counts the different elements of list that others lacks.
func without(list, others []int64) int {
	n := 0
	for _, v := range slices.Compact(slices.Sorted(slices.Values(list))) {
		if !slices.Contains(others, v) {
			n++
		}
	}
	return n
}

// versions returns the numbers of the migrations that this program has, and of those that the
// database has seen.
func versions(ctx context.Context, db *sql.DB) (known, applied []int64, err error) {
	files, err := migrations.ReadDir("migrations")
	if err != nil {
		return nil, nil, fmt.Errorf("read migrations: %w", err)
	}
	for _, file := range files {
		version, err := goose.NumericComponent(file.Name())
		if err != nil {
			return nil, nil, fmt.Errorf("read migrations: %w", err)
		}
		known = append(known, version)
	}
	var exists bool
	err = db.QueryRowContext(ctx, "SELECT count() > 0 FROM system.tables WHERE database = currentDatabase() AND name = ?",
		VersionTable).Scan(&exists)
	if err == nil && exists {
		err = db.QueryRowContext(ctx, "SELECT groupArray(version_id) FROM "+VersionTable+" WHERE is_applied").Scan(&applied)
	}
	if err != nil {
		return nil, nil, fmt.Errorf("read schema version: %w", err)
	}
	return known, applied, nil
}

// Query returns the text of the named query, queries/<name>.sql, with its parameters as
// {name:Type}. It carries no FORMAT: the caller appends one, or lets its driver choose.
func Query(name string) (string, error) {
	text, err := queries.ReadFile("queries/" + name + ".sql")
	if err != nil {
		return "", fmt.Errorf("read query %s: %w", name, err)
	}
	return string(text), nil
}
