// Package audit checks every step from Kafka to the dashboards:
//
//	records ─▶ clicks, stripe_events, leads, dead_letters ─▶ facts, identities ─▶ ledger ─▶ revenue
//	        │    │                        └─▶ leads_attributed
//	        │    └─▶ clicks_by_day
//	        └─▶ page_views ─┘
//
// Everything up to the ledger is checked in one way: the processor's own handlers handle the
// records again, read the live tables and write into those of a shadow database; then the two are
// compared. A row that handling would write must be stored.
package audit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/retention"
	"tributary/schemas"
)

// Audit compares the live tables with what the records say.
type Audit struct {
	Live, Shadow *clickhouse.Store
	ShadowDB     string // the shadow's database: migrated, otherwise empty, and written by nobody else
	// Handlers returns handlers as the processors run them, over a store and with a clock.
	Handlers func(ctx context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error)
	// Topics reads the records from Kafka; nil: they are read from the raw tables, which keep what
	// Kafka no longer has.
	Topics *replay.Topics
	// RetentionDays is how many days after its receipt a click of some workspace loses columns at the
	// earliest (retention.Shortest); 0: never.
	RetentionDays int
	Batch         int // records that are handled at once
	Log           *slog.Logger

	syncs bool // see sync
}

// Report is what was found.
type Report struct {
	Since, Until time.Time `json:"-"`       // when the records were received, UTC
	Records      int       `json:"records"` // handled again
	Findings     []Finding `json:"findings"`
	// LeftOut says, for people, what was not checked. No verdict covers it.
	LeftOut []string `json:"left_out"`

	whole       time.Time // from this time on Kafka has every record
	end, newest replay.Offsets
}

func (r *Report) leaveOut(format string, args ...any) {
	r.LeftOut = append(r.LeftOut, fmt.Sprintf(format, args...))
}

// inFlight is how long a record may take from Kafka into the tables.
const inFlight = 2 * time.Minute

// reader reads the live tables, and keeps back what would explain itself.
type reader struct {
	recompute.StoreReader
	shadow *clickhouse.Store
	before time.Time // the records of leads that were received earlier are not handled again
}

// Carried returns none: an edge that the live tables know as propagated would not be written again,
// and so its absence from them would not be found.
func (reader) Carried(context.Context, string, []identity.Edge) ([]identity.Edge, error) {
	return nil, nil
}

// Leads returns the leads as their records say, which the shadow has. A lead is credited by reading
// its row and writing it again: read from the live table, an altered one would be written as it is.
func (r reader) Leads(ctx context.Context, workspace string, ids [][16]byte) ([]ledger.Lead, error) {
	leads, err := r.shadow.Leads(ctx, workspace, ids)
	if err != nil {
		return nil, err
	}
	handled := make(map[[16]byte]bool, len(leads))
	for _, l := range leads {
		handled[l.ID] = true
	}
	stored, err := r.StoreReader.Leads(ctx, workspace, ids)
	for _, l := range stored {
		if !handled[l.ID] && l.ReceivedAt.Before(r.before) {
			leads = append(leads, l)
		}
	}
	return leads, err
}

// sync waits until the servers have what others took, of the tables of a database, before Repair
// acts on what is found: a server that lags finds rows missing, or an entry that no record
// explains because it lacks the record, and would delete it. Run alone does not wait, because it
// must not fail while a server is down: what a lag made it find is gone in the next run.
func (a *Audit) sync(ctx context.Context, database string) error {
	if !a.syncs {
		return nil
	}
	tables := []string{"leads_attributed", "revenue", "revenue_days", ledgerLog}
	for _, t := range sources {
		tables = append(tables, t.table)
	}
	for i, table := range tables {
		tables[i] = clickhouse.Table(database, table)
	}
	return a.Live.Sync(ctx, tables...)
}

// Run checks what was received since then, and all of the derived tables.
func (a *Audit) Run(ctx context.Context, since time.Time) (*Report, error) {
	if err := truncate(ctx, a.Shadow); err != nil {
		return nil, err
	}
	if err := a.sync(ctx, ""); err != nil {
		return nil, err
	}
	now := time.Now().UTC()
	r := &Report{Since: since, Until: now.Add(-inFlight)}
	before := since
	if a.Topics == nil {
		before = now
	}
	store := struct {
		recompute.StoreReader
		recompute.StoreWriter
	}{reader{a.Live, a.Shadow, before}, a.Shadow}
	r.leaveOut("entries received after %s, which may be under way", r.Until.Format(time.DateTime))
	if !since.IsZero() {
		r.leaveOut("what was received before %s", since.Format(time.DateTime))
	}
	// The clock stands at Until: what became due after it may still be the next sweep's work.
	h, err := a.Handlers(ctx, store, func() time.Time { return r.Until })
	if err != nil {
		return nil, err
	}
	if a.Topics != nil {
		err = a.fromTopics(ctx, h, r)
	} else {
		err = a.fromTables(ctx, h, r)
	}
	if err != nil {
		return nil, err
	}
	if r.Findings, err = a.compare(ctx, h, r); err != nil {
		return nil, err
	}
	if a.Topics != nil {
		extra, err := a.unrecorded(ctx, h, r)
		if err != nil {
			return nil, err
		}
		r.Findings = append(r.Findings, extra...)
	} else {
		r.leaveOut("rows of other tables than the ledger that no record explains: --from kafka finds them")
	}
	r.leaveOut("versions of entries in ledger_log that are not the last: no other table has them")
	r.leaveOut("invoice_periods, of which recurring_revenue is computed: processor replay rebuild --exchange fills it")
	n, err := deadLetters(ctx, a.Live, since)
	if err != nil {
		return nil, err
	}
	if n > 0 {
		r.leaveOut("what %d dead letters hold, which no other table has: processor replay dead-letters handles them again", n)
	}
	derived, err := a.compareDerived(ctx, since)
	r.Findings = append(r.Findings, derived...)
	return r, err
}

// oldest returns the first day whose clicks can be counted again.
func (a *Audit) oldest() time.Time { return retention.Whole(a.RetentionDays, time.Now()) }

// compareDerived compares the derived tables, and repeats that if something is found: a row that is
// written while the two tables are read may be seen in only one of them. What every attempt finds
// is a finding.
func (a *Audit) compareDerived(ctx context.Context, since time.Time) ([]Finding, error) {
	const attempts, pause = 3, time.Second
	findings, err := a.compareDerivedOnce(ctx, since)
	for range attempts - 1 {
		if err != nil || len(findings) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		var again []Finding
		again, err = a.compareDerivedOnce(ctx, since)
		findings = slices.DeleteFunc(findings, func(f Finding) bool { return !slices.Contains(again, f) })
	}
	return findings, err
}

// fromTables handles the raw events again.
func (a *Audit) fromTables(ctx context.Context, h *replay.Handlers, r *Report) error {
	r.leaveOut("clicks and leads, which only Kafka has as they were received")
	var records []*kgo.Record
	// A record that cannot be read was set aside as a dead letter when it was consumed.
	ignore := func(context.Context, *kgo.Record, string, string, error) error { return nil }
	handle := func() error {
		r.Records += len(records)
		err := h.Handle(ctx, records, ignore, a.Log)
		records = nil
		return err
	}
	err := replay.EachEvent(ctx, a.Live, r.Since, r.Until, func(e *schemas.StripeEvent) error {
		if records = append(records, schemas.StripeRecord(e, "")); len(records) >= a.Batch {
			return handle()
		}
		return nil
	})
	if err != nil {
		return fmt.Errorf("read raw events: %w", err)
	}
	return handle()
}

// compare compares the tables that records fill. Sales that look unexplained are recomputed first:
// more may have become known about them while their records were handled.
func (a *Audit) compare(ctx context.Context, h *replay.Handlers, r *Report) ([]Finding, error) {
	if err := errors.Join(a.sync(ctx, ""), a.sync(ctx, a.ShadowDB)); err != nil {
		return nil, err
	}
	_, sales, err := unexplained(ctx, a.Live, a.ShadowDB, r.Since, r.Until)
	if err != nil {
		return nil, err
	}
	if err := h.Recomputer.RecomputeSales(ctx, sales); err != nil {
		return nil, err
	}
	if err := a.sync(ctx, a.ShadowDB); err != nil {
		return nil, err
	}
	findings, err := compareSources(ctx, a.Live, a.ShadowDB, a.RetentionDays)
	if err != nil {
		return nil, err
	}
	rest, _, err := unexplained(ctx, a.Live, a.ShadowDB, r.Since, r.Until)
	return append(findings, rest...), err
}
