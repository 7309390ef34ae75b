// Package query asks the named questions of package sql on behalf of programs: over HTTP, for
// assistants, and for whoever builds a page on them. It checks each parameter by its declared type,
// decides workspace and affiliate by whom it asks for, bounds what an answer may cost, and lets
// ClickHouse write the format, so that no figure is read and written again on its way.
package query
