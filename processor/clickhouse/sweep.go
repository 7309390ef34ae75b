package clickhouse

import (
	"context"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/fx"
)

// Sale names one sale that is to be recomputed.
type Sale struct{ Workspace, ObjectID string }

// Unfinished returns sales that may have become better since they were booked: unattributed
// although something names a click, or without a final rate. since bounds the first kind by the
// event's receipt: a sale that nothing resolves is not recomputed for ever. Beyond limit the choice
// is random, so that no sale waits for ever behind others.
func (s *Store) Unfinished(ctx context.Context, since time.Time, limit int) ([]Sale, error) {
	return paced(ctx, s, &s.ledgerScan, "ledger", `SELECT workspace, sale_id FROM (
SELECT DISTINCT workspace, sale_id FROM ledger FINAL
WHERE status = 'booked' AND amount != 0 AND match_rule = 'none' AND match_key != ''
       AND NOT startsWith(match_key, 'correction:') AND received_at >= ?
   OR status = 'booked' AND amount != 0 AND (fx_source = '' OR NOT fx_final AND day < today()))
ORDER BY rand() LIMIT ?`, []any{since, limit}, ScanSale)
}

// Outdated returns sales with an entry whose rate was revised after the entry was booked. revised
// returns when the rate of a currency on a day was revised, as a Unix time in seconds; 0: never. If
// there are more than limit, they are chosen at random, as in Unfinished.
func (s *Store) Outdated(ctx context.Context, revised func(currency string, day time.Time) int64, limit int) ([]Sale,
	error) {
	some, err := Collect(ctx, s, "fx_rates", "SELECT max(revised_at) > 0 AS some FROM fx_rates", nil,
		func(rows driver.Rows, some *uint8) error { return rows.Scan(some) })
	if err != nil || some[0] == 0 {
		return nil, err
	}
	type converted struct {
		currency string
		day      time.Time
		revised  int64
	}
	all, err := paced(ctx, s, &s.ratesScan, "ledger", `SELECT currency, day, min(`+revisionOf+`)
FROM ledger FINAL WHERE `+isConverted+` GROUP BY currency, day`, nil, func(rows driver.Rows, c *converted) error {
		return rows.Scan(&c.currency, &c.day, &c.revised)
	})
	var keys []string
	var times clickhouse.ArraySet
	for _, c := range all {
		if at := revised(c.currency, c.day); at > c.revised {
			keys, times = append(keys, c.currency+" "+c.day.Format(time.DateOnly)), append(times, at)
		}
	}
	if err != nil || len(keys) == 0 {
		return nil, err
	}
	return Collect(ctx, s, "ledger", `SELECT workspace, sale_id FROM (
SELECT DISTINCT workspace, sale_id FROM ledger FINAL
WHERE `+isConverted+` AND transform(concat(currency, ' ', toString(day)), ?, ?, 0) > `+revisionOf+`)
ORDER BY rand() LIMIT ?`, []any{Strings(keys), times, limit}, ScanSale)
}

// isConverted is the condition of an entry that has a rate which may be revised, and revisionOf the
// expression of ledger.Version.Revised.
const (
	isConverted = "status = 'booked' AND amount != 0 AND fx_source NOT IN ('', 'usd')"
	revisionOf  = `if(bitAnd(bitShiftRight(version, 124), 1) = 1,
    toInt64(bitAnd(bitShiftRight(version, 2), 65535)) * 86400 + 86399, toInt64(bitAnd(bitShiftRight(version, 2), 4294967295)))`
)

// ScanSale reads a row of workspace and sale_id.
func ScanSale(rows driver.Rows, sale *Sale) error { return rows.Scan(&sale.Workspace, &sale.ObjectID) }

// Outstanding counts the entries that are not as good as they may become.
type Outstanding struct {
	Unconverted uint64 // no rate for their day: in no sum in USD
	Crowded     uint64 // lie near more payments than are compared: no link to an invoice is assumed
	Waiting     uint64 // name a click or affiliate that nothing known answers to
}

// Outstanding counts over the whole ledger.
func (s *Store) Outstanding(ctx context.Context) (Outstanding, error) {
	rows, err := paced(ctx, s, &s.revenueScan, "revenue", `SELECT countIf(status = 'booked' AND amount != 0 AND fx_source = ''),
countIf(status = 'booked' AND amount != 0 AND bitAnd(bitShiftRight(version, 125), 1) = 1),
countIf(status = 'booked' AND amount != 0 AND match_rule = 'none' AND match_key != ''
    AND NOT startsWith(match_key, 'correction:'))
FROM revenue FINAL`, nil,
		func(rows driver.Rows, o *Outstanding) error { return rows.Scan(&o.Unconverted, &o.Crowded, &o.Waiting) })
	if err != nil {
		return Outstanding{}, err
	}
	return rows[0], nil
}

// Unconverted returns what is booked and has no amount in USD, by currency.
func (s *Store) Unconverted(ctx context.Context) ([]fx.Unconverted, error) {
	return Collect(ctx, s, "revenue", `SELECT currency, count(), sum(amount), min(day), max(day) FROM revenue FINAL
WHERE status = 'booked' AND amount != 0 AND fx_source = '' GROUP BY currency ORDER BY currency`, nil,
		func(rows driver.Rows, u *fx.Unconverted) error {
			return rows.Scan(&u.Currency, &u.Entries, &u.Amount, &u.Oldest, &u.Newest)
		})
}
