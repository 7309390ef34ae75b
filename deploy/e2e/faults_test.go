//go:build proof

package e2e

import (
	"context"
	"encoding/json"
	"net/http"
	"sync"
	"testing"
	"time"

	"tributary/schemas"
)

// load sends clicks and checkouts until it is stopped, and remembers what was accepted.
type load struct {
	s       *site
	mu      sync.Mutex
	clicks  map[string]bool // answered 200
	sales   int64           // sum of the accepted, in cents
	refused []answer        // 503
	stop    chan struct{}
	running sync.WaitGroup
}

func (s *site) load() *load {
	l := &load{s: s, clicks: make(map[string]bool), stop: make(chan struct{})}
	for range 2 {
		l.running.Go(func() {
			for l.pause(10 * time.Millisecond) {
				id := schemas.NewClickID(time.Now()).String()
				body, err := json.Marshal(map[string]string{"url": "https://shop.example/", "click_id": id})
				if err != nil {
					panic(err)
				}
				got, err := s.click(body)
				l.mu.Lock()
				switch {
				case err != nil: // nobody answered: not accepted, not refused
				case got.status == http.StatusOK:
					l.clicks[id] = true
				default:
					l.refused = append(l.refused, got)
				}
				l.mu.Unlock()
			}
		})
	}
	l.running.Go(func() {
		for n := 1; l.pause(30 * time.Millisecond); n++ {
			event := checkout(n, "", int64(n))
			for l.pause(30 * time.Millisecond) { // again until it is accepted, as Stripe does
				got, err := s.deliver(event)
				if err != nil {
					continue
				}
				l.mu.Lock()
				if got.status == http.StatusOK {
					l.sales += int64(n)
				} else {
					l.refused = append(l.refused, got)
				}
				l.mu.Unlock()
				if got.status == http.StatusOK {
					break
				}
			}
		}
	})
	return l
}

// pause waits, and is false once the load is to stop.
func (l *load) pause(d time.Duration) bool {
	select {
	case <-l.stop:
		return false
	case <-time.After(d):
		return true
	}
}

// finish ends the load and checks that everything that was accepted is in ClickHouse.
func (l *load) finish() {
	l.s.t.Helper()
	close(l.stop)
	l.running.Wait()
	l.s.t.Logf("%d clicks and %d cents accepted, %d requests refused", len(l.clicks), l.sales, len(l.refused))
	l.s.hasClicks(l.clicks)
	// An event whose acceptance was not known when the load ended may be there as well; the sum
	// shows by how much.
	l.s.eventually("SELECT sum(amount) >= "+itoa(l.sales)+
		", count() = uniqExact(entry_id) FROM ledger_current",
		func(rows [][]string) bool { return len(rows) == 1 && rows[0][0] == "1" && rows[0][1] == "1" })
}

// Kafka is killed under load: the edge takes clicks into its spool, the webhook answers 503 and
// when to come again, and everything recovers by itself.
func TestKafkaDies(t *testing.T) {
	s := newSite(t)
	s.start()
	s.waitReady()
	l := s.load()
	time.Sleep(time.Second)

	ctx, cancel := context.WithCancel(t.Context())
	var killing sync.WaitGroup
	killing.Go(func() { s.keepDown(ctx, "kafka") })
	got, err := s.deliver(checkout(1<<30, "", 0))
	for deadline := time.Now().Add(limit); err == nil && got.status == http.StatusOK &&
		time.Now().Before(deadline); {
		got, err = s.deliver(checkout(1<<30, "", 0))
	}
	if err != nil || got.status != http.StatusServiceUnavailable || got.header.Get("Retry-After") == "" {
		t.Errorf("without Kafka the webhook answers %d, Retry-After %q, %s, %v; want 503 and when to come again",
			got.status, got.header.Get("Retry-After"), got.body, err)
	}
	if got, err = s.click([]byte(plainClick)); err != nil || got.status != http.StatusOK {
		t.Errorf("without Kafka the edge answers %d, %s, %v; want 200, from the spool", got.status, got.body, err)
	}
	cancel()
	killing.Wait()

	s.insist(func() (answer, error) { return s.click([]byte(plainClick)) })
	s.insist(func() (answer, error) { return s.deliver(checkout(1<<30, "", 0)) })
	s.waitReady()
	time.Sleep(time.Second)
	l.finish()
	for _, r := range l.refused {
		if r.status != http.StatusServiceUnavailable || r.header.Get("Retry-After") == "" {
			t.Fatalf("refused with %d, Retry-After %q: %s", r.status, r.header.Get("Retry-After"), r.body)
		}
	}
}

// ClickHouse is killed under load: edge and webhook go on, the processor says that it is not ready,
// waits and goes on.
func TestClickHouseDies(t *testing.T) {
	// Kafka is well, however slow the machine: the webhook waits for it.
	t.Setenv("TRIBUTARY_PUBLISH_TIMEOUT", limit.String())
	t.Setenv("TRIBUTARY_PUBLISH_STALL", limit.String())
	s := newSite(t)
	s.start()
	s.waitReady()
	l := s.load()
	time.Sleep(time.Second)

	ctx, cancel := context.WithCancel(t.Context())
	var killing sync.WaitGroup
	killing.Go(func() { s.keepDown(ctx, "clickhouse") })
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if status, _ := get(s.processorOps() + "/readyz"); status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Error("the processor says that it is ready long after ClickHouse died")
			break
		}
	}
	for range 20 {
		if got, err := s.click([]byte(plainClick)); err != nil || got.status != http.StatusOK {
			t.Errorf("without ClickHouse the edge answers %d %s %v, want 200", got.status, got.body, err)
			break
		}
	}
	cancel()
	killing.Wait()

	s.waitReady()
	time.Sleep(time.Second)
	l.finish()
	if len(l.refused) > 0 {
		t.Errorf("%d requests were refused, the first with %d %s", len(l.refused), l.refused[0].status, l.refused[0].body)
	}
}
