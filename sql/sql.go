// Package sql holds the tables: the migrations, the schema that they make, and the
// named queries of dashboards and analysts.
//
//	migrations/  executed by Migrate, in order, forward only
//	schema/      generated: every table and view as it stands after the migrations
//	queries/     named queries with typed parameters, each with a golden answer
//
// It speaks database/sql and links no driver: the caller brings the connection.
package sql

import (
	"context"
	"database/sql"
	"embed"
	"fmt"
	"io/fs"
	"strings"

	"github.com/pressly/goose/v3"
)

//go:embed migrations/*.sql
var migrations embed.FS

//go:embed queries/*.sql
var queries embed.FS

// LedgerRules is the number of the rules by which this program books the ledger. Entries of other
// rules cannot stand beside its own: their versions are not comparable. Migrate notes it for a
// ledger that is empty; a rebuild notes it for one that it made anew.
const LedgerRules = 3

// VersionTable is the table in which a database remembers the migrations that it has seen. Migrate
// creates it.
const VersionTable = goose.DefaultTablename

// EnsureDatabase creates a database where it is missing. db must be connected to another one.
func EnsureDatabase(ctx context.Context, db *sql.DB, name string) error {
	quoted := "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
	if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS "+quoted); err != nil {
		return fmt.Errorf("create database %s: %w", name, err)
	}
	return nil
}

func provider(db *sql.DB) (*goose.Provider, error) {
	files, err := fs.Sub(migrations, "migrations")
	if err != nil {
		return nil, err
	}
	return goose.NewProvider(goose.DialectClickHouse, db, files)
}

// Migrate brings the database up to this program's tables, forward only. progress is called with every
// migration that was applied, and once when there was none.
//
// ClickHouse has no lock that would keep two of them apart: run it from one place at a time. It has
// no transaction over DDL either: of a migration that was interrupted some statements have been
// executed, and the next Migrate executes all of them again. So each of them must do no harm where
// it was executed before (IF NOT EXISTS).
func Migrate(ctx context.Context, db *sql.DB, progress func(string)) error {
	p, err := provider(db)
	if err != nil {
		return fmt.Errorf("read migrations: %w", err)
	}
	results, err := p.Up(ctx)
	for _, r := range results {
		progress(r.String())
	}
	if err != nil {
		return fmt.Errorf("migrate: %w", err)
	}
	if _, err := db.ExecContext(ctx, fmt.Sprintf("INSERT INTO ledger_rules SELECT %d, now64(3) WHERE (SELECT count() FROM ledger) = 0", LedgerRules)); err != nil {
		return fmt.Errorf("note by which rules the ledger is booked: %w", err)
	}
	if len(results) == 0 {
		progress("nothing to do, the tables are up to date")
	}
	return nil
}

// Pending counts the migrations that the database lacks; a program is not ready while there is one.
// On a database that was never migrated it creates VersionTable, as Migrate would.
func Pending(ctx context.Context, db *sql.DB) (int, error) {
	p, err := provider(db)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	current, _, err := p.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	pending := 0
	for _, source := range p.ListSources() {
		if source.Version > current {
			pending++
		}
	}
	return pending, nil
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
