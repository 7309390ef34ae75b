package latency

import (
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"tributary/deploy/loadgen/send"
)

// pipeline shows each sale some time after its event, if its click came first.
type pipeline struct {
	mu     sync.Mutex
	delay  time.Duration
	lose   int // so many sales are never shown
	clicks map[string]bool
	shown  map[string]time.Time
}

func (p *pipeline) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	p.mu.Lock()
	defer p.mu.Unlock()
	if r.URL.Path == "/v1/click" {
		var c struct {
			ID string `json:"click_id"`
		}
		_ = json.Unmarshal(body, &c)
		p.clicks[c.ID] = true
		return
	}
	var e struct {
		Data struct {
			Object struct {
				Reference string `json:"client_reference_id"`
				Intent    string `json:"payment_intent"`
			}
		}
	}
	_ = json.Unmarshal(body, &e)
	if p.lose > 0 {
		p.lose--
	} else if p.clicks[e.Data.Object.Reference] {
		p.shown[e.Data.Object.Intent] = time.Now().Add(p.delay)
	}
}

func (p *pipeline) ask(_ context.Context, objects []string) ([]string, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	var seen []string
	for _, o := range objects {
		if at, ok := p.shown[o]; ok && !time.Now().Before(at) {
			seen = append(seen, o)
		}
	}
	return seen, nil
}

// measure waits so long for sales that are not seen.
func measure(t *testing.T, p *pipeline, wait time.Duration) *Report {
	t.Helper()
	p.clicks, p.shown = map[string]bool{}, map[string]time.Time{}
	s := httptest.NewServer(p)
	defer s.Close()
	client := send.NewClient(8, 1)
	r, err := Run(context.Background(), Config{
		Edge: &send.Edge{Client: client, Base: s.URL}, Webhook: &send.Webhook{Client: client, URL: s.URL, Secret: "whsec_x"},
		Ledger: p.ask, Sales: 20, For: 200 * time.Millisecond, Wait: wait, Poll: 10 * time.Millisecond,
	})
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRun(t *testing.T) {
	r := measure(t, &pipeline{delay: 50 * time.Millisecond}, 3*time.Minute)
	if !r.Passed() || r.Seen.Count() != 20 || r.Seen.Quantile(.5) < 40*time.Millisecond || len(r.Missing) != 0 {
		t.Fatalf("%d seen, p50 %s, missing %v", r.Seen.Count(), r.Seen.Quantile(.5), r.Missing)
	}
}

// A sale that nobody sees fails the measurement and is named.
func TestMissing(t *testing.T) {
	r := measure(t, &pipeline{lose: 3}, 3*time.Second) // the others are there when they are sent
	var table strings.Builder
	r.Table(&table)
	if r.Passed() || len(r.Missing) != 3 || r.Seen.Count() != 17 || !strings.Contains(table.String(), r.Missing[0]) {
		t.Fatalf("%d seen\n%s", r.Seen.Count(), table.String())
	}
}

func TestClickHouseIsLocal(t *testing.T) {
	if _, _, err := ClickHouse("http://warehouse.example:8123/tributary", false); err == nil {
		t.Fatal("a remote database was accepted")
	}
	_, done, err := ClickHouse("http://127.0.0.1:8123/tributary", false)
	if err != nil {
		t.Fatal(err)
	}
	_ = done()
}
