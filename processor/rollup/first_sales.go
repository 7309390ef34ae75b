package rollup

import (
	"context"
	"fmt"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/sql"
)

// FirstSales is the table with the lists of first sales.
const FirstSales = "first_sales"

// Ledger is the money of a workspace, in live or test mode.
type Ledger struct {
	Workspace string
	Livemode  bool
}

// dueLists selects whose lists have to be computed:
//
//   - there are none, or their slices are of several computations, which tell nothing;
//   - they are a day old: payments_written may soon forget what came after them;
//   - more than a thousand payments were written since, and they are six minutes old: a question adds
//     no more than sql.maxWritten;
//   - any payment was written since, and they are a quarter of an hour old;
//   - they are not complete, as those of an earlier version, and a quarter of an hour old: lists of
//     sales with the same hash would not be complete again;
//   - they were made void, five minutes ago or earlier: only from then on are new lists of use.
//
// A server that lags computes none. payments_written has two days of payments, tens of millions
// after a first load, so it is read and never held.
const dueLists = `WITH computations AS
(
    SELECT workspace, livemode, if(min(at) = max(at), min(at), toDateTime64(0, 3, 'UTC')) AS computed,
        min(known) AS whole
    FROM
    (
        SELECT workspace, livemode, slice, max(computed_at) AS at, argMax(complete, computed_at) AS known
        FROM first_sales
        GROUP BY workspace, livemode, slice
    )
    GROUP BY workspace, livemode
)
SELECT toString(workspace), livemode
FROM (SELECT workspace, livemode FROM revenue GROUP BY workspace, livemode HAVING count() >= ?) AS r
LEFT JOIN computations AS c USING (workspace, livemode)
LEFT JOIN
(
    SELECT workspace, livemode, countIf(written_at >= computed - INTERVAL 5 MINUTE) AS writes,
        maxIf(written_at, entry_id = toFixedString('', 16)) AS void
    FROM payments_written
    LEFT JOIN computations USING (workspace, livemode)
    GROUP BY workspace, livemode
) AS w USING (workspace, livemode)
WHERE NOT ` + sql.FirstSalesLag + ` AND
(
    computed < now64(3) - INTERVAL 1 DAY
    OR (writes > 0 OR NOT whole) AND computed < now64(3) - INTERVAL 15 MINUTE
    OR writes > 1000 AND computed < now64(3) - INTERVAL 6 MINUTE
    OR computed <= void + INTERVAL 5 MINUTE AND void < now64(3) - INTERVAL 5 MINUTE
)
ORDER BY workspace, livemode`

// ofTheFuture selects whose lists the server computed before its clock was set back, unless they are
// void already. When their time comes, payments_written has what was written after them as if it had
// been before.
const ofTheFuture = `SELECT toString(workspace), livemode
FROM
(
    SELECT workspace, livemode, computed_at AS computed, toDateTime64(0, 3, 'UTC') AS void FROM first_sales
    UNION ALL
    SELECT workspace, livemode, toDateTime64(0, 3, 'UTC'), written_at
    FROM payments_written
    WHERE entry_id = toFixedString('', 16)
)
GROUP BY workspace, livemode
HAVING max(computed) > now64(3) + INTERVAL 5 MINUTE AND max(computed) > max(void)`

// RefreshFirstSales computes the lists that are due, of ledgers with so many entries or more.
func RefreshFirstSales(ctx context.Context, s *clickhouse.Store, entries int) error {
	list, err := ledgers(ctx, s, ofTheFuture)
	if err == nil && len(list) > 0 {
		err = clickhouse.VoidFirstSales(ctx, s)
	}
	if err == nil {
		list, err = ledgers(ctx, s, dueLists, entries)
	}
	if err != nil {
		return fmt.Errorf("look up whose first sales are due: %w", err)
	}
	for _, l := range list {
		if err := ComputeFirstSales(ctx, s, l); err != nil {
			return err
		}
	}
	return nil
}

func ledgers(ctx context.Context, s *clickhouse.Store, query string, args ...any) (list []Ledger, err error) {
	err = s.Each(ctx, func(rows driver.Rows) error {
		var l Ledger
		err := rows.Scan(&l.Workspace, &l.Livemode)
		list = append(list, l)
		return err
	}, query, args...)
	return list, err
}

// ComputeFirstSales computes the lists of a ledger, of whatever size. It tries once: what was
// stored before stays right when it fails.
func ComputeFirstSales(ctx context.Context, s *clickhouse.Store, l Ledger) error {
	var began time.Time
	err := s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&began) }, "SELECT now64(3, 'UTC')")
	if err == nil {
		at := clickhousego.Named("computed_at", began.UTC().Format("2006-01-02 15:04:05.000"))
		err = s.Exec(ctx, sql.ComputeFirstSales, append(l.parameters(), at)...)
	}
	if err != nil {
		return fmt.Errorf("compute the first sales of %s: %w", l.Workspace, err)
	}
	return nil
}

// FirstSalesDifferences returns for how many sales of each ledger the lists say otherwise than its
// payments whether they are a first one. A ledger whose payments are read anyway is left out.
func FirstSalesDifferences(ctx context.Context, s *clickhouse.Store) (map[Ledger]uint64, error) {
	list, err := ledgers(ctx, s, "SELECT DISTINCT toString(workspace), livemode FROM first_sales")
	differences := make(map[Ledger]uint64)
	for _, l := range list {
		if err != nil {
			break
		}
		var count uint64
		if count, err = l.difference(ctx, s); count > 0 {
			differences[l] = count
		}
	}
	return differences, err
}

func (l Ledger) difference(ctx context.Context, s *clickhouse.Store) (count uint64, err error) {
	first, ok, err := sql.LookUpFirstSales(func(statement string) (list []string, err error) {
		err = s.Each(ctx, func(rows driver.Rows) error {
			var row string
			err := rows.Scan(&row)
			list = append(list, row)
			return err
		}, statement, l.parameters()...)
		return list, err
	})
	if err != nil || !ok {
		return 0, err
	}
	err = s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&count) }, sql.FirstSalesDifference(first),
		l.parameters()...)
	return count, err
}

// RepairFirstSales computes the lists of which FirstSalesDifferences says that they differ.
func RepairFirstSales(ctx context.Context, s *clickhouse.Store) error {
	differences, err := FirstSalesDifferences(ctx, s)
	for l := range differences {
		if err == nil {
			err = ComputeFirstSales(ctx, s, l)
		}
	}
	return err
}

// parameters returns the arguments of statements about a ledger. The driver escapes these, and not
// those of WithParameters.
func (l Ledger) parameters() []any {
	return []any{clickhousego.Named("workspace", l.Workspace), clickhousego.Named("livemode", l.Livemode)}
}
