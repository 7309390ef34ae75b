package clickhouse

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/sql/sqltest"
)

// Who alters tables of a cluster while a server of it is away reads so, not that ClickHouse has too
// much to do. (The words are those of DistributedQueryStatusSource.cpp and StorageReplicatedMergeTree.cpp.)
func TestHintOfServersThatAreAway(t *testing.T) {
	for want, exceptions := range map[string][]clickhouse.Exception{
		hintHosts: {
			{Code: 159, Message: "Distributed DDL task /clickhouse/task_queue/ddl/query-0000000007 is not finished on 1 " +
				"of 2 hosts (0 of them are currently executing the task, 1 are inactive)."},
			{Code: 159, Message: "ReplicatedDatabase DDL task /clickhouse/databases/t/log/query-7 is not finished on 1 " +
				"of 2 hosts"},
			{Code: 341, Message: "Mutation is not finished because some replicas are inactive right now: b."},
		},
		hintServer: {{Code: 159, Message: "Timeout exceeded: elapsed 60 seconds, maximum: 60"}},
	} {
		for _, e := range exceptions {
			if err := WithHint(fmt.Errorf("migrate: %w", &e)); !strings.HasSuffix(err.Error(), "(hint: "+want+")") {
				t.Error(err)
			}
		}
	}
}

// The codes have the names that ClickHouse gives them, and what an operator meets has a hint.
func TestFaultNames(t *testing.T) {
	store, err := OpenCommand(chdbtest.Start(t), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	for code, f := range faults {
		var name string
		if err := store.conn.QueryRow(t.Context(), "SELECT toString(errorCodeToName(?))", code).Scan(&name); err != nil {
			t.Fatal(err)
		}
		if name != f.name {
			t.Errorf("code %d is %s, not %s", code, name, f.name)
		}
		if (f.hint == "") != (f.class == badValue) {
			t.Errorf("%s: hint %q", f.name, f.hint)
		}
	}
}

// hangs in place of an error code stands for no answer.
const hangs = -1

// failing is the engine behind a proxy that answers every statement with an error code, unless that
// is 0.
func failing(t *testing.T) (dsn string, code *atomic.Int32) {
	dsn, _ = sqltest.Open(t)
	address, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	code = new(atomic.Int32)
	engine := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: "http", Host: address.Host})
	proxy := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		n := code.Load()
		if n == 0 {
			engine.ServeHTTP(w, r)
			return
		}
		_, _ = io.Copy(io.Discard, r.Body) // a client that cannot send it all would not read the answer
		if n == hangs {
			<-r.Context().Done()
			return
		}
		w.Header().Set("X-ClickHouse-Exception-Code", fmt.Sprint(n))
		http.Error(w, fmt.Sprintf("Code: %d. DB::Exception: no. (version 26)", n), http.StatusInternalServerError)
	}))
	t.Cleanup(proxy.Close)
	address.Host = proxy.Listener.Addr().String()
	return address.String(), code
}

// A command ends at once, with a hint, where somebody must change something first, and also where a
// lookup fails for a value: no record is to blame.
func TestCommandDoesNotWait(t *testing.T) {
	dsn, code := failing(t)
	store, err := OpenCommand(dsn, slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	code.Store(516)
	if err := store.Ping(t.Context()); err == nil || !strings.Contains(err.Error(), "(hint: "+hintUser+")") {
		t.Errorf("a wrong password: %v", err)
	}
	for n, f := range faults {
		if f.class == transient {
			continue
		}
		code.Store(n)
		_, _, err := store.LedgerRules(t.Context())
		if err == nil || !strings.Contains(err.Error(), "(hint: ") || strings.Contains(err.Error(), ErrRejected.Error()) {
			t.Errorf("%s: %v", f.name, err)
		}
	}
}

// A processor waits for what an operator must mend, says so in the log, in a metric and for
// /readyz, says so again when the cause is another, and goes on when it is mended.
func TestProcessorWaits(t *testing.T) {
	dsn, code := failing(t)
	var log bytes.Buffer
	store, err := Open(dsn, slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	code.Store(497)
	done := make(chan error, 1)
	go func() {
		_, _, err := store.LedgerRules(ctx)
		done <- err
	}()
	eventually := func(what string, try func() bool) {
		t.Helper()
		for !try() {
			select {
			case err := <-done:
				t.Fatalf("%s: the lookup ended with %v", what, err)
			case <-ctx.Done():
				t.Fatalf("%s: not seen; Failing says %v", what, store.Failing())
			case <-time.After(10 * time.Millisecond):
			}
		}
	}
	says := func(words ...string) func() bool {
		return func() bool {
			err := store.Failing()
			for _, word := range words {
				if err == nil || !strings.Contains(err.Error(), word) {
					return false
				}
			}
			return true
		}
	}
	eventually("a right is missing", says("lookup ledger_rules", "497", "(hint: "+hintRights+")"))
	code.Store(243)
	eventually("the disk is full", says("243", "(hint: "+faults[243].hint+")"))
	code.Store(0)
	select {
	case err := <-done:
		if err != nil || store.Failing() != nil {
			t.Fatalf("when the cause is mended: %v, and %v", err, store.Failing())
		}
	case <-ctx.Done():
		t.Fatal("the lookup does not end when the cause is mended")
	}
	for _, want := range []string{"level=ERROR", "reason=ACCESS_DENIED", "level=WARN", "reason=NOT_ENOUGH_SPACE",
		"answers again"} {
		if !strings.Contains(log.String(), want) {
			t.Errorf("the log lacks %s:\n%s", want, &log)
		}
	}
	if n := testutil.ToFloat64(store.metrics.retries.WithLabelValues("ledger_rules", "ACCESS_DENIED")); n < 1 {
		t.Errorf("%v attempts are counted as refused", n)
	}
}

// Whatever ClickHouse refuses an insert for, but for its values: the processor says so with a hint,
// goes on by itself when that has ended, and loses nothing.
func TestInsertOutlivesEveryFault(t *testing.T) {
	dsn, code := failing(t)
	store, err := Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
	defer cancel()
	const notListed = 99999
	var stored uint64
	for n, f := range faults {
		if f.class == badValue {
			continue
		}
		codes := []int32{n}
		if stored == 0 {
			codes = append(codes, notListed)
		}
		for _, n := range codes {
			code.Store(n)
			done := make(chan error, 1)
			go func() {
				done <- store.InsertDeadLetters(ctx, []DeadLetterRow{{Topic: "t", Offset: int64(n),
					RecordAt: time.Unix(0, 0)}})
			}()
			for store.Failing() == nil && ctx.Err() == nil {
				time.Sleep(time.Millisecond)
			}
			said := fmt.Sprint(store.Failing())
			code.Store(0)
			if err := <-done; err != nil || store.Failing() != nil {
				t.Errorf("%d %s: %v, and %v", n, f.name, err, store.Failing())
			}
			hint := strings.Contains(said, "(hint: ")
			if !strings.Contains(said, fmt.Sprint("code: ", n, ",")) || hint != (n != notListed) {
				t.Errorf("%d %s: it says %s", n, f.name, said)
			}
		}
		stored++
	}
	var rows uint64
	if err := store.conn.QueryRow(ctx, "SELECT uniqExact(offset) FROM dead_letters").Scan(&rows); err != nil ||
		rows != stored+1 {
		t.Errorf("%d rows are stored of %d, %v", rows, stored+1, err)
	}
}

// A processor that stops while ClickHouse works on its statement reports no failure of ClickHouse.
func TestStopIsNoFailure(t *testing.T) {
	arrived := make(chan struct{}, 1)
	engine := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		select {
		case arrived <- struct{}{}:
		default:
		}
		<-r.Context().Done()
	}))
	defer engine.Close()
	var log bytes.Buffer
	store, err := Open(engine.URL+"/default", slog.New(slog.NewTextHandler(&log, nil)), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, stop := context.WithCancelCause(t.Context())
	done := make(chan error, 1)
	go func() {
		_, _, err := store.LedgerRules(ctx)
		done <- err
	}()
	<-arrived
	stopped := errors.New("stopped")
	stop(stopped)
	if err := <-done; !errors.Is(err, stopped) {
		t.Errorf("the lookup ended with %v", err)
	}
	if log.Len() > 0 {
		t.Errorf("the log says:\n%s", &log)
	}
	if n := testutil.CollectAndCount(store.metrics.retries); n != 0 {
		t.Errorf("%d kinds of failures are counted", n)
	}
}

// silent listens, and answers nothing.
func silent(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { l.Close() })
	return l.Addr().String()
}

// A server that is silent keeps nobody from the next one of the DSN, whichever protocol and order
// it asks for, and alone it is named as what it is: no advice to allow more connections.
func TestSilentServer(t *testing.T) {
	engine, err := url.Parse(chdbtest.Start(t))
	if err != nil {
		t.Fatal(err)
	}
	open := func(t *testing.T, dsn string) *Store {
		t.Parallel()
		store, err := Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { store.Close() })
		return store
	}
	gone := silent(t)
	for _, order := range []string{"", "?connection_open_strategy=round_robin"} {
		t.Run("beside another"+order, func(t *testing.T) {
			store := open(t, "http://"+gone+","+gone+","+engine.Host+"/default"+order)
			if err := store.Ping(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("beside another, database/sql", func(t *testing.T) {
		t.Parallel()
		options, err := Options("http://" + gone + "," + engine.Host + "/default")
		if err != nil {
			t.Fatal(err)
		}
		db := OpenDB(options)
		defer db.Close()
		if err := db.PingContext(t.Context()); err != nil {
			t.Error(err)
		}
	})
	for _, scheme := range []string{"http", "clickhouse"} {
		t.Run("alone, "+scheme, func(t *testing.T) {
			err := open(t, scheme+"://"+gone+"/default").Ping(t.Context())
			if err == nil || !strings.Contains(err.Error(), gone+": it did not answer in time (hint: "+hintSilent) {
				t.Error(err)
			}
		})
	}
}

// A statement that finds all connections in use says so, and not that ClickHouse cannot be reached.
func TestAllConnectionsInUse(t *testing.T) {
	dsn, code := failing(t)
	store, err := Open(dsn+"?max_open_conns=1&max_idle_conns=1", slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if err := store.Ping(t.Context()); err != nil {
		t.Fatal(err)
	}
	code.Store(hangs)
	ctx, cancel := context.WithCancel(t.Context())
	var statements sync.WaitGroup
	for range 2 {
		statements.Go(func() { _, _, _ = store.LedgerRules(ctx) })
	}
	deadline := time.After(5 * time.Minute)
	for err := error(nil); err == nil || !strings.Contains(err.Error(), "(hint: "+hintInUse); err = store.Failing() {
		select {
		case <-deadline:
			t.Fatalf("Failing says %v", err)
		case <-time.After(10 * time.Millisecond):
		}
	}
	cancel()
	statements.Wait()
	if n := testutil.ToFloat64(store.metrics.retries.WithLabelValues("ledger_rules", inUse)); n < 1 {
		t.Errorf("%v attempts are counted as %s", n, inUse)
	}
}
