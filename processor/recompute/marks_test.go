package recompute_test

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/identity"
	"tributary/processor/recompute"
)

// asked counts how often the edges of a name are read page by page.
type asked struct {
	*clickhousetest.Model
	pages int
}

func (a *asked) EdgesAfter(ctx context.Context, workspace string, name, after identity.Node,
	limit int) ([]identity.Edge, error) {
	a.pages++
	return a.Model.EdgesAfter(ctx, workspace, name, after, limit)
}

// A request to book under a name is done again when a server is noticed to have lost something
// since, and only then.
func TestRequestIsDoneAgainAfterALoss(t *testing.T) {
	store := &asked{Model: clickhousetest.New(t)}
	r := recompute.New(recompute.Config{Store: store, Log: slog.New(slog.DiscardHandler),
		Kept: func() time.Time { return time.Now().Add(-time.Minute) }})
	name := identity.New(identity.Customer, "cus_1")
	if err := store.InsertDeferred(t.Context(), []clickhouse.Deferred{{Workspace: "default", Name: name, Request: "1",
		At: time.Now()}}); err != nil {
		t.Fatal(err)
	}
	for i, want := range []int{1, 0, 1, 0} {
		if i == 2 {
			r.Forget()
		}
		store.pages = 0
		if err := r.Finish(t.Context()); err != nil {
			t.Fatal(err)
		}
		if store.pages != want {
			t.Errorf("the %d. time %d pages are read, want %d", i+1, store.pages, want)
		}
	}
}
