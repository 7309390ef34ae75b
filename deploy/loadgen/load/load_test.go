package load

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"
	"time"

	"tributary/deploy/loadgen/send"
	"tributary/schemas"
)

// edge remembers the clicks it was sent, alone or in batches.
type edge struct {
	mu  sync.Mutex
	ids map[string]bool
	bad int
}

func (e *edge) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	if r.URL.Path == "/v1/click" {
		body = append(append([]byte{'['}, body...), ']')
	}
	var clicks []struct {
		ID   string    `json:"click_id"`
		Time time.Time `json:"event_time"`
		Key  string
	}
	err := json.Unmarshal(body, &clicks)
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, c := range clicks {
		id, ok := schemas.ParseClickID(c.ID)
		if err != nil || !ok || !id.Time().Equal(c.Time.UTC()) || c.Key != "pk" {
			e.bad++
		}
		e.ids[c.ID] = true
	}
	fmt.Fprintf(w, `{"accepted":%d}`, len(clicks))
}

// The rate is kept, alone and in batches, and no click is like another.
func TestRun(t *testing.T) {
	for _, batch := range []int{1, 50} {
		e := &edge{ids: map[string]bool{}}
		s := httptest.NewServer(e)
		r, err := Run(context.Background(), Config{Edge: &send.Edge{Client: send.NewClient(8, 1), Base: s.URL}, Key: "pk",
			Rate: 1000, For: 500 * time.Millisecond, Connections: 8, Batch: batch})
		s.Close()
		if err != nil {
			t.Fatal(err)
		}
		sent, accepted, refused := r.Tally.Numbers()
		if r.planned != 500 || sent+r.Unsent != 500 || accepted != sent || refused != 0 || len(e.ids) != sent || e.bad != 0 {
			t.Errorf("batches of %d: planned %d, sent %d, unsent %d, accepted %d, distinct %d, malformed %d", batch, r.planned,
				sent, r.Unsent, accepted, len(e.ids), e.bad)
		}
		if r.Latency.Count() != uint64(sent/batch) || r.Latency.Quantile(.5) > r.Latency.Max() {
			t.Errorf("latency of %d requests, p50 %s, max %s", r.Latency.Count(), r.Latency.Quantile(.5), r.Latency.Max())
		}
	}
}

// An edge that does not answer in time costs clicks, not memory.
func TestRunIsBounded(t *testing.T) {
	s := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		_, _ = io.Copy(io.Discard, r.Body)
		time.Sleep(100 * time.Millisecond)
		fmt.Fprint(w, `{"accepted":1000}`)
	}))
	defer s.Close()
	r, err := Run(context.Background(), Config{Edge: &send.Edge{Client: send.NewClient(1, 1), Base: s.URL}, Rate: 100_000,
		For: 300 * time.Millisecond, Connections: 1, Batch: 1000})
	if err != nil {
		t.Fatal(err)
	}
	if r.planned != 30_000 || r.Unsent == 0 {
		t.Fatalf("planned %d, unsent %d", r.planned, r.Unsent)
	}
	if _, err := Run(context.Background(), Config{Rate: 0, Connections: 0, Batch: 5000}); err == nil {
		t.Fatal("an impossible load was accepted")
	}
}

func TestHistogram(t *testing.T) {
	var a, b Histogram
	for i := 1; i <= 500; i++ {
		a.Observe(time.Duration(i) * time.Millisecond)
		b.Observe(time.Duration(500+i) * time.Millisecond)
	}
	a.add(&b)
	for _, q := range []float64{.01, .5, .9, .99} {
		want := time.Duration(q * float64(time.Second))
		if got := a.Quantile(q); got < want || float64(got) > 1.011*float64(want) {
			t.Errorf("p%v is %s", 100*q, got)
		}
	}
	if a.Max() != time.Second || a.Quantile(1) != time.Second || a.Count() != 1000 {
		t.Errorf("max %s, p100 %s", a.Max(), a.Quantile(1))
	}
	if (&Histogram{}).Quantile(.5) != 0 {
		t.Error("an empty histogram has a median")
	}
}
