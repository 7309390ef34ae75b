package histories

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
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
	for i, scenario := range traffic.Scenarios {
		for j, version := range versions {
			if testing.Short() && (i+j)%4 > 0 {
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
	table := ""
	permute(events, func(order []delivery) {
		h := newProcessor(t, rates(), world.End().AddDate(1, 0, 0))
		for _, d := range slices.Concat(before, order) {
			if err := h.feed([]*kgo.Record{d.record}); err != nil {
				t.Fatal(err)
			}
		}
		if table == "" {
			table = h.Table()
			for _, d := range truth.differences(h.Ledger()) {
				t.Errorf("%s", d.text)
			}
		} else if got := h.Table(); got != table {
			titles := ""
			for _, d := range order {
				titles += "\n" + d.title
			}
			t.Fatalf("in this order:%s\nthe ledger is another table:\n%s\ninstead of:\n%s", titles, got, table)
		}
	})
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

// permute calls f with every order of the items, in one slice.
func permute[T any](items []T, f func([]T)) {
	var from func(n int)
	from = func(n int) {
		if n == len(items) {
			f(items)
			return
		}
		for i := n; i < len(items); i++ {
			items[n], items[i] = items[i], items[n]
			from(n + 1)
			items[n], items[i] = items[i], items[n]
		}
	}
	from(0)
}
