// Package query asks the named questions of package sql on behalf of programs: over HTTP, for
// assistants, and for whoever builds a page on them. It checks each parameter by its declared type,
// takes workspace and affiliate from the rights of who asks, and bounds what an answer may cost.
// ClickHouse writes the format, so that no figure is read and written again on its way.
package query
