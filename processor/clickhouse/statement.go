package clickhouse

import (
	"context"
	"fmt"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// quoted makes an identifier of a name.
func quoted(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

// name gives a table of a database for a statement; an empty database is the connection's own.
func name(database, table string) string {
	if database == "" {
		return quoted(table)
	}
	return quoted(database) + "." + quoted(table)
}

// Database gives the connection's own.
func (s *Store) Database(ctx context.Context) (string, error) {
	var database string
	err := s.conn.QueryRow(ctx, "SELECT currentDatabase()").Scan(&database)
	return database, err
}

// exec runs one statement, once: whoever asks is there to be told.
func (s *Store) exec(ctx context.Context, statement string, args ...any) error {
	if err := s.conn.Exec(clickhouse.Context(ctx, clickhouse.WithSettings(clickhouse.Settings{"wait_end_of_query": 1, "mutations_sync": 2})), statement, args...); err != nil {
		words, _, _ := strings.Cut(statement, "\n")
		return fmt.Errorf("%s: %w", words, err)
	}
	return nil
}

// each streams a query's rows through one, in the query's order.
func (s *Store) each(ctx context.Context, one func(driver.Rows) error, query string, args ...any) error {
	rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(lookupSettings)), query, args...)
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

// Drop removes a database with all tables.
func (s *Store) Drop(ctx context.Context, database string) error {
	return s.exec(ctx, "DROP DATABASE IF EXISTS "+quoted(database))
}

// columns lists a table's columns for a statement.
func (s *Store) columns(ctx context.Context, table string) (string, error) {
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

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
