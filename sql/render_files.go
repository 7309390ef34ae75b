package sql

import (
	"fmt"
	"io/fs"
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
	if err != nil || l.Kind == Single || l.Kind == Cloud {
		return written, err
	}
	names, err := fs.Glob(written, "*.sql")
	if err != nil {
		return nil, err
	}
	rendered := make(fstest.MapFS, len(names))
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
			for _, s := range statements {
				out += s + ";\n\n"
			}
		}
		rendered[name] = &fstest.MapFile{Data: []byte(out)}
	}
	return rendered, nil
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
