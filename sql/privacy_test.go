package sql_test

import (
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/processor/retention"
)

var (
	quotedName   = regexp.MustCompile("`([a-z_0-9]+)`")
	schemaColumn = regexp.MustCompile("(?ms)^    `([a-z_0-9]+)` (\\S.*?) COMMENT")
)

func names(text string) (list []string) {
	for _, match := range quotedName.FindAllStringSubmatch(text, -1) {
		list = append(list, match[1])
	}
	return list
}

// PRIVACY.md says of every column with text whether it is about a person, and names no column that
// is not there. A table that it does not name has no column of such a name. What the retention
// empties is what the page says it empties.
func TestPrivacyPage(t *testing.T) {
	page, err := os.ReadFile("PRIVACY.md")
	if err != nil {
		t.Fatal(err)
	}
	rows := make(map[string][]string) // the page's columns of each table
	for line := range strings.Lines(string(page)) {
		if cells := strings.Split(line, "|"); len(cells) == 6 && strings.HasPrefix(line, "| `") {
			rows[strings.Trim(cells[1], " `")] = names(cells[2])
		}
	}
	everywhere := slices.Concat(slices.Collect(maps.Values(rows))...)
	_, rest, found := strings.Cut(string(page), "## Columns that are not about a person")
	if !found {
		t.Fatal("the list of other columns is missing")
	}
	_, rest, _ = strings.Cut(rest, "\n\n`")
	others := names("`" + rest)
	files, err := filepath.Glob("schema/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	tables := 0
	for _, file := range files {
		definition, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		table := strings.TrimSuffix(filepath.Base(file), ".sql")
		personal, named := rows[table]
		if !strings.HasPrefix(string(definition), "CREATE TABLE") {
			continue
		}
		if !named {
			for _, column := range schemaColumn.FindAllStringSubmatch(string(definition), -1) {
				if slices.Contains(everywhere, column[1]) {
					t.Errorf("%s has a column %s, and PRIVACY.md does not name the table", table, column[1])
				}
			}
			continue
		}
		tables++
		var columns []string
		for _, column := range schemaColumn.FindAllStringSubmatch(string(definition), -1) {
			columns = append(columns, column[1])
			if !strings.Contains(column[2], "String") || strings.Contains(column[2], " ALIAS ") {
				continue
			}
			if !slices.Contains(personal, column[1]) && !slices.Contains(others, column[1]) {
				t.Errorf("%s.%s is in neither list of PRIVACY.md", table, column[1])
			}
		}
		for _, column := range personal {
			if !slices.Contains(columns, column) {
				t.Errorf("PRIVACY.md names %s.%s, which there is not", table, column)
			}
		}
		for _, column := range retention.Columns[table] {
			if !slices.Contains(personal, column) {
				t.Errorf("the retention empties %s.%s, which PRIVACY.md does not name", table, column)
			}
		}
	}
	if tables != len(rows)-len(topicRows(rows)) || tables < 10 {
		t.Errorf("%d tables of %d rows were compared", tables, len(rows))
	}
}

func topicRows(rows map[string][]string) (list []string) {
	for name := range rows {
		if strings.HasSuffix(name, ".v1") {
			list = append(list, name)
		}
	}
	return list
}
