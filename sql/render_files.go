package sql

import (
	"fmt"
	"io/fs"
	"slices"
	"strings"
	"testing/fstest" // MapFS: files in memory, as goose reads them
)

// databaseOnCluster is what follows the name of a database that is made beside this layout's own.
// The servers of a Replicated database are a cluster of its name.
func (l Layout) databaseOnCluster() string {
	switch l.Kind {
	case Cluster:
		return " ON CLUSTER " + quoted(l.Cluster)
	case ReplicatedDatabase:
		return " ON CLUSTER " + quoted(l.Database)
	default:
		return ""
	}
}

// files returns the migrations as a layout executes them.
func (l Layout) files() (fs.FS, error) {
	written, err := fs.Sub(migrations, "migrations")
	if err != nil || l.Kind == Single {
		return written, err
	}
	names, err := fs.Glob(written, "*.sql")
	if err != nil {
		return nil, err
	}
	rendered := make(fstest.MapFS, len(names))
	tables := make(map[string]bool) // that the migrations before have made
	for _, name := range names {
		text, err := fs.ReadFile(written, name)
		if err != nil {
			return nil, err
		}
		out := "-- +goose Up\n"
		for _, statement := range split(string(text)) {
			statements, err := l.Render(statement)
			if err != nil {
				return nil, fmt.Errorf("migration %s: %w", name, err)
			}
			for _, s := range append(l.syncs(statement, tables), statements...) {
				out += s + ";\n\n"
			}
		}
		rendered[name] = &fstest.MapFile{Data: []byte(out)}
	}
	return rendered, nil
}

// Sync returns the statement that waits until a server has the rows of a table which another one
// had acknowledged; "" on a single server, where there is nothing to wait for. The table's name is
// that of migrations, or DATABASE.TABLE.
//
// On a cluster every server waits. A Replicated database has no such statement for all of its
// servers: the one that is asked waits. So it is on ClickHouse Cloud, where the statement fetches
// from Keeper which parts there are.
func (l Layout) Sync(table string) string {
	if l.Kind == Single {
		return ""
	}
	if databaseOf(table) == "" {
		table = quoted(l.Database) + "." + table
	}
	return "SYSTEM SYNC REPLICA" + rendering{Layout: l}.onCluster() + " " + l.Stored(table) + " LIGHTWEIGHT"
}

// Sources returns the tables that a statement reads, each once, by the names that it has for them.
func Sources(statement string) (tables []string) {
	for _, at := range source.FindAllStringSubmatchIndex(mask(statement), -1) {
		if table := statement[at[2]:at[3]]; !slices.Contains(tables, table) {
			tables = append(tables, table)
		}
	}
	return tables
}

// syncs returns the statements to be executed before one that fills a table from others. A server
// that lags lacks rows of these which another one had acknowledged before a view began to fill the
// table with them: they would be missing in it for ever. tables are those that stand then, and is
// changed as the statement changes them.
func (l Layout) syncs(statement string, tables map[string]bool) (statements []string) {
	masked := mask(statement)
	if at := createTable.FindStringSubmatchIndex(masked); at != nil {
		tables[statement[at[2]:at[3]]] = true
	}
	if at := dropTable.FindStringSubmatchIndex(masked); at != nil {
		delete(tables, statement[at[2]:at[3]])
	}
	if !insert.MatchString(masked) {
		return nil
	}
	for _, table := range Sources(statement) {
		if tables[table] {
			statements = append(statements, l.Sync(table))
		}
	}
	return statements
}

// Print returns the migrations as a layout executes them, one after the other.
func (l Layout) Print() (string, error) {
	files, err := l.files()
	if err != nil {
		return "", err
	}
	names, err := fs.Glob(files, "*.sql")
	if err != nil {
		return "", err
	}
	var out strings.Builder
	for _, name := range names {
		text, err := fs.ReadFile(files, name)
		if err != nil {
			return "", err
		}
		fmt.Fprintf(&out, "-- %s\n%s\n", name, strings.TrimPrefix(string(text), "-- +goose Up\n"))
	}
	return out.String(), nil
}
