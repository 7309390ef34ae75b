package demo

import (
	"context"
	"encoding/hex"
	"encoding/json"
	"hash/fnv"
	"time"

	"tributary/deploy/loadgen/traffic"
)

const day = 24 * time.Hour

// clicksPerDay on the best days: one in ten to twenty seconds, and of those who come one in twenty
// buys. More would keep a newcomer waiting for the past.
const clicksPerDay = 6000

// Day is one UTC day of the business. Its scenarios go on for two weeks after it.
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

// opened is when the business put its products up for sale.
var opened = time.Date(2026, 1, 1, 9, 0, 0, 0, time.UTC)

// past sends all that happened before now. Order between clicks, leads and events is kept only
// roughly: clicks first, then leads and money, then the clicks that were held up. That is disorder
// enough to be like life.
func (p *player) past(ctx context.Context, q *queue) {
	var clicks, late []traffic.Click
	for _, c := range q.clicks {
		if c.SendAt.Equal(c.EventTime) {
			clicks = append(clicks, c)
		} else {
			late = append(late, c)
		}
	}
	p.batches(ctx, clicks)
	g := newGroup()
	for _, d := range traffic.ProductEvents(opened) {
		g.Go(func() error { p.deliver(ctx, d); return ctx.Err() })
	}
	for _, l := range q.leads {
		g.Go(func() error { p.deliver(ctx, signUp(l)); return ctx.Err() })
		if ctx.Err() != nil {
			break
		}
	}
	for _, d := range q.deliveries {
		g.Go(func() error { p.deliver(ctx, d); return ctx.Err() })
		if ctx.Err() != nil {
			break
		}
	}
	_ = g.Wait()
	p.batches(ctx, late)
}

// signUp is a lead as Stripe reports one: a customer with the business's own id, created when the
// person signed up. The edge dates a lead by when POST /v1/leads reports it, so that the
// sign-ups of two weeks would all be of today. Whoever is reported both ways is one lead.
func signUp(l traffic.Lead) traffic.Delivery {
	type object = map[string]any
	name := hex.EncodeToString(l.ClickID[:]) + l.ExternalID
	body, err := json.Marshal(object{
		"id": "evt_signup_" + name, "object": "event", "type": "customer.created", "created": l.SendAt.Unix(),
		"livemode": true,
		"data": object{"object": object{
			"id": "cus_" + name, "object": "customer", "created": l.SendAt.Unix(), "livemode": true, "email": l.Email,
			"metadata": object{"pimmsCustomerId": l.ExternalID, "pimmsClickId": l.ClickID.String()},
		}},
	})
	if err != nil {
		panic("demo: an invented sign-up is not JSON: " + err.Error())
	}
	return traffic.Delivery{Body: body}
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
