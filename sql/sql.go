// Package sql holds the tables: migrations that are executed, the schema that they lead to, and the named questions that
// dashboards and analysts ask.
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

// EnsureDatabase creates a database where it is missing. db must be connected to another one.
func EnsureDatabase(ctx context.Context, db *sql.DB, name string) error {
	if _, err := db.ExecContext(ctx, "CREATE DATABASE IF NOT EXISTS `"+strings.ReplaceAll(name, "`", "")+"`"); err != nil {
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

// Migrate brings the database up to this program's tables, forward only. progress hears of every migration that was applied.
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
	if len(results) == 0 {
		progress("nothing to do, the tables are up to date")
	}
	return nil
}

// Pending counts the migrations that the database lacks.
func Pending(ctx context.Context, db *sql.DB) (int, error) {
	p, err := provider(db)
	if err != nil {
		return 0, fmt.Errorf("read migrations: %w", err)
	}
	current, target, err := p.GetVersions(ctx)
	if err != nil {
		return 0, fmt.Errorf("read schema version: %w", err)
	}
	return int(target - current), nil
}
