package reconcile

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
)

// BookedRow is what a comparison needs of a ledger entry. Amount is minor units, signed.
type BookedRow struct {
	EntryID                            string // hex
	Kind, ObjectID, SaleID, CustomerID string
	Currency                           string
	Amount                             int64
	OccurredAt                         time.Time
	Status                             string // booked or held
}

const entryColumns = `SELECT lower(hex(entry_id)), toString(kind), object_id, sale_id, customer_id, currency, amount,
    occurred_at, toString(status)
FROM ledger FINAL WHERE workspace = ? AND account = ? AND livemode = ? AND status != 'superseded' AND `

// bookedBetween returns the entries of the scope that moved money in [from, to), booked and held
// ones.
func bookedBetween(ctx context.Context, s *clickhouse.Store, scope Scope, from, to time.Time) ([]BookedRow, error) {
	return booked(ctx, s, []string{scope.Workspace}, func(workspaces []string) (string, []any) {
		return entryColumns + `occurred_at >= ? AND occurred_at < ?`,
			[]any{workspaces[0], scope.Account, scope.Livemode, from, to}
	})
}

// paidBy returns the entries of payments of customers that moved money in [from, to).
func paidBy(ctx context.Context, s *clickhouse.Store, scope Scope, customers []string, from, to time.Time) (
	[]BookedRow, error,
) {
	return booked(ctx, s, customers, func(part []string) (string, []any) {
		return entryColumns + `kind = 'payment' AND occurred_at >= ? AND occurred_at < ? AND customer_id IN (?)`,
			[]any{scope.Workspace, scope.Account, scope.Livemode, from, to, part}
	})
}

// bookedUnder returns the entries of the scope under the objects, whatever their day.
func bookedUnder(ctx context.Context, s *clickhouse.Store, scope Scope, objects []string) ([]BookedRow, error) {
	return booked(ctx, s, objects, func(part []string) (string, []any) {
		return entryColumns + `object_id IN (?)`, []any{scope.Workspace, scope.Account, scope.Livemode, part}
	})
}

func booked(
	ctx context.Context, s *clickhouse.Store, keys []string, query func([]string) (string, []any),
) ([]BookedRow, error) {
	return clickhouse.Lookup(ctx, s, "ledger", keys, query, func(rows driver.Rows, r *BookedRow) error {
		return rows.Scan(
			&r.EntryID, &r.Kind, &r.ObjectID, &r.SaleID, &r.CustomerID, &r.Currency, &r.Amount, &r.OccurredAt, &r.Status,
		)
	})
}
