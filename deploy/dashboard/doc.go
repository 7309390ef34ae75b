// Package dashboard is the built-in page that shows what the clicks earned: one screen, and one JSON answer behind it.
//
// It reads three tables and writes none: clicks_hourly, revenue and leads_attributed. Those are the narrow copies kept
// for dashboards, so a page left open costs little, and any other tool that reads them shows the same figures.
//
// Money is decimal all the way: ClickHouse adds and divides it as Decimal, and it crosses to the browser as a string.
package dashboard
