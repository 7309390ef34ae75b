package sqltest_test

import (
	stdsql "database/sql"
	"slices"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
	"tributary/sql/sqltest"
)

func TestMain(m *testing.M) { chdbtest.Main(m) }

// A database of Open is one that the migrations made: the same tables and views, and none pending.
func TestOpenEqualsMigrate(t *testing.T) {
	dsn := chdbtest.Start(t)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	migrated := clickhouse.OpenDB(options)
	defer migrated.Close()
	if err := sql.Migrate(t.Context(), migrated, func(string) {}); err != nil {
		t.Fatal(err)
	}
	want := tables(t, migrated)
	for range 2 {
		_, db := sqltest.Open(t)
		if got := tables(t, db); !slices.Equal(got, want) {
			t.Errorf("the tables are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
		}
		if pending, err := sql.Pending(t.Context(), db); pending != 0 || err != nil {
			t.Errorf("%d migrations are pending, %v", pending, err)
		}
	}
}

// tables returns each table with its number of rows, as it would be created without a database's
// name.
func tables(t *testing.T, db *stdsql.DB) (list []string) {
	t.Helper()
	rows, err := db.QueryContext(t.Context(), `
		SELECT replaceAll(create_table_query, currentDatabase() || '.', ''), coalesce(total_rows, 0) FROM system.tables
		WHERE database = currentDatabase() ORDER BY name`)
	if err != nil {
		t.Fatal(err)
	}
	defer rows.Close()
	for rows.Next() {
		var create, n string
		if err := rows.Scan(&create, &n); err != nil {
			t.Fatal(err)
		}
		list = append(list, n+" rows: "+create)
	}
	if rows.Err() != nil || len(list) == 0 {
		t.Fatalf("%d tables, %v", len(list), rows.Err())
	}
	return list
}
