package reconcile

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
)

// BookedRow is what an audit needs of a ledger entry. Amount is minor units, signed.
type BookedRow struct {
	Kind, ObjectID, SaleID, Currency string
	Amount                           int64
	OccurredAt                       time.Time
	Status, SupersededBy             string
}

// What one object moved in several steps (the refunded totals of a charge, the balance transactions
// of a dispute) is one row here.
const (
	selectByObject = `SELECT toString(kind), object_id, any(sale_id), currency, sum(amount), min(occurred_at), toString(status), superseded_by FROM ledger FINAL`
	groupByObject  = ` GROUP BY kind, object_id, currency, status, superseded_by`
)

// Booked gives the entries of one account that moved money in [from, to), booked and held ones.
func Booked(ctx context.Context, s *clickhouse.Store, workspace, account string, livemode bool, from, to time.Time) ([]BookedRow, error) {
	return booked(ctx, s, []string{workspace}, func(chunk []string) (string, []any) {
		return selectByObject + `
WHERE workspace IN (?) AND account = ? AND livemode = ? AND status != 'superseded' AND occurred_at >= ? AND occurred_at < ?` + groupByObject, []any{chunk, account, livemode, from, to}
	})
}

// BookedUnder gives every entry under the objects, whatever its day and status.
func BookedUnder(ctx context.Context, s *clickhouse.Store, workspace string, objects []string) ([]BookedRow, error) {
	return booked(ctx, s, objects, func(chunk []string) (string, []any) {
		return selectByObject + `
WHERE workspace = ? AND object_id IN (?)` + groupByObject, []any{workspace, chunk}
	})
}

func booked(ctx context.Context, s *clickhouse.Store, keys []string, query func([]string) (string, []any)) ([]BookedRow, error) {
	return clickhouse.Lookup(ctx, s, "ledger", keys, query, func(rows driver.Rows, r *BookedRow) error {
		return rows.Scan(&r.Kind, &r.ObjectID, &r.SaleID, &r.Currency, &r.Amount, &r.OccurredAt, &r.Status, &r.SupersededBy)
	})
}
