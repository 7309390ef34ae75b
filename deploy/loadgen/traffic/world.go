package traffic

import (
	"math/rand/v2"
	"sort"
	"time"
)

// World is one part of a business, complete and in memory. Its slices are sorted by the time at
// which each item is sent, or happened.
type World struct {
	Clicks     []Click
	Leads      []Lead
	Deliveries []Delivery
	Movements  []Movement
	Balance    []BalanceTransaction // what Stripe's balance says of the same money
	Scenarios  int                  // how many people bought, or tried to

	opts       Options
	seed       uint64
	r          *rand.Rand
	buyers     []*buyer
	eventCount map[string]int    // how many events of each type each object has had
	promotions map[string]string // promotion codes by affiliate
}

// New generates a World. Seed and Options decide every byte of it. Options.Start is mixed into the
// seed: two worlds of one seed that start at different times share no identifier.
func New(seed uint64, opts Options) *World {
	opts = opts.withDefaults()
	w := &World{opts: opts, seed: seed, r: rand.New(rand.NewPCG(seed, uint64(opts.Start.UnixNano()))),
		eventCount: make(map[string]int), promotions: make(map[string]string)}
	w.clicks()
	sort.SliceStable(w.Clicks, func(i, j int) bool { return w.Clicks[i].SendAt.Before(w.Clicks[j].SendAt) })
	sort.SliceStable(w.Leads, func(i, j int) bool { return w.Leads[i].SendAt.Before(w.Leads[j].SendAt) })
	sort.SliceStable(w.Deliveries, func(i, j int) bool { return w.Deliveries[i].SendAt.Before(w.Deliveries[j].SendAt) })
	sort.SliceStable(w.Balance, func(i, j int) bool { return w.Balance[i].Created.Before(w.Balance[j].Created) })
	sort.SliceStable(w.Movements, func(i,
		j int) bool {
		return w.Movements[i].OccurredAt.Before(w.Movements[j].OccurredAt)
	})
	return w
}

// End is the moment at which the last item has been sent.
func (w *World) End() time.Time {
	end := w.opts.Start
	for _, at := range []func() (time.Time, bool){
		func() (time.Time, bool) { return last(w.Clicks, func(c Click) time.Time { return c.SendAt }) },
		func() (time.Time, bool) { return last(w.Leads, func(l Lead) time.Time { return l.SendAt }) },
		func() (time.Time, bool) { return last(w.Deliveries, func(d Delivery) time.Time { return d.SendAt }) },
	} {
		if t, ok := at(); ok && t.After(end) {
			end = t
		}
	}
	return end
}

func last[T any](items []T, at func(T) time.Time) (time.Time, bool) {
	if len(items) == 0 {
		return time.Time{}, false
	}
	return at(items[len(items)-1]), true
}

// chance is true with probability p; it always draws, so that a changed share moves as little else
// as possible.
func (w *World) chance(p float64) bool { return w.r.Float64() < p }

func pick[T any](w *World, from []T) T { return from[w.r.IntN(len(from))] }
