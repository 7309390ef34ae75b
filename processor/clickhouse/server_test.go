package clickhouse

import (
	"context"
	sqldriver "database/sql/driver"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql"
)

// The engine says who it is, and gets settings from the DSN with every statement, among them those
// of a quorum.
func TestServer(t *testing.T) {
	store, err := Open(chdbtest.Start(t)+"?insert_quorum_timeout=12345", slog.New(slog.DiscardHandler),
		prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	one, err := store.Server(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	two, err := store.Server(t.Context())
	if err != nil || one.Name == "" || one.Name != two.Name || two.Uptime < one.Uptime {
		t.Errorf("the server is first %v and then %v; %v", one, two, err)
	}
	if by := store.Answered(); len(by) != 1 || by[one.Display].IsZero() || len(store.Answered()) != 0 {
		t.Errorf("statements were answered by %v, and %q answered", by, one.Display)
	}
	if replicated, err := store.Replicated(t.Context()); err != nil || replicated {
		t.Errorf("a database without tables is replicated: %t, %v", replicated, err)
	}
	var quorum string
	if err := store.conn.QueryRow(clickhouse.Context(t.Context(), clickhouse.WithSettings(insertSettings)),
		"SELECT toString(getSetting('insert_quorum_timeout'))").Scan(&quorum); err != nil {
		t.Fatal(err)
	}
	if !strings.HasPrefix(quorum, "12345") {
		t.Errorf("insert_quorum_timeout is %s", quorum)
	}
}

// A new connection goes where the last one went, and to the next server only when that one cannot
// be reached.
func TestStayWithOne(t *testing.T) {
	options := &clickhouse.Options{Addr: []string{"a", "b", "c"}}
	down := map[string]bool{}
	var tried []string
	dial := func(_ context.Context, addr string, _ *clickhouse.Options) (clickhouse.DialResult, error) {
		tried = append(tried, addr)
		if down[addr] {
			return clickhouse.DialResult{}, errors.New("refused")
		}
		return clickhouse.DialResult{}, nil
	}
	strategy := stayWithOne()
	for _, step := range []struct {
		down  string
		tries []string
		fails bool
	}{
		{"", []string{"a"}, false}, {"a", []string{"a", "b"}, false}, {"", []string{"b"}, false},
		{"ab", []string{"b", "c"}, false}, {"c", []string{"c", "a"}, false}, {"abc", []string{"a", "b", "c"}, true},
		{"", []string{"a"}, false},
	} {
		tried = nil
		for _, addr := range options.Addr {
			down[addr] = strings.Contains(step.down, addr)
		}
		_, err := strategy(t.Context(), 7, options, dial)
		if !slices.Equal(tried, step.tries) || (err != nil) != step.fails {
			t.Errorf("with %q down it tries %v (%v), want %v", step.down, tried, err, step.tries)
		}
	}
}

// A command uses the server that it reached first, whatever becomes of it and of the others: over
// the driver's own connections and over those of database/sql.
func TestOneServer(t *testing.T) {
	options := &clickhouse.Options{Addr: []string{"a", "b", "c"}}
	down := ""
	var tried []string
	reach := func(addr string) error {
		tried = append(tried, addr)
		if strings.Contains(down, addr) {
			return errors.New("refused")
		}
		return nil
	}
	strategy := oneServer()
	c := &connector{addrs: options.Addr, one: true}
	for _, addr := range options.Addr {
		c.each = append(c.each, reached(func() error { return reach(addr) }))
	}
	for name, connect := range map[string]func() error{
		"driver": func() error {
			_, err := strategy(t.Context(), 7, options,
				func(_ context.Context, addr string, _ *clickhouse.Options) (clickhouse.DialResult, error) {
					return clickhouse.DialResult{}, reach(addr)
				})
			return err
		},
		"database/sql": func() error { _, err := c.Connect(t.Context()); return err },
	} {
		for _, step := range []struct {
			down  string
			tries []string
			fails string
		}{
			{"abc", []string{"a", "b", "c"}, "refused"}, {"a", []string{"a", "b"}, ""}, {"", []string{"b"}, ""},
			{"b", []string{"b"}, "run it again"}, {"ac", []string{"b"}, ""},
		} {
			tried, down = nil, step.down
			err := connect()
			if !slices.Equal(tried, step.tries) || (err != nil) != (step.fails != "") ||
				err != nil && !strings.Contains(err.Error(), step.fails) {
				t.Errorf("%s: with %q down it tries %v (%v), want %v", name, down, tried, err, step.tries)
			}
		}
	}
}

// reached is a connector of one server.
type reached func() error

func (r reached) Connect(context.Context) (sqldriver.Conn, error) { return nil, r() }
func (reached) Driver() sqldriver.Driver                          { return nil }

// A command on ClickHouse Cloud, where another server may answer each statement, reads what all
// have taken. A processor does not, because it waits for Keeper.
func TestCloudIsReadConsistently(t *testing.T) {
	dsn := chdbtest.Start(t)
	for i, open := range []func(string, *slog.Logger) (*Store, error){OpenCommand, OpenPage} {
		store, err := open(dsn, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		defer store.Close()
		for _, kind := range []sql.Kind{sql.Single, sql.Cloud} {
			store.layout.Store(&sql.Layout{Kind: kind})
			type row struct{ each bool }
			rows, err := Collect(t.Context(), store, "none", "SELECT toBool(getSetting('select_sequential_consistency'))", nil,
				func(rows driver.Rows, r *row) error { return rows.Scan(&r.each) })
			if want := i == 0 && kind == sql.Cloud; err != nil || rows[0].each != want {
				t.Errorf("layout %v: sequential consistency is %v, %v; want %t", kind, rows, err, want)
			}
		}
	}
}

// A query over a whole table is not repeated before a pause that is longer the longer it took.
func TestPaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var p pace
		if err := p.wait(t.Context()); err != nil {
			t.Fatal(err)
		}
		p.took(time.Second)
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if err := p.wait(ctx); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("it is repeated at once: %v", err)
		}
	})
}
