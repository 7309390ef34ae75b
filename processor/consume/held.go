package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/schemas"
)

// Held looks after the events of accounts that no workspace lists. They are stored, and their money
// is booked, in a workspace that stands for the account (schemas.HeldWorkspace), with the status
// held. As soon as a workspace lists the account, they are booked there, and superseded where they
// were held. Every processor may do this at once, and again.
type Held struct {
	store    *clickhouse.Store
	payments *Payments
	released func(held string, livemode bool) (workspace string, listed bool)
	log      *slog.Logger
	metrics  heldMetrics

	woken   chan struct{}
	warning atomic.Pointer[string]
	logged  map[heldMode]bool   // what the log has said
	booked  map[heldMode]uint64 // how many events were held when all of them were booked
}

type heldMode struct {
	workspace string
	livemode  bool
}

// heldEvents is how much is held in one workspace and mode.
type heldEvents struct {
	heldMode
	account string
	events  uint64
}

// heldMetrics are of all accounts together.
type heldMetrics struct{ events, accounts prometheus.Gauge }

// NewHeld makes a Held, whose metrics are registered with reg. released returns the workspace that
// books in one mode what is held in another, and whether there is one (workspace.File.Released).
func NewHeld(store *clickhouse.Store, payments *Payments, released func(held string, livemode bool) (string, bool),
	reg prometheus.Registerer, log *slog.Logger,
) *Held {
	auto := promauto.With(reg)
	return &Held{
		store: store, payments: payments, released: released, log: log,
		metrics: heldMetrics{
			events: auto.NewGauge(prometheus.GaugeOpts{Name: "processor_held_events",
				Help: "Stripe events of accounts that no workspace lists. Alert on more than 0."}),
			accounts: auto.NewGauge(prometheus.GaugeOpts{Name: "processor_held_accounts",
				Help: "Accounts that no workspace lists and that have sent events, live and test mode apart."}),
		},
		woken: make(chan struct{}, 1), logged: make(map[heldMode]bool), booked: make(map[heldMode]uint64),
	}
}

// Wake makes it look now: the workspaces file has changed.
func (h *Held) Wake() {
	select {
	case h.woken <- struct{}{}:
	default: // it is awake already
	}
}

// Warning returns what an operator should know; empty: nothing.
func (h *Held) Warning() string {
	if w := h.warning.Load(); w != nil {
		return *w
	}
	return ""
}

// Run looks now and then until ctx ends.
func (h *Held) Run(ctx context.Context, every time.Duration) error {
	for {
		if err := h.Once(ctx); err != nil && ctx.Err() == nil {
			return fmt.Errorf("book held events: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-h.woken:
		case <-time.After(every):
		}
	}
}

// Once books what may be booked by now, and says what is still held.
func (h *Held) Once(ctx context.Context) error {
	list, err := clickhouse.Collect(ctx, h.store, "stripe_events", `SELECT workspace, livemode, any(account), count()
FROM stripe_events FINAL WHERE startsWith(workspace, ?) GROUP BY workspace, livemode ORDER BY workspace, livemode`,
		[]any{schemas.HeldPrefix}, func(rows driver.Rows, e *heldEvents) error {
			return rows.Scan(&e.workspace, &e.livemode, &e.account, &e.events)
		})
	if err != nil {
		return err
	}
	var waiting []heldEvents
	for _, e := range list {
		workspace, listed := h.released(e.workspace, e.livemode)
		if !listed {
			waiting = append(waiting, e)
			continue
		}
		if err := h.release(ctx, e, workspace); err != nil {
			return err
		}
	}
	h.say(waiting)
	return nil
}

// release books what is held in one workspace and mode into another.
//
// A processor that has not yet read the new list may hold one more event meanwhile. Walk through
// it: it stores the event, this one counts and books it, the other one books it as held. The next
// look finds a held entry, and supersedes it.
func (h *Held) release(ctx context.Context, e heldEvents, into string) error {
	if h.booked[e.heldMode] != e.events {
		n, err := h.book(ctx, e.heldMode, into)
		if err != nil {
			return err
		}
		if n > 0 {
			h.log.Info("held events are booked: a workspace lists their account now", "account", e.account,
				"livemode", e.livemode, "workspace", into, "events", n)
		}
		h.booked[e.heldMode] = e.events
	}
	sales, err := clickhouse.Collect(ctx, h.store, "ledger", `SELECT DISTINCT workspace, sale_id FROM ledger FINAL
WHERE workspace = ? AND livemode = ? AND status = 'held'`, []any{e.workspace, e.livemode}, clickhouse.ScanSale)
	if err != nil {
		return err
	}
	err = h.payments.Recomputer.RecomputeSales(ctx, sales)
	if errors.Is(err, clickhouse.ErrRejected) {
		h.log.Warn("some held sales make rows that ClickHouse cannot take", "error", err)
		return nil
	}
	return err
}

// releaseAtOnce bounds the events that are in memory at once, each of at most 1 MiB.
const releaseAtOnce = 200

// book books the events of one held workspace and mode that are not stored in into yet, and returns
// how many there were.
func (h *Held) book(ctx context.Context, from heldMode, into string) (int, error) {
	_, unlisted, _ := schemas.ParseHeldWorkspace(from.workspace)
	total := 0
	for {
		records, err := clickhouse.Collect(ctx, h.store, "stripe_events",
			`SELECT event_id, type, account, livemode, api_version, received_at, body FROM stripe_events FINAL
WHERE workspace = ? AND livemode = ? AND event_id NOT IN (SELECT event_id FROM stripe_events WHERE workspace = ?
    AND event_id IN (SELECT event_id FROM stripe_events WHERE workspace = ?))
ORDER BY received_at, event_id LIMIT ?`,
			[]any{from.workspace, from.livemode, into, from.workspace, releaseAtOnce},
			func(rows driver.Rows, r **kgo.Record) error {
				e := schemas.StripeEvent{Unlisted: unlisted}
				var body string
				err := rows.Scan(&e.ID, &e.Type, &e.Account, &e.Livemode, &e.APIVersion, &e.ReceivedAt, &body)
				e.ReceivedAt, e.Body = e.ReceivedAt.UTC(), []byte(body)
				*r = schemas.StripeRecord(&e, "")
				return err
			})
		if err != nil || len(records) == 0 {
			return total, err
		}
		refused := 0
		count := func(_ context.Context, r *kgo.Record, step, reason string, cause error) error {
			if reason != "unknown_shape" && reason != ThinReason { // those are stored raw, as they were when they came
				refused++
			}
			h.log.Warn("held event is not booked", "event", schemas.Header(r, schemas.HeaderEventID), "step", step,
				"reason", reason, "error", cause)
			return nil
		}
		if err := Quarantine(ctx, records, h.payments.release, count, h.log); err != nil {
			return total, err
		}
		if total += len(records) - refused; refused > 0 || len(records) < releaseAtOnce {
			return total, nil // what is refused would be asked for again and again
		}
	}
}

// say logs each account once, and keeps the warning and the metrics up to date.
func (h *Held) say(waiting []heldEvents) {
	const most = 5 // accounts that are named
	var named []string
	events := uint64(0)
	for _, e := range waiting {
		events += e.events
		text := fmt.Sprintf("%d of account %q (livemode %t)", e.events, e.account, e.livemode)
		if named = append(named, text); !h.logged[e.heldMode] {
			h.logged[e.heldMode] = true
			h.log.Error("events of an account that no workspace lists are held, and in no total "+
				"(hint: list it in the workspaces file beside the secret that signed them, and they are booked)",
				"account", e.account, "livemode", e.livemode, "events", e.events)
		}
	}
	h.metrics.events.Set(float64(events))
	h.metrics.accounts.Set(float64(len(waiting)))
	if len(waiting) == 0 {
		h.warning.Store(nil)
		return
	}
	if len(named) > most {
		named = append(named[:most], fmt.Sprintf("%d more accounts", len(waiting)-most))
	}
	text := fmt.Sprintf("%d events are held, and in no total, because no workspace lists their account: %s "+
		"(hint: list it in the workspaces file, beside the secret that signed them)", events, strings.Join(named, ", "))
	h.warning.Store(&text)
}
