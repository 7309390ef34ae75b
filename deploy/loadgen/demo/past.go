package demo

import (
	"context"
	"hash/fnv"
	"time"

	"tributary/deploy/loadgen/traffic"
)

const day = 24 * time.Hour

// clicksPerDay of the past, on its best days.
const clicksPerDay = 460

// Day is one UTC day of the past. Its scenarios go on for two weeks after it: send what lies before
// now.
func Day(seed uint64, midnight time.Time) *traffic.World {
	return traffic.New(seed, traffic.Options{
		Start: midnight, Span: day, Until: midnight.Add(15 * day), Buyers: .05,
		Clicks: int(clicksPerDay * traffic.Busyness(midnight.Add(15*time.Hour)) * mood(seed, midnight)),
	})
}

// mood is why two Tuesdays differ.
func mood(seed uint64, midnight time.Time) float64 {
	h := fnv.New64a()
	_, _ = h.Write([]byte(midnight.Format(time.DateOnly)))
	return .8 + .4*float64((h.Sum64()^seed*0x9e3779b97f4a7c15)>>11)/(1<<53)
}

// past tells all that happened before now. Order between clicks, leads and events is kept only
// roughly: clicks first, then leads and money, then the clicks that were held up. That is disorder
// enough to be like life.
func (p *player) past(ctx context.Context, now time.Time) {
	var clicks, late []traffic.Click
	var leads []traffic.Lead
	var deliveries []traffic.Delivery
	midnight := now.Truncate(day)
	for back := int((p.History + day - 1) / day); back >= 0; back-- {
		w := Day(p.Seed, midnight.AddDate(0, 0, -back))
		for _, c := range w.Clicks {
			switch {
			case c.SendAt.After(now):
			case c.SendAt.Equal(c.EventTime):
				clicks = append(clicks, c)
			default:
				late = append(late, c)
			}
		}
		leads = append(leads, before(w.Leads, now, func(l traffic.Lead) time.Time { return l.SendAt })...)
		deliveries = append(deliveries, before(w.Deliveries, now, func(d traffic.Delivery) time.Time { return d.SendAt })...)
	}
	p.batches(ctx, clicks)
	g := newGroup()
	for _, l := range leads {
		g.Go(func() error { p.lead(ctx, l); return ctx.Err() })
		if ctx.Err() != nil {
			break
		}
	}
	for _, d := range deliveries {
		g.Go(func() error { p.deliver(ctx, d); return ctx.Err() })
		if ctx.Err() != nil {
			break
		}
	}
	_ = g.Wait()
	p.batches(ctx, late)
}

func (p *player) batches(ctx context.Context, clicks []traffic.Click) {
	g := newGroup()
	for len(clicks) > 0 && ctx.Err() == nil {
		some := clicks[:min(batch, len(clicks))]
		clicks = clicks[len(some):]
		g.Go(func() error { p.clicks(ctx, some); return nil })
	}
	_ = g.Wait()
}

// before keeps the items sent up to now; they are sorted.
func before[T any](items []T, now time.Time, at func(T) time.Time) []T {
	for i := range items {
		if at(items[i]).After(now) {
			return items[:i]
		}
	}
	return items
}
