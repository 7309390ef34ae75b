package clickhouse

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column/orderedmap"
)

// column is one column of an insert: its name, and its values taken from the rows.
type column[R any] struct {
	name   string
	values func([]R) any
}

func col[R, V any](name string, get func(*R) V) column[R] {
	return column[R]{name, func(rows []R) any {
		values := make([]V, len(rows))
		for i := range rows {
			values[i] = get(&rows[i])
		}
		return values
	}}
}

// byKey is a column of maps whose pairs are sorted by key. ClickHouse keeps the pairs of a map as
// they came, and compares them so; in Go's order, which differs each time, one content would be
// stored as several.
func byKey[R any](name string, get func(*R) map[string]string) column[R] {
	return col(name, func(r *R) *orderedmap.Map[string, string] { return orderedmap.FromMap(get(r)) })
}

// insert writes rows as one block of one partition.
func insert[R any](ctx context.Context, s *Store, table string, columns []column[R], rows []R) error {
	if len(rows) == 0 {
		return nil
	}
	return s.retry(ctx, table, "insert", func(ctx context.Context) error {
		return insertOnce(ctx, s, table, columns, rows)
	})
}

func insertOnce[R any](ctx context.Context, s *Store, table string, columns []column[R], rows []R) error {
	ctx, cancel := context.WithTimeout(ctx, time.Minute)
	defer cancel()
	known, err := s.columnTypes(ctx, table)
	if err != nil {
		return err
	}
	types, err := typesOf(columns, table, known)
	if err != nil {
		s.types.Delete(table)
		return err
	}
	batch, err := s.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(insertSettings),
		clickhouse.WithColumnNamesAndTypes(types)), insertStatement(table, columns))
	if err != nil {
		s.types.Delete(table)
		return err
	}
	defer batch.Close() // a batch that is not sent would keep its connection
	for i, c := range columns {
		if err := batch.Column(i).Append(c.values(rows)); err != nil {
			s.types.Delete(table)
			return &misfit{c.name, err}
		}
	}
	if err := batch.Send(); err != nil {
		s.types.Delete(table)
		return err
	}
	s.metrics.rows.WithLabelValues(table).Add(float64(len(rows)))
	return nil
}

// typesOf returns the types of the columns that an insert gives. A table that a newer version has
// migrated may have others between them.
func typesOf[R any](columns []column[R], table string, known []clickhouse.ColumnNameAndType) (
	[]clickhouse.ColumnNameAndType, error,
) {
	types := make([]clickhouse.ColumnNameAndType, len(columns))
	for i, c := range columns {
		at := slices.IndexFunc(known, func(k clickhouse.ColumnNameAndType) bool { return k.Name == c.name })
		if at < 0 {
			return nil, fmt.Errorf("%s.%s: %w", table, c.name, errNoColumn)
		}
		types[i] = known[at]
	}
	return types, nil
}

func insertStatement[R any](table string, columns []column[R]) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = "`" + c.name + "`"
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

// columnTypes returns the columns of a table that an insert may give, and reads them once. Without
// them the driver asks before every insert over HTTP.
func (s *Store) columnTypes(ctx context.Context, table string) ([]clickhouse.ColumnNameAndType, error) {
	if known, ok := s.types.Load(table); ok {
		return known.([]clickhouse.ColumnNameAndType), nil
	}
	rows, err := s.conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND "+
		"table = ? AND default_kind NOT IN ('ALIAS', 'MATERIALIZED') ORDER BY position", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var types []clickhouse.ColumnNameAndType
	for rows.Next() {
		var c clickhouse.ColumnNameAndType
		if err := rows.Scan(&c.Name, &c.Type); err != nil {
			return nil, err
		}
		types = append(types, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("%s: %w", table, errNoTable)
	}
	s.types.Store(table, types)
	return types, nil
}
