package clicks

import (
	"bufio"
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/ingest/publish"
	"tributary/schemas"
)

// edge is a whole edge on a loopback port in front of a Kafka of its own.
type edge struct {
	t      *testing.T
	url    string
	addr   string
	kafka  *kfake.Cluster
	server *Server
	reader *kgo.Client
	client *http.Client

	timeout time.Duration // of Publish; 0: limit
}

func newKafka(t testing.TB, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, schemas.TopicClicks,
		schemas.TopicLeads, schemas.TopicStripe)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func newEdge(t *testing.T, change func(*Config)) *edge {
	t.Helper()
	kafka := newKafka(t)
	e := &edge{t: t, kafka: kafka}
	e.start(kafka.ListenAddrs(), change)
	reader, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.ConsumeTopics(schemas.TopicClicks,
		schemas.TopicLeads, schemas.TopicStripe),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()), kgo.FetchMaxWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(reader.Close)
	e.reader = reader
	return e
}

func (e *edge) start(seeds []string, change func(*Config)) {
	e.t.Helper()
	log := slog.New(slog.DiscardHandler)
	pc := publish.Default()
	pc.Seeds, pc.Logger, pc.Timeout = seeds, log, cmp.Or(e.timeout, limit)
	pc.StallAfter = pc.Timeout * 2 / 5
	publisher, err := publish.New(pc)
	if err != nil {
		e.t.Fatal(err)
	}
	e.serve(publisher, change)
	e.t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = publisher.Close(ctx)
	})
}

// serve starts an edge in front of p.
func (e *edge) serve(p Publisher, change func(*Config)) {
	e.t.Helper()
	cfg := Default()
	cfg.Logger, cfg.Registry, cfg.LastRequests = slog.New(slog.DiscardHandler), prometheus.NewRegistry(), 0
	if change != nil {
		change(&cfg)
	}
	var err error
	if e.server, err = New(cfg, p); err != nil {
		e.t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		e.t.Fatal(err)
	}
	e.addr, e.url = ln.Addr().String(), "http://"+ln.Addr().String()
	e.client = &http.Client{Transport: &http.Transport{}, Timeout: limit}
	served := make(chan error, 1)
	go func() { served <- e.server.Serve(ln) }()
	e.t.Cleanup(func() {
		e.client.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), limit)
		defer cancel()
		if err := e.server.Shutdown(ctx); err != nil {
			e.t.Errorf("Shutdown: %v", err)
		}
		if err := <-served; err != nil {
			e.t.Errorf("Serve: %v", err)
		}
	})
}

// answer is what came back.
type answer struct {
	*http.Response
	body string
}

func (a answer) field(t *testing.T, path ...string) string {
	t.Helper()
	var v any
	if err := json.Unmarshal([]byte(a.body), &v); err != nil {
		t.Fatalf("answer %q: %v", a.body, err)
	}
	for _, p := range path {
		m, ok := v.(map[string]any)
		if !ok {
			t.Fatalf("answer %q has no %v", a.body, path)
		}
		v = m[p]
	}
	s, _ := v.(string)
	return s
}

// sendAlone sends a request on a connection of its own. The edge may answer, and close, before it
// has taken the whole body; net/http's client may then report its failed write and not the answer.
func (e *edge) sendAlone(req *http.Request) (*http.Response, error) {
	c, err := net.Dial("tcp", e.addr)
	if err != nil {
		return nil, err
	}
	e.t.Cleanup(func() { _ = c.Close() })
	_ = c.SetDeadline(time.Now().Add(limit))
	go func() { _ = req.Write(c) }()
	return http.ReadResponse(bufio.NewReader(c), req)
}

// do sends a request; headers are "Name: value".
func (e *edge) do(method, path, body string, headers ...string) answer {
	e.t.Helper()
	req, err := http.NewRequestWithContext(e.t.Context(), method, e.url+path, strings.NewReader(body))
	if err != nil {
		e.t.Fatal(err)
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	for _, h := range headers {
		name, value, _ := strings.Cut(h, ": ")
		req.Header.Set(name, value)
	}
	send := e.client.Do
	if len(body) > 4096 {
		send = e.sendAlone
	}
	res, err := send(req)
	if err != nil {
		e.t.Fatalf("%s %s: %v", method, path, err)
	}
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	if err != nil {
		e.t.Fatal(err)
	}
	return answer{res, string(text)}
}

func (e *edge) want(a answer, status int, code string) {
	e.t.Helper()
	if a.StatusCode != status {
		e.t.Errorf("status %d, want %d: %s", a.StatusCode, status, a.body)
		return
	}
	if code == "" {
		return
	}
	if got := a.field(e.t, "error", "code"); got != code {
		e.t.Errorf("code %q, want %q", got, code)
	}
	if a.field(e.t, "error", "message") == "" || a.field(e.t, "error", "hint") == "" {
		e.t.Errorf("no message or hint in %s", a.body)
	}
}

// records waits for the next n records of both topics.
func (e *edge) records(n int) []*kgo.Record {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), limit)
	defer cancel()
	var got []*kgo.Record
	for len(got) < n {
		f := e.reader.PollFetches(ctx)
		if err := f.Err0(); err != nil {
			e.t.Fatalf("%d of %d records: %v", len(got), n, err)
		}
		got = append(got, f.Records()...)
	}
	if len(got) != n {
		e.t.Fatalf("%d records, want %d", len(got), n)
	}
	return got
}

func (e *edge) nextClick() *schemas.Click {
	e.t.Helper()
	r := e.records(1)[0]
	c, err := schemas.DecodeClick(r)
	if err != nil {
		e.t.Fatal(err)
	}
	if r.Topic != schemas.TopicClicks || !bytes.Equal(r.Key, c.ClickId) {
		e.t.Errorf("topic %s, key %x, click id %x", r.Topic, r.Key, c.ClickId)
	}
	return c
}

func (e *edge) nothing() {
	e.t.Helper()
	ctx, cancel := context.WithTimeout(e.t.Context(), 150*time.Millisecond)
	defer cancel()
	if r := e.reader.PollFetches(ctx).Records(); len(r) > 0 {
		e.t.Errorf("%d records that nobody sent", len(r))
	}
}

func idText(b []byte) string { return schemas.ClickID(b).String() }

func twoWorkspaces(c *Config) {
	c.Workspaces = NewDirectory([]schemas.Workspace{
		{ID: "acme", PublishableKeys: []string{"pk_acme"}, SecretKeys: []string{"sk_acme"},
			Hostnames: []string{"acme.example", "*.acme.example"}, Schemes: []string{"acmeapp"}},
		{ID: "zen", PublishableKeys: []string{"pk_zen"}, SecretKeys: []string{"sk_zen"}, EventsPerSecond: 0.001},
	})
}

func TestPixel(t *testing.T) {
	e := newEdge(t, nil)
	a := e.do("GET", `/v1/click.gif?url=https%3A%2F%2Fa.example%2F%3Fq%3D1&program_id=p&trigger=pageview&properties=%7B%22a%22%3A%22b%22%7D&event_time=abc`, "")
	e.want(a, 400, "bad_time")
	a = e.do("GET", `/v1/click.gif?url=https%3A%2F%2Fa.example%2F%3Fq%3D1&program_id=p&trigger=pageview&properties=%7B%22a%22%3A%22b%22%7D`, "")
	e.want(a, 200, "")
	if len(a.body) != 43 || !strings.HasPrefix(a.body, "GIF89a") || a.Header.Get("Cache-Control") != "no-store" ||
		a.Header.Get("Content-Type") != "image/gif" {
		t.Errorf("%d bytes, %v", len(a.body), a.Header)
	}
	if c := e.nextClick(); c.Url != "https://a.example/?q=1" || c.ProgramId != "p" || c.Trigger != "pageview" ||
		c.Properties["a"] != "b" {
		t.Errorf("click %v", c)
	}
	e.want(e.do("GET", "/v1/click.gif", "", "Referer: https://page.example/x"), 200, "")
	if c := e.nextClick(); c.Url != "https://page.example/x" {
		t.Errorf("url %q, want the page that shows the pixel", c.Url)
	}
	at := time.Now().In(time.FixedZone("", 7200)).Add(-time.Hour)
	e.want(e.do("GET", "/v1/click.gif?link_id=l&event_time="+at.Format(time.RFC3339), ""), 200, "") // its + as it is
	if c := e.nextClick(); c.ClickedAt != at.Unix()*1000 {
		t.Errorf("clicked at %d, want %d", c.ClickedAt, at.Unix()*1000)
	}
	e.want(e.do("HEAD", "/v1/click.gif?url=https%3A%2F%2Fa.example%2F", ""), 200, "")
	e.nothing() // mail scanners and link checkers
}

// Whom an address names is read from it where the sender says nothing else, as /t.js does in a
// page.
func TestAffiliateOfAddress(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk_test") })
	for query, want := range map[string]string{
		"?via=ann": "ann", "?utm_source=x&via=ann": "ann", "?aff=ann#via=bob": "ann", "?fp_ref=ann&via=bob": "ann",
		"?fpr=+ann%20": "ann", "?referral=%C3%A4nn": "änn", "?via=ann@x.example": "ann@x.example", "?via=a%FFb": "",
		"?via=a%FFb&aff=bob": "bob",
		"?via=":              "", "?via": "", "?VIA=ann": "", "?ref=ann": "", "?q=via=ann": "", "#?via=ann": "", "": "",
		"?via=undefined&aff=bob": "bob", "?via=" + strings.Repeat("a", 201): "",
	} {
		body := `{"url":"https://a.example/` + query + `"`
		for rest, want := range map[string]string{
			`}`: want, `,"trigger":"link"}`: want, `,"trigger":"qr"}`: want, `,"affiliate_id":""}`: want,
			`,"affiliate_id":"eve"}`: "eve", `,"link_id":"l"}`: "", `,"trigger":"pageview"}`: "",
			`,"trigger":""}`: "", // of /t.js: a site may have told it other parameters
		} {
			e.want(e.do("POST", "/v1/click", body+rest, "Authorization: Bearer sk_test"), 200, "")
			if c := e.nextClick(); c.AffiliateId != want {
				t.Errorf("%s%s: affiliate %q, want %q", query, rest, c.AffiliateId, want)
			}
		}
	}
	e.want(e.do("GET", "/v1/click.gif?url=https%3A%2F%2Fa.example%2F%3Fvia%3Dann", ""), 200, "")
	if c := e.nextClick(); c.AffiliateId != "ann" || c.Vouched {
		t.Errorf("a picture's click is %v", c)
	}
}

func TestTrack(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	a := e.do("POST", "/track/click",
		`{"domain":"go.acme.example","key":"spring","url":"https://acme.example/?via=anna","referrer":"https://x.example/"}`,
		"Origin: https://acme.example")
	e.want(a, 200, "")
	c := e.nextClick()
	if c.Workspace != "acme" || c.LinkId != "go.acme.example/spring" || c.Referrer != "https://x.example/" ||
		c.Trigger != "link" || a.field(t, "clickId") != idText(c.ClickId) {
		t.Errorf("click %v, answer %s", c, a.body)
	}
	if !strings.Contains(a.body, `"partner":null,"discount":null`) {
		t.Errorf("answer %s lacks what Dub's script reads", a.body)
	}
	e.want(e.do("POST", "/track/visit", `{"domain":"go.acme.example","url":"https://acme.example/","referrer":""}`,
		"Origin: https://acme.example", "Authorization: Bearer dub_pk_old"), 200, "")
	if c := e.nextClick(); c.LinkId != "go.acme.example/_root" || c.Trigger != "pageview" {
		t.Errorf("visit %v", c)
	}
	e.want(e.do("POST", "/track/click", `{"domain":"go.acme.example"}`, "Origin: https://acme.example"),
		400, "bad_request")
	e.want(e.do("POST", "/track/click", `{"domain":"go.acme.example","key":"x"}`), 401, "unauthorized")
	a = e.do("POST", "/track/click", `{"domain":"go.acme.example","key":"x"}`, "Origin: https://acme.example",
		"dub-no-track: 1")
	e.want(a, 200, "")
	if !strings.Contains(a.body, `"clickId":null`) {
		t.Errorf("answer %s to someone who opted out", a.body)
	}
	e.nothing()
}

var emailKey = []byte("0123456789abcdef")
