package sql_test

import (
	"encoding/json"
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// TestSources keeps dbt/sources.yml equal to what the server says of the tables: dbt
// (https://docs.getdbt.com/reference/source-properties) shows people the same comments. Views with
// parameters are left out, because dbt cannot give them any, and so are those that only fill
// tables.
func TestSources(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	type row struct{ Table, Comment, Column, Type, Meaning string }
	answer := ask(
		t,
		dsn,
		`SELECT t.name AS table, t.comment AS comment, c.name AS column, c.type AS type, c.comment AS meaning
		FROM system.columns AS c JOIN system.tables AS t ON t.database = c.database AND t.name = c.table
		WHERE c.database = currentDatabase() AND t.engine != 'MaterializedView' AND t.name NOT LIKE '.%' AND t.name != '`+sql.VersionTable+`'
			AND NOT (t.engine = 'View' AND position(t.create_table_query, '{') > 0)
		ORDER BY t.name, c.position FORMAT JSONEachRow`,
		nil,
	)
	var out strings.Builder
	out.WriteString(
		"# Made by go test ./sql -update from the tables' comments. Copy it into the models of a dbt project " +
			"(dbt-clickhouse).\n" +
			"version: 2\nsources:\n  - name: tributary\n    schema: tributary\n    tables:\n",
	)
	table := ""
	tables := 0
	for line := range strings.Lines(answer) {
		var r row
		if err := json.Unmarshal([]byte(line), &r); err != nil {
			t.Fatal(err)
		}
		if r.Table != table {
			table = r.Table
			tables++
			out.WriteString("      - name: " + r.Table + "\n")
			if r.Comment != "" {
				out.WriteString("        description: " + yamlText(t, r.Comment) + "\n")
			}
			out.WriteString("        columns:\n")
		}
		out.WriteString("          - name: " + r.Column + "\n            data_type: " + yamlText(t, r.Type) + "\n")
		if r.Meaning != "" {
			out.WriteString("            description: " + yamlText(t, r.Meaning) + "\n")
		}
	}
	if tables < 10 {
		t.Errorf("only %d tables", tables)
	}
	golden(t, "dbt/sources.yml", out.String())
}

// yamlText writes a text as JSON does, which is YAML too
// (https://yaml.org/spec/1.2.2/#12-overview).
func yamlText(t *testing.T, text string) string {
	t.Helper()
	var out strings.Builder
	encoder := json.NewEncoder(&out)
	encoder.SetEscapeHTML(false)
	if err := encoder.Encode(text); err != nil {
		t.Fatal(err)
	}
	return strings.TrimSuffix(out.String(), "\n")
}

// TestViewsDoNotReadTheClock: who keeps an answer while no table has changed sees in the question's
// text whether it depends on the time. A view would hide it.
func TestViewsDoNotReadTheClock(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	for _, view := range column(t, dsn, `SELECT name FROM system.tables WHERE database = currentDatabase() AND engine = 'View'
		AND match(create_table_query, '(?i)\\b(now|now64|today|yesterday)\\s*\\(')`) {
		t.Errorf("the view %s reads the clock: let the question do it, and give the view a parameter", view)
	}
}
