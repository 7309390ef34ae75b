package recompute_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/identity"
	"tributary/processor/recompute"
)

// asked counts how often the edges of a name are read page by page.
type asked struct {
	*clickhousetest.Model
	pages atomic.Int64
}

func (a *asked) EdgesAfter(ctx context.Context, workspace string, name, after identity.Node,
	limit int) ([]identity.Edge, error) {
	a.pages.Add(1)
	return a.Model.EdgesAfter(ctx, workspace, name, after, limit)
}

// A request to book under a name is done again when a server is noticed to have lost something
// since, and only then.
func TestRequestIsDoneAgainAfterALoss(t *testing.T) {
	store := &asked{Model: clickhousetest.New(t)}
	r := recompute.New(recompute.Config{Store: store, Log: slog.New(slog.DiscardHandler),
		Kept: func() time.Time { return time.Now().Add(-time.Minute) }})
	name := identity.New(identity.Customer, "cus_1")
	if err := store.InsertDeferred(t.Context(), []clickhouse.Deferred{{Workspace: "default", Name: name,
		Request: "1"}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int64{1, 0, 1, 0} {
		if i == 2 {
			r.Forget()
		}
		store.pages.Store(0)
		if err := r.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := store.pages.Load(); got != want {
			t.Errorf("the %d. time %d pages are read, want %d", i+1, got, want)
		}
	}
}

// Background books under some names, and then looks what is left: none of what was lost is left out.
func TestAllRequestsAreDoneAgainAfterALoss(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &asked{Model: clickhousetest.New(t)}
		r := recompute.New(recompute.Config{Store: store, Log: slog.New(slog.DiscardHandler),
			Kept: func() time.Time { return time.Now().Add(-time.Minute) }})
		var requests []clickhouse.Deferred
		for _, workspace := range []string{"a", "b", "c"} {
			requests = append(requests, clickhouse.Deferred{Workspace: workspace, Name: identity.New(identity.Customer, "cus_1"),
				Request: workspace})
		}
		if err := store.InsertDeferred(t.Context(), requests); err != nil {
			t.Fatal(err)
		}
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- r.Background(ctx, time.Second) }()
		for i, want := range []int64{3, 0, 3, 0} {
			if i == 2 {
				r.Forget()
			}
			store.pages.Store(0)
			time.Sleep(1500 * time.Millisecond)
			synctest.Wait()
			if got := store.pages.Load(); got != want {
				t.Errorf("the %d. time %d pages are read, want %d", i+1, got, want)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// What a processor has booked under a name is booked again by another one if it dies before it knows
// that ClickHouse has kept it, and not if it knows.
func TestRequestOfADeadProcessorIsDoneAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		store := &asked{Model: clickhousetest.New(t)}
		processor := func() *recompute.Recomputer {
			return recompute.New(recompute.Config{Store: store, Log: slog.New(slog.DiscardHandler),
				ReplicaLag: 10 * time.Second, Kept: func() time.Time { return time.Now().Add(-time.Minute) }})
		}
		if err := store.InsertDeferred(t.Context(), []clickhouse.Deferred{{Workspace: "default",
			Name: identity.New(identity.Customer, "cus_1"), Request: "1"}}); err != nil {
			t.Fatal(err)
		}
		book := func(r *recompute.Recomputer, want int64) {
			t.Helper()
			store.pages.Store(0)
			if err := r.Finish(t.Context()); err != nil {
				t.Fatal(err)
			}
			if got := store.pages.Load(); got != want {
				t.Errorf("%d pages are read, want %d", got, want)
			}
		}
		book(processor(), 1) // and dies
		other := processor()
		book(other, 0)
		time.Sleep(2 * time.Minute)
		book(other, 0)
		time.Sleep(21 * time.Second)
		book(other, 1)
		ctx, stop := context.WithCancel(t.Context())
		ended := make(chan error)
		go func() { ended <- other.Mark(ctx) }()
		time.Sleep(time.Hour)
		stop()
		if err := <-ended; err != nil {
			t.Fatal(err)
		}
		book(processor(), 0)
	})
}
