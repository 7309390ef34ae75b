package replay

import (
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

// TestEventDays stores events of some days and of another one, and joins the days.
func TestEventDays(t *testing.T) {
	dsn := chdbtest.Start(t)
	sqltest.Fill(t, dsn)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	first := time.Date(2026, 3, 30, 0, 0, 0, 0, time.UTC)
	counts := []int{2, 1, 0, 3, 7, 1} // of each day
	var rows []clickhouse.EventRow
	for day, n := range counts {
		for i := range n {
			at := first.AddDate(0, 0, day).Add(time.Duration(i) * 3 * time.Hour)
			rows = append(rows, clickhouse.EventRow{Workspace: "default", Created: at, StripeEvent: &schemas.StripeEvent{
				ID: fmt.Sprintf("evt_%d_%d", day, i), Type: "customer.created", ReceivedAt: at, Body: []byte("{}")}})
		}
	}
	if err := store.InsertEvents(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name, done, want string
		since            time.Time
		most             uint64
	}{
		{name: "each apart", most: 1, want: "03-30 03-30 2, 03-31 03-31 1, 04-02 04-02 3, 04-03 04-03 7, 04-04 04-04 1, "},
		{name: "some joined", most: 6, want: "03-30 04-02 6, 04-03 04-03 7, 04-04 04-04 1, "},
		{name: "all joined", most: 100, want: "03-30 04-04 14, "},
		{name: "continued", most: 6, done: "2026-03-31", want: "04-02 04-02 3, 04-03 04-03 7, 04-04 04-04 1, "},
		{name: "since a moment", most: 9, since: first.AddDate(0, 0, 3).Add(2 * time.Hour),
			want: "04-02 04-03 9, 04-04 04-04 1, "},
	} {
		list, err := eventDays(t.Context(), store, c.since, c.done, c.most)
		got := ""
		for _, d := range list {
			got += fmt.Sprintf("%s %s %d, ", d.first.Format("01-02"), d.last.Format("01-02"), d.events)
			if d.first.Location() != time.UTC || d.last.Hour() != 0 {
				t.Errorf("%s: %v to %v are no days", c.name, d.first, d.last)
			}
		}
		if err != nil || got != c.want {
			t.Errorf("%s: %q, %v; want %q", c.name, got, err, c.want)
		}
	}
}
