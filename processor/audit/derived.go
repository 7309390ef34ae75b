package audit

import (
	"cmp"
	"context"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/retention"
	"tributary/processor/rollup"
)

// derivedTables are the tables that materialized views fill from the ledger and the leads, for the
// dashboards. clicks_by_day and first_sales, which package rollup computes, and ledger_log, which
// keeps what the ledger was, are compared by themselves.
var derivedTables = []string{"revenue", "leads_attributed"}

// projections are the derived tables with one row for a row of the source: the columns of their
// key, what a person would call a row, and its day.
var projections = []projection{
	{"revenue", "workspace, entry_id", "concat(kind, ' ', object_id)", "day"},
	{"leads_attributed", "workspace, lead_id", "hex(lead_id)", "toDate(received_at)"},
}

type projection struct{ table, key, name, day string }

// logProjection selects what the ledger says must be in ledger_log: the greatest version of each
// entry. Its earlier versions are in no other table.
var logProjection = projection{ledgerLog, "workspace, entry_id", "concat(toString(kind), ' ', object_id)", "day"}

const ledgerLog = "ledger_log"

// logQueries returns the queries that read the greatest version of each entry in ledger_log and in
// the ledger. After a retention an entry that is booked again has another copy of its click.
func logQueries(ctx context.Context, live *clickhouse.Store, retentionDays int) (logged, stands string, err error) {
	columns, err := live.Columns(ctx, "ledger")
	if err != nil {
		return "", "", err
	}
	of := func(rows string) string {
		query := "SELECT " + columns + " FROM " + rows
		if retentionDays > 0 {
			query = "SELECT * EXCEPT (" + strings.Join(retention.Copies, ", ") + ") FROM (" + query + ")"
		}
		return query
	}
	return of(ledgerLog + " WHERE (workspace, entry_id, version) IN (SELECT workspace, entry_id, max(version) FROM " +
		ledgerLog + " GROUP BY workspace, entry_id)"), of("ledger"), nil
}

// repairLog makes the greatest version of each entry in ledger_log the one that the ledger has.
func repairLog(ctx context.Context, live *clickhouse.Store, retentionDays int) error {
	const key = "workspace, entry_id, version"
	logged, stands, err := logQueries(ctx, live, retentionDays)
	if err != nil {
		return err
	}
	wrong := "SELECT " + key + " FROM (" + logged + " EXCEPT " + stands + ") SETTINGS final = 1"
	if err := deleteKeys(ctx, live, ledgerLog, key, wrong); err != nil {
		return err
	}
	columns, err := live.Columns(ctx, "ledger")
	if err != nil {
		return err
	}
	return live.Exec(ctx, "INSERT INTO "+ledgerLog+" ("+columns+") SELECT "+columns+" FROM ledger FINAL WHERE ("+key+
		") NOT IN (SELECT "+key+" FROM "+ledgerLog+")")
}

// compareDerivedOnce compares the derived tables with what is computed from their sources, row by
// row.
func (a *Audit) compareDerivedOnce(ctx context.Context, since time.Time) ([]Finding, error) {
	live := a.Live
	findings, err := compareSums(ctx, live)
	if err != nil {
		return nil, err
	}
	for _, t := range projections {
		stored, computed, err := queries(ctx, live, t.table)
		if err != nil {
			return nil, err
		}
		list, err := compareRows(ctx, live, t, stored, computed)
		if err != nil {
			return nil, err
		}
		findings = append(findings, list...)
	}
	logged, stands, err := logQueries(ctx, live, a.RetentionDays)
	if err != nil {
		return nil, err
	}
	list, err := compareRows(ctx, live, logProjection, logged, stands)
	if err != nil {
		return nil, err
	}
	findings = append(findings, list...)
	if list, err = compareDays(ctx, live); err != nil {
		return nil, fmt.Errorf("compare revenue_days with the ledger: %w", err)
	}
	findings = append(findings, list...)
	if list, err = compareClicks(ctx, live, since, a.oldest()); err != nil {
		return nil, fmt.Errorf("compare %s with clicks: %w", rollup.Table, err)
	}
	findings = append(findings, list...)
	differences, err := rollup.FirstSalesDifferences(ctx, live)
	if err != nil {
		return nil, fmt.Errorf("compare %s with revenue: %w", rollup.FirstSales, err)
	}
	list = nil
	for l, sales := range differences {
		list = append(list, Finding{Table: rollup.FirstSales, What: "altered", Where: l.Workspace,
			Key: fmt.Sprintf("livemode %t: sales that are a buyer's first one and are not listed, or the reverse: %d",
				l.Livemode, sales)})
	}
	slices.SortFunc(list, func(x, y Finding) int {
		return cmp.Or(cmp.Compare(x.Where, y.Where), cmp.Compare(x.Key, y.Key))
	})
	return append(findings, list...), nil
}

// compareDays returns the entries whose day is missing in revenue_days. When a later version of
// such an entry has another day, its row in revenue under the old day would stay.
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

// queries returns the query that reads a derived table, and the one that computes it again.
func queries(ctx context.Context, live *clickhouse.Store, table string) (stored, computed string, err error) {
	if stored, err = clickhouse.Derived(ctx, live, table); err != nil {
		return "", "", err
	}
	computed, err = clickhouse.Derivation(ctx, live, table)
	return stored, computed, err
}

// maxDays is up to how many days rows are compared of these days only.
const maxDays = 1000

// differingDays returns the days on which the rows of two queries differ, in order: by their number
// and the sum of their hashes. As a union both have the same types.
func differingDays(ctx context.Context, live *clickhouse.Store, day, stored, computed string) (days []string,
	err error,
) {
	err = live.Each(ctx, func(rows driver.Rows) error {
		var at string
		err := rows.Scan(&at)
		days = append(days, at)
		return err
	}, "SELECT toString(at) FROM (SELECT *, toUInt8(1) AS compared_side FROM ("+stored+
		") UNION ALL SELECT *, toUInt8(2) FROM ("+computed+")) GROUP BY "+day+` AS at
HAVING sumIf(cityHash64(tuple(* EXCEPT compared_side)), compared_side = 1) !=
    sumIf(cityHash64(tuple(* EXCEPT compared_side)), compared_side = 2)
    OR countIf(compared_side = 1) != countIf(compared_side = 2)
ORDER BY at SETTINGS final = 1`)
	return days, err
}

// compareRows returns the rows of a derived table that differ from what is computed from its
// source.
func compareRows(ctx context.Context, live *clickhouse.Store, t projection, stored, computed string) (
	findings []Finding, err error,
) {
	days, err := differingDays(ctx, live, t.day, stored, computed)
	if err != nil {
		return nil, fmt.Errorf("compare %s with its source by day: %w", t.table, err)
	}
	switch {
	case len(days) == 0:
		return nil, nil
	case len(days) <= maxDays:
		of := " WHERE toString(" + t.day + ") IN ('" + strings.Join(days, "', '") + "')"
		stored, computed = "SELECT * FROM ("+stored+")"+of, "SELECT * FROM ("+computed+")"+of
	}
	err = live.Each(ctx, func(rows driver.Rows) error {
		f := Finding{Table: t.table}
		err := rows.Scan(&f.What, &f.Where, &f.Key)
		findings = append(findings, f)
		return err
	}, `SELECT if(countIf(side = 2) = 0, 'missing', if(countIf(side = 1) = 0, 'unexplained', 'altered')),
    toString(min(at)), any(name) FROM
(SELECT tuple(`+t.key+`) AS id, `+t.day+` AS at, `+t.name+` AS name, 1 AS side FROM (`+computed+` EXCEPT `+stored+`)
 UNION ALL SELECT tuple(`+t.key+`), `+t.day+`, `+t.name+`, 2 FROM (`+stored+` EXCEPT `+computed+`))
GROUP BY id ORDER BY min(at), any(name) LIMIT `+fmt.Sprint(maxFindings)+` SETTINGS final = 1`)
	if err != nil {
		return nil, fmt.Errorf("compare %s with its source: %w", t.table, err)
	}
	return findings, nil
}
