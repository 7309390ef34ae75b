// Package dashboard is the built-in page that shows what the clicks earned, and the HTTP API of the
// named questions. DESIGN.md describes both.
//
// It reads the derived tables and writes nothing: clicks_by_day (through clicks_by_dimension, which
// reads days that are still changing from clicks), revenue and leads_attributed, and click_days for
// how fresh the clicks are. The page's summary and every answer of the API are the questions of
// package sql, so other tools that ask them show the same figures.
//
// Money is never a float: ClickHouse adds and divides it as Decimal, and readers of JSON receive a
// string.
package dashboard
