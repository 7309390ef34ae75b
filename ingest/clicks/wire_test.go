package clicks

import (
	"bufio"
	"errors"
	"io"
	"net"
	"net/http"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// raw writes bytes to the edge as they are and returns the status of every answer, and " +" behind
// them if the connection is still open when nothing more comes.
func (e *edge) raw(text string, patience time.Duration) string {
	e.t.Helper()
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		e.t.Fatal(err)
	}
	defer c.Close()
	go func() { _, _ = io.WriteString(c, text) }() // the edge may answer before it has taken all of it
	r := bufio.NewReader(c)
	var statuses []string
	for {
		_ = c.SetReadDeadline(time.Now().Add(patience))
		if len(statuses) > 0 {
			_ = c.SetReadDeadline(time.Now().Add(min(patience, 200*time.Millisecond)))
		}
		res, err := http.ReadResponse(r, nil)
		var network net.Error
		switch {
		case errors.As(err, &network) && network.Timeout():
			return strings.Join(append(statuses, "+"), " ")
		case err != nil:
			return strings.Join(statuses, " ")
		}
		_, _ = io.Copy(io.Discard, res.Body)
		statuses = append(statuses, strconv.Itoa(res.StatusCode))
	}
}

// probes is what senders tried against the edge to make it see another request than a proxy in
// front of it, and what each must be answered. All answers to one probe are listed; "+" says that
// the connection stays open behind them. hidden is a click that must never be stored; honest is one
// that must.
const (
	hidden = "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}"
	honest = "POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"honest\"}"
	post   = "POST /v1/click HTTP/1.1\r\nHost: e\r\n"
	body   = "{\"link_id\":\"honest\"}" // 20 bytes
)

var probes = []struct{ name, text, want string }{
	// One request, one answer.
	{"pipelined", honest + honest, "200 200 +"},
	{"pipelined behind a refusal", post + "Content-Length: 1\r\n\r\n{" + honest, "400 200 +"},
	{"chunked", post + "Transfer-Encoding: chunked\r\n\r\n14\r\n" + body + "\r\n0\r\n\r\n" + honest, "200 200 +"},
	{"chunked, small chunks and an extension", post + "Transfer-Encoding: chunked\r\n\r\n1;a=b\r\n{\r\n13\r\n" + body[1:] +
		"\r\n0\r\n\r\n" + honest, "200 200 +"},
	{"chunked, another case", post + "transfer-encoding: Chunked\r\n\r\n14\r\n" + body + "\r\n0\r\n\r\n" +
		honest, "200 200 +"},
	{"HTTP/1.0", "POST /v1/click HTTP/1.0\r\nContent-Length: 20\r\n\r\n" + body, "200"},
	{"HTTP/1.0, kept alive", "POST /v1/click HTTP/1.0\r\nConnection: keep-alive\r\nContent-Length: 20\r\n\r\n" +
		body + honest, "200 200 +"},
	{"absolute address", "POST http://e/v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n" + body, "200 +"},
	{"empty lines before a request", "\r\n\r\n" + honest, "200 +"},

	// Two lengths.
	{"Content-Length with Transfer-Encoding", post + "Content-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		hidden, "400"},
	{"the other way round, other case", post + "transfer-encoding: chunked\r\nCONTENT-LENGTH: 4\r\n\r\n0\r\n\r\n" + hidden,
		"400"},
	{"Transfer-Encoding: identity", post + "Transfer-Encoding: identity\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"on a GET", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: 5\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
		hidden, "400"},
	{"two Content-Lengths", post + "Content-Length: 0\r\nContent-Length: 9\r\n\r\n" + hidden, "400"},
	{"two equal Content-Lengths", post + "Content-Length: 20\r\nContent-Length: 20\r\n\r\n" + hidden, "400"},
	{"a list of lengths", post + "Content-Length: 0, 20\r\n\r\n" + hidden, "400"},
	{"a signed length", post + "Content-Length: +0\r\n\r\n" + hidden, "400"},
	{"a negative length", post + "Content-Length: -1\r\n\r\n" + hidden, "400"},
	{"a hexadecimal length", post + "Content-Length: 0x0\r\n\r\n" + hidden, "400"},
	{"a length that overflows", post + "Content-Length: 18446744073709551616\r\n\r\n" + hidden, "400"},
	{"an empty length", post + "Content-Length: \r\n\r\n" + hidden, "400"},
	{"Transfer-Encoding of HTTP/1.0",
		"POST /v1/click HTTP/1.0\r\nHost: e\r\nConnection: keep-alive\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" +
			hidden, "400"},

	// An encoding that somebody may not take for chunked.
	{"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a list of encodings", post + "Transfer-Encoding: gzip, chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"chunked first", post + "Transfer-Encoding: chunked, identity\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"chunked twice", post + "Transfer-Encoding: chunked\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"quoted", post + "Transfer-Encoding: \"chunked\"\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a vertical tab", post + "Transfer-Encoding: \vchunked\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"a zero byte", post + "Transfer-Encoding: chunked\x00\r\n\r\n0\r\n\r\n" + hidden, "400"},
	{"space before the colon", post + "Transfer-Encoding : chunked\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"obsolete line folding", post + "Transfer-Encoding:\r\n chunked\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},

	// Lines.
	{"two LF in a header's value", "POST /v1/click HTTP/1.1\r\nHost: e\r\nX: y\n\n" + hidden + "\r\n\r\n", "400"},
	{"LF without CR", "POST /v1/click HTTP/1.1\nHost: e\nContent-Length: 20\n\n" + body + "\r\n\r\n", "400"},
	{"LF without CR, once", post + "X: y\nContent-Length: 20\r\n\r\n" + body, "400"},
	{"LF without CR at the end of the headers", post + "Content-Length: 0\r\n\n" + hidden, "400"},
	{"CR without LF", post + "X: y\rContent-Length: 20\r\n\r\n" + hidden, "400"},
	{"a folded line", post + "X: y\r\n z\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a first header that is folded", "POST /v1/click HTTP/1.1\r\n Host: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a name with a space", post + "Content Length: 20\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a name with a bracket", post + "X(y): z\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a header without a name", post + ": y\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"a header without a colon", post + "y\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},

	// Chunks.
	{"a chunk size with 0x", post + "Transfer-Encoding: chunked\r\n\r\n0x14\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a signed chunk size", post + "Transfer-Encoding: chunked\r\n\r\n+14\r\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"a chunk size that overflows", post + "Transfer-Encoding: chunked\r\n\r\n100000000000000014\r\n" + body +
		"\r\n0\r\n\r\n" + hidden, "400"},
	{"LF behind a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n14\n" + body + "\r\n0\r\n\r\n" + hidden, "400"},
	{"LF in a chunk extension", post + "Transfer-Encoding: chunked\r\n\r\n14;a\nb\r\n" + body + "\r\n0\r\n\r\n" + hidden,
		"400"},
	{"a chunk longer than its size", post + "Transfer-Encoding: chunked\r\n\r\n13\r\n" + body + "\r\n0\r\n\r\n" + hidden,
		"400"},
	{"LF behind a chunk", post + "Transfer-Encoding: chunked\r\n\r\n14\r\n" + body + "\n0\r\n\r\n" + hidden, "400"},
	{"a length as a trailer", post + "Transfer-Encoding: chunked\r\n\r\n14\r\n" + body +
		"\r\n0\r\nContent-Length: 9\r\n\r\n" + hidden, "400"},

	// Bodies where none is expected are not executed.
	{"GET with a body", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: " + strconv.Itoa(len(hidden)) + "\r\n\r\n" +
		hidden + honest, "200 200 +"},
	{"GET with a chunked body", "GET /t.js HTTP/1.1\r\nHost: e\r\nTransfer-Encoding: chunked\r\n\r\n" + chunk(hidden) +
		"0\r\n\r\n" + hidden, "200"},
	{"GET with a large body", "GET /t.js HTTP/1.1\r\nHost: e\r\nContent-Length: 100000\r\n\r\n" + strings.Repeat(hidden,
		100000/len(hidden)+1), "200"},
	{"OPTIONS with a body", "OPTIONS /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: " + strconv.Itoa(len(hidden)) +
		"\r\n\r\n" + hidden + honest, "204 200 +"},
	{"POST to nowhere with a large body", "POST /x HTTP/1.1\r\nHost: e\r\nContent-Length: 5000\r\n\r\n" +
		strings.Repeat(hidden, 5000/len(hidden)+1), "404"},
	{"a lead without a key, with a large body", "POST /v1/leads HTTP/1.1\r\nHost: e\r\nContent-Length: 5000\r\n\r\n" +
		strings.Repeat(hidden, 5000/len(hidden)+1), "401"},
	{"another content type with a large body", post + "Content-Type: x/y\r\nContent-Length: 5000\r\n\r\n" +
		strings.Repeat(hidden, 5000/len(hidden)+1), "415"},
	{"a body over the limit", post + "Content-Length: 70000\r\n\r\n" + strings.Repeat(hidden, 70000/len(hidden)+1), "413"},
	{"a chunked body over the limit", post + "Transfer-Encoding: chunked\r\n\r\n" + chunk(strings.Repeat(" ", 70000)) +
		"0\r\n\r\n" + hidden, "413"},
	{"a body that ends early", post + "Content-Length: 5000\r\n\r\n" + body + strings.Repeat(" ", 2000), "408"},

	// Other paths for a proxy are other paths here.
	{"an encoded slash", "POST /v1%2fclick HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"an encoded letter", "POST /v1/%63lick HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"two slashes", "POST //v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}", "404 +"},
	{"two slashes within", "POST /v1//click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"dot segments", "POST /x/../v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"encoded dot segments", "POST /x/%2e%2e/v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: " +
		"20\r\n\r\n{\"link_id\":\"hidden\"}", "404 +"},
	{"a single dot", "POST /./v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"a slash at the end", "POST /v1/click/ HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},
	{"a backslash", "POST /v1\\click HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}", "404 +"},
	{"a path parameter", "POST /v1/click;x HTTP/1.1\r\nHost: e\r\nContent-Length: 20\r\n\r\n{\"link_id\":\"hidden\"}",
		"404 +"},

	// Expect: 100-continue.
	{"expected", post + "Expect: 100-continue\r\nContent-Length: 20\r\n\r\n" + body, "100 200 +"},
	{"expected, over the limit", post + "Expect: 100-continue\r\nContent-Length: 100000000\r\n\r\n", "413"},
	{"expected, over the batch's limit",
		"POST /v1/clicks HTTP/1.1\r\nHost: e\r\nExpect: 100-continue\r\nContent-Length: 1048577\r\n\r\n", "413"},
	{"expected, another content type", post + "Expect: 100-continue\r\nContent-Type: x/y\r\nContent-Length: 20\r\n\r\n" +
		hidden, "415"},
	{"expected, two lengths", post +
		"Expect: 100-continue\r\nContent-Length: 4\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n" + hidden, "400"},

	// Other protocols, versions and hosts.
	{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "405"},
	{"a method that nobody knows", "PRI /v1/click HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "405"},
	{"CONNECT", "CONNECT e:80 HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "405"},
	{"TRACE", "TRACE /v1/click HTTP/1.1\r\nHost: e\r\n\r\n" + hidden, "405"},
	{"HTTP/9.9", "POST /v1/click HTTP/9.9\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"HTTP/1.2", "POST /v1/click HTTP/1.2\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"HTTP/0.9", "GET /t.js\r\n\r\n" + hidden, "400"},
	{"http/1.1 in small letters", "POST /v1/click http/1.1\r\nHost: e\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"no host", "POST /v1/click HTTP/1.1\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"two hosts", post + "Host: f\r\nContent-Length: 0\r\n\r\n" + hidden, "400"},
	{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
	{"PROXY from somebody who is no proxy", "PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\n" + hidden, "400"},
	{"headers larger than 16 KiB", "GET /t.js HTTP/1.1\r\nHost: e\r\nCookie: " + strings.Repeat("x", 20000) +
		"\r\n\r\n", "431"},
}

func chunk(text string) string {
	return strconv.FormatInt(int64(len(text)), 16) + "\r\n" + text + "\r\n"
}

func TestProbes(t *testing.T) {
	s := &sink{keep: true}
	e := &edge{t: t}
	e.serve(s, func(c *Config) { c.ReadTimeout = time.Second })
	for _, tt := range probes {
		t.Run(tt.name, func(t *testing.T) {
			stored := s.count()
			got := e.raw(tt.text, 3*time.Second)
			if got != tt.want {
				t.Errorf("answers %q, want %q", got, tt.want)
			}
			want := strings.Count(tt.want, "200")
			if strings.HasPrefix(tt.text, "GET /t.js") {
				want = strings.Count(strings.TrimPrefix(tt.want, "200"), "200")
			}
			if n := s.count() - stored; n != want {
				t.Errorf("%d clicks stored, want %d", n, want)
			}
		})
	}
	for _, r := range s.all() {
		if c, err := schemas.DecodeClick(r); err != nil || c.LinkId != "honest" {
			t.Errorf("stored %v, %v", c, err)
		}
	}
}

// A record that Kafka never takes is the sender's to change: not 503, after which he would repeat it
// for ever.
func TestKafkaTakesNoSuchRecord(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk") })
	e.kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.MessageTooLarge, Count: -1})
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`), 413, "not_storable")
	e.want(e.do("POST", "/v1/clicks", `[{"link_id":"l"}]`), 413, "not_storable")
	e.want(e.do("GET", "/v1/click.gif?link_id=l", ""), 413, "not_storable")
	e.want(e.do("POST", "/v1/leads", `{"external_id":"u"}`, "Authorization: Bearer sk"), 413, "not_storable")
}

func TestSlowSender(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.ReadTimeout = time.Second })
	begin := time.Now()
	got := e.raw("POST /v1/click HTTP/1.1\r\nHost: e\r\nContent-Length: 100\r\n\r\n{", 5*time.Second)
	if got != "408" || time.Since(begin) > 3*time.Second {
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

// Kafka goes away: 503 with Retry-After, soon at once; it comes back: 200, and what was answered
// 200 is all there.
func TestKafkaAway(t *testing.T) {
	dir := t.TempDir()
	kafka := newKafka(t, kfake.DataDir(dir))
	addr := kafka.ListenAddrs()[0]
	e := &edge{t: t, kafka: kafka, timeout: 500 * time.Millisecond}
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
