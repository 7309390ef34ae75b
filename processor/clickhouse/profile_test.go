package clickhouse

import (
	"log/slog"
	"strings"
	"testing"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql/sqltest"
)

// A limit of the user's profile that is reached is an error with a hint: nobody takes a part of the
// rows for all of them, whatever the profile says.
func TestLimitsOfAProfile(t *testing.T) {
	dsn, db := sqltest.Open(t)
	if _, err := db.ExecContext(t.Context(), "INSERT INTO deferred_names (workspace, name) "+
		"SELECT 'shop', toString(number) FROM numbers(1000)"); err != nil {
		t.Fatal(err)
	}
	const all = "SELECT name FROM deferred_names"
	for _, limit := range []struct{ name, mode, overflow, statement string }{
		{"max_rows_to_read", "read_overflow_mode", "break", all},
		{"max_result_rows", "result_overflow_mode", "break", all},
		{"max_rows_to_group_by", "group_by_overflow_mode", "any", all + " GROUP BY name"},
		{"max_rows_in_set", "set_overflow_mode", "break", all + " WHERE name IN (" + all + ")"},
		{"max_rows_in_join", "join_overflow_mode", "break", "SELECT a.name FROM deferred_names AS a JOIN deferred_names AS b " +
			"ON a.name = b.name"},
		{"max_rows_in_distinct", "distinct_overflow_mode", "break", "SELECT DISTINCT name FROM deferred_names"},
		{"max_rows_to_sort", "sort_overflow_mode", "break", all + " ORDER BY request, name"},
	} {
		profile := map[string]string{limit.name: "10", limit.mode: limit.overflow, "max_block_size": "10"}
		store, err := OpenCommand(chdbtest.WithProfile(t, dsn, profile), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		names := 0
		err = store.Each(t.Context(), func(driver.Rows) error { names++; return nil }, limit.statement)
		if meaning := faultOf(err); err == nil || meaning.class != needsOperator || meaning.hint != hintLimit {
			t.Errorf("%v: %d names, %v", profile, names, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
}

// A setting of the DSN goes before what is pinned, and what is pinned stands in no error.
func TestPinnedSettings(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	for settings, want := range map[string]uint64{"": 0, "?extremes=1": 1, "?extremes=0": 0} {
		store, err := OpenCommand(dsn+settings, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var extremes uint64
		err = store.conn.QueryRow(t.Context(), "SELECT toUInt64(getSetting('extremes'))").Scan(&extremes)
		if err != nil || extremes != want {
			t.Errorf("%q: %d, %v", settings, extremes, err)
		}
		if err := store.Close(); err != nil {
			t.Error(err)
		}
	}
	nobody, err := OpenCommand("http://127.0.0.1:1/tributary", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer nobody.Close()
	if err := nobody.Ping(t.Context()); err == nil || strings.Contains(err.Error(), "join_use_nulls") {
		t.Error(err)
	}
}

// The tables of a rebuild are dropped however large they are.
func TestDropOfLargeTables(t *testing.T) {
	dsn, db := sqltest.Open(t)
	store, err := OpenCommand(chdbtest.WithProfile(t, dsn, map[string]string{"max_table_size_to_drop": "1"}),
		slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	database, err := store.Database(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	shadow := database + "_replay"
	for _, statement := range []string{"CREATE DATABASE " + shadow,
		"CREATE TABLE " + shadow + ".t ENGINE = MergeTree ORDER BY number AS SELECT number FROM numbers(100)"} {
		if _, err := db.ExecContext(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.Drop(t.Context(), shadow); err != nil {
		t.Error(err)
	}
}
