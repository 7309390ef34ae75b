// Package clickhouse inserts rows into ClickHouse, by column, and looks up identity edges, facts
// and clicks.
package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/column/orderedmap"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"golang.org/x/sync/errgroup"

	"tributary/sql"
)

// Store is one ClickHouse. Its inserts and lookups retry what can succeed later: they return an
// error only when ctx ends, and an insert also ErrRejected, for rows that can never be stored. What
// an operator must mend is retried as well, and said by Failing; but see OpenCommand. What
// statement.go and derived.go have tries once.
type Store struct {
	conn                               driver.Conn
	log                                *slog.Logger
	metrics                            metrics
	command                            bool // see OpenCommand
	failures                           failures
	ledgerScan, revenueScan, ratesScan pace
	unpaced                            bool // see OpenUnpaced
	// encodes: blocks of clicks are encoded here. The driver takes them so over HTTP only, and does
	// not compress them by LZ4 or ZSTD there.
	encodes bool
	layout  atomic.Pointer[sql.Layout]
	types   sync.Map // table → []clickhouse.ColumnNameAndType; deleted when an insert fails
}

type metrics struct {
	rows    *prometheus.CounterVec
	retries *prometheus.CounterVec
	seconds *prometheus.HistogramVec
}

// insertSettings are pinned, because defaults moved between ClickHouse versions (async_insert
// became 1 and deduplicate_insert "enable" in 26.2). One INSERT is one block; the driver never
// splits one. Deduplication of blocks is off: rows are deduplicated by their key, and a block that
// is falsely taken for a repetition would be lost money.
var insertSettings = clickhouse.Settings{
	"async_insert":          0,
	"wait_end_of_query":     1, // over HTTP: the answer's status is the insert's, not its beginning's
	"max_insert_block_size": 1 << 20,
	"insert_deduplicate":    0,
	"deduplicate_insert":    "disable",
	// Into a sharded table: an INSERT ends when the shards have the rows. Offsets are committed then.
	"distributed_foreground_insert": 1,
}

// lookupSettings keep the lookups exact under FINAL: a filter on a mutable column that is evaluated
// before FINAL would return rows that have been replaced.
var lookupSettings = clickhouse.Settings{
	"optimize_move_to_prewhere_if_final":   0,
	"use_skip_indexes_if_final_exact_mode": 1,
	"max_query_size":                       16 << 20, // a lookup carries its keys in its text
}

// clusterSettings hold for every statement, unless the DSN has others. They change nothing on a
// single server. Where clicks are sharded, a lookup by id asks the shards that can have it. Of two
// sharded tables in one query the second is read whole and sent to the shards; ClickHouse would
// refuse the query.
var clusterSettings = clickhouse.Settings{
	"optimize_skip_unused_shards": 1,
	"distributed_product_mode":    "global",
}

// Options returns what a DSN says, with the settings that every connection of a program has: those of
// the DSN, and what it does not set of sql.Pinned and for a cluster. The profile of the user has no
// say in them.
func Options(dsn string) (*clickhouse.Options, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read ClickHouse DSN: %w", err)
	}
	given := options.Settings
	options.Settings = maps.Clone(clusterSettings)
	maps.Copy(options.Settings, given)
	pinned := sql.Pinned()
	maps.DeleteFunc(pinned, func(name, _ string) bool { return given[name] != nil })
	if options.Protocol == clickhouse.HTTP {
		query := make(url.Values)
		for name, value := range pinned {
			query.Set(name, value)
		}
		options.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) {
			return &pinnedTransport{t, query.Encode()}, nil
		}
		return options, nil
	}
	for name, value := range pinned {
		options.Settings[name] = value
	}
	return options, nil
}

// pinnedTransport gives each request settings. As settings of the driver they would stand in the text
// of every error of a connection, and be read and written anew with each statement.
type pinnedTransport struct {
	*http.Transport
	query string
}

func (t *pinnedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	address := *r.URL
	address.RawQuery = t.query + "&" + address.RawQuery // of two the later holds
	r = r.WithContext(r.Context())                      // a copy
	r.URL = &address
	return t.Transport.RoundTrip(r)
}

// Open checks the DSN (clickhouse://host:9000/database for the native protocol,
// http://host:8123/database for HTTP; several hosts are separated by commas) and makes a Store. It
// does not connect. Settings of ClickHouse may follow, like insert_quorum=auto; they go before
// sql.Pinned, and hold for every statement that does not pin them itself.
func Open(dsn string, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	options, err := Options(dsn)
	if err != nil {
		return nil, err
	}
	options.DialTimeout = 5 * time.Second
	if options.ReadTimeout == 0 {
		options.ReadTimeout = time.Minute
	}
	if options.ConnOpenStrategy == clickhouse.ConnOpenInOrder {
		options.DialStrategy = stayWithOne()
	}
	conn, err := clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse: %w", err)
	}
	auto := promauto.With(reg)
	compressed := options.Compression != nil && (options.Compression.Method == clickhouse.CompressionLZ4 ||
		options.Compression.Method == clickhouse.CompressionZSTD)
	encodes := options.Protocol == clickhouse.HTTP && !compressed
	return &Store{conn: conn, log: log, encodes: encodes, metrics: metrics{
		rows: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_load_rows_total",
			Help: "Rows that ClickHouse acknowledged, by table.",
		}, []string{"table"}),
		retries: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_load_retries_total",
			Help: "Statements that failed and are tried again, by table and reason: the name of ClickHouse's error, or " +
				"connection, result, table or other.",
		}, []string{"table", "reason"}),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "processor_load_seconds",
			Help:    "Time of one statement, by table and verb.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"table", "verb"}),
	}}, nil
}

// OpenCommand is Open for a command or a page, whose user waits: what an operator must mend, as a
// right that is missing, is returned as an error with a hint at once.
func OpenCommand(dsn string, log *slog.Logger) (*Store, error) {
	s, err := Open(dsn, log, prometheus.NewRegistry())
	if err == nil {
		s.command = true
	}
	return s, err
}

// Close ends the connections.
func (s *Store) Close() error { return s.conn.Close() }

// Ping returns an error with a hint if ClickHouse does not answer.
func (s *Store) Ping(ctx context.Context) error {
	if err := s.conn.Ping(ctx); err != nil {
		return Unreached(err)
	}
	return nil
}

// retry runs do until it succeeds, is rejected or ctx ends.
func (s *Store) retry(ctx context.Context, table, verb string, do func(context.Context) error) error {
	wait := backoff.NewExponentialBackOff()
	wait.InitialInterval, wait.MaxInterval = 100*time.Millisecond, 5*time.Second
	fails := failure{table: table, verb: verb, log: s.log}
	defer s.failures.forget(&fails)
	meaning := faultOf
	if verb != "insert" {
		meaning = faultOfLookup
	}
	for {
		start := time.Now()
		err := do(ctx)
		if err == nil {
			s.metrics.seconds.WithLabelValues(table, verb).Observe(time.Since(start).Seconds())
			fails.ended()
			return nil
		}
		f := meaning(err)
		switch {
		case f.class == badValue:
			return fmt.Errorf("%s %s: %w: %w", verb, table, ErrRejected, err)
		case f.class == needsOperator && s.command:
			return fmt.Errorf("%s %s: %w", verb, table, hinted(err, f))
		}
		s.metrics.retries.WithLabelValues(table, f.name).Inc()
		s.failures.note(&fails, f, err, start)
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w (last: %w)", verb, table, context.Cause(ctx), hinted(err, f))
		case <-time.After(wait.NextBackOff()):
		}
	}
}

// column is one column of an insert: its name, and its values taken from the rows.
type column[R any] struct {
	name   string
	values func([]R) any
}

func col[R, V any](name string, get func(*R) V) column[R] {
	return column[R]{name, func(rows []R) any {
		values := make([]V, len(rows))
		for i := range rows {
			values[i] = get(&rows[i])
		}
		return values
	}}
}

// byKey is a column of maps whose pairs are sorted by key. ClickHouse keeps the pairs of a map as
// they came, and compares them so; in Go's order, which differs each time, one content would be
// stored as several.
func byKey[R any](name string, get func(*R) map[string]string) column[R] {
	return col(name, func(r *R) *orderedmap.Map[string, string] { return orderedmap.FromMap(get(r)) })
}

// insert writes rows as one block of one partition.
func insert[R any](ctx context.Context, s *Store, table string, columns []column[R], rows []R) error {
	return insertWith(ctx, s, insertSettings, table, columns, rows)
}

func insertWith[R any](ctx context.Context, s *Store, settings clickhouse.Settings, table string, columns []column[R],
	rows []R,
) error {
	if len(rows) == 0 {
		return nil
	}
	statement := insertStatement(table, columns)
	err := s.retry(ctx, table, "insert", func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, time.Minute)
		defer cancel()
		types, err := s.columnTypes(ctx, table)
		if err != nil {
			return err
		}
		batch, err := s.conn.PrepareBatch(clickhouse.Context(ctx, clickhouse.WithSettings(settings),
			clickhouse.WithColumnNamesAndTypes(types)), statement)
		if err != nil {
			s.types.Delete(table)
			return err
		}
		defer batch.Close() // a batch that is not sent would keep its connection
		for i, c := range columns {
			if err := batch.Column(i).Append(c.values(rows)); err != nil {
				s.types.Delete(table)
				return &misfit{c.name, err}
			}
		}
		if err := batch.Send(); err != nil {
			s.types.Delete(table)
			return err
		}
		return nil
	})
	if err == nil {
		s.metrics.rows.WithLabelValues(table).Add(float64(len(rows)))
	}
	return err
}

func insertStatement[R any](table string, columns []column[R]) string {
	names := make([]string, len(columns))
	for i, c := range columns {
		names[i] = "`" + c.name + "`"
	}
	return "INSERT INTO " + table + " (" + strings.Join(names, ", ") + ")"
}

// columnTypes returns the columns that an insert gives, and reads them once. Without them the
// driver asks before every insert over HTTP.
func (s *Store) columnTypes(ctx context.Context, table string) ([]clickhouse.ColumnNameAndType, error) {
	if known, ok := s.types.Load(table); ok {
		return known.([]clickhouse.ColumnNameAndType), nil
	}
	rows, err := s.conn.Query(ctx, "SELECT name, type FROM system.columns WHERE database = currentDatabase() AND "+
		"table = ? AND default_kind NOT IN ('ALIAS', 'MATERIALIZED') ORDER BY position", table)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	var types []clickhouse.ColumnNameAndType
	for rows.Next() {
		var c clickhouse.ColumnNameAndType
		if err := rows.Scan(&c.Name, &c.Type); err != nil {
			return nil, err
		}
		types = append(types, c)
	}
	if err := rows.Err(); err != nil {
		return nil, err
	}
	if len(types) == 0 {
		return nil, fmt.Errorf("%s: %w", table, errNoTable)
	}
	s.types.Store(table, types)
	return types, nil
}

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
		rows, err := s.conn.Query(clickhouse.Context(ctx, clickhouse.WithSettings(settings)), text, args...)
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
