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
	tick   = 100 * time.Millisecond // between sendings
	report = 30 * time.Second       // between lines of progress
)

// present sends each item of q at its time, and adds a day at each midnight, of which the next one
// is given. When the edge or the webhook is slow it falls behind and sends late rather than more at
// once.
func (p *player) present(ctx context.Context, q *queue, start, midnight time.Time) {
	var end time.Time
	if p.For > 0 {
		end = start.Add(p.For)
	}
	g := newGroup()
	defer func() { _ = g.Wait() }()
	reported := start
	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		now := time.Now().UTC()
		if !now.Before(midnight) {
			q.add(Day(p.Seed, midnight))
			midnight = midnight.Add(day)
		}
		p.play(ctx, g, q.until(now))
		if !end.IsZero() && now.After(end) {
			return
		}
		if now.Sub(reported) >= report {
			fmt.Fprintf(p.Log, "demo: %s\n", p.report.line())
			reported = now
		}
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// play sends everything that is due.
func (p *player) play(ctx context.Context, g *errgroup.Group, due *queue) {
	if clicks := due.clicks; len(clicks) > 0 { // one of them alone, as a page's beacon; the others as a server would
		alone := clicks[0]
		g.Go(func() error { p.click(ctx, alone); return nil })
		for clicks = clicks[1:]; len(clicks) > 0; {
			some := clicks[:min(batch, len(clicks))]
			clicks = clicks[len(some):]
			g.Go(func() error { p.clicks(ctx, some); return nil })
		}
	}
	for _, l := range due.leads {
		g.Go(func() error { p.lead(ctx, l); return nil })
	}
	for _, d := range due.deliveries {
		g.Go(func() error { p.deliver(ctx, d); return nil })
	}
}

// queue holds what is still to be sent, sorted by time.
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

// until removes what is sent up to now, and returns it.
func (q *queue) until(now time.Time) *queue {
	return &queue{
		clicks:     take(&q.clicks, func(c traffic.Click) bool { return !c.SendAt.After(now) }),
		leads:      take(&q.leads, func(l traffic.Lead) bool { return !l.SendAt.After(now) }),
		deliveries: take(&q.deliveries, func(d traffic.Delivery) bool { return !d.SendAt.After(now) }),
	}
}

// take removes the first items for which due holds. They are copied: the queue's memory is reused.
func take[T any](items *[]T, due func(T) bool) []T {
	n := sort.Search(len(*items), func(i int) bool { return !due((*items)[i]) })
	taken := append([]T(nil), (*items)[:n]...)
	*items = append((*items)[:0], (*items)[n:]...)
	return taken
}
