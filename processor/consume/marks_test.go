package consume

import (
	"context"
	"log/slog"
	"slices"
	"strconv"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// losing is a server that acknowledges edges and loses them, until it is whole.
type losing struct {
	*clickhousetest.Model
	whole atomic.Bool
}

func (l *losing) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	if !l.whole.Load() && !slices.ContainsFunc(rows, func(r clickhouse.EdgeRow) bool { return r.Carried }) {
		return nil
	}
	return l.Model.InsertEdges(ctx, rows)
}

// A batch outlives the server that took its first rows, and so finds none of them. What it stores
// afterwards must not keep the records, which are read again when the restart is noticed, from
// reaching the customer's older sales.
func TestBatchOutlivesItsServer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &losing{Model: clickhousetest.New(t)}
		store.whole.Store(true)
		var kept atomic.Int64 // the last answer of the server, in Unix milliseconds
		kept.Store(time.Now().UnixMilli())
		r := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler),
			Kept: func() time.Time { return time.UnixMilli(kept.Load()) }})
		clicks := &Clicks{Store: store, Recomputer: r}
		payments := &Payments{Store: store, Recomputer: r, Events: NewEventsMetric(),
			Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
		handle := handler(t, payments.Handle)
		handler(t, clicks.Handle)(click(t, -60, &schemas.Click{AffiliateId: "ann", Vouched: true}))
		handle(event(t, "evt_1", "payment_intent.succeeded", 0, 1, j{"id": "pi_1", "object": "payment_intent",
			"currency": "usd", "amount": 100, "amount_received": 100, "customer": "cus_1"}))
		named := event(t, "evt_2", "customer.updated", 60, 1, j{"id": "cus_1", "object": "customer",
			"metadata": j{"pimmsClickId": clickID(-60).String()}})
		state := func() (affiliate string, carried bool) {
			edges, err := store.Names(t.Context(), "default", []identity.Node{identity.New(identity.Customer, "cus_1")})
			if err != nil {
				t.Fatal(err)
			}
			return store.Ledger()[0].Click.AffiliateID,
				slices.ContainsFunc(edges, func(e identity.Edge) bool { return e.Carried })
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Mark(ctx) }()

		store.whole.Store(false)
		handle(named)
		time.Sleep(3 * time.Second)
		if affiliate, carried := state(); affiliate != "" || carried {
			t.Fatalf("the sale is %q's, and the name that was lost is carried: %t", affiliate, carried)
		}
		store.whole.Store(true)
		r.Forget()
		handle(named)
		if affiliate, carried := state(); affiliate != "ann" || carried {
			t.Errorf("read again, the sale is %q's, its name is carried: %t", affiliate, carried)
		}
		kept.Store(time.Now().Add(time.Second).UnixMilli()) // the server that answers is still the one that took the rows
		time.Sleep(3 * time.Second)
		if _, carried := state(); !carried {
			t.Error("the name is not marked as carried when the server has kept it")
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// forgetful is a server that acknowledges entries and loses them, until it is whole.
type forgetful struct {
	*clickhousetest.Model
	whole bool
}

func (f *forgetful) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	if !f.whole {
		return nil
	}
	return f.Model.InsertLedger(ctx, rows)
}

// The sales of a customer with many are booked in the background, long after the record that names
// their click: its name is marked as carried by then. The server loses what was booked, and the
// processor dies before it knows. The record is of no use any more, and nobody else has booked them:
// without the second request the sales would be nobody's for ever.
func TestBackgroundsLastSalesAreLost(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &forgetful{Model: clickhousetest.New(t), whole: true}
		store.Shared = 1
		processor := func() (*recompute.Recomputer, func(*kgo.Record)) {
			r := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler),
				Kept: func() time.Time { return time.Now().Add(-time.Minute) }})
			payments := &Payments{Store: store, Recomputer: r, Events: NewEventsMetric(),
				Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
			return r, handler(t, payments.Handle)
		}
		credited := func(when, want string) {
			t.Helper()
			entries := store.Ledger()
			if len(entries) != 3 {
				t.Fatalf("%d entries", len(entries))
			}
			for _, e := range entries {
				if e.Click.AffiliateID != want {
					t.Errorf("%s: %s is %q's, want %q", when, e.ObjectID, e.Click.AffiliateID, want)
				}
			}
		}
		book := func(r *recompute.Recomputer) {
			t.Helper()
			if err := r.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		victim, handle := processor()
		handler(t, (&Clicks{Store: store, Recomputer: victim}).Handle)(click(t, -60, &schemas.Click{AffiliateId: "ann",
			Vouched: true}))
		for n := range 3 {
			id := strconv.Itoa(n)
			handle(event(t, "evt_"+id, "payment_intent.succeeded", 0, n, j{"id": "pi_" + id, "object": "payment_intent",
				"currency": "usd", "amount": 100, "amount_received": 100, "customer": "cus_1"}))
		}
		named := event(t, "evt_named", "customer.updated", 60, 1, j{"id": "cus_1", "object": "customer",
			"metadata": j{"pimmsClickId": clickID(-60).String()}})
		handle(named)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- victim.Mark(ctx) }()
		time.Sleep(2 * time.Minute)
		credited("before they are booked", "")

		store.whole = false
		book(victim)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		store.whole = true
		other, handle := processor()
		handle(named)
		book(other)
		credited("when the record is read again", "")
		time.Sleep(2*time.Minute + time.Second)
		book(other)
		credited("two minutes later", "ann")
	})
}

// handler returns a function that lets a handler handle one record.
func handler(t *testing.T, handle Handler) func(*kgo.Record) {
	return func(record *kgo.Record) {
		t.Helper()
		if err := handle(t.Context(), []*kgo.Record{record}, nil); err != nil {
			t.Fatal(err)
		}
	}
}

// Names wait a minute for their mark. Whom somebody erases meanwhile is not stored again by it.
func TestErasedNamesAreNotMarked(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := clickhousetest.New(t)
		r := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler),
			Kept: func() time.Time { return time.Now().Add(-time.Minute) }})
		payments := &Payments{Store: store, Recomputer: r, Events: NewEventsMetric(),
			Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
		handle := handler(t, payments.Handle)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Mark(ctx) }()
		pay := func(n int) {
			id := strconv.Itoa(n)
			handle(event(t, "evt_"+id, "payment_intent.succeeded", 0, n, j{"id": "pi_" + id, "object": "payment_intent",
				"currency": "usd", "amount": 100, "amount_received": 100, "customer": "cus_" + id}))
		}
		pay(1)
		time.Sleep(30 * time.Second)
		r.Erased()
		pay(2) // read by the list of before, perhaps
		time.Sleep(time.Minute)
		pay(3)
		time.Sleep(time.Hour)
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		for n, want := range map[string]bool{"1": false, "2": false, "3": true} {
			edges, err := store.Names(t.Context(), "default", []identity.Node{identity.New(identity.Customer, "cus_"+n)})
			if err != nil {
				t.Fatal(err)
			}
			if carried := slices.ContainsFunc(edges, func(e identity.Edge) bool { return e.Carried }); carried != want {
				t.Errorf("the name of customer %s is marked: %t, want %t", n, carried, want)
			}
		}
	})
}

// Until an edge is marked, the processor that carried it does not do it again.
func TestEdgeIsCarriedOnceBeforeItsMark(t *testing.T) {
	store := &counting{Model: clickhousetest.New(t)}
	r := recompute.New(recompute.Config{Store: store, Rates: testRates, Log: slog.New(slog.DiscardHandler),
		Kept: func() time.Time { return time.Time{} }})
	payments := &Payments{Store: store, Recomputer: r, Events: NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	handle := handler(t, payments.Handle)
	for i, want := range []int64{2, 1, 2, 1} { // the one that nobody shares is stored each time
		if i == 2 {
			r.Forget()
		}
		store.edges.Store(0)
		handle(event(t, "evt_1", "customer.updated", 60, 1, j{"id": "cus_1", "object": "customer",
			"metadata": j{"pimmsClickId": clickID(-60).String()}}))
		if got := store.edges.Load(); got != want {
			t.Errorf("reported for the %d. time, %d edges are stored, want %d", i+1, got, want)
		}
	}
}

// counting counts the edges that are stored.
type counting struct {
	*clickhousetest.Model
	edges atomic.Int64
}

func (c *counting) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	c.edges.Add(int64(len(rows)))
	return c.Model.InsertEdges(ctx, rows)
}
