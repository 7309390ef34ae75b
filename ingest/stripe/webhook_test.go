package stripe

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/ingest/publish"
	"tributary/schemas"
)

const (
	liveSecret = "whsec_live_1234567890"
	oldSecret  = "whsec_old_1234567890"
)

type hook struct {
	t      *testing.T
	url    string
	reader *kgo.Client
	*Webhook
}

// start runs a webhook on a loopback port in front of kafka, without a workspaces file.
func start(t *testing.T, kafka *kfake.Cluster) *hook {
	t.Helper()
	return startFor(t, kafka, signersOf(t, nil, liveSecret, oldSecret), limit)
}

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

func signersOf(t testing.TB, workspaces []schemas.Workspace, flags ...string) *Signers {
	t.Helper()
	s, err := NewSigners(workspaces, flags)
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// patience is how long Kafka is waited for.
func startFor(t *testing.T, kafka *kfake.Cluster, signers *Signers, patience time.Duration) *hook {
	t.Helper()
	log := slog.New(slog.DiscardHandler)
	pc := publish.Default()
	pc.Seeds, pc.Logger, pc.Timeout, pc.StallAfter = kafka.ListenAddrs(), log, patience, patience*3/8
	pc.MaxBatchBytes = 1<<20 + 128<<10
	p, err := publish.New(pc)
	if err != nil {
		t.Fatal(err)
	}
	cfg := Default()
	cfg.Signers, cfg.Logger = signers, log
	h, err := New(cfg, p)
	if err != nil {
		t.Fatal(err)
	}
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = h.Serve(ln) }()
	reader, err := kgo.NewClient(kgo.SeedBrokers(kafka.ListenAddrs()...), kgo.ConsumeTopics(schemas.TopicStripe),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		reader.Close()
		_ = h.server.Close()
		ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
		defer cancel()
		_ = p.Close(ctx)
	})
	return &hook{t: t, url: "http://" + ln.Addr().String() + Path, reader: reader, Webhook: h}
}

func newKafka(t *testing.T) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, schemas.TopicStripe))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func sign(body, secret string, at time.Time) string {
	return webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: []byte(body), Secret: secret,
		Timestamp: at}).Header
}

func (h *hook) post(body, signature string) (int, http.Header, string) {
	h.t.Helper()
	req, err := http.NewRequestWithContext(h.t.Context(), "POST", h.url, strings.NewReader(body))
	if err != nil {
		h.t.Fatal(err)
	}
	if signature != "" {
		req.Header.Set("Stripe-Signature", signature)
	}
	res, err := http.DefaultClient.Do(req)
	if err != nil {
		h.t.Fatal(err)
	}
	defer res.Body.Close()
	text, _ := io.ReadAll(res.Body)
	return res.StatusCode, res.Header, string(text)
}

func (h *hook) want(body, signature string, status int, code string) {
	h.t.Helper()
	got, _, text := h.post(body, signature)
	var answer struct {
		Error struct{ Code, Message, Hint string }
	}
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		h.t.Errorf("answer %q: %v", text, err)
	}
	if got != status || answer.Error.Code != code ||
		(code != "" && (answer.Error.Message == "" || answer.Error.Hint == "")) {
		h.t.Errorf("%d %s, want %d %s", got, text, status, code)
	}
}

func (h *hook) next() (*schemas.StripeEvent, *kgo.Record) {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), limit)
	defer cancel()
	var r *kgo.Record
	for r == nil { // a poll may come back with nothing
		f := h.reader.PollRecords(ctx, 1)
		if err := f.Err0(); err != nil {
			h.t.Fatal(err)
		}
		f.EachRecord(func(got *kgo.Record) { r = got })
	}
	e, err := schemas.DecodeStripe(r)
	if err != nil {
		h.t.Fatal(err)
	}
	return e, r
}

func (h *hook) nothing() {
	h.t.Helper()
	ctx, cancel := context.WithTimeout(h.t.Context(), 150*time.Millisecond)
	defer cancel()
	if r := h.reader.PollFetches(ctx).Records(); len(r) > 0 {
		h.t.Errorf("%d records that nobody sent", len(r))
	}
}

func TestWebhookKeepsBytes(t *testing.T) {
	h := start(t, newKafka(t))
	// Odd spacing and order on purpose: a re-encoding would change them. The API version is one the
	// library does not know.
	body := "{ \"type\":\"invoice.paid\",\n\"id\":\"evt_1\",  " +
		"\"object\":\"event\",\"api_version\":\"2026-03-25.dahlia\",\"account\":\"acct_9\",\"livemode\":true," +
		"\"data\":{\"object\":{\"id\":\"in_1\",\"object\":\"invoice\",\"customer\":\"cus_1\"}} }\n"
	before := time.Now().Add(-time.Millisecond)
	h.want(body, sign(body, liveSecret, time.Now()), 200, "")
	e, r := h.next()
	if string(r.Value) != body {
		t.Errorf("stored %q, want %q", r.Value, body)
	}
	if string(r.Key) != "cus_1" || e.ID != "evt_1" || e.Type != "invoice.paid" || e.Account != "acct_9" || !e.Livemode ||
		e.APIVersion != "2026-03-25.dahlia" || e.ReceivedAt.Before(before.Truncate(time.Millisecond)) {
		t.Errorf("key %q, event %+v", r.Key, e)
	}
	// The same delivery again is stored again: what it means is decided by its identity further down.
	h.want(body, sign(body, liveSecret, time.Now()), 200, "")
	if again, _ := h.next(); again.ID != "evt_1" {
		t.Errorf("event %+v", again)
	}
}

func TestSignatures(t *testing.T) {
	h := start(t, newKafka(t))
	body := `{"id":"evt_1","object":"event","type":"customer.created","data":{"object":{"id":"cus_1","object":"customer"}}}`
	now := time.Now()
	good := sign(body, liveSecret, now)
	mac := func(header string) string { _, v, _ := strings.Cut(header, "v1="); return v }
	accepted := map[string]string{
		"good":              good,
		"the rolled secret": sign(body, oldSecret, now),
		"one of two, rolling": fmt.Sprintf("t=%d,v1=%s,v1=%s", now.Unix(), mac(sign(body, "whsec_unknown_123", now)),
			mac(good)),
		"with another scheme": good + ",v0=6ffbb59b2300aae63f272406069a9788598b792a944a07aba816edb039989a39",
		"just fresh enough":   sign(body, liveSecret, now.Add(-240*time.Second)),
	}
	for name, signature := range accepted {
		t.Run(name, func(t *testing.T) {
			h.t = t
			h.want(body, signature, 200, "")
			h.next()
		})
	}
	h.t = t
	refused := []struct {
		name, body, signature, code string
	}{
		{"none", body, "", "not_signed"},
		{"another secret", body, sign(body, "whsec_unknown_123", now), "bad_signature"},
		{"another body", body + " ", good, "bad_signature"},
		{"too old", body, sign(body, liveSecret, now.Add(-301*time.Second)), "signature_too_old"},
		{"a newer time on an old signature", body, fmt.Sprintf("t=%d,v1=%s", now.Unix(),
			mac(sign(body, liveSecret, now.Add(-time.Hour)))), "bad_signature"},
		{"v0 only", body, strings.Replace(good, "v1=", "v0=", 1), "bad_signature"},
		{"no time", body, "v1=" + mac(good), "signature_too_old"},
		{"garbage", body, "what is this", "bad_signature"},
		{"not hexadecimal", body, fmt.Sprintf("t=%d,v1=zz", now.Unix()), "bad_signature"},
		{"empty value", body, fmt.Sprintf("t=%d,v1=", now.Unix()), "bad_signature"},
		{"signed with nothing", body, sign(body, "", now), "bad_signature"},
		{"unsigned garbage is not parsed", `{`, sign(body, liveSecret, now), "bad_signature"},
	}
	for _, tt := range refused {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			h.want(tt.body, tt.signature, 400, tt.code)
		})
	}
	h.t = t
	h.nothing()
}

func TestEvents(t *testing.T) {
	h := start(t, newKafka(t))
	tests := []struct {
		name, body, key, account string
	}{
		{"customer", `{"id":"e","object":"event","type":"customer.updated","data":{"object":{"id":"cus_1","object":"customer"}}}`, "cus_1", ""},
		{"subscription", `{"id":"e","object":"event","type":"customer.subscription.created","data":{"object":{"id":"sub_1","object":"subscription","customer":"cus_2"}}}`, "cus_2", ""},
		{"expanded", `{"id":"e","object":"event","type":"charge.succeeded","data":{"object":{"id":"ch_1","object":"charge","customer":{"id":"cus_3","object":"customer"}}}}`, "cus_3", ""},
		{"guest", `{"id":"e","object":"event","type":"checkout.session.completed","data":{"object":{"id":"cs_1","object":"checkout.session","customer":null}}}`, "cs_1", ""},
		{"customer of no known shape", `{"id":"e","object":"event","type":"x","data":{"object":{"id":"x_1","customer":[1]}}}`,
			"x_1", ""},
		{"a type nobody knows", `{"id":"e","object":"event","type":"new.thing.happened","account":"acct_1","data":{"object":{"id":"nt_1"}}}`, "nt_1", "acct_1"},
		{"no object", `{"id":"evt_5","object":"event","type":"balance.available","data":{"object":{"object":"balance"}}}`,
			"evt_5", ""},
		{"an account for a customer", `{"id":"e","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1","object":"invoice","customer":null,"customer_account":"acct_9"}}}`, "acct_9", ""},
		{"a customer with an account",
			`{"id":"e","object":"event","type":"invoice.paid","data":{"object":{"id":"in_1","object":"invoice","customer":"cus_9","customer_account":"acct_9"}}}`, "cus_9", ""},
		{"thin, of the first API", `{"id":"evt_7","object":"v2.core.event","type":"v1.invoice.paid","livemode":false,"related_object":{"id":"in_7","type":"invoice"}}`, "in_7", ""},
		{"thin", `{"id":"evt_6","object":"v2.core.event","type":"v1.billing.meter.error_report_triggered","context":"acct_7/x","related_object":{"id":"mtr_1"}}`, "mtr_1", "acct_7"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			h.t = t
			h.want(tt.body, sign(tt.body, liveSecret, time.Now()), 200, "")
			if e, r := h.next(); string(r.Key) != tt.key || e.Account != tt.account || e.Livemode ||
				e.Thin != strings.HasPrefix(tt.name, "thin") || e.Unlisted != "" {
				t.Errorf("key %q, event %+v; want key %s", r.Key, e, tt.key)
			}
		})
	}
	h.t = t
	for _, body := range []string{``, `{`, `[]`, `"event"`, `null`, `{"id":"e","object":"event","type":"x"}{}`,
		`{"id":"e","object":"event","type":"x",}`, `{"id":"e","object":"event","type":"x","data":[1 2]}`,
		`{"id":"e","object":"event","type":"x"`, `{"id":"e","object":"event" "type":"x"}`,
		`{"id":"e","object":"event","type":"x","account":["a"]}`, `{"id":"e","object":"event","type":"x","livemode":"true"}`,
		`{"object":"event"}`, `{"id":"e","type":"x"}`,
		`{"id":"e","object":"charge","type":"x"}`, `{"id":7,"object":"event","type":"x"}`, "\ufeff" +
			`{"id":"e","object":"event","type":"x"}`} {
		h.want(body, sign(body, liveSecret, time.Now()), 400, "bad_event")
	}
	h.nothing()
}

func TestLimits(t *testing.T) {
	h := start(t, newKafka(t))
	prefix, suffix := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o","text":"`, `"}}}`
	largest := prefix + strings.Repeat("a", 1<<20-len(prefix)-len(suffix)) + suffix
	h.want(largest, sign(largest, liveSecret, time.Now()), 200, "")
	if _, r := h.next(); len(r.Value) != 1<<20 {
		t.Errorf("%d bytes stored, want 1 MiB", len(r.Value))
	}
	h.want(largest+" ", sign(largest+" ", liveSecret, time.Now()), 413, "too_large")
	ten := fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nStripe-Signature: t=1,v1=00\r\nContent-Length: %d\r\n\r\n%s", Path,
		10<<20, strings.Repeat("a", 10<<20))
	if got := h.raw(ten); got != "413" {
		t.Errorf("10 MiB are answered %s, want 413", got)
	}
	for _, r := range []struct {
		method, url string
		status      int
	}{{"GET", h.url, 405}, {"PUT", h.url, 405}, {"OPTIONS", h.url, 405}, {"POST", h.url + "/x", 404},
		{"GET", strings.TrimSuffix(h.url, Path), 404}} {
		req, _ := http.NewRequestWithContext(t.Context(), r.method, r.url, nil)
		res, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		_ = res.Body.Close()
		if res.StatusCode != r.status || r.status == 405 && res.Header.Get("Allow") != "POST" ||
			res.Header.Get("Access-Control-Allow-Origin") != "" {
			t.Errorf("%s %s: %d %v, want %d", r.method, r.url, res.StatusCode, res.Header, r.status)
		}
	}
	h.nothing()
}

func TestKafkaAway(t *testing.T) {
	kafka := newKafka(t)
	h := startFor(t, kafka, signersOf(t, nil, liveSecret), 400*time.Millisecond)
	kafka.Close()
	body := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o"}}}`
	for range 4 {
		status, header, text := h.post(body, sign(body, liveSecret, time.Now()))
		if status != 503 || header.Get("Retry-After") != "5" || !strings.Contains(text, `"unavailable"`) {
			t.Errorf("%d %v %s, want 503 with Retry-After", status, header, text)
		}
	}
}

// A signature header may be as large as headers may be. The good one is found wherever it stands, as
// by Stripe's own libraries.
func TestLargeSignatureHeaders(t *testing.T) {
	h := start(t, newKafka(t))
	body := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o"}}}`
	now := time.Now()
	good := sign(body, liveSecret, now)
	stamp, mac, _ := strings.Cut(good, ",v1=")
	bad := ",v1=" + strings.Repeat("0", len(mac))
	many := strings.Repeat(bad, 200) // 14 KB
	for _, tt := range []struct {
		name, signature, want string
	}{
		{"the good one behind 200", stamp + many + ",v1=" + mac, "200"},
		{"the good one before 200", good + many, "200"},
		{"200 bad ones", stamp + many, "400"},
		{"4,000 short ones and the good one", stamp + strings.Repeat(",v1=", 3800) + ",v1=" + mac, "200"},
		{"7,000 commas", good + strings.Repeat(",", 7000), "400"},
		{"a time of 10,000 digits", "t=" + strings.Repeat("1", 10_000) + ",v1=" + mac, "400"},
		{"a time before the year 0", "t=-99999999999,v1=" + mac, "400"},
		{"a time twice, the last wrong", good + ",t=1", "400"},
		{"a signature of 10,000 digits", stamp + ",v1=" + strings.Repeat("a", 10_000), "400"},
		{"100 KB", good + strings.Repeat(bad, 1500), "431"},
		{"a second header", good + "\r\nStripe-Signature: " + stamp + bad, "200"},
		{"the good one in a second header", stamp + bad + "\r\nStripe-Signature: " + good, "400"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			got := h.raw(fmt.Sprintf("POST %s HTTP/1.1\r\nHost: h\r\nStripe-Signature: %s\r\n"+
				"Content-Length: %d\r\n\r\n%s", Path, tt.signature, len(body), body))
			if got != tt.want {
				t.Errorf("answers %s, want %s", got, tt.want)
			}
			if tt.want == "200" {
				h.next()
			}
		})
	}
	h.nothing()
}

// Who ends his half of the connection behind the request, as HTTP lets him, waits for the answer
// all the same. Kafka takes the event at the second try, long after the webhook has seen that end.
func TestHalfClosed(t *testing.T) {
	kafka := newKafka(t)
	h := start(t, kafka)
	kafka.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.NotLeaderForPartition, Count: 1})
	c, err := net.Dial("tcp", strings.TrimSuffix(strings.TrimPrefix(h.url, "http://"), Path))
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(limit))
	body := `{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o"}}}`
	_, err = fmt.Fprintf(c, "POST %s HTTP/1.1\r\nHost: h\r\nStripe-Signature: %s\r\nContent-Length: %d\r\n\r\n%s", Path,
		sign(body, liveSecret, time.Now()), len(body), body)
	if err == nil {
		err = c.(*net.TCPConn).CloseWrite()
	}
	if err != nil {
		t.Fatal(err)
	}
	res, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer res.Body.Close()
	if res.StatusCode != 200 {
		t.Errorf("%s, want 200", res.Status)
	}
	h.next()
	h.nothing()
}

func TestValidate(t *testing.T) {
	_, secrets := NewSigners(nil, []string{"sk_live_123456", "", "whsec_good_123"})
	err := errors.Join(secrets, Config{}.Validate())
	for _, want := range []string{"number 1: it does not begin with whsec_", "number 2: it does not begin with whsec_",
		"tolerance", "body limit", "connections", "none given"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	if strings.Contains(err.Error(), "sk_live_123456") || strings.Contains(err.Error(), "number 3") {
		t.Errorf("a secret is in the message, or a good one is refused:\n%v", err)
	}
	if _, err := NewSigners(nil, nil); err == nil || !strings.Contains(err.Error(), "none given") {
		t.Errorf("no secrets: %v", err)
	}
}

func FuzzParseEvent(f *testing.F) {
	f.Add([]byte(`{"id":"evt_1","object":"event","type":"x","data":{"object":{"id":"o","customer":{"id":"c"}}}}`))
	f.Add([]byte(`{"id":"evt_1","object":"v2.core.event","type":"x","related_object":null,"data":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		e, key, err := parseEvent(body, time.Now())
		if err != nil {
			return
		}
		back, err := schemas.DecodeStripe(schemas.StripeRecord(e, key))
		if err != nil || back.ID != e.ID || back.Type != e.Type || key == "" || string(back.Body) != string(body) {
			t.Errorf("event %+v, key %q, back %+v: %v", e, key, back, err)
		}
	})
}

func FuzzVerify(f *testing.F) {
	f.Add([]byte(`{}`), "t=1,v1=00")
	f.Add([]byte(``), "t=99999999999999999999,v1=,v1=zz,,=")
	cfg := Default()
	cfg.Signers, cfg.Logger = signersOf(f, nil, liveSecret), slog.New(slog.DiscardHandler)
	h, err := New(cfg, nil)
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, body []byte, header string) {
		r := httptest.NewRequest("POST", Path, strings.NewReader(string(body)))
		r.Header["Stripe-Signature"] = []string{header}
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r) // the publisher is nil: a signature that nobody made must not reach it
		want := 400
		if int64(len(body)) > cfg.MaxBodyBytes { // which a fuzzer comes to after some minutes
			want = 413
		}
		if w.Code != want {
			t.Errorf("status %d, want %d", w.Code, want)
		}
	})
}
