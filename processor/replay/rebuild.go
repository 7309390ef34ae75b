// Package replay books again what was booked before: everything, into tables beside the live ones, which are compared and then
// exchanged; a stretch of time, or dead letters, into the live ones, where doing it again is free.
package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/catalogue"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// Handlers are the lanes' handlers over one store, exactly as the processors run them.
type Handlers struct {
	Payments   *consume.Payments
	Clicks     *consume.Clicks
	Recomputer *recompute.Recomputer
}

// Handle gives records of any topics to their lanes' handlers.
func (h *Handlers) Handle(ctx context.Context, records []*kgo.Record, deadLetter consume.DeadLetter, log *slog.Logger) error {
	var clicks, money []*kgo.Record
	for _, r := range records {
		if r.Topic == schemas.TopicClicks {
			clicks = append(clicks, r)
		} else {
			money = append(money, r)
		}
	}
	if len(clicks) > 0 {
		if err := consume.Quarantine(ctx, clicks, h.Clicks.Handle, deadLetter, log); err != nil {
			return err
		}
	}
	if len(money) > 0 {
		return consume.Quarantine(ctx, money, h.Payments.Handle, deadLetter, log)
	}
	return nil
}

// Rebuild makes all computed tables anew in Shadow, a database beside the live one on the same server, already migrated and otherwise
// empty or interrupted.
type Rebuild struct {
	Live, Shadow     *clickhouse.Store
	LiveDB, ShadowDB string
	// Handlers over a store. The rates must be those that are stored.
	Handlers func(ctx context.Context, store *clickhouse.Store) (*Handlers, error)
	// Topics reads the records from Kafka; nil: from the raw tables, which keep what Kafka has forgotten.
	Topics *Topics
	// Batch is how many records are handled at once.
	Batch int
	Log   *slog.Logger
}

// computed are the tables that a rebuild exchanges; raw ones too where it read Kafka.
var (
	computed = []string{"facts", "identities", "leads", "leads_attributed", "ledger", "ledger_log", "revenue"}
	raw      = []string{"clicks", "clicks_hourly", "clicks_minutely", "stripe_events", "dead_letters"}
)

// Result of a rebuild.
type Result struct {
	Records     int // handled in this run
	Unreadable  int
	Differences []Difference
	Before      []Total // of the live ledger
	After       []Total // of the rebuilt one
}

// Equal tells whether nothing differs.
func (r *Result) Equal() bool {
	for _, d := range r.Differences {
		if d.Here+d.There > 0 {
			return false
		}
	}
	return true
}

// overlap is how far before the rebuild's beginning the catching up begins: a record is stored within seconds of its receipt, or the
// processors' rewind reads it again.
const overlap = 15 * time.Minute

// Run builds and compares. It may be interrupted, and goes on where it was.
func (b *Rebuild) Run(ctx context.Context) (*Result, error) {
	positions, err := Positions(ctx, b.Shadow)
	if err != nil {
		return nil, err
	}
	began := time.Now().UTC()
	if text, resumed := positions["began"]; resumed {
		if began, err = time.Parse(time.RFC3339Nano, text); err != nil {
			return nil, fmt.Errorf("read when the rebuild began: %w", err)
		}
		b.Log.Info("going on with the rebuild that was interrupted", "began", began)
	} else if err := Reached(ctx, b.Shadow, Position{Step: "began", At: began.Format(time.RFC3339Nano)}); err != nil {
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
	if err := finish(ctx, b.Shadow, handlers); err != nil {
		return nil, err
	}
	b.Log.Info("comparing")
	if result.Differences, err = Differences(ctx, b.Live, b.ShadowDB, b.Topics != nil, until); err != nil {
		return nil, err
	}
	if result.Before, err = Totals(ctx, b.Live); err != nil {
		return nil, err
	}
	result.After, err = Totals(ctx, b.Shadow)
	return result, err
}

// follow books what came while the rebuild ran, so that the two can be compared beside processors that go on. It returns the moment up to
// which they should be equal.
func (b *Rebuild) follow(ctx context.Context, h *Handlers, positions map[string]string, began time.Time, result *Result) (until time.Time, err error) {
	since := began.Add(-overlap)
	for range 2 { // the second time there is little left
		until = time.Now().UTC()
		if b.Topics != nil {
			err = b.fromTopics(ctx, h, positions, result)
		} else {
			for table, received := range map[string]string{"clicks": "received_at", "stripe_events": "received_at", "dead_letters": "at"} {
				if err = CopySince(ctx, b.Shadow, b.LiveDB, table, received, since); err != nil {
					return until, err
				}
			}
			if err = names(ctx, b.Live, b.LiveDB, b.Shadow, h, since); err == nil {
				err = events(ctx, b.Live, h, since, "", b.Batch, result, b.Log, func(string) error { return nil })
			}
		}
		if err != nil {
			return until, err
		}
		since = until.Add(-time.Minute)
	}
	return until.Add(-time.Minute), nil
}

// prepare copies what no record tells: rates, who was erased, what the operator's catalogues say, what an audit read of Stripe's balance.
func (b *Rebuild) prepare(ctx context.Context, positions map[string]string) (*Handlers, error) {
	if positions["prepared"] == "" {
		if err := b.copyTable(ctx, "fx_rates"); err != nil {
			return nil, err
		}
		if err := CopyErasures(ctx, b.Shadow, b.LiveDB); err != nil {
			return nil, err
		}
		if err := CopyFacts(ctx, b.Shadow, b.LiveDB); err != nil {
			return nil, err
		}
		if err := copyEdges(ctx, b.Live, b.LiveDB, b.Shadow, time.Time{}, catalogue.Source); err != nil {
			return nil, err
		}
		if err := Reached(ctx, b.Shadow, Position{Step: "prepared", At: "yes"}); err != nil {
			return nil, err
		}
	}
	return b.Handlers(ctx, b.Shadow)
}

func (b *Rebuild) copyTable(ctx context.Context, table string) error {
	parts, err := Parts(ctx, b.Shadow, b.LiveDB, table)
	for _, part := range parts {
		if err = Copy(ctx, b.Shadow, b.LiveDB, table, part); err != nil {
			break
		}
	}
	return err
}

func (b *Rebuild) fromTables(ctx context.Context, h *Handlers, positions map[string]string, result *Result) error {
	for _, table := range []string{"clicks", "dead_letters", "stripe_events"} {
		parts, err := Parts(ctx, b.Shadow, b.LiveDB, table)
		if err != nil {
			return err
		}
		for i, part := range parts {
			step := "copy " + table + " " + part
			if positions[step] != "" {
				continue
			}
			if err := Copy(ctx, b.Shadow, b.LiveDB, table, part); err != nil {
				return err
			}
			if err := Reached(ctx, b.Shadow, Position{Step: step, At: "done"}); err != nil {
				return err
			}
			b.Log.Info("copied", "table", table, "partition", part, "of", fmt.Sprintf("%d/%d", i+1, len(parts)))
		}
	}
	if positions["names"] == "" {
		if err := names(ctx, b.Live, b.LiveDB, b.Shadow, h, time.Time{}); err != nil {
			return err
		}
		if err := Reached(ctx, b.Shadow, Position{Step: "names", At: "done"}); err != nil {
			return err
		}
		b.Log.Info("clicks and leads are known")
	}
	return events(ctx, b.Live, h, time.Time{}, positions["events"], b.Batch, result, b.Log, func(day string) error {
		return Reached(ctx, b.Shadow, Position{Step: "events", At: day})
	})
}

// Exchange puts the rebuilt tables into the place of the live ones, each in one step, and then books what came since the rebuild began. The
// processors go on meanwhile: what they write to either table is booked again by the catching up. The tables as they were stay in the
// other database.
func (b *Rebuild) Exchange(ctx context.Context) error {
	positions, err := Positions(ctx, b.Shadow)
	if err != nil {
		return err
	}
	began, err := time.Parse(time.RFC3339Nano, positions["began"])
	if err != nil {
		return errors.New("nothing is rebuilt yet: run the rebuild without exchange first")
	}
	tables := computed
	if b.Topics != nil {
		tables = append(append([]string{}, computed...), raw...)
	}
	for _, table := range tables {
		if positions["exchanged "+table] != "" {
			continue
		}
		if err := Exchange(ctx, b.Live, b.ShadowDB, table); err != nil {
			return err
		}
		if err := Reached(ctx, b.Shadow, Position{Step: "exchanged " + table, At: "done"}); err != nil {
			return err
		}
		b.Log.Info("exchanged", "table", table)
	}
	h, err := b.Handlers(ctx, b.Live)
	if err != nil {
		return err
	}
	since := began.Add(-overlap)
	result := new(Result)
	if b.Topics != nil {
		if err := b.Topics.catchUp(ctx, h, positions, b.Batch, result); err != nil {
			return err
		}
	} else {
		if err := names(ctx, b.Live, b.ShadowDB, b.Live, h, since); err != nil {
			return err
		}
		if err := events(ctx, b.Live, h, since, "", b.Batch, result, b.Log, func(string) error { return nil }); err != nil {
			return err
		}
	}
	if err := copyEdges(ctx, b.Live, b.ShadowDB, b.Live, since, catalogue.Source); err != nil {
		return err
	}
	return finish(ctx, b.Live, h)
}

// finish books what is held and may be by now.
func finish(ctx context.Context, store *clickhouse.Store, h *Handlers) error {
	h.Recomputer.HandledAll()
	held, err := HeldSales(ctx, store)
	if err != nil {
		return err
	}
	return h.Recomputer.RecomputeSales(ctx, held)
}

// names tells a store what clicks and leads say of names, and credits the leads. Clicks are read from live; leads and their names from
// a database, whose own tables may have been exchanged.
func names(ctx context.Context, live *clickhouse.Store, database string, into *clickhouse.Store, h *Handlers, since time.Time) error {
	edges := newEdges(ctx, into)
	if err := EachClickName(ctx, live, since, edges.add); err != nil {
		return fmt.Errorf("read clicks' names: %w", err)
	}
	if err := edges.flush(); err != nil {
		return err
	}
	if err := copyEdges(ctx, live, database, into, since, "lead"); err != nil {
		return err
	}
	const atOnce = 1000
	byWorkspace := make(map[string][]ledger.Lead)
	store := func(workspace string) error {
		leads := byWorkspace[workspace]
		delete(byWorkspace, workspace)
		if err := into.InsertLeads(ctx, leads); err != nil {
			return err
		}
		nodes := make([]identity.Node, len(leads))
		for i, l := range leads {
			nodes[i] = ledger.LeadNode(l.ID)
		}
		return h.Recomputer.Recompute(ctx, workspace, nodes, nil)
	}
	err := EachLead(ctx, live, database, since, func(l ledger.Lead) error {
		byWorkspace[l.Workspace] = append(byWorkspace[l.Workspace], l)
		if len(byWorkspace[l.Workspace]) >= atOnce {
			return store(l.Workspace)
		}
		return nil
	})
	for workspace := range byWorkspace {
		err = errors.Join(err, store(workspace))
	}
	if err != nil {
		return fmt.Errorf("book leads: %w", err)
	}
	return nil
}

// events handles the raw events of each day from since on, and after the day that was reached before.
func events(ctx context.Context, from *clickhouse.Store, h *Handlers, since time.Time, after string, batch int, result *Result, log *slog.Logger, reached func(day string) error) error {
	days, err := EventDays(ctx, from, since)
	if err != nil {
		return fmt.Errorf("read days of events: %w", err)
	}
	for i, day := range days {
		name := day.Format(time.DateOnly)
		if name <= after {
			continue
		}
		var records []*kgo.Record
		handle := func() error {
			if len(records) == 0 {
				return nil
			}
			err := consume.Quarantine(ctx, records, h.Payments.Handle, result.refused, log)
			result.Records += len(records)
			records = records[:0]
			return err
		}
		begin := day
		if begin.Before(since) {
			begin = since
		}
		err := EachEvent(ctx, from, begin, day.AddDate(0, 0, 1), func(e *schemas.StripeEvent) error {
			if records = append(records, schemas.StripeRecord(e, "")); len(records) >= batch {
				return handle()
			}
			return nil
		})
		if err = errors.Join(err, handle()); err != nil {
			return fmt.Errorf("book events of %s: %w", name, err)
		}
		if err := reached(name); err != nil {
			return err
		}
		log.Info("booked", "day", name, "of", fmt.Sprintf("%d/%d", i+1, len(days)), "records", result.Records)
	}
	return nil
}

// refused counts what still cannot be read. It is among the dead letters already.
func (r *Result) refused(context.Context, *kgo.Record, string, string, error) error {
	r.Unreadable++
	return nil
}

// copyEdges copies the edges of a source from a database into a store.
func copyEdges(ctx context.Context, from *clickhouse.Store, database string, into *clickhouse.Store, since time.Time, source string) error {
	edges := newEdges(ctx, into)
	if err := EachEdge(ctx, from, database, since, source, edges.add); err != nil {
		return fmt.Errorf("copy names of source %s: %w", source, err)
	}
	return edges.flush()
}

// edges collects edges into inserts.
type edges struct {
	ctx  context.Context
	into *clickhouse.Store
	rows []clickhouse.EdgeRow
}

func newEdges(ctx context.Context, into *clickhouse.Store) *edges {
	return &edges{ctx: ctx, into: into}
}

func (e *edges) add(workspace string, edge identity.Edge) error {
	e.rows = append(e.rows, clickhouse.EdgeRow{Workspace: workspace, Edge: edge})
	if len(e.rows) >= 20_000 {
		return e.flush()
	}
	return nil
}

func (e *edges) flush() error {
	err := e.into.InsertEdges(e.ctx, e.rows)
	e.rows = e.rows[:0]
	return err
}
