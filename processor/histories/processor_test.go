package histories

import (
	"bytes"
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/loadgen/traffic"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripeapi"
	"tributary/schemas"
)

// processor runs without Kafka, as in the tests of processor/consume: both consumers' handlers over
// the model. It can be made to crash at an insert, and restarts with nothing but what the model
// holds.
type processor struct {
	*clickhousetest.Model
	tb    testing.TB
	rates ledger.Rates
	now   time.Time // by the clock; records are older
	// of returns the workspace of an event, as consume.Payments asks for it; nil: "default"
	of func(*schemas.StripeEvent) (workspace string, listed bool)

	money  *consume.Payments
	clicks *consume.Clicks
	thin   *consume.Thin
	topic  []*kgo.Record // snapshots of thin events that were fetched and not handled yet

	mu    sync.Mutex // inserts of one batch run beside each other
	crash *crash     // nil: none
}

// crash says at which insert the processor crashes. It is counted by table, so that the order of
// inserts that run beside each other does not matter.
type crash struct {
	table  string
	after  int  // inserts into it
	stored bool // whether the last one still reaches the store
}

// tables are those at whose inserts a processor may crash.
var tables = []string{"stripe_events", "facts", "identities", "leads", "ledger", "clicks"}

func newProcessor(tb testing.TB, rates ledger.Rates, now time.Time) *processor {
	h := &processor{Model: clickhousetest.New(tb), tb: tb, rates: rates, now: now}
	h.start()
	return h
}

// start makes new handlers: they know only what is stored.
func (h *processor) start() {
	h.crash = nil
	r := recompute.New(recompute.Config{Store: h, Rates: h.rates,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now }})
	h.clicks = &consume.Clicks{Store: h, Recomputer: r}
	h.money = &consume.Payments{Store: h, Recomputer: r, Events: consume.NewEventsMetric(), ThinFetched: true,
		Workspace: func(e *schemas.StripeEvent) (string, bool) {
			if h.of == nil {
				return "default", true
			}
			return h.of(e)
		}}
}

// answer makes what Stripe answers to the processor that fetches the snapshots of thin events.
func (h *processor) answer(w *traffic.World) {
	keys, err := stripeapi.ParseKeys("rk_live_1 rk_test_1")
	if err != nil {
		h.tb.Fatal(err)
	}
	h.thin = &consume.Thin{
		API: &stripeapi.Client{Base: "https://api.stripe.com", Keys: keys, HTTP: &http.Client{Transport: events(w)},
			Log: slog.New(slog.DiscardHandler)},
		Log: slog.New(slog.DiscardHandler),
		Produce: func(_ context.Context, r *kgo.Record) error {
			h.mu.Lock()
			defer h.mu.Unlock()
			h.topic = append(h.topic, r)
			return nil
		},
	}
}

// events is Stripe's API as far as it answers with a World's events.
func events(w *traffic.World) roundTripper {
	bodies := make(map[string][]byte, len(w.Deliveries))
	for _, d := range w.Deliveries {
		bodies["/v1/events/"+d.EventID] = d.Body
	}
	return func(r *http.Request) (*http.Response, error) {
		body, ok := bodies[r.URL.Path]
		status := http.StatusOK
		if !ok {
			body, status = []byte(`{"error":{"message":"No such event"}}`), http.StatusNotFound
		}
		return &http.Response{StatusCode: status, Body: io.NopCloser(bytes.NewReader(body)), Request: r}, nil
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

// feed passes one batch to the handlers, as Kafka would, before it what was fetched since the last.
// Its error is errCrashed or nil.
func (h *processor) feed(records []*kgo.Record) error {
	h.tb.Helper()
	var clicks, money []*kgo.Record
	fetched := len(h.topic)
	for _, r := range slices.Concat(h.topic, records) {
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
	for _, consumer := range []struct {
		records []*kgo.Record
		handle  consume.Handler
	}{{clicks, h.clicks.Handle}, {money, h.money.Handle}} {
		if len(consumer.records) == 0 {
			continue
		}
		switch err := consumer.handle(context.Background(), consumer.records, letter); {
		case errors.Is(err, errCrashed):
			return errCrashed
		case err != nil:
			h.tb.Fatal(err)
		}
	}
	h.topic = h.topic[fetched:]
	if h.thin == nil || len(money) == 0 {
		return nil
	}
	if err := h.thin.Handle(context.Background(), money, letter); err != nil {
		h.tb.Fatal(err)
	}
	return nil
}

var errCrashed = errors.New("the processor crashed")

// insert stores rows, unless the processor crashes.
func insert[T any](ctx context.Context, h *processor, table string, rows []T,
	into func(context.Context, []T) error,
) error {
	h.mu.Lock()
	crashed, stored := false, true
	if d := h.crash; d != nil && d.table == table {
		if d.after--; d.after < 0 {
			crashed, stored = true, d.stored
		}
	}
	h.mu.Unlock()
	if stored {
		if err := into(ctx, rows); err != nil {
			return err
		}
	}
	if crashed {
		return errCrashed
	}
	return nil
}

func (h *processor) InsertClicks(ctx context.Context, rows []clickhouse.ClickRow) error {
	return insert(ctx, h, "clicks", rows, h.Model.InsertClicks)
}

func (h *processor) InsertEvents(ctx context.Context, rows []clickhouse.EventRow) error {
	return insert(ctx, h, "stripe_events", rows, h.Model.InsertEvents)
}

func (h *processor) InsertFacts(ctx context.Context, rows []clickhouse.FactRow) error {
	return insert(ctx, h, "facts", rows, h.Model.InsertFacts)
}

func (h *processor) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return insert(ctx, h, "identities", rows, h.Model.InsertEdges)
}

func (h *processor) InsertFirstNames(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return insert(ctx, h, "first_names", rows, h.Model.InsertFirstNames)
}

func (h *processor) InsertLeads(ctx context.Context, rows []ledger.Lead) error {
	return insert(ctx, h, "leads", rows, h.Model.InsertLeads)
}

func (h *processor) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	return insert(ctx, h, "ledger", rows, h.Model.InsertLedger)
}
