package clickhouse

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"golang.org/x/sync/errgroup"
)

// lookupChunk is the most keys of one query, so that its text stays below max_query_size. A query
// has a price of its own: at 2,000 keys the engine spent a third more on the same keys.
const lookupChunk = 8000

// lookupsAtOnce is how many chunks of one lookup are queried at a time.
const lookupsAtOnce = 4

// Lookup runs a query for keys, some chunks of them at a time, and returns the rows that scan
// reads. A key that is given twice is asked for once. A query that fails halfway is run again, and
// the rows of the failed attempt are dropped.
func Lookup[K comparable, R any](ctx context.Context, s *Store, table string, keys []K, query func([]K) (string, []any),
	scan func(driver.Rows, *R) error,
) ([]R, error) {
	var (
		mu  sync.Mutex // guards all
		all []R
	)
	queries, ctx := errgroup.WithContext(ctx)
	queries.SetLimit(lookupsAtOnce)
	for chunk := range slices.Chunk(unique(keys), lookupChunk) {
		queries.Go(func() error {
			text, args := query(chunk)
			rows, err := Collect(ctx, s, table, text, args, scan)
			mu.Lock()
			defer mu.Unlock()
			if all == nil { // nearly always there is one chunk
				all = rows
			} else {
				all = append(all, rows...)
			}
			return err
		})
	}
	return all, queries.Wait()
}

// unique returns the keys without repetitions, in their order.
func unique[K comparable](keys []K) []K {
	known := make(map[K]bool, len(keys))
	return slices.DeleteFunc(slices.Clone(keys), func(k K) bool {
		repeated := known[k]
		known[k] = true
		return repeated
	})
}

// Collect runs one query until it succeeds or ctx ends, and returns its rows.
func Collect[R any](ctx context.Context, s *Store, table, text string, args []any,
	scan func(driver.Rows, *R) error,
) ([]R, error) {
	all, _, err := collect(ctx, s, table, lookupSettings, text, args, scan)
	return all, err
}

// collect is Collect. It also returns how long the attempt took that succeeded.
func collect[R any](ctx context.Context, s *Store, table string, settings clickhouse.Settings, text string, args []any,
	scan func(driver.Rows, *R) error,
) (all []R, took time.Duration, err error) {
	err = s.retry(ctx, table, "lookup", func(ctx context.Context) error {
		all = nil // the rows of a failed attempt
		began := time.Now()
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(s.consistent(settings))), text, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var r R
			if err := scan(rows, &r); err != nil {
				return &misfit{"", err}
			}
			if len(all) == cap(all) {
				all = slices.Grow(all, max(len(all), 16)) // append would grow a long slice by a quarter only
			}
			all = append(all, r)
		}
		took = time.Since(began)
		return rows.Err()
	})
	if err != nil {
		return nil, 0, err
	}
	return all, took, nil
}
