package clickhouse

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
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
