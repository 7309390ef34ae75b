// Package rollup computes clicks_by_day: clicks, page views and visitors by day and dimension. For
// large workspaces it computes first_sales, too: each buyer's first sale.
//
// The view click_days_mv notes in click_days when something was last inserted that may change a
// day. A day that has been quiet since then is computed from clicks and page views, and click_days
// notes when that began. Dashboards read a day from clicks_by_day only if it was computed after it
// last changed, and from clicks otherwise (the view clicks_by_dimension), so what is computed here
// makes them faster and never different.
//
// In the same way payments_written has what was written to the ledger since first_sales was
// computed, and a question adds it (sql.LookUpFirstSales).
package rollup

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/retention"
	"tributary/sql"
)

// Table is the table that is computed.
const Table = "clicks_by_day"

const (
	// every is how often the days that changed are looked up.
	every = 10 * time.Second
	// firstSalesEvery is how often lists of first sales that are due are looked up.
	firstSalesEvery = time.Minute
	// workingOff is how long a processor that started leaves days alone which are not quiet: they are
	// being filled by what waited for it, and counting them costs as much as loading them.
	workingOff = time.Minute
	// atOnce is how many days of a workspace are computed by one statement. Planning it costs as much
	// as some ten thousand clicks, and a history that is read in has many days with few.
	atOnce = 92
)

// Range is some days of a workspace, one after the other.
type Range struct {
	Workspace   string
	First, Last time.Time // UTC days
}

func (r Range) bounds() (from, to string) {
	return r.First.Format(time.DateTime), r.Last.AddDate(0, 0, 1).Format(time.DateTime)
}

// Run computes what changed until ctx ends, which is no error. Several processors may do so at
// once: they take the days in different orders, and two that compute the same day store the same
// rows. retentionDays returns after how many days clicks lose their visitors (retention.Shortest).
func Run(ctx context.Context, s *clickhouse.Store, retentionDays func() int, log *slog.Logger) error {
	timer := time.NewTicker(every)
	defer timer.Stop()
	failing := false
	var listed time.Time
	for began := time.Now(); ; {
		err := Refresh(ctx, s, retention.Whole(retentionDays(), time.Now()), time.Since(began) < workingOff)
		if time.Since(listed) > firstSalesEvery { // also where a day cannot be computed: they need no clicks
			err, listed = errors.Join(err, RefreshFirstSales(ctx, s, sql.LargeFrom)), time.Now()
		}
		switch {
		case ctx.Err() != nil:
			return nil
		case err != nil && !failing:
			log.Warn("cannot compute clicks_by_day or first_sales; what changed is read from clicks and revenue meanwhile",
				"error", err)
		case err == nil && failing:
			log.Info("computing clicks_by_day and first_sales again")
		}
		failing = err != nil
		select {
		case <-ctx.Done():
			return nil
		case <-timer.C:
		}
	}
}

// Refresh computes the days whose clicks changed, once a minute has passed without a further
// change. A day that keeps changing is computed every fifteen minutes, unless onlyQuiet is set.
// Days that were computed before clicks_by_day listed its clicks are computed again, from the UTC
// day of oldest on; the visitors of earlier ones may be deleted.
func Refresh(ctx context.Context, s *clickhouse.Store, oldest time.Time, onlyQuiet bool) error {
	ranges, err := changed(ctx, s, oldest, onlyQuiet, "")
	if err != nil {
		return fmt.Errorf("look up which days changed: %w", err)
	}
	rand.Shuffle(len(ranges), func(i, j int) { ranges[i], ranges[j] = ranges[j], ranges[i] })
	for _, r := range ranges {
		left, err := changed(ctx, s, oldest, onlyQuiet, "workspace = ? AND day BETWEEN ? AND ? AND", r.Workspace,
			r.First.Format(time.DateOnly), r.Last.Format(time.DateOnly))
		if err != nil {
			return fmt.Errorf("look up which days changed: %w", err)
		}
		for _, r := range left { // another processor may have computed some
			if err := Compute(ctx, s, r, false); err != nil {
				return err
			}
		}
	}
	return nil
}

func changed(ctx context.Context, s *clickhouse.Store, oldest time.Time, onlyQuiet bool, condition string, args ...any,
) ([]Range, error) {
	return ranges(ctx, s, condition, `(computed <= changed + INTERVAL 1 MINUTE
        AND (changed < now64(3) - INTERVAL 1 MINUTE OR computed < now64(3) - INTERVAL 15 MINUTE AND NOT ?)
    OR counted < computed AND day >= ?)`, append(args, onlyQuiet, oldest.UTC().Format(time.DateOnly))...)
}

// Computed returns the days that dashboards read from the table, lists of clicks included, and that
// changed or were computed since then, from the UTC day of oldest on.
func Computed(ctx context.Context, s *clickhouse.Store, since, oldest time.Time) ([]Range, error) {
	return ranges(ctx, s, "day >= ? AND",
		"computed > changed + INTERVAL 1 MINUTE AND counted >= computed AND toUnixTimestamp64Milli(computed) >= ?",
		oldest.UTC().Format(time.DateOnly), max(since.UnixMilli(), 0))
}

// Repair computes again what Computed returns.
func Repair(ctx context.Context, s *clickhouse.Store, since, oldest time.Time) error {
	list, err := Computed(ctx, s, since, oldest)
	for _, r := range list {
		if err == nil {
			err = Compute(ctx, s, r, false)
		}
	}
	return err
}

// ranges returns the days of click_days that fulfil two conditions, one on its rows and one on when
// a day changed and was computed.
func ranges(ctx context.Context, s *clickhouse.Store, rows, days string, args ...any) ([]Range, error) {
	var list []Range
	err := s.Each(ctx, func(found driver.Rows) error {
		var r Range
		if err := found.Scan(&r.Workspace, &r.First); err != nil {
			return err
		}
		r.Last = r.First
		if n := len(list); n > 0 && list[n-1].Workspace == r.Workspace &&
			list[n-1].Last.AddDate(0, 0, 1).Equal(r.First) && list[n-1].First.AddDate(0, 0, atOnce).After(r.First) {
			list[n-1].Last = r.Last
			return nil
		}
		list = append(list, r)
		return nil
	}, "SELECT toString(workspace), day FROM (SELECT workspace, day, max(changed_at) AS changed, "+
		"max(computed_at) AS computed, max(counted_at) AS counted FROM click_days WHERE "+rows+" true "+
		"GROUP BY workspace, day) WHERE "+days+" ORDER BY workspace, day", args...)
	return list, err
}

// differing selects what must be written so that the table says what clicks and page views say: the
// rows that it lacks or has otherwise, and for each row that it should not have, one that counts
// nothing.
const differing = `SELECT dimension, value, day,
    anyIf(d.clicks, computed) AS clicks, anyIf(d.page_views, computed) AS page_views,
    anyIf(d.visitors, computed) AS visitors,
    anyIf(d.clicks_at, computed) AS clicks_at, anyIf(d.page_views_at, computed) AS page_views_at,
    anyIf(d.counted, computed) AS counted,
    anyIf(figures, computed) AS right, anyIf(figures, NOT computed) AS stored,
    concat(dimension, ' ', value, ': clicks, page views and visitors stored ', toString((stored.1, stored.2, stored.3)),
        ', computed ', toString((right.1, right.2, right.3))) AS difference
FROM
(
    SELECT true AS computed, dimension, value, day, clicks, page_views, visitors, clicks_at, page_views_at, counted,
        (clicks, page_views, finalizeAggregation(visitors),
            if(clicks + page_views = 0, 0, cityHash64(clicks_at, page_views_at, counted))) AS figures
    FROM clicks_by_dimension(workspace = ?, from = ?, to = ?, stored = false, dimensions = ['', 'program', 'affiliate',
        'link', 'campaign', 'source', 'channel', 'referrer', 'landing_page', 'country', 'device', 'browser',
        'affiliate_link_campaign'])
    UNION ALL
    SELECT false, dimension, value, day, clicks, page_views, visitors, clicks_at, page_views_at, counted,
        (clicks, page_views, finalizeAggregation(visitors),
            if(clicks + page_views = 0, 0, cityHash64(clicks_at, page_views_at, counted)))
    FROM clicks_by_day FINAL
    WHERE workspace = ? AND day BETWEEN ? AND ?
) AS d
GROUP BY dimension, value, day
HAVING ? OR right != stored`

func (r Range) arguments(all bool) []any {
	from, to := r.bounds()
	return []any{
		r.Workspace, from, to, r.Workspace, r.First.Format(time.DateOnly), r.Last.Format(time.DateOnly), all,
	}
}

// ErrLags is returned for a server that lags behind other replicas.
var ErrLags = errors.New("the server lags behind other replicas by more than 30 seconds (hint: look at " +
	"system.replicas and system.replication_queue)")

// begin asks the server's time, and whether it lags behind other replicas by more than half of the
// minute that a day must be quiet for; the other half is for clocks that differ. What was computed
// counts as well: rows that are as this server has them are not written.
const begin = `SELECT now64(3, 'UTC'), (
    SELECT count() > 0
    FROM system.replicas
    WHERE database = currentDatabase() AND absolute_delay > 30
        AND table IN ('clicks', 'clicks_local', 'page_views', 'page_views_local', 'click_days', 'clicks_by_day'))`

// upToDate lets a Distributed table read no replica that lags, or fails.
const upToDate = "max_replica_delay_for_distributed_queries = 30, " +
	"fallback_to_stale_replicas_for_distributed_queries = 0"

// Compute computes some days, and stores the rows that differ, or all of them. It tries once: what
// was stored when it fails is right, and the days still count as changed.
//
// A server that lags returns ErrLags. It would count a day without the clicks that it lacks, and the
// day would stand as computed: nothing is inserted for it later, when they arrive.
func Compute(ctx context.Context, s *clickhouse.Store, r Range, all bool) error {
	var began time.Time
	var lags bool
	err := s.Each(ctx, func(rows driver.Rows) error { return rows.Scan(&began, &lags) }, begin)
	if err == nil && lags {
		err = ErrLags
	}
	if err == nil {
		err = s.Exec(ctx, "INSERT INTO clicks_by_day (workspace, dimension, value, day, clicks, page_views, visitors, "+
			"clicks_at, page_views_at, counted, computed_at) SELECT ?, dimension, value, day, clicks, page_views, visitors, "+
			"clicks_at, page_views_at, counted, fromUnixTimestamp64Milli(?, 'UTC') FROM ("+differing+") "+
			"SETTINGS max_partitions_per_insert_block = 0, max_bytes_before_external_group_by = 536870912, "+upToDate,
			append([]any{r.Workspace, began.UnixMilli()}, r.arguments(all)...)...)
	}
	if err == nil {
		err = s.Exec(ctx, "INSERT INTO click_days (workspace, day, computed_at, counted_at) "+
			"SELECT ?, toDate(?) + number, fromUnixTimestamp64Milli(?, 'UTC') AS at, at FROM numbers(?)", r.Workspace,
			r.First.Format(time.DateOnly), began.UnixMilli(), uint64(r.Last.Sub(r.First)/(24*time.Hour))+1)
	}
	if err != nil {
		return fmt.Errorf("compute clicks_by_day of %s from %s to %s: %w", r.Workspace, r.First.Format(time.DateOnly),
			r.Last.Format(time.DateOnly), err)
	}
	return nil
}

// Difference is a row that is not what clicks and page views give.
type Difference struct {
	Day  time.Time
	Text string // for people: what is stored, and what was computed
}

// Differences returns what Compute would store.
func Differences(ctx context.Context, s *clickhouse.Store, r Range) ([]Difference, error) {
	var list []Difference
	err := s.Each(ctx, func(rows driver.Rows) error {
		var d Difference
		err := rows.Scan(&d.Day, &d.Text)
		list = append(list, d)
		return err
	}, "SELECT day, difference FROM ("+differing+")", r.arguments(false)...)
	slices.SortFunc(list, func(a, b Difference) int { return cmp.Or(a.Day.Compare(b.Day), cmp.Compare(a.Text, b.Text)) })
	return list, err
}
