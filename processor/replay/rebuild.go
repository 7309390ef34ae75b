// Package replay books again what was booked before: everything, into a shadow database, which is
// compared with the live one and then exchanged with it; or a range of time, or dead letters, into
// the live tables, where booking again changes nothing.
package replay

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql"
)

// Handlers are the consumers' handlers over one store, as the processors run them.
type Handlers struct {
	Payments   *consume.Payments
	Clicks     *consume.Clicks
	Recomputer *recompute.Recomputer
	Thin       *consume.Thin // fetches what thin events among the dead letters leave out; nil without a key
}

// Handle passes records of any topics to their handlers.
func (h *Handlers) Handle(ctx context.Context, records []*kgo.Record, deadLetter consume.DeadLetter,
	log *slog.Logger,
) error {
	var clicks, payments []*kgo.Record
	for _, r := range records {
		if r.Topic == schemas.TopicClicks {
			clicks = append(clicks, r)
		} else {
			payments = append(payments, r)
		}
	}
	if len(clicks) > 0 {
		if err := consume.Quarantine(ctx, clicks, h.Clicks.Handle, deadLetter, log); err != nil {
			return err
		}
	}
	if len(payments) > 0 {
		return consume.Quarantine(ctx, payments, h.Payments.Handle, deadLetter, log)
	}
	return nil
}

// Rebuild computes all computed tables again in Shadow, a migrated database on the server of the
// live one. It is otherwise empty, or holds what an interrupted Rebuild has computed.
type Rebuild struct {
	Live, Shadow     *clickhouse.Store
	LiveDB, ShadowDB string
	// Handlers returns handlers over a store, with the rates that are stored.
	Handlers func(ctx context.Context, store *clickhouse.Store) (*Handlers, error)
	// Topics reads the records from Kafka; nil: they are read from the raw tables, which keep what
	// Kafka no longer has.
	Topics *Topics
	// OneDatabase says that the layout exchanges tables within one database only: the rebuilt tables
	// are copied into the live one first.
	OneDatabase bool
	// Batch is how many records are handled at once.
	Batch int
	// RetentionDays is how many days after its receipt a click of some workspace loses columns at the
	// earliest (retention.Shortest); 0: never. What it has lost is no difference.
	RetentionDays int
	// StopWait is how long an exchange for a ledger of other rules waits until the processors that
	// book by those have stopped: StopWithin, and the lag of replicas. 0: there are none.
	StopWait time.Duration
	Log      *slog.Logger
}

// computed are the tables that a rebuild exchanges; raw ones too where it read Kafka.
var (
	computed = []string{"facts", "identities", "first_names", "leads", "leads_attributed", "ledger", "ledger_log",
		"revenue", "revenue_days"}
	raw = []string{
		"clicks", "page_views", "click_days", "clicks_by_day", "stripe_events", "dead_letters",
	}
)

// Result of a rebuild.
type Result struct {
	Records     int // handled in this run
	Unreadable  int
	Differences []Difference
	Before      []Total // of the live ledger
	After       []Total // of the rebuilt one
}

// Equal reports whether nothing differs.
func (r *Result) Equal() bool {
	for _, d := range r.Differences {
		if d.Here+d.There > 0 {
			return false
		}
	}
	return true
}

// Run builds and compares. It may be interrupted, and continues where it stopped.
func (b *Rebuild) Run(ctx context.Context) (*Result, error) {
	positions, err := positions(ctx, b.Shadow)
	if err != nil {
		return nil, err
	}
	began := time.Now().UTC()
	if text, resumed := positions["began"]; resumed {
		if began, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, fmt.Errorf("read when the rebuild began: %w", err)
		}
		b.Log.Info("continuing the rebuild that was interrupted", "began", began)
	} else if err := reached(ctx, b.Shadow, position{Step: "began", At: began.Format(time.RFC3339Nano)}); err != nil {
		return nil, err
	}
	handlers, err := b.prepare(ctx, positions)
	if err != nil {
		return nil, err
	}
	result := new(Result)
	if b.Topics != nil {
		err = b.fromTopics(ctx, handlers, positions, result)
	} else {
		err = b.fromTables(ctx, handlers, positions, result)
	}
	if err != nil {
		return nil, err
	}
	until, err := b.follow(ctx, handlers, positions, began, result)
	if err != nil {
		return nil, err
	}
	b.Log.Info("comparing")
	compared := slices.Compact(slices.Sorted(slices.Values(slices.Concat(copied, computed))))
	for _, database := range []string{b.LiveDB, b.ShadowDB} {
		if err := syncTables(ctx, b.Live, inDatabase(database), compared...); err != nil {
			return nil, err
		}
	}
	result.Differences, err = differences(ctx, b.Live, b.ShadowDB, b.Topics != nil, b.RetentionDays, until)
	if err != nil {
		return nil, err
	}
	if result.Before, err = totals(ctx, b.Live); err != nil {
		return nil, err
	}
	result.After, err = totals(ctx, b.Shadow)
	return result, err
}

// prepare copies what no record contains: rates, the list of erased names, the edges of catalogues,
// and what a reconciliation read of Stripe's balance.
func (b *Rebuild) prepare(ctx context.Context, positions map[string]string) (*Handlers, error) {
	if err := syncTables(ctx, b.Shadow, inDatabase(b.LiveDB), copied...); err != nil {
		return nil, err
	}
	if positions["prepared"] == "" {
		if err := b.copyTable(ctx, "fx_rates"); err != nil {
			return nil, err
		}
		if err := copyErasures(ctx, b.Shadow, b.LiveDB); err != nil {
			return nil, err
		}
		if err := copyFacts(ctx, b.Shadow, b.LiveDB); err != nil {
			return nil, err
		}
		for _, source := range decisions {
			if err := b.booking(nil, nil).copyEdges(ctx, time.Time{}, source); err != nil {
				return nil, err
			}
		}
		if err := reached(ctx, b.Shadow, position{Step: "prepared", At: "yes"}); err != nil {
			return nil, err
		}
	}
	return b.handlers(ctx, b.Shadow)
}

// handlers returns handlers over a store. Raw events that are read from their table are in the
// store's own already: they were copied, or are read from there.
func (b *Rebuild) handlers(ctx context.Context, store *clickhouse.Store) (*Handlers, error) {
	h, err := b.Handlers(ctx, store)
	if err == nil {
		h.Payments.RawStored = b.Topics == nil
	}
	return h, err
}

// booking books from the live raw tables into the shadow database.
func (b *Rebuild) booking(h *Handlers, result *Result) *booking {
	return &booking{
		live: b.Live, table: inDatabase(b.LiveDB), into: b.Shadow, handlers: h, batch: b.Batch, log: b.Log, result: result,
	}
}

func (b *Rebuild) copyTable(ctx context.Context, table string) error {
	parts, err := parts(ctx, b.Shadow, b.LiveDB, table)
	for _, part := range parts {
		if err = copyPartition(ctx, b.Shadow, b.LiveDB, table, clickhouse.Table("", table), part); err != nil {
			break
		}
	}
	return err
}

func (b *Rebuild) fromTables(ctx context.Context, h *Handlers, positions map[string]string, result *Result) error {
	layout, err := b.Live.Layout(ctx)
	if err != nil {
		return err
	}
	for _, table := range []string{"clicks", "page_views", "dead_letters", "stripe_events"} {
		parts, err := parts(ctx, b.Shadow, b.LiveDB, table)
		if err != nil {
			return err
		}
		for i, part := range parts {
			step := "copy " + table + " " + part
			if positions[step] != "" {
				continue
			}
			if err := b.take(ctx, layout, table, part); err != nil {
				return err
			}
			if err := reached(ctx, b.Shadow, position{Step: step, At: "done"}); err != nil {
				return err
			}
			b.Log.Info("copied", "table", table, "partition", part, "of", fmt.Sprintf("%d/%d", i+1, len(parts)))
		}
	}
	booking := b.booking(h, result)
	if positions["names"] == "" {
		if err := booking.edgesAndLeads(ctx, time.Time{}); err != nil {
			return err
		}
		if err := reached(ctx, b.Shadow, position{Step: "names", At: "done"}); err != nil {
			return err
		}
		b.Log.Info("the edges of clicks and the leads are booked")
	}
	return booking.events(ctx, time.Time{}, positions["events"], func(day string) error {
		return reached(ctx, b.Shadow, position{Step: "events", At: day})
	})
}

// take gives a raw table of the shadow the rows of one partition of the live one. Where parts can
// be linked, views do not see the rows; what they fill is then neither compared nor exchanged.
func (b *Rebuild) take(ctx context.Context, layout sql.Layout, table, part string) error {
	if layout.Kind == sql.Single {
		err := linkPartition(ctx, b.Shadow, b.LiveDB, table, part)
		if err == nil {
			return nil
		}
		// As where an operator keeps the live table on other disks.
		b.Log.Warn("a partition cannot be linked, and is copied", "table", table, "partition", part, "error", err)
	}
	return copyPartition(ctx, b.Shadow, b.LiveDB, table, clickhouse.Table("", table), part)
}

// refused is a consume.DeadLetter that counts: the record is among the dead letters already.
func (r *Result) refused(context.Context, *kgo.Record, string, string, error) error {
	r.Unreadable++
	return nil
}
