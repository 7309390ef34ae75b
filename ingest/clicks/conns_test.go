package clicks

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net"
	"net/http"
	"net/netip"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/process"
	"tributary/schemas"
)

func TestSlowSender(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.ReadTimeout = time.Second })
	begin := time.Now()
	got := e.raw("POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 100\r\n\r\n{", "408")
	if got != "408" || time.Since(begin) < time.Second {
		t.Errorf("answers %s after %s, want 408 after a second", got, time.Since(begin))
	}
}

// A click is dated by the end of its body: nobody dates one back by keeping a part to himself.
func TestReceivedWithTheLastByte(t *testing.T) {
	spaces := func(n int) string { return strings.Repeat(" ", n) }
	for _, tt := range []struct{ name, first, rest string }{
		{"small", post + "Content-Length: 100\r\n\r\n" + body, spaces(80)},
		{"large", post + "Content-Length: 5000\r\n\r\n" + body + spaces(2000), spaces(2980)},
		{"chunked", inChunks + "64\r\n" + body, spaces(80) + "\r\n0\r\n\r\n"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := &sink{keep: true}
			e := &edge{t: t}
			e.serve(s, func(c *Config) { c.ReadTimeout = limit })
			c, err := net.Dial("tcp", e.addr)
			if err != nil {
				t.Fatal(err)
			}
			defer c.Close()
			_, _ = io.WriteString(c, tt.first)
			time.Sleep(100 * time.Millisecond) // long enough for the edge to look at the head
			before := time.Now()
			_, _ = io.WriteString(c, tt.rest)
			_ = c.SetReadDeadline(time.Now().Add(limit))
			if res, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil || res.StatusCode != 200 {
				t.Fatalf("answer %v, %v", res, err)
			}
			click, err := schemas.DecodeClick(s.all()[0])
			if err != nil || click.ReceivedAt < before.UnixMilli() {
				t.Errorf("received %s before the last byte was sent, %v",
					before.Sub(time.UnixMilli(click.ReceivedAt)), err)
			}
		})
	}
}

func TestConnectionsPerAddress(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.MaxConnsPerIP = 2 })
	request := "GET /t.js HTTP/1.1\r\nHost: e\r\n\r\n"
	open := func() (net.Conn, bool) {
		c, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		_, _ = io.WriteString(c, request)
		_ = c.SetReadDeadline(time.Now().Add(limit))
		res, err := http.ReadResponse(bufio.NewReader(c), nil)
		return c, err == nil && res.StatusCode == 200
	}
	a, ok1 := open()
	b, ok2 := open()
	third, ok3 := open()
	defer b.Close()
	_ = third.Close()
	if !ok1 || !ok2 || ok3 {
		t.Errorf("three connections with a limit of two: %v %v %v", ok1, ok2, ok3)
	}
	if n := testutil.ToFloat64(e.server.metrics.connsRefused); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
	_ = a.Close()
	for deadline := time.Now().Add(limit); ; time.Sleep(10 * time.Millisecond) {
		c, ok := open()
		_ = c.Close()
		if ok {
			return
		}
		if time.Now().After(deadline) {
			t.Fatal("a closed connection still counts")
		}
	}
}

// A connection keeps the memory of its last request while it waits, so one whose headers were large
// ends with its answer.
func TestLargeHeadersAreNotKept(t *testing.T) {
	s := &sink{}
	e := &edge{t: t}
	e.serve(s, nil)
	for _, tt := range []struct {
		bytes int
		want  string
	}{{keptHead - 200, "200 +"}, {keptHead + 1, "200"}, {15_000, "200"}} {
		request := strings.Replace(honest, "Host: e", "Host: e\r\nCookie: "+strings.Repeat("c", tt.bytes), 1)
		if got := e.raw(request, tt.want); got != tt.want {
			t.Errorf("%d bytes of headers: answers %q, want %q", tt.bytes, got, tt.want)
		}
		pixel := "GET /v1/click.gif?link_id=l&x=" + strings.Repeat("x", tt.bytes) + " HTTP/1.1\r\nHost: e\r\n\r\n"
		if got := e.raw(pixel, tt.want); got != tt.want {
			t.Errorf("%d bytes in the address: answers %q, want %q", tt.bytes, got, tt.want)
		}
	}
	if n := s.count(); n != 6 {
		t.Errorf("%d clicks stored, want 6", n)
	}
	behind := &edge{t: t}
	behind.serve(s, func(c *Config) { c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	request := strings.Replace(honest, "Host: e", "Host: e\r\nCookie: "+strings.Repeat("c", 8<<10), 1)
	if got := behind.raw(request, "200 +"); got != "200 +" {
		t.Errorf("8 KiB of headers from a proxy: answers %q, want the connection to stay open", got)
	}
}

// When many connections are open, the one whose last answer is longest ago gives way to the next;
// at the limit, one that has none.
func TestConnectionsTogether(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.MaxConns = 9 })
	open := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(limit))
		return c
	}
	answered := func(name string, c net.Conn) {
		t.Helper()
		_, _ = io.WriteString(c, "OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Errorf("the %s connection: %v", name, err)
		}
	}
	closed := func(name string, c net.Conn) {
		t.Helper()
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the %s connection is not closed: %v", name, err)
		}
	}
	first, second, third := open(), open(), open()
	answered("first", first)
	answered("second", second)
	answered("third", third)
	fourth := open()
	closed("first", first)
	answered("second", second)
	answered("fourth", fourth)
	var silent []net.Conn
	for range 9 { // the first three of which close the three that are answered
		silent = append(silent, open())
	}
	closed("third", third)
	closed("second", second)
	closed("fourth", fourth)
	answered("tenth", open())
	closed("first silent", silent[0])
	answered("second silent", silent[1])
	if n := testutil.ToFloat64(e.server.metrics.connsDropped); n != 5 {
		t.Errorf("%v connections counted as dropped, want 5", n)
	}
}

// When memory is scarce, connections give way that wait for a request or for its body, and none that
// has a whole one or has just had one, nor any of a few.
func TestConnectionsGiveWayToMemory(t *testing.T) {
	const options = "OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\n\r\n"
	kafka := make(slow)
	e := &edge{t: t}
	e.serve(kafka, nil)
	acknowledge := sync.OnceFunc(func() { close(kafka) })
	t.Cleanup(acknowledge) // before the edge waits for its requests
	open := func(request string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(limit))
		_, _ = io.WriteString(c, request)
		return c
	}
	answered := func(name string, c net.Conn) {
		t.Helper()
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Errorf("the %s connection: %v", name, err)
		}
	}
	answered("first", open(options))
	g := e.server.guard.Load() // which there is once a connection has been accepted
	until := func(what string, is func(*guarded) bool, n int) {
		t.Helper()
		for deadline := time.Now().Add(limit); ; time.Sleep(time.Millisecond) {
			g.mu.Lock()
			found := 0
			for _, c := range g.open {
				if is(c) {
					found++
				}
			}
			g.mu.Unlock()
			if found == n {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%d connections %s, want %d", found, what, n)
			}
		}
	}
	later := func() { // as after settling
		g.mu.Lock()
		g.marked = time.Time{}
		g.mu.Unlock()
		g.shrink(0)
		g.mu.Lock()
		g.marked = g.marked.Add(time.Hour) // no later call finds that more time has passed
		g.mu.Unlock()
	}
	least := func(n int) {
		g.mu.Lock()
		g.least = n
		g.mu.Unlock()
	}
	asks := open(honest)
	until("with a request under way", func(c *guarded) bool { return c.seen.Load() >= busy }, 1)
	sends := open(options)
	answered("sending", sends)
	_, _ = io.WriteString(sends, post+"Content-Length: 8000\r\n\r\n"+body+strings.Repeat(" ", prefetch))
	until("with a part of a body", func(c *guarded) bool { return c.seen.Load()&^busy >= unanswered }, 2)
	silent, idle := open(""), open(options)
	answered("idle", idle)
	until("open", func(*guarded) bool { return true }, 5)
	later()
	later()
	recent, fresh := open(options), open("POST")
	answered("recent", recent)
	until("open", func(*guarded) bool { return true }, 7)
	for _, n := range []int{alwaysOpen, 7} {
		least(n)
		if g.shrink(0.9); testutil.ToFloat64(e.server.metrics.connsDropped) != 0 {
			t.Fatalf("of 7 connections some are closed, and %d always stay", n)
		}
	}
	least(0)
	for range 9 {
		g.shrink(0.2)
	}
	for name, c := range map[string]net.Conn{"silent": silent, "idle": idle, "sending": sends} {
		if _, err := c.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
			t.Errorf("the %s connection is not closed: %v", name, err)
		}
	}
	if n := testutil.ToFloat64(e.server.metrics.connsDropped); n != 4 {
		t.Errorf("%v connections counted as dropped, want 4", n)
	}
	g.shrink(0.9)
	if _, err := fresh.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the new connection is not closed: %v", err)
	}
	_, _ = io.WriteString(recent, options)
	answered("recent", recent)
	acknowledge()
	answered("asking", asks)
}

// slow is a Kafka that acknowledges nothing until it is closed.
type slow chan struct{}

func (s slow) Publish(context.Context, ...*kgo.Record) (bool, error) {
	<-s
	return false, nil
}

// Files of places are not the connections', however large they are.
func TestFilesAreNoCrowd(t *testing.T) {
	const mb = 1 << 20
	for _, tt := range []struct {
		name         string
		live, beside int64
		files        int64
		most         int
		want         float64
	}{
		{"idle", 9 * mb, 6 * mb, 0, maxConns, 0},
		{"a crowd", 80 * mb, 8 * mb, 0, maxConns, 0.5},
		{"a file of cities", 75 * mb, 8 * mb, 63 * mb, maxConns, 0},
		{"two of them, while they are read again", 140 * mb, 8 * mb, 126 * mb, maxConns, 0},
		{"a crowd beside a file", 143 * mb, 8 * mb, 63 * mb, maxConns, 0.5},
		{"a crowd that may be larger", 80 * mb, 8 * mb, 0, maxConns + 1200, 0},
		{"before the first collection", 0, 60 * mb, 0, maxConns, 1},
	} {
		got := max(0, tooMuch(tt.live, tt.beside, tt.files, tt.most))
		if got != tt.want {
			t.Errorf("%s: %v too much, want %v", tt.name, got, tt.want)
		}
	}
}

// Behind a balancer that only passes bytes on, connections are the visitors', and give way as
// theirs.
func TestConnectionsThroughBalancer(t *testing.T) {
	e := newEdge(t, func(c *Config) {
		c.ProxyProtocol, c.MaxConns, c.MaxConnsPerIP = true, 3, 1
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
	})
	open := func() net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", e.addr)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(limit))
		_, _ = io.WriteString(c, "PROXY TCP4 203.0.113.9 192.0.2.1 1 2\r\n"+
			"OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\n\r\n")
		if _, err := http.ReadResponse(bufio.NewReader(c), nil); err != nil {
			t.Fatal(err)
		}
		return c
	}
	first, _ := open(), open()
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the first connection is not closed: %v", err)
	}
}

// Kafka goes away: 503 with Retry-After; it comes back: 200.
func TestKafkaAway(t *testing.T) {
	dir := t.TempDir()
	addrs, err := process.Addresses(1) // that no other program is given while Kafka is away
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(addrs[0])
	n, _ := strconv.Atoi(port)
	kafka := newKafka(t, kfake.Ports(n), kfake.DataDir(dir))
	e := &edge{t: t, kafka: kafka, timeout: 500 * time.Millisecond}
	e.start(addrs, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk") })
	until200 := func() {
		t.Helper()
		for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
			a := e.do("POST", "/v1/click", `{"link_id":"l"}`)
			if a.StatusCode == 200 {
				return
			}
			e.want(a, 503, "unavailable")
			if time.Now().After(deadline) {
				t.Fatalf("the last answer is %d %s, want 200", a.StatusCode, a.body)
			}
		}
	}
	until200()
	kafka.Close()

	for range 5 {
		a := e.do("POST", "/v1/click", `{"link_id":"l"}`)
		e.want(a, 503, "unavailable")
		if a.Header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
		lost := testutil.ToFloat64(e.server.metrics.rejected["unavailable"])
		e.want(e.do("POST", "/v1/clicks", `[{"link_id":"l"},{"link_id":"l"},{"link_id":"l"}]`), 503, "unavailable")
		if n := testutil.ToFloat64(e.server.metrics.rejected["unavailable"]) - lost; n != 3 {
			t.Errorf("a batch of 3 that nobody took counts as %v", n)
		}
		e.want(e.do("GET", "/v1/click.gif?link_id=l", ""), 503, "unavailable")
		e.want(e.do("POST", "/v1/leads", `{"external_id":"u"}`, "Authorization: Bearer sk"), 503, "unavailable")
	}

	newKafka(t, kfake.Ports(n), kfake.DataDir(dir))
	until200()
}
