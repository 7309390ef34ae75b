package stripeapi

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"
)

// What passes is waited out, and not before Stripe's own time; a refusal is final; the key is never
// in an error or a log line.
func TestGet(t *testing.T) {
	var log bytes.Buffer
	answers := []func(http.ResponseWriter){
		func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
		},
		func(w http.ResponseWriter) { w.WriteHeader(http.StatusBadGateway) },
		func(w http.ResponseWriter) { fmt.Fprint(w, `{"id":"evt_1"}`) },
		func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error":{"message":"no permission"}}`)
		},
	}
	var asked []time.Time
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.Header.Get("Authorization") != "Bearer rk_test_sesame" || r.Header.Get("Stripe-Account") != "acct_1" {
			t.Errorf("%v", r.Header)
		}
		answers[len(asked)](w)
		asked = append(asked, time.Now())
	}))
	defer server.Close()
	keys, err := ParseKeys("rk_live_other, rk_test_sesame\n")
	if err != nil {
		t.Fatal(err)
	}
	c := &Client{
		Base: server.URL, Keys: keys, HTTP: server.Client(), Patience: time.Minute,
		Log: slog.New(slog.NewTextHandler(&log, nil)),
	}
	request := Request{Path: "/v1/events/evt_1", Account: "acct_1", Version: Version}
	if body, err := c.Get(t.Context(), request); err != nil || string(body) != `{"id":"evt_1"}` {
		t.Errorf("%s, %v", body, err)
	}
	if len(asked) != 3 || asked[1].Sub(asked[0]) < time.Second {
		t.Errorf("asked at %v", asked)
	}
	var refused *Refused
	if _, err := c.Get(t.Context(), request); !errors.As(err, &refused) || refused.Status != 403 ||
		!strings.Contains(err.Error(), "no permission") {
		t.Errorf("%v", err)
	}
	server.Close()
	c.Patience = time.Millisecond
	if _, err := c.Get(t.Context(), request); err == nil || strings.Contains(err.Error()+log.String(), "sesame") {
		t.Errorf("%v\n%s", err, log.String())
	}
}

func TestKeysAndAddressesRefused(t *testing.T) {
	for text, want := range map[string]string{
		"rk_live_1": "", "sk_test_1,rk_live_1": "", "": "", "pk_live_1": "kind", "whsec_1": "kind", "rk_live": "",
		"rk_live_1 sk_live_2": "two of mode live", "secret": "kind", "rk_prod_1": "kind",
	} {
		if _, err := ParseKeys(text); (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %v", text, err)
		}
	}
	for base, good := range map[string]bool{
		"https://api.stripe.com": true, "http://127.0.0.1:12111": true, "http://[::1]:1": true,
		"http://api.stripe.com": false, "": false, "ftp://127.0.0.1": false, "https://u@h": false,
		"http://localhost.example": false,
	} {
		if err := CheckBase(base); (err == nil) != good {
			t.Errorf("%q: %v", base, err)
		}
	}
}

func TestRetryAfter(t *testing.T) {
	for text, want := range map[string]int{"7": 7, "-1": 0, "100000": 600, "Mon, 02 Jan 2006 15:04:05 GMT": 0} {
		if seconds, ok := retryAfter(text); !ok || seconds != want {
			t.Errorf("%q: %d %t", text, seconds, ok)
		}
	}
	if _, ok := retryAfter("soon"); ok {
		t.Error("a word is taken for a time")
	}
}
