package clickhouse

import (
	"context"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Server is one process of ClickHouse.
type Server struct {
	Name   string        // its host and the UUID of its data directory
	Uptime time.Duration // since it was started, in whole seconds
}

// Server returns which server answers. It tries once.
func (s *Store) Server(ctx context.Context) (Server, error) {
	var server Server
	var seconds uint32
	err := s.conn.QueryRow(ctx, "SELECT concat(hostName(), ' ', toString(serverUUID())), uptime()").Scan(&server.Name,
		&seconds)
	server.Uptime = time.Duration(seconds) * time.Second
	return server, err
}

// Replicated reports whether the ledger has replicas on other servers, or is a table of tables on
// other servers.
func (s *Store) Replicated(ctx context.Context) (bool, error) {
	rows, err := Collect(ctx, s, "system.tables", `SELECT count() > 0 FROM system.tables
WHERE database = currentDatabase() AND name = 'ledger' AND match(engine, '^(Replicated|Shared|Distributed)')`, nil,
		func(rows driver.Rows, replicated *bool) error { return rows.Scan(replicated) })
	if err != nil {
		return false, err
	}
	return rows[0], nil
}

// stayWithOne makes new connections to the server that the last one was made to, and to the next of
// the DSN only when it cannot be reached: lookups then go where the rows were written. The driver
// would begin with the first of the DSN each time, and after a restart of that one use two servers
// at once.
func stayWithOne() func(context.Context, int, *clickhouse.Options, clickhouse.Dial) (clickhouse.DialResult, error) {
	var last atomic.Int64
	return func(ctx context.Context, _ int, options *clickhouse.Options, dial clickhouse.Dial) (
		result clickhouse.DialResult, err error,
	) {
		first := int(last.Load())
		for i := range options.Addr {
			at := (first + i) % len(options.Addr)
			if result, err = dial(ctx, options.Addr[at], options); err == nil {
				last.Store(int64(at))
				return result, nil
			}
		}
		return result, err
	}
}
