package clickhouse

import (
	"context"
	"fmt"
	"maps"
	"regexp"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/sql"
)

// quoted returns a name as an identifier of a statement.
func quoted(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// Table returns a table's name for a statement; an empty database is the connection's own.
func Table(database, table string) string {
	if database == "" {
		return quoted(table)
	}
	return quoted(database) + "." + quoted(table)
}

// Database returns the connection's own. It tries once.
func (s *Store) Database(ctx context.Context) (string, error) {
	var database string
	err := s.conn.QueryRow(ctx, "SELECT currentDatabase()").Scan(&database)
	return database, err
}

// Exec runs one statement, as the layout of the tables has it (sql.Layout.Render). It waits until
// its mutations are done on every server; how long for one that does not answer, ClickHouse
// decides. It tries once: unlike the inserts and lookups of consumers, it serves a command, whose
// user sees the error.
func (s *Store) Exec(ctx context.Context, statement string, args ...any) error {
	layout, err := s.Layout(ctx)
	if err != nil {
		return err
	}
	statements, err := layout.Render(statement)
	if err != nil {
		return err
	}
	settings := s.consistent(sql.Settings())
	settings["wait_end_of_query"] = 1
	for _, statement := range statements {
		given := args
		if !placeholder.MatchString(statement) { // what makes a Distributed table anew
			given = nil
		}
		if err := s.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), statement, given...); err != nil {
			line, _, _ := strings.Cut(statement, "\n")
			return fmt.Errorf("%s: %w", line, err)
		}
	}
	return nil
}

// syncFor is how long a server waits for rows of another one. It is less than the time that DDL has
// on the servers of a cluster (sql.Settings).
const syncFor = 3 * time.Minute

// Sync waits until the servers have the rows of some tables which another one of them had
// acknowledged (sql.Layout.Sync). Call it before rows are read that are then copied, or counted as
// missing: a server that lags does not have the latest ones, and nobody copies them later. Tables
// are named as statements name them. It does nothing on a single server.
//
// It takes as long as the servers lag, and returns an error after three minutes for each table. It
// needs the right SYSTEM SYNC REPLICA, which the roles of migrations and of processors have. It tries
// once.
//
// On a cluster all servers wait. On a Replicated database only the one that is asked does: a store
// of OpenCommand asks no other one, and Sync returns an error if another one answers than before, as
// behind a balancer. On ClickHouse Cloud, where a balancer always stands, such a
// store reads sequentially consistent from then on.
func (s *Store) Sync(ctx context.Context, tables ...string) (err error) {
	layout, err := s.Layout(ctx)
	if err != nil {
		return err
	}
	settings := sql.Settings()
	settings["receive_timeout"] = int(syncFor.Seconds())
	if s.one && layout.Kind == sql.ReplicatedDatabase {
		if err := s.same(ctx); err != nil {
			return err
		}
		defer func() {
			if err == nil {
				err = s.same(ctx)
			}
		}()
	}
	for _, table := range tables {
		statement := layout.Sync(table)
		if statement == "" {
			return nil
		}
		if err := s.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), statement); err != nil {
			f := faultOf(err)
			switch f.name {
			case "ACCESS_DENIED":
				f.hint = "GRANT SYSTEM SYNC REPLICA on its tables, or execute again what processor roles prints"
			case "TIMEOUT_EXCEEDED":
				f.hint = "a server lags: look at system.replicas and system.replication_queue, then run it again"
			}
			return fmt.Errorf("wait until the servers have all rows of %s: %w", table, hinted(err, f))
		}
	}
	return nil
}

// consistent adds to settings, for a command on ClickHouse Cloud, that the server that answers first
// asks Keeper for the rows that others took.
func (s *Store) consistent(settings clickhouse.Settings) clickhouse.Settings {
	if layout := s.layout.Load(); !s.one || layout == nil || layout.Kind != sql.Cloud {
		return settings
	}
	settings = maps.Clone(settings)
	settings["select_sequential_consistency"] = 1
	return settings
}

// placeholder is where an argument goes: ?, or {name:Type}. A macro such as {uuid} is none.
var placeholder = regexp.MustCompile(`\?|\{\w+:`)

// Layout returns how the tables lie on the servers. It asks once.
func (s *Store) Layout(ctx context.Context) (sql.Layout, error) {
	if known := s.layout.Load(); known != nil {
		return *known, nil
	}
	layout, err := sql.LayoutOf(s.conn.QueryRow(ctx, sql.LayoutQuery).Scan)
	if err == nil {
		s.layout.Store(&layout)
	}
	return layout, err
}

// Each calls one for every row of a query, in the query's order. It tries once, like Exec: rows may
// have been passed on before an error.
func (s *Store) Each(ctx context.Context, one func(driver.Rows) error, query string, args ...any) error {
	ctx = clickhouse.Context(ctx, clickhouse.WithSettings(s.consistent(lookupSettings)))
	rows, err := s.conn.Query(ctx, query, args...)
	if err != nil {
		return err
	}
	defer rows.Close()
	for rows.Next() {
		if err := one(rows); err != nil {
			return err
		}
	}
	return rows.Err()
}

// Drop removes a database with all tables. It tries once.
func (s *Store) Drop(ctx context.Context, database string) error {
	return s.Exec(ctx, "DROP DATABASE IF EXISTS "+quoted(database))
}

// Columns returns the names of a table's columns for a statement. It tries once.
func (s *Store) Columns(ctx context.Context, table string) (string, error) {
	types, err := s.columnTypes(ctx, table)
	if err != nil {
		return "", err
	}
	names := make([]string, len(types))
	for i, t := range types {
		names[i] = quoted(t.Name)
	}
	return strings.Join(names, ", "), nil
}

// mapColumns has the column of each table that holds a map.
var mapColumns = map[string]string{
	"clicks": "properties", "page_views": "properties", "leads": "metadata", "dead_letters": "headers",
}

// Comparable returns all columns of a table so that rows of one content are equal: before
// 2026-11-26 the pairs of maps were stored in any order (byKey).
func Comparable(table string) string {
	if m := mapColumns[table]; m != "" {
		return "* REPLACE (mapSort(" + m + ") AS " + m + ")"
	}
	return "*"
}

// Strings returns a list as the argument for an Array(String) of a statement.
func Strings(list []string) clickhouse.ArraySet {
	array := make(clickhouse.ArraySet, len(list))
	for i, s := range list {
		array[i] = s
	}
	return array
}
