// Package schema has the tables and views as they stand after the migrations, for tests (sqltest).
// TestSchema of sql keeps the files equal to what the migrations make.
package schema

import "embed"

// Files has a file for each table and view, with the statement that creates it.
//
//go:embed *.sql
var Files embed.FS
