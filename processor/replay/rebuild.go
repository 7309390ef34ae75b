// Package replay books again what was booked before: everything, into a shadow database, which is
// compared with the live one and then exchanged with it; or a range of time, or dead letters, into
// the live tables, where booking again changes nothing.
package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/erase"
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

// overlap is how long before the beginning of the rebuild its catching up starts. It starts earlier
// where the processors have meanwhile stored records that were received before that, as while they
// work off a backlog.
const overlap = 15 * time.Minute

// sinceStep is the step whose position is the earliest time since which a rebuild had to catch up.
const sinceStep = "since"

// since returns from when on records have to be booked again: from then, or from the first day of
// which the live tables have received others than the shadow's. It never forgets an earlier day:
// what was booked of that day before an interruption is not known. leads and rebuilt name the leads
// as they were received and as they were rebuilt.
func (b *Rebuild) since(ctx context.Context, positions map[string]string, then time.Time, leads, rebuilt string) (
	time.Time, error,
) {
	if text := positions[sinceStep]; text != "" {
		known, err := time.Parse(time.RFC3339Nano, text)
		if err != nil {
			return then, fmt.Errorf("read since when the rebuild catches up: %w", err)
		}
		if known.Before(then) {
			then = known
		}
	}
	since := then
	for _, c := range append(receivedTables(b.LiveDB, b.ShadowDB), receivedLeads(leads, rebuilt)) {
		day, differs, err := firstDifference(ctx, b.Live, c)
		if err != nil {
			return then, err
		}
		if differs && day.Before(since) {
			since = day
		}
	}
	if since.Equal(then) {
		return then, nil
	}
	positions[sinceStep] = since.Format(time.RFC3339Nano)
	return since, reached(ctx, b.Shadow, position{Step: sinceStep, At: positions[sinceStep]})
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

// follow books what was received and decided since the rebuild began, so that the two can be
// compared while the processors continue. It returns the time up to which they should be equal.
func (b *Rebuild) follow(ctx context.Context, h *Handlers, positions map[string]string, began time.Time,
	result *Result,
) (until time.Time, err error) {
	from := began.Add(-overlap)
	for range 2 { // the second time there is little left
		until = time.Now().UTC()
		if b.Topics != nil {
			err = b.fromTopics(ctx, h, positions, result)
		} else {
			err = b.followTables(ctx, h, positions, from, result)
		}
		if err == nil {
			err = b.booking(h, result).decisions(ctx, from)
		}
		if err == nil {
			err = h.Recomputer.Finish(ctx) // what the records have left to the background
		}
		if err != nil {
			return until, err
		}
		from = until.Add(-time.Minute)
	}
	return until.Add(-time.Minute), nil
}

// followTables copies and books what the raw tables have received since then.
func (b *Rebuild) followTables(ctx context.Context, h *Handlers, positions map[string]string, then time.Time,
	result *Result,
) error {
	since, err := b.since(ctx, positions, then, clickhouse.Table(b.LiveDB, "leads"), clickhouse.Table(b.ShadowDB, "leads"))
	if err != nil {
		return err
	}
	for table, received := range map[string]string{"clicks": "received_at", "page_views": "received_at",
		"stripe_events": "received_at", "dead_letters": "at"} {
		if err := copySince(ctx, b.Shadow, b.LiveDB, table, received, since); err != nil {
			return err
		}
	}
	booking := b.booking(h, result)
	if err := booking.edgesAndLeads(ctx, since); err != nil {
		return err
	}
	return booking.events(ctx, since, "", func(string) error { return nil })
}

// prepare copies what no record contains: rates, the list of erased names, the edges of catalogues,
// and what a reconciliation read of Stripe's balance.
func (b *Rebuild) prepare(ctx context.Context, positions map[string]string) (*Handlers, error) {
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

// take gives a raw table of the shadow the rows of one partition of the live one. Where parts can be
// linked, views do not see the rows; what they fill is then neither compared nor exchanged.
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

// exchangeDone is the step after the last one.
const exchangeDone = "exchange complete"

// Exchange exchanges the rebuilt tables with the live ones, each in one step, and then books what
// was received since the rebuild began. The processors may run meanwhile: what they write to either
// table is booked again. It begins when no processor of another version runs any more. The old
// tables stay until [Drop]. It may be interrupted, and continues where it stopped. Run must not be
// called in between: it would book into old tables.
func (b *Rebuild) Exchange(ctx context.Context) error {
	positions, err := positions(ctx, b.Shadow)
	if err != nil {
		return err
	}
	began, err := time.Parse(time.RFC3339Nano, positions["began"])
	if err != nil {
		return errors.New("nothing is rebuilt yet (hint: run the rebuild without --exchange first)")
	}
	if err := b.stopOthers(ctx); err != nil {
		return fmt.Errorf("wait for processors of other versions: %w", err)
	}
	tables := computed
	if b.Topics != nil {
		tables = slices.Concat(computed, raw)
	}
	for _, table := range tables {
		if positions["exchanged "+table] != "" {
			continue
		}
		if err := b.exchange(ctx, positions, table); err != nil {
			return err
		}
		if err := reached(ctx, b.Shadow, position{Step: "exchanged " + table, At: "done"}); err != nil {
			return err
		}
		b.Log.Info("exchanged", "table", table)
	}
	if err := b.dateVersions(ctx, positions); err != nil {
		return fmt.Errorf("note when the rebuilt versions were written: %w", err)
	}
	if err := b.catchUp(ctx, positions, began.Add(-overlap)); err != nil {
		return err
	}
	// A person who was erased while the rebuild ran is in what it booked before.
	h, err := b.Handlers(ctx, b.Live)
	if err != nil {
		return err
	}
	if err := erase.Again(ctx, b.Live, h.Payments.Keys, b.ShadowDB); err != nil {
		return fmt.Errorf("erase again who was erased since the rebuild began: %w", err)
	}
	// In this order: killed in between, the ledger counts as booked by older rules, and is rebuilt.
	if err := reached(ctx, b.Shadow, position{Step: exchangeDone, At: "done"}); err != nil {
		return err
	}
	return noteRules(ctx, b.Live, sql.LedgerRules)
}

// StopWithin is within which time processors notice that the ledger is booked by other rules than
// theirs, and stop.
const StopWithin = time.Minute

// stopOthers waits until no processor of another version books any more, if there may be one. The
// new ledger must not have its rows: whatever it had committed would be booked by its rules for
// ever. New processors begin when the exchange is over.
func (b *Rebuild) stopOthers(ctx context.Context) error {
	rules, since, err := b.Live.LedgerRules(ctx)
	if err != nil || rules == sql.LedgerRules || since.IsZero() {
		return err
	}
	if rules != exchangedRules {
		if err := noteRules(ctx, b.Live, exchangedRules); err != nil {
			return err
		}
		b.Log.Info("waiting until processors of other versions have stopped", "rules", rules, "wait", b.StopWait)
		since = time.Now()
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Until(since.Add(b.StopWait))):
		return nil
	}
}

// exchange puts a rebuilt table into the place of the live one. Two tables that are exchanged twice
// are as they were before, so the UUID of the rebuilt one is noted first:
//
//  1. it is noted, and the program is killed: the live table has another UUID, and the two are
//     exchanged by the next run;
//  2. they are exchanged, and the program is killed: the live table has the noted UUID, and nothing
//     is left to do.
//
// Materialized views know their source by name: rows inserted afterwards are seen by the live
// views.
func (b *Rebuild) exchange(ctx context.Context, positions map[string]string, table string) error {
	step := "exchange " + table
	live, err := tableID(ctx, b.Live, b.LiveDB, table)
	if err != nil || positions[step] == live {
		return err
	}
	rebuilt, database, name := clickhouse.Table(b.ShadowDB, table), b.ShadowDB, table
	if b.OneDatabase {
		rebuilt, database, name = beside(table), b.LiveDB, table+besideSuffix
		if err := copyBeside(ctx, b.Live, b.ShadowDB, table); err != nil {
			return fmt.Errorf("copy the rebuilt %s into the live database: %w", table, err)
		}
	}
	id, err := tableID(ctx, b.Live, database, name)
	if err != nil {
		return err
	}
	if err := reached(ctx, b.Shadow, position{Step: step, At: id}); err != nil {
		return err
	}
	return b.Live.Exec(ctx, "EXCHANGE TABLES "+clickhouse.Table("", table)+" AND "+rebuilt)
}

// datedStep is the step of dateVersions.
const datedStep = "dated"

// dateVersions notes that the rebuilt versions of the ledger count from when their events arrived.
// The rebuilt ledger_log has only the last version of most entries. Counted from when that was
// written, an entry that was credited anew on the fifth of a month would be unknown before, and one
// that newer rules booked would never have been written at all (what_changed).
func (b *Rebuild) dateVersions(ctx context.Context, positions map[string]string) error {
	if positions[datedStep] != "" {
		return nil
	}
	if err := b.Live.Exec(ctx, "INSERT INTO ledger_written (workspace, entry_id, version, written_at) "+
		"SELECT workspace, entry_id, version, received_at FROM ledger_log"); err != nil {
		return err
	}
	return reached(ctx, b.Shadow, position{Step: datedStep, At: "done"})
}

// catchUp books into the exchanged tables what was received since then.
func (b *Rebuild) catchUp(ctx context.Context, positions map[string]string, then time.Time) error {
	h, err := b.handlers(ctx, b.Live)
	if err != nil {
		return err
	}
	result := new(Result)
	booking := b.booking(h, result)
	booking.table, booking.into = inDatabase(b.ShadowDB), b.Live
	if b.OneDatabase {
		booking.table = beside
	}
	since := then
	if b.Topics != nil {
		if err := b.Topics.catchUp(ctx, h, positions, b.Batch, result); err != nil {
			return err
		}
	} else {
		if since, err = b.since(ctx, positions, then, booking.table("leads"),
			clickhouse.Table(b.LiveDB, "leads")); err != nil {
			return err
		}
		if err := booking.edgesAndLeads(ctx, since); err != nil {
			return err
		}
		if err := booking.events(ctx, since, "", func(string) error { return nil }); err != nil {
			return err
		}
	}
	if err := booking.decisions(ctx, since); err != nil {
		return err
	}
	return h.Recomputer.Finish(ctx)
}

// refused is a consume.DeadLetter that counts: the record is among the dead letters already.
func (r *Result) refused(context.Context, *kgo.Record, string, string, error) error {
	r.Unreadable++
	return nil
}
