package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/stripe/stripe-go/v76/webhook"
)

// tributary stands for the edge and the webhook, and records what it gets.
type tributary struct {
	mu     sync.Mutex
	clicks map[string]map[string]string
	events []string
}

func (p *tributary) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	switch r.URL.Path {
	case "/v1/click":
		fmt.Fprint(w, `{"click_id":"x"}`)
	case "/v1/clicks":
		var events []map[string]string
		_ = json.Unmarshal(body, &events)
		for _, e := range events {
			p.clicks[e["click_id"]] = e
		}
		fmt.Fprintf(w, `{"accepted":%d,"rejected":[]}`, len(events))
	case "/v1/leads":
		fmt.Fprint(w, `{"lead_id":"x"}`)
	case "/stripe/webhook":
		e, err := webhook.ConstructEventWithOptions(body, r.Header.Get("Stripe-Signature"), "whsec_x",
			webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
		if err != nil {
			w.WriteHeader(400)
			return
		}
		p.events = append(p.events, e.ID)
	}
}

// loadgen runs the program as main does.
func loadgen(t *testing.T, in string, args ...string) (out, errs string, err error) {
	t.Helper()
	var o, e bytes.Buffer
	err = run(context.Background(), args, streams{strings.NewReader(in), &o, &e})
	return o.String(), e.String(), err
}

func start(t *testing.T) (*tributary, string) {
	p := &tributary{clicks: map[string]map[string]string{}}
	s := httptest.NewServer(p)
	t.Cleanup(s.Close)
	return p, s.URL
}

// A log becomes as many clicks as it has page visits, and the same ones when it is sent again; what
// is left out is counted by reason.
func TestLog(t *testing.T) {
	p, url := start(t)
	for range 2 {
		out, errs, err := loadgen(t, "", "log", "accesslog/testdata/shop.log", "--edge", url, "--secret-key", "sk", "--site",
			"http://shop.example")
		if err != nil || !strings.Contains(out, "line 5:") || !strings.Contains(out, "1 lines could not be read") ||
			!strings.Contains(out, "2 lines left out: metadata of the site\n1 lines left out: method other than GET\n") {
			t.Fatalf("%v\n%s%s", err, out, errs)
		}
	}
	if len(p.clicks) != 3 {
		t.Fatalf("%d clicks", len(p.clicks))
	}
	for _, c := range p.clicks {
		if !strings.HasPrefix(c["url"], "http://shop.example/") || !strings.HasPrefix(c["event_time"], "2026-05-17T10:05:") ||
			c["ip"] == "" || !strings.HasPrefix(c["user_agent"], "Mozilla/5.0") {
			t.Fatalf("%v", c)
		}
	}
	text, err := os.ReadFile("accesslog/testdata/shop.log")
	if err != nil {
		t.Fatal(err)
	}
	if _, _, err := loadgen(t, string(text), "log", "-", "--rate", "1000", "--edge", url, "--secret-key",
		"sk"); err != nil || len(p.clicks) != 3 {
		t.Fatalf("stdin: %v, %d clicks", err, len(p.clicks))
	}
	if out, _, err := loadgen(t, "a;b;c\nd;e;f\n", "log", "-", "--edge", url, "--secret-key", "sk"); err == nil ||
		!strings.Contains(err.Error(), "of a known format (hint: ") || !strings.Contains(out, "2 lines could not be read") {
		t.Fatalf("a file that is no log: %v\n%s", err, out)
	}
}

// Events are delivered as often as asked, in an order that the seed decides; a bare object is not.
func TestStripe(t *testing.T) {
	p, url := start(t)
	dir := t.TempDir()
	var lines []string
	for i := range 10 {
		lines = append(lines, fmt.Sprintf(
			`{"id":"evt_%d","object":"event","type":"invoice.paid","data":{"object":{"id":"in_%d","object":"invoice"}}}`, i, i))
	}
	file := filepath.Join(dir, "events.ndjson")
	if err := os.WriteFile(file, []byte(strings.Join(lines, "\n")), 0o600); err != nil {
		t.Fatal(err)
	}
	send := func() string {
		p.events = nil
		if out, errs, err := loadgen(t, "", "stripe", dir, "--stripe", url, "--secret", "whsec_x,whsec_y", "--repeat", "2",
			"--shuffle", "5"); err != nil {
			t.Fatalf("%v\n%s%s", err, out, errs)
		}
		return strings.Join(p.events, " ")
	}
	one := send()
	if len(p.events) != 20 || one != send() || strings.HasPrefix(one, "evt_0 evt_1 evt_2 evt_3") {
		t.Fatal(one)
	}
	_, errs, err := loadgen(t, `{"id":"in_1","object":"invoice"}`, "stripe", "-", "--stripe", url, "--secret", "whsec_x")
	if err == nil || !strings.Contains(errs, "bare invoice") {
		t.Fatalf("%v\n%s", err, errs)
	}
	out, _, err := loadgen(t, lines[0], "stripe", "-", "--stripe", url, "--secret", "whsec_wrong")
	if err == nil || !strings.Contains(out, "400") {
		t.Fatalf("%v\n%s", err, out)
	}
}

func TestClicksAndDemo(t *testing.T) {
	p, url := start(t)
	out, _, err := loadgen(t, "", "clicks", "--edge", url, "--rate", "1000", "--for", "200ms", "--batch", "20",
		"--connections", "4")
	if err != nil || !strings.Contains(out, "p99") || len(p.clicks) == 0 {
		t.Fatalf("%v\n%s", err, out)
	}
	out, errs, err := loadgen(t, "", "demo", "--edge", url, "--stripe", url, "--secret", "whsec_x", "--secret-key", "sk",
		"--history", "1d", "--for", "300ms")
	if err != nil || !strings.Contains(errs, "the past, from ") || len(p.events) == 0 {
		t.Fatalf("%v\n%s%s", err, out, errs)
	}
}

// What cannot work is said before anything is sent, with the way out.
func TestRefusals(t *testing.T) {
	f := func(want string, args ...string) {
		t.Helper()
		out, _, err := loadgen(t, "", args...)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
	f("--allow-remote", "clicks", "--edge", "https://clicks.example")
	f("--allow-remote", "demo", "--edge", "http://192.0.2.1", "--secret-key", "sk", "--secret", "whsec_x")
	f("--secret", "demo", "--secret-key", "sk")
	f("--secret-key", "log", "access.log")
	f("within 1 and 1000", "clicks", "--batch", "1001")
	f("14d", "demo", "--history", "soon")
	f("open log", "log", "nowhere.log", "--secret-key", "sk")
	f("read events", "stripe", "nowhere.json", "--secret", "whsec_x")
	for _, args := range [][]string{{"--help"}, {"demo", "--help"}, {"latency", "--help"}} {
		if out, _, err := loadgen(t, "", args...); err != nil || !strings.Contains(out, "Usage: loadgen") {
			t.Fatalf("%v: %v\n%s", args, err, out)
		}
	}
}
