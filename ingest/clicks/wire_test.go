package clicks

import (
	"bufio"
	"fmt"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"

	"tributary/schemas"
)

// raw writes bytes to the edge as they are and reads every answer until the edge closes or is silent.
func (e *edge) raw(text string, patience time.Duration) []int {
	e.t.Helper()
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, text); err != nil {
		e.t.Fatal(err)
	}
	_ = c.SetReadDeadline(time.Now().Add(patience))
	r := bufio.NewReader(c)
	var statuses []int
	for {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return statuses
		}
		_, _ = io.Copy(io.Discard, res.Body)
		statuses = append(statuses, res.StatusCode)
	}
}

func TestFraming(t *testing.T) {
	e := newEdge(t, nil)
	hidden := "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 15\r\n\r\n{\"link_id\":\"x\"}"
	tests := []struct {
		name, text string
		want       string
	}{
		{"Content-Length with Transfer-Encoding", "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "[400]"},
		{"the other way round, other case", "POST /v1/click HTTP/1.1\r\nHost: e\r\ntransfer-encoding: chunked\r\nCONTENT-LENGTH: 4\r\n\r\n0\r\n\r\n" + hidden, "[400]"},
		{"identity counts too", "POST /v1/click HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + hidden, "[400]"},
		{"on a GET", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "[400]"},
		{"two Content-Lengths", "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 0\r\nContent-Length: 9\r\n\r\n" + hidden, "[400]"},
		{"space before the colon", "POST /v1/click HTTP/1.1\r\nHost: e\r\nTransfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + hidden, "[400]"},
		{"obsolete line folding", "POST /v1/click HTTP/1.1\r\nHost: e\r\nTransfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + hidden, "[400]"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "[405]"},
		{"method nobody knows", "PRI /v1/click HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "[405]"},
		{"no HTTP", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "[400]"},
		{"header larger than 16 KiB", "GET /t.js HTTP/1.1\r\nHost: e\r\nCookie: " + strings.Repeat("x", 20000) + "\r\n\r\n", "[431]"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			if got := fmt.Sprint(e.raw(tt.text, 2*time.Second)); got != tt.want {
				t.Errorf("answers %s, want %s and a closed connection", got, tt.want)
			}
		})
	}
	e.nothing() // the hidden request was never executed
	// Honest pipelining is served.
	if got := fmt.Sprint(e.raw(hidden+hidden, 300*time.Millisecond)); got != "[200 200]" {
		t.Errorf("pipelined: %s", got)
	}
	e.records(2)
}

func TestSlowSender(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.ReadTimeout = time.Second })
	begin := time.Now()
	got := fmt.Sprint(e.raw("POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 100\r\n\r\n{", 5*time.Second))
	if got != "[408]" || time.Since(begin) > 3*time.Second {
		t.Errorf("answers %s after %s, want 408 after a second", got, time.Since(begin))
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
		_ = c.SetReadDeadline(time.Now().Add(2 * time.Second))
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
	if n := counted(e.server.metrics.connsRefused); n != 1 {
		t.Errorf("%v refusals counted", n)
	}
	_ = a.Close()
	for range 100 {
		time.Sleep(10 * time.Millisecond)
		c, ok := open()
		_ = c.Close()
		if ok {
			return
		}
	}
	t.Error("a closed connection still counts")
}

// Kafka goes away: 503 with Retry-After, soon at once; it comes back: 200, and what was answered 200 is all there.
func TestKafkaAway(t *testing.T) {
	dir := t.TempDir()
	kafka := newKafka(t, kfake.DataDir(dir))
	addr := kafka.ListenAddrs()[0]
	e := &edge{t: t, kafka: kafka}
	e.start(kafka.ListenAddrs(), func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk") })
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`), 200, "")
	kafka.Close()

	for i := range 5 {
		a := e.do("POST", "/v1/click", `{"link_id":"l"}`)
		e.want(a, 503, "unavailable")
		if a.Header.Get("Retry-After") != "5" {
			t.Errorf("Retry-After %q", a.Header.Get("Retry-After"))
		}
		if i == 0 {
			continue
		}
		begin := time.Now()
		e.want(e.do("POST", "/v1/clicks", `[{"link_id":"l"}]`), 503, "unavailable")
		e.want(e.do("GET", "/v1/click.gif?link_id=l", ""), 503, "unavailable")
		e.want(e.do("POST", "/v1/leads", `{"external_id":"u"}`, "Authorization: Bearer sk"), 503, "unavailable")
		if d := time.Since(begin); d > 300*time.Millisecond {
			t.Errorf("three refusals took %s", d)
		}
	}

	_, port, _ := net.SplitHostPort(addr)
	n, _ := strconv.Atoi(port)
	newKafka(t, kfake.Ports(n), kfake.DataDir(dir))
	deadline := time.Now().Add(8 * time.Second)
	id := schemas.NewClickID(time.Now()).String()
	for {
		a := e.do("POST", "/v1/click", `{"link_id":"l","click_id":"`+id+`"}`)
		if a.StatusCode == 200 {
			break
		}
		e.want(a, 503, "unavailable")
		if time.Now().After(deadline) {
			t.Fatal("not recovered")
		}
		time.Sleep(20 * time.Millisecond)
	}
}
