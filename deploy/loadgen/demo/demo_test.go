package demo

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76/webhook"

	"tributary/deploy/loadgen/send"
	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/race"
)

// recorder is an edge and a webhook that record what they get.
type recorder struct {
	mu             sync.Mutex
	clicks, events map[string][]byte
	leads          int
	times          []time.Time
}

func (d *recorder) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	d.mu.Lock()
	defer d.mu.Unlock()
	keep := func(b []byte) {
		var c struct {
			ID   string    `json:"click_id"`
			Time time.Time `json:"event_time"`
		}
		_ = json.Unmarshal(b, &c)
		d.clicks[c.ID] = b
		d.times = append(d.times, c.Time)
	}
	switch r.URL.Path {
	case "/v1/click":
		keep(body)
		fmt.Fprint(w, `{"click_id":"x"}`)
	case "/v1/clicks":
		var all []json.RawMessage
		_ = json.Unmarshal(body, &all)
		for _, b := range all {
			keep(b)
		}
		fmt.Fprintf(w, `{"accepted":%d,"rejected":[]}`, len(all))
	case "/v1/leads":
		d.leads++
		fmt.Fprint(w, `{"lead_id":"x"}`)
	case "/stripe/webhook":
		e, err := webhook.ConstructEventWithOptions(body, r.Header.Get("Stripe-Signature"), "whsec_x",
			webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
		if before, ok := d.events[e.ID]; err != nil || ok && !bytes.Equal(before, body) {
			w.WriteHeader(400)
			return
		}
		d.events[e.ID] = body
	}
}

func play(t *testing.T, d *recorder, c Config) *Report {
	t.Helper()
	s := httptest.NewServer(d)
	defer s.Close()
	client := send.NewClient(8, 1)
	c.Edge = &send.Edge{Client: client, Base: s.URL, SecretKey: "sk"}
	c.Webhook = &send.Webhook{Client: client, URL: s.URL + "/stripe/webhook", Secret: "whsec_x"}
	r, err := Run(context.Background(), c)
	if err != nil {
		t.Fatal(err)
	}
	if r.Refused() != 0 {
		var b bytes.Buffer
		r.Table(&b)
		t.Fatal(b.String())
	}
	return r
}

// The past is some thousand clicks and some hundred payments over days, and the same on the second
// start. Under the race detector it is one day, and today.
func TestPast(t *testing.T) {
	days := 2
	if race.Enabled {
		days = 1
	}
	var d *recorder
	var began time.Time
	for again := true; again; again = began.UTC().Day() != time.Now().UTC().Day() { // midnight came in between
		d, began = &recorder{clicks: map[string][]byte{}, events: map[string][]byte{}}, time.Now()
		play(t, d, Config{Seed: 1, History: time.Duration(days) * day, For: -1})
	}
	clicks, events := len(d.clicks), len(d.events)
	if clicks < 1000 || events < 200 || d.leads > 0 {
		t.Fatalf("%d clicks, %d events, %d leads", clicks, events, d.leads)
	}
	names := 0                      // of products
	signUps := make(map[string]int) // by day
	for id, body := range d.events {
		var e struct{ Created int64 }
		if strings.HasPrefix(id, "evt_prod_") && bytes.Contains(body, []byte(`"name": "`)) {
			names++
		}
		if strings.HasPrefix(id, "evt_signup_") && json.Unmarshal(body, &e) == nil {
			signUps[time.Unix(e.Created, 0).UTC().Format(time.DateOnly)]++
		}
	}
	if names != len(traffic.ProductEvents(opened)) {
		t.Errorf("%d products have names", names)
	}
	for back := 1; back <= days; back++ {
		if day := began.UTC().AddDate(0, 0, -back).Format(time.DateOnly); signUps[day] < 50 {
			t.Errorf("%d sign-ups on %s", signUps[day], day)
		}
	}
	for _, at := range d.times {
		if at.After(time.Now()) || at.Before(began.Add(-8*day)) {
			t.Fatalf("a click of the past at %s", at)
		}
	}
	play(t, d, Config{Seed: 1, History: time.Duration(days) * day, For: -1})
	if clicks, events := due(1, days, began, time.Now().UTC()); len(d.clicks) > clicks || len(d.events) > events {
		t.Fatalf("%d clicks and %d events after the second start, of %d and %d that were due", len(d.clicks), len(d.events),
			clicks, events)
	}
}

// due returns how many clicks and events there are to be sent until now by a start whose past
// begins so many days before began.
func due(seed uint64, days int, began, now time.Time) (clicks, events int) {
	q := &queue{}
	for d := began.UTC().Truncate(day).AddDate(0, 0, -days); !d.After(now); d = d.AddDate(0, 0, 1) {
		q.add(Day(seed, d))
	}
	past, ids := q.until(now), make(map[string]bool)
	for _, d := range past.deliveries {
		ids[d.EventID] = true
	}
	// A lead of the past is an event.
	return len(past.clicks), len(ids) + len(past.leads) + len(traffic.ProductEvents(opened))
}

// The present sends what the day has at that time, and nothing of the past when none is asked
// for. What was due while nobody played is sent by the next start.
func TestPresent(t *testing.T) {
	now := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	w := Day(2, now.Truncate(day))
	next := w.Clicks[len(w.Clicks)-1].SendAt
	for _, c := range w.Clicks {
		if c.SendAt.After(now) && c.SendAt.Before(next) {
			next = c.SendAt
		}
	}
	q := &queue{}
	q.add(w)
	if q.until(now); !q.clicks[0].SendAt.Equal(next) {
		t.Errorf("the next click is due at %s, want %s", q.clicks[0].SendAt, next)
	}
	q.until(next)
	d := &recorder{clicks: map[string][]byte{}, events: map[string][]byte{}}
	began := time.Now()
	play(t, d, Config{Seed: 2, For: 300 * time.Millisecond})
	for _, at := range d.times {
		if at.Before(began.Add(-day)) { // of a visitor who came back
			t.Errorf("a click of %s is sent", at)
		}
	}
}
