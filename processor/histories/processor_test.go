package histories

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// house is a processor without Kafka, as in the tests of processor/consume: both lanes' handlers over the model. It can be made to
// die at an insert, and starts again with nothing but what the model holds.
type house struct {
	*clickhousetest.Model
	tb    testing.TB
	rates ledger.Rates
	now   time.Time // by the clock; records are older

	money  *consume.Payments
	clicks *consume.Clicks

	mu   sync.Mutex // inserts of one batch run beside each other
	dies *death     // nil: it lives
}

// death says at which insert the processor ends. It is counted by table, so that the order of inserts that run beside each
// other does not matter.
type death struct {
	table  string
	after  int  // inserts into it
	stored bool // whether the last one still reaches the store
}

// tables are those at whose inserts a processor may die.
var tables = []string{"stripe_events", "facts", "identities", "leads", "ledger", "clicks"}

func newHouse(tb testing.TB, rates ledger.Rates, now time.Time) *house {
	h := &house{Model: clickhousetest.New(tb), tb: tb, rates: rates, now: now}
	h.start()
	return h
}

// start makes new handlers: whatever a processor knew beside the store is gone.
func (h *house) start() {
	h.dies = nil
	r := recompute.New(recompute.Config{Store: h, Rates: h.rates, Settle: 24 * time.Hour, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now }})
	h.clicks = &consume.Clicks{Store: h, Recomputer: r}
	h.money = &consume.Payments{Store: h, Recomputer: r, Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }, Events: consume.NewEventsMetric()}
}

// feed hands one batch to the lanes, as Kafka would. Its error is errDied or nil.
func (h *house) feed(records []*kgo.Record) error {
	h.tb.Helper()
	var clicks, money []*kgo.Record
	for _, r := range records {
		if r.Topic == schemas.TopicClicks {
			clicks = append(clicks, r)
		} else {
			money = append(money, r)
		}
	}
	letter := func(_ context.Context, r *kgo.Record, step, reason string, cause error) error {
		h.tb.Fatalf("dead letter: %s %s %v\n%s", step, reason, cause, r.Value)
		return nil
	}
	for _, lane := range []struct {
		records []*kgo.Record
		handle  func(context.Context, []*kgo.Record, consume.DeadLetter) error
	}{{clicks, h.clicks.Handle}, {money, h.money.Handle}} {
		if len(lane.records) == 0 {
			continue
		}
		switch err := lane.handle(context.Background(), lane.records, letter); {
		case errors.Is(err, errDied):
			return errDied
		case err != nil:
			h.tb.Fatal(err)
		}
	}
	return nil
}

var errDied = errors.New("the processor died")

// insert stores rows, unless the processor dies of it.
func insert[T any](ctx context.Context, h *house, table string, rows []T, into func(context.Context, []T) error) error {
	h.mu.Lock()
	died, stored := false, true
	if d := h.dies; d != nil && d.table == table {
		if d.after--; d.after < 0 {
			died, stored = true, d.stored
		}
	}
	h.mu.Unlock()
	if stored {
		if err := into(ctx, rows); err != nil {
			return err
		}
	}
	if died {
		return errDied
	}
	return nil
}

func (h *house) InsertClicks(ctx context.Context, rows []clickhouse.ClickRow) error {
	return insert(ctx, h, "clicks", rows, h.Model.InsertClicks)
}

func (h *house) InsertEvents(ctx context.Context, rows []clickhouse.EventRow) error {
	return insert(ctx, h, "stripe_events", rows, h.Model.InsertEvents)
}

func (h *house) InsertFacts(ctx context.Context, rows []clickhouse.FactRow) error {
	return insert(ctx, h, "facts", rows, h.Model.InsertFacts)
}

func (h *house) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return insert(ctx, h, "identities", rows, h.Model.InsertEdges)
}

func (h *house) InsertLeads(ctx context.Context, rows []ledger.Lead) error {
	return insert(ctx, h, "leads", rows, h.Model.InsertLeads)
}

func (h *house) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	return insert(ctx, h, "ledger", rows, h.Model.InsertLedger)
}
