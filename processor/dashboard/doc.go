// Package dashboard is the built-in page that shows what the clicks earned: one screen, and one
// JSON answer behind it.
//
// It reads the derived tables and writes nothing: clicks_by_day (through clicks_by_dimension, which
// reads days that are still changing from clicks), revenue and leads_attributed, and click_days for
// how fresh the clicks are. They are small, so a page left open costs little.
// The queries are those of package sql, so other tools that use them show the same figures.
//
// Money is never a float: ClickHouse adds and divides it as Decimal, and the browser receives a
// string.
package dashboard
