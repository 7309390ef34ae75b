package load

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// BookedRow is what an audit needs of a ledger entry. Amount is minor units, signed.
type BookedRow struct {
	Kind, ObjectID, SaleID, Currency string
	Amount                           int64
	OccurredAt                       time.Time
	Status, SupersededBy             string
}

// Booked gives the entries of one account that moved money in [from, to), booked and held ones.
func (s *Store) Booked(ctx context.Context, workspace, account string, livemode bool, from, to time.Time) ([]BookedRow, error) {
	return s.booked(ctx, []string{workspace}, func(chunk []string) (string, []any) {
		return `SELECT toString(kind), object_id, sale_id, currency, amount, occurred_at, toString(status), superseded_by FROM ledger FINAL
WHERE workspace IN (?) AND account = ? AND livemode = ? AND status != 'superseded' AND occurred_at >= ? AND occurred_at < ?`, []any{chunk, account, livemode, from, to}
	})
}

// BookedUnder gives every entry under the objects, whatever its day and status.
func (s *Store) BookedUnder(ctx context.Context, workspace string, objects []string) ([]BookedRow, error) {
	return s.booked(ctx, objects, func(chunk []string) (string, []any) {
		return `SELECT toString(kind), object_id, sale_id, currency, amount, occurred_at, toString(status), superseded_by FROM ledger FINAL
WHERE workspace = ? AND object_id IN (?)`, []any{workspace, chunk}
	})
}

func (s *Store) booked(ctx context.Context, keys []string, query func([]string) (string, []any)) ([]BookedRow, error) {
	type key struct{ kind, object string }
	seen := make(map[key]bool)
	var list []BookedRow
	err := lookup(ctx, s, "ledger", keys, query, func(rows driver.Rows) error {
		var r BookedRow
		if err := rows.Scan(&r.Kind, &r.ObjectID, &r.SaleID, &r.Currency, &r.Amount, &r.OccurredAt, &r.Status, &r.SupersededBy); err != nil {
			return err
		}
		if k := (key{r.Kind, r.ObjectID}); !seen[k] {
			seen[k] = true
			list = append(list, r)
		}
		return nil
	})
	return list, err
}

// Mention is one record that speaks of an object: an event by its type, or a dead letter by its reason.
type Mention struct {
	ID     string // evt_…; of a dead letter topic/partition/offset
	What   string
	Letter bool
}

// mentionLimit bounds what Mentions gives: it is for people.
const mentionLimit = 20

// Mentions looks through the raw events and dead letters for an object's id. It reads every body.
func (s *Store) Mentions(ctx context.Context, workspace, id string) ([]Mention, error) {
	seen := make(map[string]bool)
	var list []Mention
	err := lookup(ctx, s, "stripe_events", []int{0}, func([]int) (string, []any) {
		return `SELECT id, what, letter FROM
(
    SELECT event_id AS id, toString(type) AS what, false AS letter, received_at AS at FROM stripe_events FINAL WHERE workspace = ? AND position(body, ?) > 0
    UNION ALL
    SELECT concat(topic, '/', toString(partition), '/', toString(offset)), concat(reason, ': ', error), true, at FROM dead_letters FINAL WHERE position(body, ?) > 0
)
ORDER BY letter DESC, at LIMIT ?`, []any{workspace, `"` + id + `"`, `"` + id + `"`, mentionLimit}
	}, func(rows driver.Rows) error {
		var m Mention
		if err := rows.Scan(&m.ID, &m.What, &m.Letter); err != nil {
			return err
		}
		if !seen[m.ID] {
			seen[m.ID] = true
			list = append(list, m)
		}
		return nil
	})
	return list, err
}
