// Package load sends a steady number of clicks per second to the edge and measures its answers.
//
// The model is open: arrivals follow the clock, not the answers. Each latency counts from the
// moment at which its request was due, so that a stalled edge cannot hide the requests that it kept
// waiting. What cannot be sent because all connections are busy and the queue is full is counted as
// not sent; nothing piles up without bound.
package load

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"sync"
	"time"

	"tributary/deploy/loadgen/send"
	"tributary/deploy/loadgen/traffic"
	"tributary/schemas"
)

// Config of a load.
type Config struct {
	Edge        *send.Edge
	Seed        uint64        // of agents, links and countries; the click ids are always new
	Key         string        // publishable key, where the edge wants one
	Rate        int           // clicks per second
	For         time.Duration // until the context ends when 0
	Connections int           // requests at once
	Batch       int           // clicks per request; 1 uses /v1/click
}

// Validate returns what is wrong with the configuration.
func (c Config) Validate() error {
	var faults []error
	if c.Rate < 1 || c.Rate > 5_000_000 {
		faults = append(faults, fmt.Errorf("plan load: rate %d is not within 1 and 5,000,000 clicks per second", c.Rate))
	}
	if c.Connections < 1 || c.Connections > 4096 {
		faults = append(faults, fmt.Errorf("plan load: %d connections are not within 1 and 4096", c.Connections))
	}
	if c.Batch < 1 || c.Batch > send.MaxBatch {
		faults = append(faults, fmt.Errorf("plan load: a batch of %d is not within 1 and %d clicks, the edge's limit",
			c.Batch, send.MaxBatch))
	}
	if c.For < 0 {
		faults = append(faults, errors.New("plan load: negative duration"))
	}
	return errors.Join(faults...)
}

// Report of a load.
type Report struct {
	Took    time.Duration
	Tally   send.Tally
	Unsent  int       // clicks that were due while everything was busy
	Latency Histogram // of requests answered 2xx, from when they were due
	planned int
}

// Rate is how many clicks per second were accepted.
func (r *Report) Rate() float64 {
	_, accepted, _ := r.Tally.Numbers()
	return float64(accepted) / max(r.Took.Seconds(), 1e-9)
}

// Table writes the report.
func (r *Report) Table(to io.Writer) {
	r.Tally.Table(to, "clicks")
	fmt.Fprintf(to, "%d clicks were due in %s, %d of them not sent because every connection was busy\n", r.planned,
		r.Took.Round(time.Millisecond), r.Unsent)
	fmt.Fprintf(to, "%.0f clicks/s accepted; %d requests, ms: p50 %s  p90 %s  p99 %s  max %s\n",
		r.Rate(), r.Latency.Count(),
		Milliseconds(r.Latency.Quantile(.5)), Milliseconds(r.Latency.Quantile(.9)), Milliseconds(r.Latency.Quantile(.99)),
		Milliseconds(r.Latency.Max()))
}

// Milliseconds writes a duration as a number of milliseconds.
func Milliseconds(d time.Duration) string {
	return fmt.Sprintf("%.1f", float64(d)/float64(time.Millisecond))
}

// Run loads the edge.
func Run(ctx context.Context, c Config) (*Report, error) {
	if err := c.Validate(); err != nil {
		return nil, err
	}
	r := &Report{}
	templates := newTemplates(c)
	due := make(chan time.Time, max(c.Connections, 1024/c.Batch)) // so many requests may wait
	var workers sync.WaitGroup
	latencies := make([]Histogram, c.Connections)
	for i := range c.Connections {
		workers.Go(func() { work(c, due, templates, i, &r.Tally, &latencies[i]) })
	}
	began := time.Now()
	schedule(ctx, c, began, due, r)
	close(due)
	workers.Wait()
	r.Took = time.Since(began)
	for i := range latencies {
		r.Latency.add(&latencies[i])
	}
	return r, nil
}

// schedule says when each request is due, until the context ends. The clock is asked every
// millisecond: at high rates several requests are due by then.
func schedule(ctx context.Context, c Config, began time.Time, due chan<- time.Time, r *Report) {
	ticker := time.NewTicker(time.Millisecond)
	defer ticker.Stop()
	// Computed from the beginning each time: adding up a rounded interval would drift at high
	// rates.
	dueAt := func(n int) time.Time {
		return began.Add(time.Duration(float64(n) * float64(c.Batch) / float64(c.Rate) * float64(time.Second)))
	}
	for n, next := 0, began; ; {
		now := time.Now()
		for !next.After(now) {
			if c.For > 0 && next.Sub(began) >= c.For {
				return
			}
			r.planned += c.Batch
			select {
			case due <- next:
			default:
				r.Unsent += c.Batch
			}
			n++
			next = dueAt(n)
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// work sends what is due. Requests already due are still sent when the load ends, each within the
// client's own limit.
func work(c Config, due <-chan time.Time, templates []template, offset int, t *send.Tally, latency *Histogram) {
	ctx := context.Background()
	var body []byte
	next := offset
	mix := func(to []byte, at time.Time) []byte {
		next++
		return templates[next%len(templates)].appendClick(to, at)
	}
	for at := range due {
		body = body[:0]
		if c.Batch == 1 {
			body = mix(body, at)
			err := c.Edge.Click(ctx, body)
			t.Count(err)
			if err == nil {
				latency.Observe(time.Since(at))
			}
			continue
		}
		body = append(body, '[')
		for i := range c.Batch {
			if i > 0 {
				body = append(body, ',')
			}
			body = mix(body, at)
		}
		body = append(body, ']')
		answer, err := c.Edge.PostBatch(ctx, body)
		if err != nil {
			t.Refuse(err, c.Batch)
			continue
		}
		latency.Observe(time.Since(at))
		t.Accept(answer.Accepted)
		for _, why := range answer.Rejected {
			t.Refuse(errors.New(why.Reason()), 1)
		}
	}
}

// template is a click whose id and time are still to be filled in: writing JSON anew for each click
// would measure this program instead of the edge.
type template struct {
	text     []byte
	id, time int // offsets
}

const (
	variety    = 512
	timeLayout = "2006-01-02T15:04:05.000Z"
)

// newTemplates prepares the templates.
func newTemplates(c Config) []template {
	now := time.Now().UTC()
	w := traffic.New(c.Seed, traffic.Options{Start: now, Clicks: -1})
	made := make([]template, variety)
	for i := range made {
		click := w.NextClick(now)
		click.Key = c.Key
		text, err := json.Marshal(click)
		if err != nil {
			panic("load: an invented click is not JSON: " + err.Error())
		}
		made[i] = template{text, bytes.Index(text, []byte(click.ID.String())),
			bytes.Index(text, []byte(click.EventTime.Format(timeLayout)))}
	}
	return made
}

// appendClick appends a new click.
func (m template) appendClick(to []byte, at time.Time) []byte {
	start := len(to)
	to = append(to, m.text...)
	at = at.UTC()
	schemas.NewClickID(at).AppendText(to[:start+m.id])
	var text [32]byte // AppendFormat writes nine digits before it keeps three: not in place
	copy(to[start+m.time:], at.AppendFormat(text[:0], timeLayout))
	return to
}
