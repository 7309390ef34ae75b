package sql

import (
	"reflect"
	"testing"
)

// A declaration keeps its meaning whatever signs its type, its default and its meaning have.
func TestQuestionDeclaration(t *testing.T) {
	q, err := parseQuestion("x", `-- Who?
-- First line,
-- second line.
-- @param workspace String: whose data: one
-- @param from DateTime('UTC'): begin
-- @param only Map(String, Array(String)) = {}: dimension: names
-- @param zone String = 'UTC': IANA
-- @param affiliate String = '': empty = all
-- @param unit String = 'day': day, week (from Monday, UTC) or year
-- @param by String = '': link or product; empty: all together
-- @param kinds Array(String) = []: sale, refund or ''; empty: all
-- @param one String: link or a name
SELECT 1 -- @param not String: one
`)
	want := []Parameter{
		{Name: "workspace", Type: "String", Meaning: "whose data: one"},
		{Name: "from", Type: "DateTime('UTC')", Meaning: "begin"},
		{Name: "only", Type: "Map(String, Array(String))", Default: "{}", Optional: true, Meaning: "dimension: names"},
		{Name: "zone", Type: "String", Default: "UTC", Optional: true, Meaning: "IANA"},
		{Name: "affiliate", Type: "String", Optional: true, Meaning: "empty = all"},
		{Name: "unit", Type: "String", Default: "day", Optional: true, Meaning: "day, week (from Monday, UTC) or year",
			Values: []string{"day", "week", "year"}},
		{Name: "by", Type: "String", Optional: true, Meaning: "link or product; empty: all together",
			Values: []string{"link", "product", ""}},
		{Name: "kinds", Type: "Array(String)", Default: "[]", Optional: true, Meaning: "sale, refund or ''; empty: all",
			Values: []string{"sale", "refund", ""}},
		{Name: "one", Type: "String", Meaning: "link or a name"},
	}
	if err != nil || q.Title != "Who?" || q.Meaning != "First line, second line." ||
		!reflect.DeepEqual(q.Parameters, want) {
		t.Errorf("%+v, %v", q, err)
	}
	if _, err := parseQuestion("x", "-- Who?\n-- @param workspace: whose\nSELECT 1"); err == nil {
		t.Error("a parameter without a type is accepted")
	}
}
