package stripe

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

const (
	acmeLive, acmeTest = "whsec_acme_live", "whsec_acme_test"
	bobBoth, connect   = "whsec_bob_both", "whsec_connect"
)

func parse(t *testing.T, text string) []schemas.Workspace {
	t.Helper()
	list, err := schemas.ParseWorkspaces("w.json", []byte(text))
	if err != nil {
		t.Fatal(err)
	}
	return list
}

const severalWorkspaces = `[
	{"id":"acme","stripe":[
		{"accounts":["acct_acme"],"secrets":["whsec_acme_live"],"livemode":true},
		{"accounts":["acct_acme"],"secrets":["whsec_acme_test"],"livemode":false},
		{"accounts":["acct_one"],"secrets":["whsec_connect"],"connect":true}]},
	{"id":"bob","stripe":[
		{"accounts":["acct_bob"],"secrets":["whsec_bob_both"]},
		{"accounts":["acct_two"],"secrets":["whsec_connect"],"connect":true}]},
	{"id":"own","stripe":[{"accounts":["","acct_own"],"secrets":["whsec_own_platform"]}]}]`

// A secret signs for its own accounts and its own mode, whatever the event says.
func TestSecretsSignForTheirOwn(t *testing.T) {
	h := startFor(t, newKafka(t), signersOf(t, parse(t, severalWorkspaces)), 5*time.Second)
	tests := []struct {
		secret, account string
		livemode        bool
		code            string // of the refusal
		of              string // the account that the event is stored under
		unlisted        bool
	}{
		{acmeLive, "acct_acme", true, "", "acct_acme", false},
		{acmeLive, "", true, "", "acct_acme", false}, // no Connect: the event names no account, the secret does
		{acmeLive, "", false, "wrong_mode", "", false},
		{acmeTest, "", true, "wrong_mode", "", false},
		{acmeTest, "acct_acme", true, "wrong_mode", "", false},
		{acmeTest, "", false, "", "acct_acme", false},
		{bobBoth, "", true, "", "acct_bob", false},
		{bobBoth, "", false, "", "acct_bob", false},
		{bobBoth, "acct_acme", true, "wrong_account", "", false},
		{bobBoth, "acct_acme", false, "wrong_account", "", false},
		{bobBoth, "acct_own", true, "wrong_account", "", false},
		{bobBoth, "acct_one", true, "wrong_account", "", false},
		{bobBoth, "acct_new", true, "", "acct_new", true},
		{connect, "acct_one", true, "", "acct_one", false},
		{connect, "acct_two", false, "", "acct_two", false},
		{connect, "acct_bob", true, "wrong_account", "", false},
		{connect, "acct_new", false, "", "acct_new", true},
		{connect, "", true, "wrong_account", "", false}, // the platform's own account has a secret of its own
		{"whsec_own_platform", "", true, "", "", false},
		{"whsec_own_platform", "acct_own", false, "", "acct_own", false},
		{"whsec_nobodys", "acct_acme", true, "bad_signature", "", false},
	}
	for i, tt := range tests {
		t.Run(fmt.Sprintf("%d %s %s %t", i, tt.secret, tt.account, tt.livemode), func(t *testing.T) {
			h.t = t
			body := fmt.Sprintf(`{"id":"evt_%d","object":"event","type":"x","account":"%s","livemode":%t,"data":{"object":{"id":"o"}}}`, i, tt.account, tt.livemode)
			if tt.account == "" {
				body = strings.Replace(body, `"account":"",`, "", 1)
			}
			if tt.code != "" {
				h.want(body, sign(body, tt.secret, time.Now()), 400, tt.code)
				return
			}
			h.want(body, sign(body, tt.secret, time.Now()), 200, "")
			e, r := h.next()
			digest := ""
			if tt.unlisted {
				digest = schemas.SecretDigest(tt.secret)
			}
			if e.Account != tt.of || e.Unlisted != digest || string(r.Value) != body {
				t.Errorf("%+v, want account %q, unlisted %q", e, tt.of, digest)
			}
		})
	}
	h.t = t
	h.nothing()
	// Nor does it sign for what another reader of the body finds in it: one that takes the first of
	// two equal names, or knows no capitals.
	for _, names := range []string{
		`"account":"acct_acme","account":"acct_bob"`, `"account":"acct_bob","account":"acct_acme"`,
		`"account":"acct_bob","Account":"acct_acme"`, `"ACCOUNT":"acct_acme","account":"acct_bob"`,
		`"accoun\u0074":"acct_bob","account":"acct_acme"`, `"account":"acct_bob","account":null`,
		`"account":"acct_bob","livemode":true,"livemode":false`, `"account":"acct_bob","id":"evt_y"`,
		`"account":"acct_bob","data":{"object":{"id":"p"}}`, `"context":"acct_acme","Context":"acct_bob"`,
	} {
		body := `{"id":"evt_x","object":"event","type":"x",` + names + `,"data":{"object":{"id":"o"}}}`
		h.want(body, sign(body, bobBoth, time.Now()), 400, "bad_event")
	}
	// A name in capitals is another name to the processor, and here.
	capitals := `{"id":"evt_x","object":"event","type":"x","ACCOUNT":"acct_acme","data":{"object":{"id":"o"}}}`
	h.want(capitals, sign(capitals, bobBoth, time.Now()), 200, "")
	if e, _ := h.next(); e.Account != "acct_bob" {
		t.Errorf("stored %+v, want account acct_bob", e)
	}
	h.nothing()
	warnings := strings.Join(h.Warnings(t.Context()), "\n")
	if len(h.Warnings(t.Context())) != 2 ||
		!strings.Contains(warnings, `1 events of account "acct_new" (livemode true)`) ||
		!strings.Contains(warnings, "hint: ") {
		t.Errorf("warnings %q", warnings)
	}

	// A reload lists the account: its events are booked, and the warning ends. A secret that is
	// gone signs no more.
	h.cfg.Signers.Replace(signersOf(t,
		parse(t, `[{"id":"new","stripe":[{"accounts":["acct_new"],"secrets":["whsec_connect"],"connect":true}]}]`)))
	body := `{"id":"evt_9","object":"event","type":"x","account":"acct_new","data":{"object":{"id":"o"}}}`
	h.want(body, sign(body, connect, time.Now()), 200, "")
	if e, _ := h.next(); e.Unlisted != "" {
		t.Errorf("%+v is still unlisted", e)
	}
	h.want(body, sign(body, acmeLive, time.Now()), 400, "bad_signature")
	if w := h.Warnings(t.Context()); len(w) != 0 {
		t.Errorf("warnings %q", w)
	}
}

// The older form: accounts in the file, secrets by the flags.
func TestOlderForm(t *testing.T) {
	one := parse(t, `[{"id":"acme","stripe_accounts":["acct_acme"]},{"id":"other"}]`)
	current := signersOf(t, one, liveSecret, oldSecret).current.Load()
	if of, unlisted, f := current.admit(current.signers[1:], "", true); of != "acct_acme" || unlisted != "" || f != nil {
		t.Errorf("%q %q %v", of, unlisted, f)
	}
	if of, unlisted, f := current.admit(current.signers[:1], "acct_x", true); of != "acct_x" ||
		unlisted == "" || f != nil {
		t.Errorf("%q %q %v", of, unlisted, f)
	}
	two := parse(t, `[{"id":"acme","stripe_accounts":["","acct_acme"]},{"id":"bob","stripe_accounts":["acct_bob"]}]`)
	current = signersOf(t, two, liveSecret).current.Load() // one secret is the operator's own
	if of, unlisted, f := current.admit(current.signers, "", true); of != "" || unlisted != "" || f != nil {
		t.Errorf("%q %q %v", of, unlisted, f)
	}
	own := parse(t, `[{"id":"acme","stripe":[{"accounts":["acct_acme"],"secrets":["whsec_acme_live"]}]}]`)
	current = signersOf(t, own, liveSecret).current.Load() // the flag's secret signs for nobody
	if _, unlisted, f := current.admit(current.signers[1:], "acct_x", true); unlisted == "" || f != nil {
		t.Errorf("%q %v", unlisted, f)
	}
	if _, _, f := current.admit(current.signers[1:], "acct_acme", true); f != errWrongAccount {
		t.Errorf("%v", f)
	}

	for name, faulty := range map[string]struct {
		list  []schemas.Workspace
		flags []string
		want  string
	}{
		"several secrets for several workspaces": {two, []string{liveSecret, oldSecret}, "each would sign for all"},
		"no secret for stripe_accounts":          {one, nil, "none signs for stripe_accounts"},
		"no secret at all":                       {parse(t, `[{"id":"a"}]`), nil, "none given"},
		"one in both places":                     {own, []string{acmeLive}, "in the workspaces file too"},
	} {
		if _, err := NewSigners(faulty.list, faulty.flags); err == nil || !strings.Contains(err.Error(), faulty.want) ||
			!strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// raw sends bytes and returns the status of every answer until the webhook closes the connection.
func (h *hook) raw(request string) string {
	h.t.Helper()
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.url, "http://"), Path))
	if err != nil {
		h.t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	go func() { _, _ = io.WriteString(c, request) }() // the webhook may answer before it has taken all of it
	var statuses []string
	for r := bufio.NewReader(c); ; {
		res, err := http.ReadResponse(r, nil)
		if err != nil {
			return strings.Join(statuses, " ")
		}
		_, _ = io.Copy(io.Discard, res.Body)
		statuses = append(statuses, res.Status[:3])
	}
}

func TestFraming(t *testing.T) {
	h := start(t, newKafka(t))
	body := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o"}}}`
	signature := "Stripe-Signature: " + sign(body, liveSecret, time.Now()) + "\r\n"
	chunked := fmt.Sprintf("Transfer-Encoding: chunked\r\n\r\n%x\r\n%s\r\n0\r\n\r\n", len(body), body)
	post := "POST " + Path + " HTTP/1.1\r\nHost: h\r\n" + signature
	length := fmt.Sprintf("Content-Length: %d\r\n", len(body))
	hidden := "GET / HTTP/1.1\r\nHost: h\r\n\r\n"
	bom := "POST " + Path + " HTTP/1.1\r\nHost: h\r\nStripe-Signature: " + sign("\ufeff"+body, liveSecret,
		time.Now()) + "\r\n"
	tests := []struct{ name, request, want string }{
		{"one request a connection", post + length + "\r\n" + body + post + length + "\r\n" + body, "200"},
		{"HTTP/1.0", strings.Replace(post, "/1.1", "/1.0", 1) + length + "\r\n" + body, "200"},
		{"HTTP/1.0, kept alive", strings.Replace(post, "/1.1", "/1.0", 1) + "Connection: keep-alive\r\n" + length +
			"\r\n" + body + hidden, "200"},
		{"a byte order mark", bom + fmt.Sprintf("Content-Length: %d\r\n\r\n\ufeff", len(body)+3) + body + hidden, "400"},
		{"absolute address", strings.Replace(post, Path, "http://h"+Path, 1) + length + "\r\n" + body, "200"},
		{"chunked", post + chunked, "200"},
		{"nothing hides behind a chunked one", post + chunked + hidden, "200"},
		{"length and encoding", post + length + chunked + hidden, "400"},
		{"length and encoding, another case", post + strings.ToLower(length) + chunked + hidden, "400"},
		{"Transfer-Encoding of HTTP/1.0", strings.Replace(post, "/1.1", "/1.0", 1) + "Connection: keep-alive\r\n" + chunked +
			hidden, "400"},
		{"two lengths", post + length + "Content-Length: 0\r\n\r\n" + body + hidden, "400"},
		{"a signed length", post + "Content-Length: +0\r\n\r\n" + hidden, "400"},
		{"a negative length", post + "Content-Length: -1\r\n\r\n" + hidden, "400"},
		{"a length that overflows", post + "Content-Length: 18446744073709551616\r\n\r\n" + hidden, "400"},
		{"the largest length", post + "Content-Length: 9223372036854775807\r\n\r\n" + hidden, "413"},
		{"chunked twice", post + "Transfer-Encoding: chunked\r\n" + chunked + hidden, "501"},
		{"xchunked", post + "Transfer-Encoding: xchunked\r\n\r\n0\r\n\r\n" + hidden, "501"},
		{"identity", post + "Transfer-Encoding: identity\r\n" + length + "\r\n" + body + hidden, "501"},
		{"space before the colon", post + "Transfer-Encoding : chunked\r\n" + length + "\r\n" + body + hidden, "400"},
		{"a folded encoding", post + "Transfer-Encoding:\r\n chunked\r\n" + length + "\r\n0\r\n\r\n" + hidden, "400"},
		{"two LF in a header's value", post + "X: y\n\n" + hidden, "400"},
		{"LF without CR", strings.ReplaceAll(post+length+"\r\n", "\r\n", "\n") + body + hidden, "200"},
		{"a folded line", post + "X: y\r\n z\r\n" + length + "\r\n" + body + hidden, "200"},
		{"a name with a space", post + "X y: z\r\n" + length + "\r\n" + body + hidden, "400"},
		{"a zero byte in a header", post + "X: a\x00b\r\n" + length + "\r\n" + body + hidden, "400"},
		{"a chunk size with 0x", post + "Transfer-Encoding: chunked\r\n\r\n0x1\r\n{\r\n0\r\n\r\n" + hidden, "400"},
		{"LF behind a chunk size", post + "Transfer-Encoding: chunked\r\n\r\n1\n{\r\n0\r\n\r\n" + hidden, "400"},
		{"an extension of 1 MB", post + "Transfer-Encoding: chunked\r\n\r\n1;" + strings.Repeat("a", 1000000) +
			"\r\n{\r\n0\r\n\r\n" + hidden, "400"},
		{"a header of 100 kB", post + "X: " + strings.Repeat("y", 100000) + "\r\n" + length + "\r\n" + body, "431"},
		{"10,000 headers", post + strings.Repeat("X: y\r\n", 10000) + length + "\r\n" + body, "431"},
		{"no host", strings.Replace(post, "Host: h\r\n", "", 1) + length + "\r\n" + body + hidden, "400"},
		{"two hosts", post + "Host: i\r\n" + length + "\r\n" + body + hidden, "400"},
		{"two signatures", post + "Stripe-Signature: t=1,v1=00\r\n" + length + "\r\n" + body, "200"},
		{"HTTP/2 preface", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "404"},
		{"HTTP/9.9", strings.Replace(post, "/1.1", "/9.9", 1) + length + "\r\n" + body, "505"},
		{"TLS", "\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03\r\n\r\n", "400"},
		{"PROXY", "PROXY TCP4 6.6.6.6 7.7.7.7 1 2\r\n" + post + length + "\r\n" + body, "400"},
		{"TRACE", strings.Replace(post, "POST", "TRACE", 1) + "\r\n" + hidden, "405"},
		{"an upgrade", post + "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\n" + length + "\r\n" + body + hidden,
			"200"},
		{"gzip", post + "Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00", "400"},
		{"length behind encoding", post + "Transfer-Encoding: chunked\r\n" + length + "\r\n0\r\n\r\n" + hidden, "400"},
		{"encoded slash", strings.Replace(post, Path, "/stripe%2fwebhook", 1) + length + "\r\n" + body, "404"},
		{"encoded letter", strings.Replace(post, Path, "/stripe/%77ebhook", 1) + length + "\r\n" + body, "404"},
		{"two slashes", strings.Replace(post, Path, "//stripe/webhook", 1) + length + "\r\n" + body, "404"},
		{"dot segments", strings.Replace(post, Path, "/x/../stripe/webhook", 1) + length + "\r\n" + body, "404"},
		{"a large body is refused before it comes", post + "Content-Length: 104857600\r\nExpect: 100-continue\r\n\r\n",
			"413"},
		{"so is one without a signature", "POST " + Path + " HTTP/1.1\r\nHost: h\r\n" + length +
			"Expect: 100-continue\r\n\r\n" + body, "400"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			if got := h.raw(tt.request); got != tt.want {
				t.Errorf("answers %s, want %s", got, tt.want)
			}
		})
	}
}

// Large bodies share a bounded number of bytes while their signatures are not known; small ones
// always have room.
func TestUnverifiedBytes(t *testing.T) {
	h := start(t, newKafka(t))
	held := h.cfg.MaxUnverifiedBytes
	if !h.unverified.TryAcquire(held) {
		t.Fatal("bytes are held by nobody")
	}
	small := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o"}}}`
	large := small + strings.Repeat(" ", 100_000)
	h.want(large, sign(large, liveSecret, time.Now()), 503, "busy")
	h.want(small, sign(small, liveSecret, time.Now()), 200, "")
	h.unverified.Release(held)
	h.want(large, sign(large, liveSecret, time.Now()), 200, "")
	h.want(large, sign(large, "whsec_unknown", time.Now()), 400, "bad_signature")
	if !h.unverified.TryAcquire(held) {
		t.Error("bytes were not given back")
	}
}

// Nor does a crowd that sends large bodies slowly keep large events out: the oldest of them give
// way.
func TestBytesGiveWay(t *testing.T) {
	h := start(t, newKafka(t))
	h.patience = limit
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	crowd := &listener{Listener: ln, limit: 10, dropped: h.metrics.dropped.Inc}
	request := func() (*http.Request, *conn) {
		t.Helper()
		client, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = client.Close() })
		c, err := crowd.Accept()
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return new(http.Request).WithContext(withConn(t.Context(), c)), c.(*conn)
	}
	// read holds n bytes until the connection is closed.
	read := func(n int64) *conn {
		t.Helper()
		r, c := request()
		if !h.acquire(r, n) {
			t.Fatalf("%d bytes are not given", n)
		}
		go func() {
			_, _ = c.Read(make([]byte, 1))
			h.unverified.Release(n)
		}()
		return c
	}
	all := h.cfg.MaxUnverifiedBytes
	signed := read(all / 4)
	signed.proven()
	first, second, third := read(all/4), read(all/4), read(all/4)
	r, _ := request()
	if !h.acquire(r, all/2) {
		t.Fatal("the bytes of the two oldest are not given")
	}
	if h.acquire(r, all) {
		t.Error("the bytes of a connection that has shown a good signature are given")
	}
	for i, closed := range []bool{true, true, false} {
		c := []*conn{first, second, third}[i]
		if err := c.SetDeadline(time.Time{}); (err != nil) != closed {
			t.Errorf("connection %d: closed %v, want %v", i+1, err != nil, closed)
		}
	}
	if n := testutil.ToFloat64(h.metrics.dropped); n != 2 {
		t.Errorf("%v connections counted as dropped, want 2", n)
	}
}

// A crowd that holds connections open keeps no event out: the oldest of those that have shown no
// good signature gives way to the next one. One whose event is being stored stays.
func TestConnectionLimit(t *testing.T) {
	stored := make(slowPublisher)
	cfg := Default()
	cfg.Signers, cfg.Logger, cfg.MaxConns = signersOf(t, nil, liveSecret), slog.New(slog.DiscardHandler), 2
	h, err := New(cfg, stored)
	if err != nil {
		t.Fatal(err)
	}
	// Nothing here ends by a timeout.
	h.server.ReadHeaderTimeout, h.server.ReadTimeout, h.server.WriteTimeout = limit, limit, limit
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = h.Serve(ln) }()
	t.Cleanup(func() { _ = h.server.Close() })
	open := func(text string) net.Conn {
		t.Helper()
		c, err := net.Dial("tcp", ln.Addr().String())
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Close() })
		_ = c.SetDeadline(time.Now().Add(limit))
		if _, err := io.WriteString(c, text); err != nil {
			t.Fatal(err)
		}
		return c
	}
	const half = "POST /stripe/webhook HTTP/1.1\r\nHost:" // and no more
	event := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o"}}}`
	signed := open(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", Path,
		sign(event, liveSecret, time.Now()), len(event), event))
	<-stored // its signature is good, and it waits for Kafka
	first, second := open(half), open(half)
	third := open("GET / HTTP/1.1\r\nHost: h\r\n\r\n")
	if res, err := http.ReadResponse(bufio.NewReader(third), nil); err != nil || res.StatusCode != 404 {
		t.Errorf("the third connection without a signature: %v, %v", res, err)
	}
	if _, err := first.Read(make([]byte, 1)); err == nil || errors.Is(err, os.ErrDeadlineExceeded) {
		t.Errorf("the oldest connection is not closed: %v", err)
	}
	if n := testutil.ToFloat64(h.metrics.dropped); n != 1 {
		t.Errorf("%v connections counted as dropped, want 1", n)
	}
	if _, err := io.WriteString(second, " h\r\n\r\n"); err != nil {
		t.Error(err)
	}
	if res, err := http.ReadResponse(bufio.NewReader(second), nil); err != nil || res.StatusCode != 400 {
		t.Errorf("the second connection: %v, %v; want 400", res, err)
	}
	stored <- struct{}{}
	if res, err := http.ReadResponse(bufio.NewReader(signed), nil); err != nil || res.StatusCode != 200 {
		t.Errorf("the event is answered %v, %v", res, err)
	}
}

// slowPublisher stores a record when the test says so: it sends once when it has one, and then
// receives.
type slowPublisher chan struct{}

func (p slowPublisher) Publish(context.Context, ...*kgo.Record) (bool, error) {
	p <- struct{}{}
	<-p
	return false, nil
}

// Unsigned posts are one line a minute, whatever their number, and nothing of a body is in any
// line.
func TestRefusalsAreLoggedOnceAMinute(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var text bytes.Buffer
		m := newMinutely(slog.New(slog.NewTextHandler(&text, nil)), slog.LevelWarn, "refused")
		written := func() string {
			m.mu.Lock()
			defer m.mu.Unlock()
			return text.String()
		}
		for range 1000 {
			m.add(slog.String("remote", "192.0.2.1"))
		}
		if lines := written(); strings.Count(lines, "\n") != 1 || !strings.Contains(lines, "count=1 ") {
			t.Errorf("at once:\n%s", lines)
		}
		time.Sleep(time.Minute)
		synctest.Wait()
		if lines := written(); strings.Count(lines, "\n") != 2 || !strings.Contains(lines, "count=999 ") {
			t.Errorf("after a minute:\n%s", lines)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if lines := written(); strings.Count(lines, "\n") != 2 {
			t.Errorf("without another refusal:\n%s", lines)
		}
	})
}

func TestNoBodyInErrors(t *testing.T) {
	for _, body := range []string{`{"id":"jenny@shop.example`, `{"id":5550199,"object":"event"}`,
		`{"id":"e","object":"jenny@shop.example","type":"x"}`, "\ufeff{}"} {
		_, _, err := parseEvent([]byte(body), time.Now())
		if err == nil || strings.Contains(err.Error(), "jenny") || strings.Contains(err.Error(), "5550199") {
			t.Errorf("%s: %v", body, err)
		}
	}
}
