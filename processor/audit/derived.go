package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
)

// derivedTables are the dashboards' tables, which materialized views fill from the ledger, the
// leads, the clicks and the page views.
var derivedTables = []string{
	"revenue", "leads_attributed", "clicks_hourly", "clicks_minutely", "clicks_by_visitor", "page_views_hourly",
}

// projections are the derived tables with one row for a row of the source: the columns of their
// key, what a person would call a row, and its day.
var projections = []struct{ table, key, name, day string }{
	{"revenue", "workspace, entry_id", "concat(kind, ' ', object_id)", "day"},
	{"leads_attributed", "workspace, lead_id", "hex(lead_id)", "toDate(received_at)"},
}

// rollups are the derived tables of clicks and page views: the columns of a cell, the one with its
// time, and the figures of a cell.
var rollups = []struct{ table, cell, at, figures string }{
	{
		"clicks_hourly", "workspace, hour, program_id, affiliate_id, link_id, utm_campaign, country", "hour",
		"uniqCombined64Merge(clicks) AS clicks, uniqCombined64Merge(visitors) AS visitors",
	},
	{
		"clicks_minutely", "workspace, minute", "minute",
		"uniqCombined64Merge(clicks) AS clicks, uniqCombined64Merge(visitors) AS visitors",
	},
	// A checksum of the rows, for they are as many as the clicks. Two clicks that differ in no column
	// are one row, so each row is taken once.
	{
		"clicks_by_visitor", "workspace, hour", "hour",
		"groupBitXorDistinct(cityHash64(visitor_link, clicked_at, affiliate_id, link_id, utm_campaign)) AS checksum",
	},
	{
		"page_views_hourly", "workspace, hour", "hour",
		"uniqCombined64Merge(page_views) AS page_views, uniqCombined64Merge(visitors) AS visitors",
	},
}

// compareDerived compares the derived tables with what their views would compute from the sources,
// row by row and cell by cell. Cells of the hour of until and later are left out: their clicks may
// have reached one of the two tables only.
func compareDerived(ctx context.Context, live *clickhouse.Store, until time.Time) ([]Finding, error) {
	findings, err := compareSums(ctx, live)
	if err != nil {
		return nil, err
	}
	for _, t := range projections {
		list, err := compareProjection(ctx, live, t.table, t.key, t.name, t.day)
		if err != nil {
			return nil, fmt.Errorf("compare %s with its source: %w", t.table, err)
		}
		findings = append(findings, list...)
	}
	for _, t := range rollups {
		list, err := compareRollup(ctx, live, t.table, t.cell, t.at, t.figures, until)
		if err != nil {
			return nil, fmt.Errorf("compare %s with its source: %w", t.table, err)
		}
		findings = append(findings, list...)
	}
	return findings, nil
}

// compareSums returns the days and currencies for which revenue and the ledger have different sums,
// to the last decimal.
func compareSums(ctx context.Context, live *clickhouse.Store) ([]Finding, error) {
	var findings []Finding
	err := live.Each(ctx, func(rows driver.Rows) error {
		f := Finding{Table: "revenue", What: "sum"}
		err := rows.Scan(&f.Where, &f.Key)
		findings = append(findings, f)
		return err
	}, `SELECT toString(day), concat(currency, ': ledger ', toString(sumIf(amount, side = 1)), ' minor units, ',
    toString(sumIf(usd, side = 1)), ' USD; dashboards ',
    toString(sumIf(amount, side = 2)), ', ', toString(sumIf(usd, side = 2)), ' USD')
FROM (SELECT day, currency, amount, coalesce(net_usd, 0) AS usd, 1 AS side FROM ledger FINAL WHERE status = 'booked'
    UNION ALL SELECT day, currency, amount, coalesce(net_usd, 0), 2 FROM revenue FINAL WHERE status = 'booked')
GROUP BY day, currency
HAVING sumIf(amount, side = 1) != sumIf(amount, side = 2) OR sumIf(usd, side = 1) != sumIf(usd, side = 2)
ORDER BY day, currency`)
	return findings, err
}

// stored and computed are the queries that read a derived table and compute it again.
func queries(ctx context.Context, live *clickhouse.Store, table string) (stored, computed string, err error) {
	if stored, err = clickhouse.Derived(ctx, live, table); err != nil {
		return "", "", err
	}
	computed, err = clickhouse.Derivation(ctx, live, table)
	return stored, computed, err
}

func compareProjection(ctx context.Context, live *clickhouse.Store, table, key, name,
	day string,
) (findings []Finding, err error) {
	stored, computed, err := queries(ctx, live, table)
	if err != nil {
		return nil, err
	}
	err = live.Each(ctx, func(rows driver.Rows) error {
		f := Finding{Table: table}
		err := rows.Scan(&f.What, &f.Where, &f.Key)
		findings = append(findings, f)
		return err
	}, `SELECT if(countIf(side = 2) = 0, 'missing', if(countIf(side = 1) = 0, 'unexplained', 'altered')),
    toString(min(at)), any(name) FROM
(SELECT tuple(`+key+`) AS id, `+day+` AS at, `+name+` AS name, 1 AS side FROM (`+computed+` EXCEPT `+stored+`)
 UNION ALL SELECT tuple(`+key+`), `+day+`, `+name+`, 2 FROM (`+stored+` EXCEPT `+computed+`))
GROUP BY id ORDER BY min(at), any(name) LIMIT `+fmt.Sprint(maxFindings)+` SETTINGS final = 1`)
	return findings, err
}

func compareRollup(ctx context.Context, live *clickhouse.Store, table, cell, at, columns string,
	until time.Time,
) (findings []Finding, err error) {
	stored, computed, err := queries(ctx, live, table)
	if err != nil {
		return nil, err
	}
	figures := func(query string) string {
		return "SELECT " + cell + ", " + columns + " FROM (" + query + ") GROUP BY " + cell
	}
	stored, computed = figures(stored), figures(computed)
	err = live.Each(ctx, func(rows driver.Rows) error {
		f := Finding{Table: table, What: "altered"}
		err := rows.Scan(&f.Where, &f.Key)
		findings = append(findings, f)
		return err
	}, `SELECT formatDateTime(at, '%F %H:%i'), text FROM
(SELECT `+at+` AS at, concat('computed ', toString(tuple(*))) AS text FROM (`+computed+` EXCEPT `+stored+`)
 UNION ALL SELECT `+at+` AS at, concat('stored ', toString(tuple(*))) AS text FROM (`+stored+` EXCEPT `+computed+`))
WHERE at < toStartOfHour(?) ORDER BY at, text LIMIT `+fmt.Sprint(maxFindings)+` SETTINGS final = 1`, until)
	return findings, err
}
