package histories

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/deploy/race"
	"tributary/schemas"
)

// permuted is how many events are handled in every order: 720 orders.
const permuted = 6

// One buyer's events, handled one at a time and in every order, give one ledger, and it is the
// truth. Of more than six events the last six are permuted, after the others.
func TestEveryOrder(t *testing.T) {
	t.Parallel()
	versions := []string{"2024-10-28.acacia", "2026-10-28.endive"}
	if worlds(t) >= 1000 {
		versions = append(versions, "2022-11-15", "2025-03-31.basil")
	}
	for i, scenario := range slices.Concat(traffic.Scenarios, traffic.Billing) {
		for j, version := range versions {
			if (testing.Short() || race.Enabled) && (i+j)%12 > 0 {
				continue
			}
			t.Run(fmt.Sprintf("%s/%s", scenario, version), func(t *testing.T) {
				t.Parallel()
				everyOrder(t, scenario, version)
			})
		}
	}
}

func everyOrder(t *testing.T, scenario traffic.Scenario, version string) {
	opts, world := oneBuyer(scenario, version)
	truth := truthOf(world, opts)
	var before, events []delivery
	seen := map[string]bool{}
	for _, d := range records(t, world) {
		switch id := schemas.Header(d.record, schemas.HeaderEventID); {
		case d.record.Topic != schemas.TopicStripe:
			before = append(before, d)
		case !seen[id]:
			events = append(events, d)
			seen[id] = true
		}
	}
	if extra := len(events) - permuted; extra > 0 {
		before, events = append(before, events[:extra]...), events[extra:]
	}
	h := newProcessor(t, rates(), world.End().AddDate(1, 0, 0))
	for _, d := range before {
		h.handle(d)
	}
	last := everyState(h, events)
	for _, d := range truth.differences(last[0].processor.Ledger()) {
		t.Errorf("%s", d.text)
	}
	for _, s := range last[1:] {
		if got, want := s.processor.Table(), last[0].processor.Table(); got != want {
			t.Fatalf("in this order:%s\nthe ledger is another table:\n%s\ninstead of:\n%s", s.order, got, want)
		}
	}
}

// state is what is stored after some events, and one order that leads there.
type state struct {
	processor *processor
	order     string
}

// everyState returns what may be stored after all events, of every order. Each order is followed,
// but what several of them have stored alike is continued once: what a processor does next depends
// on nothing but what is stored. Hence 192 events are handled instead of 720 times 6, where all
// orders of some events store the same.
func everyState(began *processor, events []delivery) []state {
	states := make([][]state, 1<<len(events)) // by the set of events that were handled
	states[0] = []state{{processor: began}}
	for handled := range states {
		for _, s := range states[handled] {
			for i, event := range events {
				then := handled | 1<<i
				if then == handled {
					continue
				}
				next := s.processor.clone()
				next.handle(event)
				if !slices.ContainsFunc(states[then], func(o state) bool { return o.processor.Equal(next.Model) }) {
					states[then] = append(states[then], state{next, s.order + "\n" + event.title})
				}
			}
		}
		if handled < len(states)-1 {
			states[handled] = nil
		}
	}
	return states[len(states)-1]
}

// clone returns a processor that starts with a copy of what this one has stored.
func (h *processor) clone() *processor {
	c := &processor{Model: h.Model.Clone(), tb: h.tb, rates: h.rates, now: h.now, of: h.of}
	c.start()
	return c
}

func (h *processor) handle(d delivery) {
	h.tb.Helper()
	if err := h.feed([]*kgo.Record{d.record}); err != nil {
		h.tb.Fatal(err)
	}
}

// oneBuyer returns the World, of some, in which one person lives a scenario by the fewest events
// that move money to and fro.
func oneBuyer(scenario traffic.Scenario, version string) (traffic.Options, *traffic.World) {
	var best *traffic.World
	var bestOpts traffic.Options
	for seed := uint64(1); seed <= 60; seed++ {
		o := traffic.Options{
			Start: time.Date(2025, 10, 6, 0, 0, 0, 0, time.UTC), Span: time.Hour, Clicks: 1, Buyers: 1, Leads: -1, Bots: -1,
			Refunds: 1, Returning: -1, Duplicates: -1, LateClicks: -1, PlanChanges: -1, Rare: true,
			APIVersions: []string{version}, Scenarios: []traffic.Scenario{scenario}, Currencies: []string{"usd"},
		}
		o.Until = o.Start.Add(40 * time.Hour)
		w := traffic.New(seed, o)
		score := func(w *traffic.World) int { return min(len(w.Movements), 4)*100 - len(w.Deliveries) }
		if best == nil || score(w) > score(best) {
			best, bestOpts = w, o
		}
	}
	return bestOpts, best
}
