package main

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// log is a buffer that the program writes to while the test reads.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// running is a command started in this process on ports of its own.
type running struct {
	t           *testing.T
	public, ops string
	log         *log
	stop        context.CancelFunc
	done        chan error
}

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

func start(t *testing.T, args ...string) *running {
	t.Helper()
	patient := limit.String()
	args = append(args, "--publish-timeout", patient, "--publish-stall", patient, "--stop-timeout", patient)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{t: t, log: new(log), stop: cancel, done: make(chan error, 1)}
	started := make(chan struct{})
	p := &process{stdout: r.log, stderr: r.log, started: func(public, ops net.Addr) {
		r.public, r.ops = "http://"+public.String(), "http://"+ops.String()
		close(started)
	}}
	go func() { r.done <- p.run(ctx, args) }()
	t.Cleanup(cancel)
	select {
	case <-started:
	case err := <-r.done:
		t.Fatalf("it did not start: %v", err)
	case <-time.After(limit):
		t.Fatal("it did not start")
	}
	return r
}

func (r *running) get(url string) (int, string) {
	r.t.Helper()
	res, err := http.Get(url) //nolint:noctx // the test has its own deadline
	if err != nil {
		r.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, string(text)
}

// readyz waits until /readyz answers with a status and a text that contains part, and returns it.
func (r *running) readyz(status int, part string) string {
	r.t.Helper()
	for deadline := time.Now().Add(limit); ; time.Sleep(20 * time.Millisecond) {
		code, text := r.get(r.ops + "/readyz")
		if code == status && strings.Contains(text, part) {
			return text
		}
		if time.Now().After(deadline) {
			r.t.Fatalf("/readyz answers %d %s, want %d and %q", code, text, status, part)
		}
	}
}

// end stops the command and checks that it did so in order.
func (r *running) end() {
	r.t.Helper()
	http.DefaultClient.CloseIdleConnections()
	r.stop()
	select {
	case err := <-r.done:
		if err != nil {
			r.t.Errorf("stop: %v", err)
		}
	case <-time.After(2 * limit):
		r.t.Fatal("it does not stop")
	}
	last := -1
	for _, step := range []string{"drain requests", "flush kafka", "close ops"} {
		at := strings.Index(r.log.String(), `step="`+step+`"`)
		if at <= last {
			r.t.Errorf("step %q is missing or out of order in:\n%s", step, r.log)
		}
		last = at
	}
}

func kafka(t *testing.T, topics ...string) (*kfake.Cluster, string) {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, topics...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c, c.ListenAddrs()[0]
}

func oneRecord(t *testing.T, seed, topic string) *kgo.Record {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(t.Context(), limit)
	defer cancel()
	var r *kgo.Record
	for r == nil { // a poll may come back with nothing
		f := cl.PollRecords(ctx, 1)
		if err := f.Err0(); err != nil {
			t.Fatal(err)
		}
		f.EachRecord(func(got *kgo.Record) { r = got })
	}
	return r
}

func TestClicks(t *testing.T) {
	cluster, seed := kafka(t, schemas.TopicClicks, schemas.TopicLeads, schemas.TopicStripe)
	r := start(t, "clicks", "--edge-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed,
		"--secret-key", "sk_test_0123456789")

	res, err := http.Post(r.public+"/v1/click", "text/plain",
		strings.NewReader(`{"url":"https://shop.example/?via=anna"}`)) //nolint:noctx
	if err != nil {
		t.Fatal(err)
	}
	var answer struct {
		ClickID string `json:"click_id"`
	}
	_ = json.NewDecoder(res.Body).Decode(&answer)
	_ = res.Body.Close()
	c, err := schemas.DecodeClick(oneRecord(t, seed, schemas.TopicClicks))
	if err != nil || res.StatusCode != 200 || schemas.ClickID(c.ClickId).String() != answer.ClickID {
		t.Errorf("status %d, answer %+v, click %v: %v", res.StatusCode, answer, c, err)
	}

	if code, text := r.get(r.ops + "/healthz"); code != 200 {
		t.Errorf("/healthz %d %s", code, text)
	}
	r.readyz(200, "ready\n")
	_, metrics := r.get(r.ops + "/metrics")
	for _, want := range []string{"ingest_clicks_accepted_total 1", `ingest_clicks_rejected_total{reason="bad_json"} 0`,
		"ingest_publish_acked_total 1",
		"tributary_build_info", "ingest_clicks_open_connections", "go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(metrics, want) {
			t.Errorf("/metrics lacks %s", want)
		}
	}
	if code, text := r.get(r.ops + "/debug/pprof/"); code != 200 {
		t.Errorf("/debug/pprof %d %s", code, text)
	}
	if code, text := r.get(r.ops + "/debug/pprof/cmdline"); code != 404 { // secrets may stand in it
		t.Errorf("/debug/pprof/cmdline %d %s", code, text)
	}
	if code, _ := r.get(r.public + "/metrics"); code != 404 {
		t.Errorf("the world sees /metrics: %d", code)
	}

	cluster.Close()
	r.readyz(503, "kafka")
	r.end()
}

func TestStripe(t *testing.T) {
	_, seed := kafka(t, schemas.TopicStripe)
	t.Setenv("TRIBUTARY_STRIPE_WEBHOOK_SECRETS", "whsec_old_12345,whsec_new_12345")
	r := start(t, "stripe", "--stripe-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed)
	body := `{"id":"evt_1","object":"event","type":"invoice.paid","livemode":false,"data":{"object":{"id":"in_1","customer":"cus_1"}}}`
	signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: "whsec_new_12345"})
	req, _ := http.NewRequestWithContext(t.Context(), "POST", r.public+"/stripe/webhook", strings.NewReader(body))
	req.Header.Set("Stripe-Signature", signed.Header)
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	_ = res.Body.Close()
	if rec := oneRecord(t, seed, schemas.TopicStripe); res.StatusCode != 200 || string(rec.Value) != body ||
		string(rec.Key) != "cus_1" {
		t.Errorf("status %d, key %q, value %q", res.StatusCode, rec.Key, rec.Value)
	}
	r.readyz(200, "ready\n")
	if _, metrics := r.get(r.ops + "/metrics"); !strings.Contains(metrics,
		`ingest_stripe_accepted_total{livemode="false"} 1`) {
		t.Error("/metrics lacks ingest_stripe_accepted_total")
	}
	r.end()
}

// A topic that nobody made is a reason not to be ready, with its name.
func TestNotReady(t *testing.T) {
	_, seed := kafka(t, schemas.TopicLeads)
	r := start(t, "clicks", "--edge-addr", "127.0.0.1:0", "--ops-addr", "127.0.0.1:0", "--kafka-seeds", seed)
	r.readyz(503, schemas.TopicClicks)
	r.end()
}

func TestFaultsAtOnce(t *testing.T) {
	run := func(args ...string) (string, error) {
		out := new(log)
		err := (&process{stdout: out, stderr: out}).run(t.Context(), args)
		return out.String(), err
	}
	_, err := run("clicks", "--edge-addr", "nonsense", "--kafka-seeds", "kafka", "--trusted-proxies", "10.0.0.1",
		"--workspaces", "/does/not/exist",
		"--identity-secret", "short", "--publish-timeout", "0s", "--kafka-sasl", "plain", "--kafka-ca", "/does/not/exist")
	if err == nil {
		t.Fatal("no faults")
	}
	for _, want := range []string{"edge addr", "not host:port", "trusted proxies", "read workspaces", "identity secret",
		"publish timeout", "kafka sasl", "kafka ca"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	if _, err := run("stripe"); err == nil || !strings.Contains(err.Error(), "whsec_") {
		t.Errorf("stripe without secrets: %v", err)
	}
	if out, err := run("clicks", "--check"); err != nil || !strings.Contains(out, "good") {
		t.Errorf("--check: %q %v", out, err)
	}
	// Asked to, it reaches Kafka, and says which topic there is not.
	_, seeds := kafka(t, schemas.TopicStripe)
	if _, err := run("clicks", "--check", "--connect", "--kafka-seeds", seeds); err == nil ||
		!strings.Contains(err.Error(), "find topic "+schemas.TopicClicks) {
		t.Errorf("--check --connect without topics: %v", err)
	}
	if out, err := run("stripe", "--check", "--connect", "--kafka-seeds", seeds, "--stripe-webhook-secrets",
		"whsec_0123456789abcdef"); err != nil || !strings.Contains(out, "Kafka has the topics") {
		t.Errorf("--check --connect: %q %v", out, err)
	}
	bad := filepath.Join(t.TempDir(), "w.json")
	if err := os.WriteFile(bad, []byte(`[{"id":"a"},{"id":"a"}]`), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := run("clicks", "--check", "--workspaces", bad); err == nil ||
		!strings.Contains(err.Error(), "used twice") {
		t.Errorf("--check of a bad file: %v", err)
	}
	datacenters := filepath.Join(t.TempDir(), "datacenters.csv")
	if err := os.WriteFile(datacenters, []byte("asn,name\n16509,Amazon\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	for _, args := range [][]string{
		{"clicks", "--edge-addr", "127.0.0.1:7777", "--ops-addr", "localhost:7777"},
		{"clicks", "--edge-addr", "127.0.0.1:7777", "--ops-addr", ":7777"},
		{"clicks", "--workspaces", ""}, {"clicks", "--spool-dir", ""}, {"clicks", "--secret-key-file", ""},
		{"clicks", "--spool-dir", bad}, {"clicks", "--spool-dir", filepath.Join(bad, "spool")},
		{"clicks", "--edge-addr", "203.0.113.1:7777"}, {"clicks", "--ops-addr", "203.0.113.1:7777"},
		{"stripe", "--stripe-webhook-secrets", "whsec_0123456789abcdef", "--stripe-addr", "203.0.113.1:7777"},
		{"clicks", "--stop-delay=-1s"}, {"clicks", "--stop-timeout=0s"}, {"clicks", "--spool-max-bytes", "100000000"},
		{"clicks", "--spool-after", "1s"}, {"clicks", "--datacenters", datacenters}, {"clicks", "--events-per-address=Inf"},
		{"clicks", "--check=false", "--connect"},
	} {
		if _, err := run(append(args[:1:1], append([]string{"--check"}, args[1:]...)...)...); err == nil ||
			!strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("%q: %v", args, err)
		}
	}
	if _, err := run("walk"); err == nil {
		t.Error("an unknown command is taken")
	}
	if out, err := run("version"); err != nil || !strings.HasPrefix(out, "ingest ") {
		t.Errorf("version: %q %v", out, err)
	}
	if out, err := run("--help"); err != nil || !strings.Contains(out, "clicks") {
		t.Errorf("--help: %q %v", out, err)
	}

	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	if _, err := run("clicks", "--edge-addr", taken.Addr().String(), "--ops-addr", "127.0.0.1:0"); err == nil ||
		!strings.Contains(err.Error(), "hint") {
		t.Errorf("an address in use: %v", err)
	}
	// Beside the running program that is no fault.
	if out, err := run("clicks", "--check", "--edge-addr", taken.Addr().String()); err != nil ||
		!strings.Contains(out, "good\nnote: edge addr: "+taken.Addr().String()+" is in use now (hint: ") {
		t.Errorf("--check of an address in use: %q %v", out, err)
	}
}

// The edge faces the internet; a database driver has no business in it.
func TestImports(t *testing.T) {
	out, err := exec.CommandContext(t.Context(), "go", "list", "-deps", ".").Output()
	if err != nil {
		t.Fatalf("list imports: %v", err)
	}
	for _, p := range strings.Fields(string(out)) {
		if strings.Contains(p, "clickhouse") || strings.Contains(p, "ClickHouse") ||
			strings.HasPrefix(p, "tributary/processor") || strings.HasSuffix(p, "/kfake") {
			t.Errorf("ingest links %s", p)
		}
	}
}

func TestScript(t *testing.T) {
	for edge, want := range map[string]string{
		"https://clicks.example.com":            `<script defer src="https://clicks.example.com/t.`,
		"https://clicks.example.com --key pk_1": ` crossorigin="anonymous" data-key="pk_1"></script>`,
		"https://clicks.example.com/":           ` crossorigin="anonymous"></script>`,
		"https://clicks.example.com/?a":         "(hint: such as https://clicks.example.com)",
		"clicks.example.com":                    "(hint: such as https://clicks.example.com)",
		"ftp://clicks.example.com":              "(hint: such as https://clicks.example.com)",
	} {
		out := new(log)
		err := (&process{stdout: out, stderr: out}).run(t.Context(), strings.Fields("script --edge "+edge))
		said := out.String()
		if err != nil {
			said = err.Error()
		}
		if !strings.Contains(said, want) {
			t.Errorf("--edge %s says %s", edge, said)
		}
	}
}
