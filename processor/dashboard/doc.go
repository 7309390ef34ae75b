// Package dashboard is the built-in page that shows what the clicks earned: one screen, and one JSON answer behind it.
//
// It reads what is kept for dashboards and writes nothing: clicks_hourly, revenue and leads_attributed, and
// clicks_minutely for how fresh the clicks are. Those are narrow copies, so a page left open costs little, and any other
// tool that reads them shows the same figures. The questions are those of package sql, which analysts ask, too.
//
// Money is decimal all the way: ClickHouse adds and divides it as Decimal, and it crosses to the browser as a string.
package dashboard
