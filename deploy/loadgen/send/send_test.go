package send

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stripe/stripe-go/v76/webhook"
)

func TestTarget(t *testing.T) {
	f := func(address string, remote bool, want string) {
		t.Helper()
		got, err := Target(address, remote)
		if got != want || (err != nil) != (want == "") {
			t.Fatalf("%s: %q, %v", address, got, err)
		}
	}
	f("127.0.0.1:8080", false, "http://127.0.0.1:8080")
	f("http://localhost:8080/", false, "http://localhost:8080")
	f("http://[::1]:8080", false, "http://[::1]:8080")
	f("https://clicks.example", false, "")
	f("https://clicks.example", true, "https://clicks.example")
	f("http://127.0.0.1.example", false, "")
	f("ftp://127.0.0.1", false, "")
	if u, err := WebhookURL("127.0.0.1:8081", false); u != "http://127.0.0.1:8081/stripe/webhook" || err != nil {
		t.Fatalf("%q, %v", u, err)
	}
	if u, _ := WebhookURL("http://127.0.0.1:8081/elsewhere", false); u != "http://127.0.0.1:8081/elsewhere" {
		t.Fatalf("%q", u)
	}
}

// Each delivery is signed so that stripe-go takes it, and again when it is repeated after a 503.
func TestDeliver(t *testing.T) {
	var calls atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		if _, err := webhook.ConstructEventWithOptions(body, r.Header.Get("Stripe-Signature"), "whsec_x",
			webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true}); err != nil {
			w.WriteHeader(400)
			fmt.Fprint(w, `{"error":{"code":"bad_signature","message":"no","hint":"the secret"}}`)
			return
		}
		if calls.Add(1) == 1 {
			w.WriteHeader(503)
		}
	}))
	defer s.Close()
	hook := &Webhook{Client: NewClient(1, 3), URL: s.URL, Secret: "whsec_x"}
	if err := hook.Deliver(context.Background(), []byte(`{"id":"evt_1","object":"event"}`)); err != nil ||
		calls.Load() != 2 {
		t.Fatalf("%d calls, %v", calls.Load(), err)
	}
	hook.Secret = "whsec_other"
	var refused *Refused
	if err := hook.Deliver(context.Background(), []byte(`{}`)); !errors.As(err, &refused) ||
		refused.Code != "bad_signature" {
		t.Fatalf("%v", err)
	}
	if _, err := FirstSecret(" , "); !errors.Is(err, errNoSecret) {
		t.Fatal(err)
	}
	if s, _ := FirstSecret("whsec_a,whsec_b"); s != "whsec_a" {
		t.Fatal(s)
	}
}

// Batches stay within the edge's limits, and each event's fate is counted once.
func TestClicks(t *testing.T) {
	var requests atomic.Int32
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		n := strings.Count(string(body), "url")
		if len(body) > 1<<20 || n > MaxBatch || r.Header.Get("Authorization") != "Bearer sk" || r.URL.Path != "/v1/clicks" {
			w.WriteHeader(413)
			return
		}
		requests.Add(1)
		fmt.Fprintf(w, `{"accepted":%d,"rejected":[{"index":0,"error":"no url"},{"index":1,"error":{"code":"bad","message":"time"}}]}`, n-2)
	}))
	defer s.Close()
	edge := &Edge{Client: NewClient(1, 1), Base: s.URL, SecretKey: "sk"}
	var events [][]byte
	for range 2500 {
		events = append(events, []byte(`{"url":"`+strings.Repeat("x", 1000)+`"}`))
	}
	var tally Tally
	if err := edge.Clicks(context.Background(), events, &tally); err != nil {
		t.Fatal(err)
	}
	if sent, accepted, refused := tally.Numbers(); sent != 2500 || accepted != 2494 || refused != 6 ||
		requests.Load() != 3 {
		t.Fatalf("sent %d accepted %d refused %d in %d", sent, accepted, refused, requests.Load())
	}
	var table strings.Builder
	tally.Table(&table, "clicks")
	if !strings.Contains(table.String(), "3 × no url") || !strings.Contains(table.String(), "3 × bad: time") {
		t.Fatal(table.String())
	}
}

// An ended context ends the retries; a tally does not grow with its reasons.
func TestBounds(t *testing.T) {
	ctx, cancel := context.WithCancel(context.Background())
	cancel()
	if err := (&Edge{Client: NewClient(1, 100), Base: "http://127.0.0.1:1"}).Click(ctx, nil); err == nil {
		t.Fatal("sent in an ended context")
	}
	var tally Tally
	for i := range 1000 {
		tally.Refuse(fmt.Errorf("reason %d", i), 1)
	}
	if _, _, refused := tally.Numbers(); refused != 1000 || len(tally.reasons) > manyReasons+1 {
		t.Fatalf("%d refused for %d reasons", refused, len(tally.reasons))
	}
}
