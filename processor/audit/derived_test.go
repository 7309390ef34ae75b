package audit

import (
	"log/slog"
	"slices"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
)

func TestMain(m *testing.M) { chdbtest.Main(m) }

// Days are found on which rows differ in any way, and no others: rows of other types that are equal
// do not.
func TestDifferingDays(t *testing.T) {
	store, err := clickhouse.Open(chdbtest.Start(t), slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	const null = "CAST(NULL, 'Nullable(Decimal(18, 4))')"
	for _, c := range []struct {
		name, stored, computed string
		want                   []string
	}{
		{"equal", "SELECT toDate(1) AS day, 'a' AS a", "SELECT toDate(1) AS day, 'a' AS a", nil},
		{"no rows", "SELECT toDate(1) AS day WHERE false", "SELECT toDate(1) AS day WHERE false", nil},
		{"other types", "SELECT toDate(1) AS day, toLowCardinality('a') AS a, toDecimal64(1.1, 4) AS b",
			"SELECT toDate(1) AS day, toNullable('a') AS a, toDecimal128(1.1, 8) AS b", nil},
		{"another order", "SELECT toDate(number % 2) AS day, number FROM numbers(9)",
			"SELECT toDate(number % 2) AS day, number FROM numbers(9) ORDER BY number DESC", nil},
		{"a row is missing", "SELECT toDate(number) AS day FROM numbers(3)",
			"SELECT toDate(number) AS day FROM numbers(4)", []string{"1970-01-04"}},
		{"a row twice", "SELECT toDate(number) AS day FROM numbers(3)",
			"SELECT toDate(number % 3) AS day FROM numbers(4)", []string{"1970-01-01"}},
		{"another day", "SELECT toDate(1) AS day, 'a' AS a", "SELECT toDate(2) AS day, 'a' AS a",
			[]string{"1970-01-02", "1970-01-03"}},
		{"values of two rows", "SELECT toDate(1) AS day, number AS a, number AS b FROM numbers(2)",
			"SELECT toDate(1) AS day, number AS a, 1 - number AS b FROM numbers(2)", []string{"1970-01-02"}},
		{"NULL and 0", "SELECT toDate(1) AS day, " + null + " AS a", "SELECT toDate(1) AS day, toDecimal64(0, 4) AS a",
			[]string{"1970-01-02"}},
		{"which is NULL", "SELECT toDate(1) AS day, " + null + " AS a, toDecimal64(1, 4) AS b",
			"SELECT toDate(1) AS day, toDecimal64(1, 4) AS a, " + null + " AS b", []string{"1970-01-02"}},
		{"limits of texts", "SELECT toDate(1) AS day, 'ab' AS a, 'c' AS b",
			"SELECT toDate(1) AS day, 'a' AS a, 'bc' AS b", []string{"1970-01-02"}},
		{"limits of lists", "SELECT toDate(1) AS day, ['a', 'b'] AS a, CAST([], 'Array(String)') AS b",
			"SELECT toDate(1) AS day, ['a'] AS a, ['b'] AS b", []string{"1970-01-02"}},
		{"an empty text in a list", "SELECT toDate(1) AS day, CAST([], 'Array(String)') AS a",
			"SELECT toDate(1) AS day, [''] AS a", []string{"1970-01-02"}},
		{"a map's value", "SELECT toDate(1) AS day, map('a', 'b') AS a", "SELECT toDate(1) AS day, map('a', 'c') AS a",
			[]string{"1970-01-02"}},
		{"the last decimal", "SELECT toDate(1) AS day, toDecimal128('1.000000000000000001', 18) AS a",
			"SELECT toDate(1) AS day, toDecimal128('1.000000000000000002', 18) AS a", []string{"1970-01-02"}},
	} {
		days, err := differingDays(t.Context(), store, "day", c.stored, c.computed)
		if err != nil || !slices.Equal(days, c.want) {
			t.Errorf("%s: %v, want %v; %v", c.name, days, c.want, err)
		}
	}
}
