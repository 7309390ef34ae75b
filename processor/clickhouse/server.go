package clickhouse

import (
	"context"
	"database/sql"
	sqldriver "database/sql/driver"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
)

// Server is one process of ClickHouse.
type Server struct {
	Name    string        // its host and the UUID of its data directory
	Display string        // what it calls itself in answers over HTTP; others may have the same (display_name)
	Uptime  time.Duration // since it was started, in whole seconds
}

// Server returns which server answers. It tries once.
func (s *Store) Server(ctx context.Context) (Server, error) {
	var server Server
	var seconds uint32
	err := s.conn.QueryRow(ctx, "SELECT concat(hostName(), ' ', toString(serverUUID())), displayName(), uptime()").Scan(
		&server.Name, &server.Display, &seconds)
	server.Uptime = time.Duration(seconds) * time.Second
	return server, err
}

// answered is when which servers answered statements last, by Server.Display.
type answered struct {
	mu sync.Mutex
	at map[string]time.Time
}

// Answered returns which servers answered statements since it was called before, and when last:
// behind a balancer they may be others than Server has found. Over the native protocol it is not
// known.
func (s *Store) Answered() map[string]time.Time {
	s.answered.mu.Lock()
	defer s.answered.mu.Unlock()
	at := s.answered.at
	s.answered.at = nil
	return at
}

// displayNameHeader is a header of each answer
// (https://clickhouse.com/docs/interfaces/http#response-headers).
const displayNameHeader = "X-ClickHouse-Server-Display-Name"

// notedTransport notes which servers answer.
type notedTransport struct {
	http.RoundTripper
	answered *answered
}

func (t *notedTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := t.RoundTripper.RoundTrip(r)
	if err == nil {
		if name := response.Header.Get(displayNameHeader); name != "" {
			t.answered.mu.Lock()
			if t.answered.at == nil {
				t.answered.at = make(map[string]time.Time)
			}
			t.answered.at[name] = time.Now()
			t.answered.mu.Unlock()
		}
	}
	return response, err
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

// dialTimeout is how long one server may take to accept a connection and to say who it is.
const dialTimeout = 5 * time.Second

// inTime connects to one of the servers that are left to try, within an equal share of the time that
// ctx leaves. Over HTTP the driver gives all of it to the first: a host that is silent, because it
// lost its power or its network, kept the program from the others for ever.
func inTime[C any](ctx context.Context, addr string, left int, dial func(context.Context) (C, error)) (C, error) {
	share := dialTimeout
	if deadline, ok := ctx.Deadline(); ok {
		share = time.Until(deadline) / time.Duration(left)
	}
	ctx, cancel := context.WithTimeout(ctx, share)
	defer cancel()
	connection, err := dial(ctx)
	var network net.Error
	if err != nil && (errors.Is(ctx.Err(), context.DeadlineExceeded) || errors.As(err, &network) && network.Timeout()) {
		// The driver's own error may advise to allow more connections.
		err = fmt.Errorf("connect to %s: %w", addr, errSilent)
	}
	return connection, err
}

// dialStrategy makes a new connection to one of the servers of a DSN.
type dialStrategy = func(context.Context, int, *clickhouse.Options, clickhouse.Dial) (clickhouse.DialResult, error)

// shareTime gives each server that strategy tries its share of the time.
func shareTime(strategy dialStrategy) dialStrategy {
	return func(ctx context.Context, id int, options *clickhouse.Options, dial clickhouse.Dial) (
		clickhouse.DialResult, error,
	) {
		left := len(options.Addr) + 1
		return strategy(ctx, id, options, func(ctx context.Context, addr string, options *clickhouse.Options) (
			clickhouse.DialResult, error,
		) {
			left--
			one := *options
			one.DialTimeout = min(one.DialTimeout, dialTimeout) // the native protocol goes by it, and not by ctx
			return inTime(ctx, addr, left, func(ctx context.Context) (clickhouse.DialResult, error) {
				return dial(ctx, addr, &one)
			})
		})
	}
}

// connector connects to the first server of a DSN that answers. The driver's own for database/sql
// has no strategy.
type connector struct {
	addrs []string
	each  []sqldriver.Connector // of one server each
	one   bool                  // only to the server that the first connection was made to

	mu   sync.Mutex // held while it connects, if one
	only int        // in each, of that server, counted from 1
}

// OpenDB opens the servers of a DSN for database/sql. It does not connect.
func OpenDB(options *clickhouse.Options) *sql.DB { return sql.OpenDB(connectorOf(options)) }

// OpenCommandDB is OpenDB for a command that waits for rows and then reads them: like a store of
// OpenCommand it stays with the server that it reached first.
func OpenCommandDB(options *clickhouse.Options) *sql.DB {
	c := connectorOf(options)
	c.one = true
	return sql.OpenDB(c)
}

func connectorOf(options *clickhouse.Options) *connector {
	c := new(connector)
	for _, addr := range options.Addr {
		one := *options
		one.Addr = []string{addr}
		c.addrs, c.each = append(c.addrs, addr), append(c.each, clickhouse.Connector(&one))
	}
	return c
}

// Connect implements driver.Connector of database/sql.
func (c *connector) Connect(ctx context.Context) (conn sqldriver.Conn, err error) {
	if c.one {
		c.mu.Lock()
		defer c.mu.Unlock()
	}
	for i, each := range c.each {
		if c.only != 0 && c.only != i+1 {
			continue
		}
		if conn, err = inTime(ctx, c.addrs[i], len(c.each)-i, each.Connect); err == nil {
			if c.one {
				c.only = i + 1
			}
			break
		}
		if c.only != 0 {
			err = onlyThis(err, len(c.each))
		}
	}
	return conn, err
}

// onlyThis adds to the error of a server that a command stays with why no other one of several is
// asked.
func onlyThis(err error, servers int) error {
	if servers == 1 {
		return err
	}
	return fmt.Errorf("%w (hint: the command asks no other server, which may lack rows that it has waited for; "+
		"run it again)", err)
}

// Driver implements driver.Connector of database/sql.
func (c *connector) Driver() sqldriver.Driver { return c.each[0].Driver() }

// stayWithOne makes new connections to the server that the last one was made to, and to the next of
// the DSN only when it cannot be reached: lookups then go where the rows were written. The driver
// would begin with the first of the DSN each time, and after a restart of that one use two servers
// at once.
func stayWithOne() dialStrategy {
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

// oneServer makes all connections to the server of the DSN that the first one was made to. On a
// Replicated database the server waits for rows of others that is asked to (Store.Sync): another
// one, to which a later connection was made, could lack them.
func oneServer() dialStrategy {
	var mu sync.Mutex // held while it connects: of two first connections both go to one server
	var only []string
	return func(ctx context.Context, _ int, options *clickhouse.Options, dial clickhouse.Dial) (
		result clickhouse.DialResult, err error,
	) {
		mu.Lock()
		defer mu.Unlock()
		if only != nil {
			if result, err = dial(ctx, only[0], options); err != nil {
				err = onlyThis(err, len(options.Addr))
			}
			return result, err
		}
		for i, addr := range options.Addr {
			if result, err = dial(ctx, addr, options); err == nil {
				only = options.Addr[i : i+1]
				break
			}
		}
		return result, err
	}
}

// same returns an error if another server answers than before. Behind a balancer each statement may
// have another one, though the DSN names one host.
func (s *Store) same(ctx context.Context) error {
	server, err := s.Server(ctx)
	if err != nil {
		return fmt.Errorf("read which server answers: %w", err)
	}
	if !s.waits.CompareAndSwap(nil, &server.Name) && *s.waits.Load() != server.Name {
		return fmt.Errorf("%s answers, and before it was %s, which alone has waited for rows of others (hint: name the "+
			"servers themselves in --clickhouse-dsn, not a balancer)", server.Name, *s.waits.Load())
	}
	return nil
}
