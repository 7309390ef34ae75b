package demo

import (
	"context"
	"fmt"
	"sort"
	"time"

	"golang.org/x/sync/errgroup"

	"tributary/deploy/loadgen/traffic"
)

const (
	worldSpan = 10 * time.Second       // one World of the present
	lifetime  = 3 * time.Minute        // how long its scenarios go on
	tick      = 100 * time.Millisecond // between sendings
	report    = 10 * time.Second       // between lines of progress
)

// present plays Worlds one after the other, each item at its time. When the edge or the webhook is
// slow it falls behind and sends late rather than more at once.
func (p *player) present(ctx context.Context, start time.Time) {
	var end time.Time
	if p.For > 0 {
		end = start.Add(p.For)
	}
	q, g := &queue{}, newGroup()
	defer func() { _ = g.Wait() }()
	filled, reported := start, start
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		now := time.Now().UTC()
		for (end.IsZero() || filled.Before(end)) && filled.Before(now.Add(time.Second)) {
			q.add(p.nextWorld(filled, end))
			filled = filled.Add(worldSpan)
		}
		over := !end.IsZero() && now.After(end)
		if over { // what is still on its way arrives at once
			now = end.Add(day)
		}
		p.play(ctx, g, q, now)
		if now.Sub(reported) >= report && !over {
			fmt.Fprintf(p.Log, "demo: %s\n", p.report.line())
			reported = now
		}
		if over {
			return
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// nextWorld generates the traffic of the next seconds; its scenarios end with the demonstration.
func (p *player) nextWorld(from, end time.Time) *traffic.World {
	o := traffic.Options{Start: from, Span: worldSpan, Until: from.Add(lifetime), Tempo: traffic.Compressed}
	if !end.IsZero() && end.Before(o.Until) {
		o.Until = end
		o.Span = min(o.Span, end.Sub(from))
	}
	o.Clicks = max(1, int(int64(p.Rate)*int64(o.Span)/int64(time.Second)))
	return traffic.New(p.Seed, o)
}

// play sends everything due.
func (p *player) play(ctx context.Context, g *errgroup.Group, q *queue, now time.Time) {
	clicks := take(&q.clicks, func(c traffic.Click) bool { return !c.SendAt.After(now) })
	if len(clicks) > 0 { // one of them alone, as a page's beacon; the others as a server would
		alone := clicks[0]
		g.Go(func() error { p.click(ctx, alone); return nil })
		for clicks = clicks[1:]; len(clicks) > 0; {
			some := clicks[:min(batch, len(clicks))]
			clicks = clicks[len(some):]
			g.Go(func() error { p.clicks(ctx, some); return nil })
		}
	}
	for _, l := range take(&q.leads, func(l traffic.Lead) bool { return !l.SendAt.After(now) }) {
		g.Go(func() error { p.lead(ctx, l); return nil })
	}
	for _, d := range take(&q.deliveries, func(d traffic.Delivery) bool { return !d.SendAt.After(now) }) {
		g.Go(func() error { p.deliver(ctx, d); return nil })
	}
}

// queue holds what is still to be sent, sorted by its moment.
type queue struct {
	clicks     []traffic.Click
	leads      []traffic.Lead
	deliveries []traffic.Delivery
}

func (q *queue) add(w *traffic.World) {
	q.clicks = append(q.clicks, w.Clicks...)
	q.leads = append(q.leads, w.Leads...)
	q.deliveries = append(q.deliveries, w.Deliveries...)
	sort.SliceStable(q.clicks, func(i, j int) bool { return q.clicks[i].SendAt.Before(q.clicks[j].SendAt) })
	sort.SliceStable(q.leads, func(i, j int) bool { return q.leads[i].SendAt.Before(q.leads[j].SendAt) })
	sort.SliceStable(q.deliveries, func(i, j int) bool { return q.deliveries[i].SendAt.Before(q.deliveries[j].SendAt) })
}

// take removes the first items for which due holds. They are copied: the queue's memory is reused.
func take[T any](items *[]T, due func(T) bool) []T {
	n := sort.Search(len(*items), func(i int) bool { return !due((*items)[i]) })
	taken := append([]T(nil), (*items)[:n]...)
	*items = append((*items)[:0], (*items)[n:]...)
	return taken
}
