package consume

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// lagging is a replica that shows no clicks yet. It counts what is reported under names.
type lagging struct {
	*clickhousetest.Model
	late  []clickhouse.ClickRow
	names int
}

func (l *lagging) InsertClicks(_ context.Context, rows []clickhouse.ClickRow) error {
	l.late = append(l.late, rows...)
	return nil
}

func (l *lagging) InsertFirstNames(ctx context.Context, rows []clickhouse.EdgeRow) error {
	l.names += len(rows)
	return l.Model.InsertFirstNames(ctx, rows)
}

// A lead and its click that looked for each other in vain find each other when both are visible on
// every replica. Until then the lead's names are not marked as carried: a processor that dies
// leaves them to the next.
func TestSecondLookFindsWhatAReplicaHid(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &lagging{Model: clickhousetest.New(t)}
		r := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler),
			ReplicaLag: 10 * time.Second})
		clicks := &Clicks{Store: store, Recomputer: r}
		payments := &Payments{Store: store, Recomputer: r, Events: NewEventsMetric(),
			Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
		handle := func(handler Handler, record *kgo.Record) {
			t.Helper()
			if err := handler(t.Context(), []*kgo.Record{record}, nil); err != nil {
				t.Fatal(err)
			}
		}
		lead, err := schemas.LeadRecord(&schemas.Lead{Workspace: "default", LeadId: make([]byte, 16),
			ReceivedAt: epoch.UnixMilli(), ExternalId: "user_1", ClickRef: clickID(-60).String(), Vouched: new(true)})
		if err != nil {
			t.Fatal(err)
		}
		begun := time.Now()
		handle(payments.Handle, lead)
		handle(clicks.Handle, click(t, -60, &schemas.Click{AffiliateId: "ann"}))
		time.Sleep(10 * time.Second)
		if err := store.Model.InsertClicks(t.Context(), store.late); err != nil {
			t.Fatal(err)
		}
		state := func() (affiliate string, carried bool) {
			edges, err := store.Names(t.Context(), "default", []identity.Node{identity.New(identity.External, "user_1")})
			if err != nil {
				t.Fatal(err)
			}
			return store.AllLeads()[0].Click.AffiliateID,
				slices.ContainsFunc(edges, func(e identity.Edge) bool { return e.Carried })
		}
		if affiliate, carried := state(); affiliate != "" || carried || !r.SettledUntil().Before(begun.Add(time.Second)) {
			t.Errorf("before the second look the lead is %q's, its names are carried: %t", affiliate, carried)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.LookAgain(ctx) }()
		time.Sleep(11 * time.Second)
		if affiliate, carried := state(); affiliate != "ann" || !carried {
			t.Errorf("after the second look the lead is %q's, its names are carried: %t", affiliate, carried)
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What a cache knows to be stored may be lost with the server: then it is stored again.
func TestNamesAreStoredAgainAfterARestart(t *testing.T) {
	store := &lagging{Model: clickhousetest.New(t)}
	r := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler)})
	clicks := &Clicks{Store: store, Recomputer: r}
	for i, want := range []int{1, 1, 2} {
		if i == 2 {
			clicks.Forget()
		}
		if err := clicks.Handle(t.Context(), []*kgo.Record{click(t, i, &schemas.Click{AffiliateId: "ann"})},
			nil); err != nil {
			t.Fatal(err)
		}
		if store.names != want {
			t.Errorf("after %d clicks, names were stored %d times, want %d", i+1, store.names, want)
		}
	}
}
