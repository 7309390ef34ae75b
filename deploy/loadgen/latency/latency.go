// Package latency measures how long a sale takes to be seen: from the webhook's 200 to an
// attributed row that an analyst's query finds.
package latency

import (
	"context"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tributary/deploy/loadgen/load"
	"tributary/deploy/loadgen/send"
	"tributary/deploy/loadgen/traffic"
)

// Limits that a run must keep to pass.
const (
	maxP50 = time.Second
	maxP99 = 3 * time.Second
)

// Ledger answers which of these sales an analyst sees with a match. Its answer counts as of when it
// returns.
type Ledger func(ctx context.Context, objects []string) ([]string, error)

// Config of a measurement.
type Config struct {
	Edge    *send.Edge
	Webhook *send.Webhook
	Ledger  Ledger
	Seed    uint64
	Sales   int           // spread evenly over For
	For     time.Duration // of sending
	Wait    time.Duration // for the last ones to be seen
	Poll    time.Duration // between questions to the ledger
}

// Report of a measurement.
type Report struct {
	Seen    load.Histogram // webhook's 200 → seen
	Refused send.Tally     // clicks and events, at edge and webhook
	Missing []string       // accepted, never seen
}

// Passed reports whether the limits were kept.
func (r *Report) Passed() bool {
	_, _, refused := r.Refused.Numbers()
	return r.Seen.Count() > 0 && refused == 0 && len(r.Missing) == 0 && r.Seen.Quantile(.5) <= maxP50 &&
		r.Seen.Quantile(.99) <= maxP99
}

// Table writes the report.
func (r *Report) Table(to io.Writer) {
	if _, _, refused := r.Refused.Numbers(); refused > 0 {
		r.Refused.Table(to, "requests")
	}
	fmt.Fprintf(to, "%d sales seen, ms from the webhook's 200 to the attributed row: p50 %s  p90 %s  p99 %s  max %s\n",
		r.Seen.Count(),
		load.Milliseconds(r.Seen.Quantile(.5)), load.Milliseconds(r.Seen.Quantile(.9)),
		load.Milliseconds(r.Seen.Quantile(.99)), load.Milliseconds(r.Seen.Max()))
	fmt.Fprintf(to, "%d never seen\n", len(r.Missing))
	for i, id := range r.Missing {
		if i == 10 {
			fmt.Fprintf(to, "  and %d more\n", len(r.Missing)-i)
			break
		}
		fmt.Fprintf(to, "  %s (hint: processor explain %s)\n", id, id)
	}
}

// Run measures. An ended context ends it early, with what was seen by then.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.Sales < 1 || c.For <= 0 || c.Poll <= 0 {
		return nil, errors.New("plan measurement: sales, duration and polling interval must be positive")
	}
	if _, err := c.Ledger(ctx, []string{"pi_none"}); err != nil {
		return nil, fmt.Errorf("ask ledger: %w (hint: is the processor's database there? --clickhouse-dsn)", err)
	}
	r, w := &Report{}, &waiting{since: map[string]time.Time{}}
	sent := make(chan struct{})
	go func() {
		defer close(sent)
		c.sell(ctx, r, w)
	}()
	err := c.watch(ctx, r, w, sent)
	<-sent
	r.Missing = w.objects()
	return r, err
}

// sell sends each click and then its sale, evenly over the time. Slow answers do not delay the next
// sale.
func (c Config) sell(ctx context.Context, r *Report, w *waiting) {
	world := traffic.New(c.Seed, traffic.Options{Start: time.Now(), Clicks: -1})
	var under sync.WaitGroup
	defer under.Wait()
	slots := make(chan struct{}, 32)
	began := time.Now()
	for i := range c.Sales {
		select {
		case <-ctx.Done():
			return
		case <-time.After(time.Until(began.Add(c.For * time.Duration(i) / time.Duration(c.Sales)))):
		}
		now := time.Now()
		click := world.NextClick(now)
		delivery, movement := world.Checkout(click, now)
		slots <- struct{}{}
		under.Go(func() {
			defer func() { <-slots }()
			body, err := click.MarshalJSON()
			if err == nil {
				err = c.Edge.Click(ctx, body)
			}
			r.Refused.Count(err)
			if err != nil {
				return
			}
			err = c.Webhook.Deliver(ctx, delivery.Body)
			r.Refused.Count(err)
			if err == nil {
				w.add(movement.Object)
			}
		})
	}
}

// watch asks for what is waited for until everything was sent and seen, or the wait is over.
func (c Config) watch(ctx context.Context, r *Report, w *waiting, sent <-chan struct{}) error {
	ticker := time.NewTicker(c.Poll)
	defer ticker.Stop()
	var patience <-chan time.Time
	for {
		if open := w.objects(); len(open) > 0 {
			seen, err := c.Ledger(ctx, open)
			now := time.Now()
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("ask ledger: %w", err)
			}
			for _, id := range seen {
				if since, ok := w.remove(id); ok {
					r.Seen.Observe(now.Sub(since))
				}
			}
		} else if patience != nil {
			return nil
		}
		select {
		case <-ctx.Done():
			return nil
		case <-sent:
			sent, patience = nil, time.After(c.Wait)
		case <-patience:
			return nil
		case <-ticker.C:
		}
	}
}

// waiting holds the sales that were accepted and not yet seen.
type waiting struct {
	mu    sync.Mutex
	since map[string]time.Time
}

func (w *waiting) add(object string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.since[object] = time.Now()
}

func (w *waiting) remove(object string) (time.Time, bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	at, ok := w.since[object]
	delete(w.since, object)
	return at, ok
}

func (w *waiting) objects() []string {
	w.mu.Lock()
	defer w.mu.Unlock()
	ids := make([]string, 0, len(w.since))
	for id := range w.since {
		ids = append(ids, id)
	}
	return ids
}
