// Package demo sends the traffic of an invented business to a running Tributary, one World for each
// UTC day: everything of the past at once, and then each click and event when its time comes.
//
// A day depends on the seed and its date only. So the present goes on at the pace of the past. A
// second start sends the same clicks and events again, and nothing is counted twice.
package demo

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	"golang.org/x/sync/errgroup"

	"tributary/deploy/loadgen/send"
	"tributary/deploy/loadgen/traffic"
)

// Config says what the demo sends, and where.
type Config struct {
	Edge    *send.Edge
	Webhook *send.Webhook
	Seed    uint64
	For     time.Duration // how long the present goes on; 0 until the context ends, below 0 not at all
	History time.Duration // of the past, rounded up to days; 0 for none
	Log     io.Writer     // progress, one line at a time
}

// Report counts what became of everything that was sent.
type Report struct{ Clicks, Leads, Events send.Tally }

// Refused is how many items were not stored.
func (r *Report) Refused() int {
	sum := 0
	for _, t := range []*send.Tally{&r.Clicks, &r.Leads, &r.Events} {
		_, _, refused := t.Numbers()
		sum += refused
	}
	return sum
}

// Table writes the counts.
func (r *Report) Table(to io.Writer) {
	r.Clicks.Table(to, "clicks")
	r.Leads.Table(to, "leads")
	r.Events.Table(to, "Stripe events")
}

func (r *Report) line() string {
	_, clicks, _ := r.Clicks.Numbers()
	_, leads, _ := r.Leads.Numbers()
	_, events, _ := r.Events.Numbers()
	return fmt.Sprintf("%d clicks, %d leads, %d Stripe events accepted; %d refused", clicks, leads, events, r.Refused())
}

// Run plays until the time is over or the context ends; the latter is the usual end and no error.
func Run(ctx context.Context, c Config) (*Report, error) {
	if c.History < 0 {
		return nil, errors.New("plan demo: the past cannot be negative")
	}
	if c.Log == nil {
		c.Log = io.Discard
	}
	p := &player{Config: c, report: &Report{}}
	now := time.Now().UTC()
	today := now.Truncate(day)
	q := &queue{}
	days := int((c.History + day - 1) / day)
	for back := days; back >= 0; back-- {
		q.add(Day(c.Seed, today.AddDate(0, 0, -back)))
	}
	past := q.until(now)
	if c.History > 0 {
		p.past(ctx, past)
		fmt.Fprintf(c.Log, "demo: the past, from %s on, sent in %s: %s\n",
			today.AddDate(0, 0, -days).Format(time.DateOnly), time.Since(now).Round(10*time.Millisecond),
			p.report.line())
	}
	if c.For >= 0 {
		p.present(ctx, q, now, today.Add(day))
		fmt.Fprintf(c.Log, "demo: %s\n", p.report.line())
	}
	return p.report, nil
}

type player struct {
	Config
	report *Report
}

// atOnce bounds the requests under way.
const atOnce = 8

// batch is how many clicks of the past travel together: far within the edge's limits.
const batch = 500

func (p *player) clicks(ctx context.Context, clicks []traffic.Click) {
	events := make([][]byte, len(clicks))
	for i, c := range clicks {
		events[i] = encode(c)
	}
	_ = p.Edge.Clicks(ctx, events, &p.report.Clicks) // an ended context ends the player too
}

func (p *player) click(ctx context.Context, c traffic.Click) {
	count(ctx, &p.report.Clicks, p.Edge.Click(ctx, encode(c)))
}

func (p *player) lead(ctx context.Context, l traffic.Lead) {
	count(ctx, &p.report.Leads, p.Edge.Lead(ctx, encode(l)))
}

func (p *player) deliver(ctx context.Context, d traffic.Delivery) {
	count(ctx, &p.report.Events, p.Webhook.Deliver(ctx, d.Body))
}

// count leaves out what failed only because the demonstration was stopped.
func count(ctx context.Context, t *send.Tally, err error) {
	if err == nil || ctx.Err() == nil {
		t.Count(err)
	}
}

func encode(v json.Marshaler) []byte {
	b, err := v.MarshalJSON()
	if err != nil {
		panic("demo: an invented item is not JSON: " + err.Error())
	}
	return b
}

// newGroup returns a group that sends a bounded number of things at once.
func newGroup() *errgroup.Group {
	g := new(errgroup.Group)
	g.SetLimit(atOnce)
	return g
}
