// Package earnings loads the rules of what affiliates earn, and closes months. What an entry earns
// is the view earnings, and what a month states is the view statement_lines: both are pure
// functions of the ledger, of the rules and of the closed months.
package earnings

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"math"
	"reflect"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/shopspring/decimal"

	"tributary/schemas"
	"tributary/sql"
)

// Store is ClickHouse.
type Store interface {
	Exec(ctx context.Context, statement string, args ...any) error
	Each(ctx context.Context, one func(driver.Rows) error, query string, args ...any) error
	Sync(ctx context.Context, tables ...string) error // see clickhouse.Store.Sync
}

// Book is whose earnings they are.
type Book struct {
	Workspace string
	Livemode  bool
}

func (b Book) args(more ...any) []any {
	return append([]any{clickhouse.Named("workspace", b.Workspace), clickhouse.Named("livemode", b.Livemode)}, more...)
}

// Month is a calendar month, UTC.
type Month struct{ first time.Time }

// ParseMonth parses a month like 2026-01.
func ParseMonth(text string) (Month, error) {
	first, err := time.Parse("2006-01", text)
	if err != nil {
		return Month{}, fmt.Errorf("%q is no month (hint: give one like 2026-01)", text)
	}
	return Month{first}, nil
}

// MonthOf returns the month that a time is in.
func MonthOf(t time.Time) Month {
	year, month, _ := t.UTC().Date()
	return Month{time.Date(year, month, 1, 0, 0, 0, 0, time.UTC)}
}

func (m Month) String() string { return m.first.Format("2006-01") }

// Day returns the month's first day as ClickHouse reads it.
func (m Month) Day() string { return m.first.Format(time.DateOnly) }

func (m Month) end() time.Time { return m.first.AddDate(0, 1, 0) }

// Load puts a workspace's rules in force, also for what was sold before. What closed months state
// stays; the difference falls into the open month. Rules that were loaded by a clock that is fast
// are replaced, too.
func Load(ctx context.Context, store Store, rules schemas.Earnings, now time.Time) error {
	text, err := rules.RulesJSON()
	if err != nil {
		return fmt.Errorf("write rules: %w", err)
	}
	if err := store.Sync(ctx, "earning_rules"); err != nil {
		return err
	}
	return store.Exec(ctx, `INSERT INTO earning_rules (workspace, loaded_at, minimum_usd, rules)
		SELECT {workspace:String}, greatest({at:DateTime64(3, 'UTC')}, max(loaded_at) + INTERVAL 1 MILLISECOND),
			{minimum:Decimal(18, 2)}, {rules:String}
		FROM earning_rules WHERE workspace = {workspace:String}`,
		clickhouse.Named("workspace", rules.Workspace), clickhouse.Named("at", millis(now)),
		clickhouse.Named("minimum", rules.MinimumUSD), clickhouse.Named("rules", text))
}

// millis returns a time as a parameter of type DateTime64(3, 'UTC') takes it.
func millis(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05.000") }

// ErrClosed says that a month cannot be closed any more.
var ErrClosed = errors.New("the month is closed")

// statedFrom are the tables that lines are computed from.
var statedFrom = []string{"ledger", "earning_rules", "earning_months", "earning_lines"}

// Close states a month for good. Of several closings at once one counts. The others return ErrClosed
// if it is of the same month. Those of another month close nothing and return another error: their
// lines would state the first one's entries again.
//
// The lines are written first, under the name of this closing, and count for nothing yet: a Close
// that is interrupted leaves the month open. One row in earning_months then makes them count.
//
// On several servers it waits three times for rows that others took. A server that lags lacks sales,
// and, worse, what closed months stated: it would state that once more. Before the row is written
// and before the winner is read it waits for other closings: one that was slow would otherwise find
// no other, or take the place of one that has been paid.
func Close(ctx context.Context, store Store, book Book, month Month, now time.Time) error {
	if now.Before(month.end()) {
		return fmt.Errorf("month %s has not ended (hint: it can be closed from %s on, UTC)", month,
			month.end().Format(time.DateOnly))
	}
	if err := store.Sync(ctx, statedFrom...); err != nil {
		return err
	}
	last, err := checkOpen(ctx, store, book, month)
	if err != nil {
		return err
	}
	closing := rand.Text()
	args := book.args(clickhouse.Named("month", month.Day()), clickhouse.Named("closing", closing),
		clickhouse.Named("at", millis(now)), clickhouse.Named("last", last.Format(time.DateOnly)))
	err = store.Exec(ctx, `INSERT INTO earning_lines (workspace, livemode, month, closing, affiliate_id, line, entry_id, sale_id,
			object_id, kind, occurred_at, payable_at, net_usd, rule, products, restates, usd)
		SELECT {workspace:String}, {livemode:Bool}, {month:Date}, {closing:String}, affiliate_id, line, entry_id, sale_id,
			object_id, kind, occurred_at, payable_at, net_usd, rule, products, restates, usd
		FROM statement_lines(workspace = {workspace:String}, livemode = {livemode:Bool}, month = {month:Date})
		WHERE NOT closed
		SETTINGS optimize_move_to_prewhere_if_final = 0`, args...)
	if err != nil {
		return fmt.Errorf("write the lines of %s: %w (hint: nothing is closed; run the command again)", month, err)
	}
	err = store.Sync(ctx, "earning_months")
	if err == nil {
		err = store.Exec(ctx, `INSERT INTO earning_months (workspace, livemode, month, closed_at, closing, minimum_usd)
			SETTINGS insert_deduplication_token = '`+after(book, last)+`', insert_deduplicate = 1,
				deduplicate_insert = 'enable', deduplicate_insert_select = 'force_enable'
			SELECT {workspace:String}, {livemode:Bool}, {month:Date}, {at:DateTime64(3, 'UTC')}, {closing:String},
				argMax(minimum_usd, loaded_at)
			FROM earning_rules WHERE workspace = {workspace:String}
			HAVING {last:Date} = (SELECT max(month) FROM earning_months
				WHERE workspace = {workspace:String} AND livemode = {livemode:Bool})`, args...)
	}
	if err == nil {
		err = store.Sync(ctx, "earning_months")
	}
	if err != nil {
		return fmt.Errorf("close %s: %w (hint: \"processor earnings show %[1]s\" says whether it is closed; run "+
			"it again if not)", month, err)
	}
	return checkWinner(ctx, store, book, month, last, closing)
}

// after returns the token that all closings have of which the newest closed month is the same. Of
// rows with one token ClickHouse takes the first and drops the others, also where no statement sees
// the row of another one yet:
//
//  1. closings of January and of February compute their lines, and February's lines have January's
//     entries, because no month is closed
//  2. both look for the newest closed month once more, and find none
//  3. both write their row, of which one is dropped, and read which one is there
//
// It is hexadecimal, because a setting of a statement takes no parameter.
func after(book Book, last time.Time) string {
	return fmt.Sprintf("%x-%t-%s", book.Workspace, book.Livemode, last.Format(time.DateOnly))
}

// checkOpen returns the newest closed month, 1970-01 if there is none, and reports as an error why the
// month cannot be closed.
func checkOpen(ctx context.Context, store Store, book Book, month Month) (last time.Time, err error) {
	var loads uint64
	err = store.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&loads, &last) }, `SELECT
			(SELECT count() FROM earning_rules WHERE workspace = {workspace:String}),
			(SELECT max(month) FROM earning_months WHERE workspace = {workspace:String} AND livemode = {livemode:Bool})`,
		book.args()...)
	switch {
	case err != nil:
		return last, fmt.Errorf("read closed months: %w", err)
	case loads == 0:
		return last, fmt.Errorf("workspace %s has no rules of earnings (hint: load them by \"processor earnings rules FILE\")",
			book.Workspace)
	case !last.Before(month.first):
		return last, fmt.Errorf("%w: %s was closed, or a later one (hint: what has changed since falls into the open "+
			"month)", ErrClosed, month)
	}
	return last, nil
}

// checkWinner returns ErrClosed where another closing of the month counts, and another error where
// none does. last is the newest month that was closed before.
func checkWinner(ctx context.Context, store Store, book Book, month Month, last time.Time, closing string) error {
	var first string
	var newest time.Time
	err := store.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&first, &newest) }, `SELECT
			argMinIf(closing, (closed_at, closing), month = {month:Date}), max(month) FROM earning_months
		WHERE workspace = {workspace:String} AND livemode = {livemode:Bool}`,
		book.args(clickhouse.Named("month", month.Day()))...)
	if err != nil {
		return fmt.Errorf("read how %s was closed: %w", month, err)
	}
	switch {
	case first == closing:
		return nil
	case first == "" && newest.Equal(last): // the row was dropped, and none is there in its place
		return fmt.Errorf("%s is not closed: a closing after the same month was deleted from earning_months, and ClickHouse "+
			"remembers it (hint: on several servers for an hour; on a single one until the table's setting "+
			"non_replicated_deduplication_window is 0 for a moment)", month)
	case first == "":
		return fmt.Errorf("%s is not closed: another month was closed at the same time (hint: run the command again)",
			month)
	}
	return fmt.Errorf("%w: somebody else closed %s at the same time, and that counts", ErrClosed, month)
}

// Unconverted counts the entries until the month's end that nobody earns anything by yet, because
// they have no exchange rate.
func Unconverted(ctx context.Context, store Store, book Book, month Month) (entries uint64, err error) {
	err = store.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&entries) }, `SELECT count() FROM ledger FINAL
		WHERE workspace = {workspace:String} AND livemode = {livemode:Bool} AND status = 'booked' AND amount != 0
			AND affiliate_id != '' AND net_usd IS NULL AND occurred_at < {end:DateTime64(3, 'UTC')}`,
		book.args(clickhouse.Named("end", millis(month.end())))...)
	return entries, err
}

// Rows asks a question about a month, statements or statement_entries, and calls one with each
// row's cells as text; header are the columns. A cell that is NULL is empty. An empty affiliate
// means all.
func Rows(ctx context.Context, store Store, question string, book Book, month Month, affiliate string,
	one func(header, cells []string) error,
) error {
	text, err := sql.Query(question)
	if err != nil {
		return err
	}
	args := book.args(clickhouse.Named("month", month.Day()), clickhouse.Named("affiliate", affiliate),
		clickhouse.Named("limit", uint32(math.MaxUint32)))
	return store.Each(ctx, func(rows driver.Rows) error {
		types := rows.ColumnTypes()
		values := make([]any, len(types))
		for i, t := range types {
			values[i] = reflect.New(t.ScanType()).Interface()
		}
		if err := rows.Scan(values...); err != nil {
			return err
		}
		cells := make([]string, len(values))
		for i, v := range values {
			cells[i] = cell(reflect.ValueOf(v).Elem())
		}
		return one(rows.Columns(), cells)
	}, text, args...)
}

// cell returns a value as people and CSV files write it: times in RFC 3339, decimals with all
// digits of their column.
func cell(v reflect.Value) string {
	if v.Kind() == reflect.Pointer {
		if v.IsNil() {
			return ""
		}
		v = v.Elem()
	}
	switch value := v.Interface().(type) {
	case time.Time:
		return value.UTC().Format(time.RFC3339)
	case decimal.Decimal:
		return value.StringFixed(-value.Exponent())
	default:
		return fmt.Sprint(value)
	}
}
