package audit

import (
	"strings"
	"testing"

	"tributary/sql/schema"
)

// Two rows that differ in a column of their table's key alone are two rows. Taken for one, each
// would be reported as altered, and repaired into one.
func TestKeysAreThoseOfTheTables(t *testing.T) {
	for _, s := range sources {
		statement, err := schema.Files.ReadFile(s.table + ".sql")
		if err != nil {
			t.Fatal(err)
		}
		_, order, _ := strings.Cut(string(statement), "\nORDER BY (")
		if key, _, _ := strings.Cut(order, ")"); key != s.key {
			t.Errorf("%s is compared by (%s), and its rows are told apart by (%s)", s.table, s.key, key)
		}
	}
}
