package chdb_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/deploy/local/chdb"
	"tributary/deploy/local/chdb/chdbtest"
)

// The tests share one engine, because a process can have one. What needs an
// engine of its own runs in a child process; see restart_test.go.
func TestMain(m *testing.M) {
	if role := os.Getenv(roleVariable); role != "" {
		os.Exit(playRole(role))
	}
	chdbtest.ReadBack = true
	chdbtest.Main(m)
}

func connect(t testing.TB, dsn string, change ...func(*clickhouse.Options)) driver.Conn {
	t.Helper()
	o, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range change {
		f(o)
	}
	c, err := clickhouse.Open(o)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = c.Close() })
	return c
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// number reads a single UInt64.
func number(t testing.TB, c driver.Conn, query string, arguments ...any) (n uint64) {
	t.Helper()
	must(t, c.QueryRow(t.Context(), query, arguments...).Scan(&n))
	return n
}

// code is the ClickHouse error code in err, 0 for none.
func code(err error) int32 {
	var e *clickhouse.Exception
	if errors.As(err, &e) {
		return e.Code
	}
	return 0
}

// post sends a statement as curl does.
func post(t testing.TB, parameters, body string) (status int, answer string, header http.Header) {
	t.Helper()
	response, err := http.Post(chdbtest.Address(t)+"/?"+parameters, "text/plain", strings.NewReader(body))
	must(t, err)
	defer response.Body.Close()
	all, err := io.ReadAll(response.Body)
	must(t, err)
	return response.StatusCode, string(all), response.Header
}

func database(dsn string) string { return dsn[strings.LastIndex(dsn, "/")+1:] }

func TestOneEnginePerProcess(t *testing.T) {
	chdbtest.Start(t)
	library, err := chdb.Find()
	must(t, err)
	if _, err := chdb.Open(library, t.TempDir()); !errors.Is(err, chdb.ErrAlreadyOpen) {
		t.Fatalf("a second engine: %v", err)
	}
}

// TestPanicsSurvive: libchdb resets the signal handlers that Go needs to turn a
// nil dereference into a panic.
func TestPanicsSurvive(t *testing.T) {
	chdbtest.Start(t)
	defer func() {
		if recover() == nil {
			t.Error("no panic")
		}
	}()
	var p *int
	_ = *p //nolint:govet // the fault is what is tested
}

func TestHello(t *testing.T) {
	c := connect(t, chdbtest.Start(t))
	must(t, c.Ping(t.Context()))
	v, err := c.ServerVersion()
	must(t, err)
	if !strings.HasPrefix(chdbtest.Engine(t).Version(), fmt.Sprintf("%d.%d.", v.Version.Major, v.Version.Minor)) ||
		v.Revision != 0 || v.Timezone == nil {
		t.Fatalf("server version %v, engine %s", v, chdbtest.Engine(t).Version())
	}
}

func TestErrorsHaveCodeAndStatus(t *testing.T) {
	for _, c := range []struct {
		parameters, body string
		status           int
		code             string
	}{
		{"", "SELEC 1", 400, "62"},
		{"", "", 400, "62"},
		{"", "SELECT 1; SELECT 2", 400, "62"},
		{"", "SELECT nope", 404, "47"},
		{"", "SELECT * FROM nope", 404, "60"},
		{"database=nope", "SELECT 1", 404, "81"},
		{"no_such_setting=1", "SELECT 1", 404, "115"},
		{"max_threads=many", "SELECT 1", 400, "27"},
		{"a-b=1", "SELECT 1", 404, "115"},
		{"", "SELECT throwIf(1, 'boom')", 500, "395"},
		{"session_id=x", "SET max_threads = 1", 501, "48"},
		{"session_id=x", "CREATE TEMPORARY TABLE t (a Int8)", 501, "48"},
		{"session_id=x", "SELECT nope, 'temporary'", 404, "47"},
		{"compress=1", "SELECT 1", 501, "48"},
		{"decompress=1", "SELECT 1", 501, "48"},
		{"", "SELECT 1 INTO OUTFILE '/dev/null'", 500, "358"},
		{"", "INSERT INTO t FROM INFILE '/etc/passwd'", 404, "78"},
		{"max_execution_time=0.2&timeout_overflow_mode=throw", "SELECT max(sipHash64(number)) FROM numbers(100000000000)",
			408, "159"},
	} {
		status, answer, header := post(t, c.parameters, c.body)
		if status != c.status || header.Get("X-ClickHouse-Exception-Code") != c.code ||
			!strings.HasPrefix(answer, "Code: "+c.code+". DB::") {
			t.Errorf("%s %q: %d, code %s: %s", c.parameters, c.body, status, header.Get("X-ClickHouse-Exception-Code"), answer)
		}
	}
}

func TestCurl(t *testing.T) {
	base := chdbtest.Address(t)
	get := func(path string) string {
		r, err := http.Get(base + path)
		must(t, err)
		defer r.Body.Close()
		b, _ := io.ReadAll(r.Body)
		return string(b)
	}
	if got := get("/ping"); got != "Ok.\n" {
		t.Errorf("/ping: %q", got)
	}
	if got := get("/"); got != "Ok.\n" {
		t.Errorf("/: %q", got)
	}
	if got := get("/?query=SELECT+1+AS+x+FORMAT+JSONEachRow"); got != "{\"x\":1}\n" {
		t.Errorf("GET: %q", got)
	}
	if got := get("/?query=CREATE+DATABASE+x"); !strings.Contains(got, "method GET implies readonly") {
		t.Errorf("a writing GET: %q", got)
	}
	in := "database=" + database(chdbtest.Start(t))
	run := func(parameters, body string) string {
		t.Helper()
		status, answer, _ := post(t, in+parameters, body)
		if status != 200 {
			t.Fatalf("%s %s: %s", parameters, body, answer)
		}
		return answer
	}
	run("", "CREATE TABLE t (id UInt64, s String DEFAULT 'd') ENGINE=MergeTree ORDER BY id")
	run("&query="+url.QueryEscape("INSERT INTO t FORMAT JSONEachRow"), "{\"id\":1,\"s\":\"a\"}\n{\"id\":2}\n")
	run("", "INSERT INTO t FORMAT JSONEachRow\n{\"id\":3}\n")
	run("", "INSERT INTO t VALUES (4, 'x'), (5, concat('a', 'b'));")
	run("&query="+url.QueryEscape("INSERT INTO t (id, s) VALUES"), "(6, 'y')")
	run("&param_s=it%5C%27s", "INSERT INTO t VALUES (7, {s:String})")
	run("", "INSERT INTO t SELECT 8, 'z'")
	_, answer, header := post(t, in+"&default_format=CSV&query_id=mine", "SELECT * FROM t ORDER BY id")
	want := "1,\"a\"\n2,\"d\"\n3,\"d\"\n4,\"x\"\n5,\"ab\"\n6,\"y\"\n7,\"it's\"\n8,\"z\"\n"
	if answer != want {
		t.Errorf("got %q, want %q", answer, want)
	}
	for name, want := range map[string]string{"X-ClickHouse-Format": "CSV", "X-ClickHouse-Query-Id": "mine",
		"Content-Type": "text/csv; charset=UTF-8; header=absent"} {
		if got := header.Get(name); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
	for _, name := range []string{"X-ClickHouse-Server-Display-Name", "X-ClickHouse-Timezone", "X-ClickHouse-Summary"} {
		if header.Get(name) == "" {
			t.Errorf("no %s", name)
		}
	}
}

// TestRequestsAreApart: what one request sets must not be seen by the next,
// whichever connection it gets.
func TestRequestsAreApart(t *testing.T) {
	dsn := chdbtest.Start(t)
	c := connect(t, dsn)
	standard := number(t, c, "SELECT toUInt64(getSetting('max_block_size'))")
	const changed = "SELECT groupArray(name) FROM system.settings WHERE changed AND name != 'log_comment'"
	_, before, _ := post(t, "", changed)
	for range 30 {
		ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_block_size": 7,
			"log_comment": "mine"}))
		var n uint64
		must(t, c.QueryRow(ctx, "SELECT toUInt64(getSetting('max_block_size'))").Scan(&n))
		if n != 7 {
			t.Fatalf("setting of the request: %d", n)
		}
		if _, answer, _ := post(t, "", "SET max_block_size = 9"); answer != "" {
			t.Fatal(answer)
		}
		post(t, "", "USE "+database(dsn))
		post(t, "", "CREATE TEMPORARY TABLE tmp (a Int8)")
		post(t, "max_block_size=5&no_such_setting=1", "SELECT 1")
		post(t, "max_block_size=5", "SELECT throwIf(1)")
		_, answer, _ := post(t, "compatibility=22.3&join_use_nulls=0", "SELECT getSetting('enable_analyzer')")
		if answer != "false\n" {
			t.Fatalf("with compatibility the analyzer is enabled: %q", answer)
		}
		post(t, "param_x=5", "SELECT {x:Int8}")
		post(t, "max_query_size=10", "SELECT 1") // too small for the statement that takes it back
	}
	var wait sync.WaitGroup
	for range 16 {
		wait.Go(func() {
			_, answer, _ := post(t, "", "SELECT getSetting('max_block_size'), currentDatabase()")
			if want := fmt.Sprintf("%d\tdefault\n", standard); answer != want {
				t.Errorf("leaked: %q, want %q", answer, want)
			}
			if _, after, _ := post(t, "", changed); after != before {
				t.Errorf("changed settings leaked: %s, want %s", after, before)
			}
			if _, answer, _ := post(t, "", "SELECT * FROM tmp"); !strings.HasPrefix(answer, "Code: 60.") {
				t.Errorf("temporary table leaked: %q", answer)
			}
			if _, answer, _ := post(t, "", "SELECT {x:Int8}"); !strings.HasPrefix(answer, "Code: 456.") {
				t.Errorf("parameter leaked: %q", answer)
			}
		})
	}
	wait.Wait()
}

// TestDroppedDatabase: a connection whose current database is gone must not
// fail later requests.
func TestDroppedDatabase(t *testing.T) {
	for i := range 5 {
		name := fmt.Sprintf("gone_%d", i)
		post(t, "", "CREATE DATABASE "+name)
		if status, answer, _ := post(t, "database="+name, "SELECT 1"); status != 200 {
			t.Fatal(answer)
		}
		if status, answer, _ := post(t, "database="+name, "DROP DATABASE "+name); status != 200 {
			t.Fatal(answer)
		}
		if status, answer, _ := post(t, "", "SELECT 1"); status != 200 {
			t.Fatal(answer)
		}
		if status, answer, _ := post(t, "database="+name, "SELECT 1"); status != 404 {
			t.Fatal(answer)
		}
	}
}

func TestReadOnlyUser(t *testing.T) {
	dsn := chdbtest.Start(t)
	full := connect(t, dsn)
	must(t, full.Exec(t.Context(), "CREATE TABLE t (a UInt64) ENGINE=MergeTree ORDER BY a"))
	must(t, full.Exec(t.Context(), "INSERT INTO t VALUES (1)"))
	reader := connect(t, strings.Replace(dsn, "http://", "http://"+chdb.ReadOnlyUser+"@", 1))
	ctx := clickhouse.Context(t.Context(), clickhouse.WithSettings(clickhouse.Settings{"max_threads": 1}))
	var n uint64
	must(t, reader.QueryRow(ctx, "SELECT count() FROM t").Scan(&n))
	if n != 1 {
		t.Fatalf("%d rows", n)
	}
	for _, statement := range []string{
		"INSERT INTO t VALUES (2)", "INSERT INTO t SELECT 2", "DROP TABLE t", "TRUNCATE TABLE t",
		"CREATE TABLE u (a Int8) ENGINE=Memory",
		"ALTER TABLE t DELETE WHERE 1", "SET readonly = 0", "SELECT 1 SETTINGS readonly = 0", "CREATE DATABASE u",
		"SYSTEM STOP MERGES", "OPTIMIZE TABLE t",
	} {
		if err := reader.Exec(t.Context(), statement); code(err) != 164 {
			t.Errorf("%s: %v", statement, err)
		}
	}
	batch, err := reader.PrepareBatch(t.Context(), "INSERT INTO t")
	must(t, err)
	must(t, batch.Append(uint64(3)))
	if err := batch.Send(); code(err) != 164 {
		t.Errorf("batch: %v", err)
	}
	for _, parameters := range []string{"user=readonly", "readonly=1", "readonly=2", "user=readonly&readonly=0"} {
		if _, answer, _ := post(t, parameters, "CREATE DATABASE u"); !strings.HasPrefix(answer, "Code: 164.") {
			t.Errorf("%s: %s", parameters, answer)
		}
	}
	if got := number(t, full, "SELECT count() FROM t"); got != 1 {
		t.Errorf("%d rows afterwards", got)
	}
}

func TestCompression(t *testing.T) {
	const n = 70_000 // more than a block, which has 65,409 rows
	dsn := chdbtest.Start(t)
	methods := []clickhouse.CompressionMethod{
		clickhouse.CompressionNone, clickhouse.CompressionGZIP, clickhouse.CompressionDeflate,
	}
	for _, method := range methods {
		c := connect(t, dsn, func(o *clickhouse.Options) {
			o.Compression = &clickhouse.Compression{Method: method, Level: 3}
			o.Settings = clickhouse.Settings{"enable_http_compression": 1}
		})
		table := fmt.Sprintf("t%d", method)
		must(t, c.Exec(t.Context(), "CREATE TABLE "+table+" (a UInt64, s String) ENGINE=MergeTree ORDER BY a"))
		batch, err := c.PrepareBatch(t.Context(), "INSERT INTO "+table)
		must(t, err)
		for i := range n {
			must(t, batch.Append(uint64(i), "some text"))
		}
		must(t, batch.Send())
		rows, err := c.Query(t.Context(), "SELECT a, s FROM "+table)
		must(t, err)
		var sum, a uint64
		var s string
		for rows.Next() {
			must(t, rows.Scan(&a, &s))
			sum += a
		}
		must(t, rows.Err())
		if want := uint64(n * (n - 1) / 2); sum != want {
			t.Errorf("%v: sum %d, want %d", method, sum, want)
		}
		if err := c.QueryRow(t.Context(), "SELECT nope").Err(); code(err) != 47 {
			t.Errorf("%v: an error reads as %v", method, err)
		}
	}
}

func TestCancel(t *testing.T) {
	c := connect(t, chdbtest.Start(t))
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	if err := c.QueryRow(ctx, "SELECT max(sipHash64(number)) FROM numbers(1000000000000)").Err(); err == nil {
		t.Fatal("no error")
	}
	for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
		if number(t, c, "SELECT count() FROM system.processes WHERE query LIKE '%numbers(1000000000000)%' AND query NOT "+
			"LIKE '%system.processes%'") == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("the abandoned query still runs")
		}
	}
}

// TestCutBody: rows of a body that ends too early must not be reported as
// inserted.
func TestCutBody(t *testing.T) {
	dsn := chdbtest.Start(t)
	c := connect(t, dsn)
	must(t, c.Exec(t.Context(), "CREATE TABLE t (a UInt64) ENGINE=MergeTree ORDER BY a"))
	handler := chdbtest.Engine(t).Handler()
	target := "http://127.0.0.1/?database=" + database(dsn) + "&query=" + url.QueryEscape("INSERT INTO t FORMAT TSV")
	for _, size := range []int{100, 3 << 20} {
		body := strings.NewReader(strings.Repeat("1\n", size/2))
		request := httptest.NewRequest(http.MethodPost, target, io.MultiReader(body, brokenReader{}))
		answer := httptest.NewRecorder()
		handler.ServeHTTP(answer, request)
		if answer.Code == 200 || answer.Header().Get("X-ClickHouse-Exception-Code") != "33" {
			t.Errorf("%d bytes: %d %s", size, answer.Code, answer.Body)
		}
	}
	if n := number(t, c, "SELECT count() FROM t"); n != 0 {
		t.Errorf("%d rows of broken inserts", n)
	}
}

// A client that goes away while its rows are read back cancels the reading. That says nothing of
// the part, which must stay: with its table's other rows it may hold those of an insert that
// succeeded.
func TestCancelledReadBack(t *testing.T) {
	dsn := chdbtest.Start(t)
	c := connect(t, dsn)
	must(t, c.Exec(t.Context(), "CREATE TABLE t (a String) ENGINE=MergeTree ORDER BY tuple()"))
	handler := chdbtest.Engine(t).Handler()
	target := "http://127.0.0.1/?database=" + database(dsn) + "&query=" + url.QueryEscape("INSERT INTO t FORMAT TSV")
	rows := strings.Repeat(strings.Repeat("x", 99)+"\n", 500_000)
	insert := func(ctx context.Context) (read, whole time.Duration) {
		start := time.Now()
		body := &endNoted{Reader: strings.NewReader(rows)}
		request := httptest.NewRequestWithContext(ctx, http.MethodPost, target, body)
		handler.ServeHTTP(httptest.NewRecorder(), request)
		return body.ended.Sub(start), time.Since(start)
	}
	read, whole := insert(t.Context())
	const steps = 24
	for i := range steps {
		ctx, cancel := context.WithTimeout(t.Context(), read+(whole-read)*time.Duration(i)/steps)
		insert(ctx)
		cancel()
	}
	if n := number(t, c, "SELECT count() FROM system.detached_parts WHERE database = currentDatabase()"); n != 0 {
		t.Errorf("%d parts are detached, of which none was broken", n)
	}
}

// endNoted notes when everything was read.
type endNoted struct {
	io.Reader
	ended time.Time
}

func (r *endNoted) Read(p []byte) (int, error) {
	n, err := r.Reader.Read(p)
	if err != nil {
		r.ended = time.Now()
	}
	return n, err
}

type brokenReader struct{}

func (brokenReader) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

// TestNoWebPage: neither a cross-site request nor a name that was made to resolve to this machine
// (DNS rebinding) gets an answer from the engine.
func TestNoWebPage(t *testing.T) {
	base := chdbtest.Address(t)
	for name, change := range map[string]func(*http.Request){
		"rebinding":    func(r *http.Request) { r.Host = "rebind.test" + base[strings.LastIndex(base, ":"):] },
		"script":       func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") },
		"another port": func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "same-site") },
		"form":         func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") },
	} {
		for _, method := range []string{http.MethodGet, http.MethodPost, http.MethodHead, http.MethodOptions} {
			for _, path := range []string{"/?query=SELECT+1", "/ping", "/query?query=SELECT+1"} {
				request, err := http.NewRequest(method, base+path, nil)
				must(t, err)
				change(request)
				response, err := http.DefaultClient.Do(request)
				must(t, err)
				body, _ := io.ReadAll(response.Body)
				_ = response.Body.Close()
				if response.StatusCode != http.StatusForbidden {
					t.Errorf("%s: %s %s: %s %s", name, method, path, response.Status, body)
				}
			}
		}
	}
}
