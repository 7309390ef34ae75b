// Package dashboard is the built-in page that shows what the clicks earned, and the HTTP API of the
// named questions. DESIGN.md describes both.
//
// It writes nothing, and reads by the questions of package sql only, so other tools that ask them
// show the same figures.
//
// Money is never a float: ClickHouse adds and divides it as Decimal, and readers of JSON receive a
// string.
package dashboard
