package replay

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/erase"
	"tributary/sql"
)

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
	if err := clickhouse.VoidFirstSales(ctx, b.Live); err != nil {
		return err
	}
	if err := b.dateVersions(ctx, positions); err != nil {
		return fmt.Errorf("note when the rebuilt versions were written: %w", err)
	}
	if err := b.catchUp(ctx, positions, began.Add(-overlap)); err != nil {
		return err
	}
	// Its view sees inserts alone: of events that a backup brought back it has none, and those of events
	// that were deleted since.
	if err := clickhouse.RebuildDerived(ctx, b.Live, "invoice_periods"); err != nil {
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
	if table == "revenue" { // lists of before are of the old one
		if err := clickhouse.VoidFirstSales(ctx, b.Live); err != nil {
			return err
		}
	}
	return b.Live.Exec(ctx, "EXCHANGE TABLES "+clickhouse.Table("", table)+" AND "+rebuilt)
}

// datedStep is the step of dateVersions.
const datedStep = "dated"

// dateVersions notes that the rebuilt versions of the ledger count from when their events arrived.
// The rebuilt ledger_log has only the last version of most entries. If versions counted from when
// they were written, an entry that was credited anew on the fifth of a month would be unknown
// before the fifth, and one that newer rules booked would be unknown until the rebuild
// (what_changed).
func (b *Rebuild) dateVersions(ctx context.Context, positions map[string]string) error {
	if positions[datedStep] != "" {
		return nil
	}
	if err := b.Live.Sync(ctx, "ledger_log"); err != nil {
		return err
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
	if err := errors.Join(syncTables(ctx, b.Live, inDatabase(b.LiveDB), copied...),
		syncTables(ctx, b.Live, booking.table, "identities", "first_names", "leads")); err != nil {
		return err
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
