package audit

import (
	"regexp"
	"strings"
	"testing"

	"tributary/processor/clickhouse"
	"tributary/sql/schema"
)

// Two rows that differ in a column of their table's key alone are two rows. Taken for one, each
// would be reported as altered, and repaired into one. And two that hold the pairs of a map in
// another order are equal.
func TestSourcesFollowTables(t *testing.T) {
	mapColumn := regexp.MustCompile("(?m)^ {4}`(\\w+)` Map\\(")
	for _, s := range sources {
		statement, err := schema.Files.ReadFile(s.table + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		_, order, _ := strings.Cut(string(statement), "\nORDER BY (")
		if key, _, _ := strings.Cut(order, ")"); key != s.key {
			t.Errorf("%s is compared by (%s), and its rows are told apart by (%s)", s.table, s.key, key)
		}
		for _, m := range mapColumn.FindAllSubmatch(statement, -1) {
			if c := clickhouse.Comparable(s.table); !strings.Contains(c, "mapSort("+string(m[1])+")") {
				t.Errorf("%s is compared by %s, with the pairs of %s as they were stored", s.table, c, m[1])
			}
		}
	}
}
