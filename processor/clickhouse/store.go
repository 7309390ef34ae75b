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
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/cenkalti/backoff/v5"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tributary/sql"
)

// Store is one ClickHouse. Its inserts and lookups retry what can succeed later: they return an
// error only when ctx ends, and an insert also ErrRejected, for rows that can never be stored. What
// an operator must mend is retried as well, and said by Failing; but see OpenPage. What
// statement.go and derived.go have tries once.
type Store struct {
	conn                               driver.Conn
	log                                *slog.Logger
	metrics                            metrics
	command                            bool                   // see OpenPage
	one                                bool                   // see OpenCommand
	waits                              atomic.Pointer[string] // the name of the server that has waited, if one
	failures                           failures
	answered                           answered
	ledgerScan, revenueScan, ratesScan pace
	unpaced                            bool // see OpenUnpaced
	doubtful                           doubtfulNames
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
	// It is left to merges to drop a row that is twice in one block. To look for such rows the engine
	// copies all columns of each block row by row, a third of what inserting clicks costs, and a
	// quarter of what entries do. Until then FINAL drops them: it assumes that a part has no
	// repetitions only if a merge has made the part.
	"optimize_on_insert": 0,
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

// Options returns what a DSN says, with the settings that every connection of a program has: those
// of the DSN, and what it does not set of sql.Pinned and for a cluster. The profile of the user has
// no say in them. Of several servers none that is silent keeps a connection from the others; for
// database/sql see OpenDB.
func Options(dsn string) (*clickhouse.Options, error) {
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		return nil, fmt.Errorf("read ClickHouse DSN: %w", err)
	}
	given := options.Settings
	options.DialStrategy = shareTime(clickhouse.DefaultDialStrategy)
	if options.ConnOpenStrategy == clickhouse.ConnOpenInOrder {
		options.DialStrategy = shareTime(stayWithOne())
	}
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

// pinnedTransport gives each request settings. As settings of the driver they would stand in the
// text of every error of a connection, and be read and written anew with each statement.
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
	return open(options, log, reg)
}

func open(options *clickhouse.Options, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	options.DialTimeout = dialTimeout * time.Duration(len(options.Addr))
	if options.ReadTimeout == 0 {
		options.ReadTimeout = time.Minute
	}
	s := &Store{log: log}
	var err error
	if pinned := options.TransportFunc; pinned != nil {
		options.TransportFunc = func(t *http.Transport) (http.RoundTripper, error) {
			transport, err := pinned(t)
			return &notedTransport{transport, &s.answered}, err
		}
	}
	s.conn, err = clickhouse.Open(options)
	if err != nil {
		return nil, fmt.Errorf("open ClickHouse: %w", err)
	}
	auto := promauto.With(reg)
	compressed := options.Compression != nil && (options.Compression.Method == clickhouse.CompressionLZ4 ||
		options.Compression.Method == clickhouse.CompressionZSTD)
	s.encodes = options.Protocol == clickhouse.HTTP && !compressed
	s.metrics = metrics{
		rows: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_load_rows_total",
			Help: "Rows that ClickHouse acknowledged, by table.",
		}, []string{"table"}),
		retries: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_load_retries_total",
			Help: "Statements that failed and are tried again, by table and reason: the name of ClickHouse's error, or " +
				"connection, in_use, result, table or other.",
		}, []string{"table", "reason"}),
		seconds: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "processor_load_seconds",
			Help:    "Time of one statement, by table and verb.",
			Buckets: prometheus.ExponentialBuckets(0.001, 2, 14),
		}, []string{"table", "verb"}),
	}
	return s, nil
}

// OpenPage is Open for a page or a command, whose user waits: what an operator must mend, as a right
// that is missing, is returned as an error with a hint at once.
func OpenPage(dsn string, log *slog.Logger) (*Store, error) {
	s, err := Open(dsn, log, prometheus.NewRegistry())
	if err == nil {
		s.command = true
	}
	return s, err
}

// OpenCommand is OpenPage for a command: it uses the server that it reached first, and no other one
// of the DSN, so that what has waited for rows (Sync) is what reads them.
func OpenCommand(dsn string, log *slog.Logger) (*Store, error) {
	options, err := Options(dsn)
	if err != nil {
		return nil, err
	}
	options.DialStrategy = shareTime(oneServer())
	s, err := open(options, log, prometheus.NewRegistry())
	if err == nil {
		s.command, s.one = true, true
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
		// A statement that ended because the program stops is not tried again, and ClickHouse did not fail.
		if ctx.Err() == nil {
			s.metrics.retries.WithLabelValues(table, f.name).Inc()
			s.failures.note(&fails, f, err, start)
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("%s %s: %w (last: %w)", verb, table, context.Cause(ctx), hinted(err, f))
		case <-time.After(wait.NextBackOff()):
		}
	}
}
