package audit

import (
	"context"
	"fmt"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/rollup"
)

// derivedTables are the tables that materialized views fill from the ledger and the leads, for the
// dashboards. clicks_by_day, which package rollup computes from clicks and page views, is compared
// by itself.
var derivedTables = []string{"revenue", "leads_attributed"}

// projections are the derived tables with one row for a row of the source: the columns of their
// key, what a person would call a row, and its day.
var projections = []struct{ table, key, name, day string }{
	{"revenue", "workspace, entry_id", "concat(kind, ' ', object_id)", "day"},
	{"leads_attributed", "workspace, lead_id", "hex(lead_id)", "toDate(received_at)"},
}

// compareDerived compares the derived tables with what is computed from their sources, row by row.
func compareDerived(ctx context.Context, live *clickhouse.Store, since, oldest time.Time) ([]Finding, error) {
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
	list, err := compareDays(ctx, live)
	if err != nil {
		return nil, fmt.Errorf("compare revenue_days with the ledger: %w", err)
	}
	findings = append(findings, list...)
	if list, err = compareClicks(ctx, live, since, oldest); err != nil {
		return nil, fmt.Errorf("compare %s with clicks: %w", rollup.Table, err)
	}
	return append(findings, list...), nil
}

// compareDays returns the entries whose day revenue_days does not know: under it they would stay in
// revenue when a later version has another.
func compareDays(ctx context.Context, live *clickhouse.Store) (findings []Finding, err error) {
	err = live.Each(ctx, func(rows driver.Rows) error {
		f := Finding{Table: "revenue", What: "missing"}
		err := rows.Scan(&f.Where, &f.Key)
		findings = append(findings, f)
		return err
	}, `SELECT toString(day), concat('day of ', toString(kind), ' ', object_id, ' in revenue_days') FROM ledger FINAL
WHERE (workspace, entry_id, livemode, day) NOT IN (SELECT workspace, entry_id, livemode, day FROM revenue_days)
ORDER BY day, object_id LIMIT `+fmt.Sprint(maxFindings))
	return findings, err
}

// compareClicks returns the rows of clicks_by_day that differ from what clicks and page views give,
// on days that were computed since then. A day that is not is read from clicks.
// Days before oldest are left out.
func compareClicks(ctx context.Context, live *clickhouse.Store, since, oldest time.Time) (
	findings []Finding, err error,
) {
	ranges, err := rollup.Computed(ctx, live, since, oldest)
	if err != nil {
		return nil, err
	}
	for _, r := range ranges {
		differences, err := rollup.Differences(ctx, live, r)
		if err != nil {
			return nil, err
		}
		for _, d := range differences {
			if len(findings) == maxFindings {
				return findings, nil
			}
			findings = append(findings, Finding{
				Table: rollup.Table, What: "altered", Where: d.Day.Format(time.DateOnly), Key: d.Text,
			})
		}
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
