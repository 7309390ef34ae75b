// Package audit checks the chain from Kafka to the dashboards, link by link:
//
//	records ──▶ clicks, stripe_events, leads, dead_letters ──▶ facts, identities ──▶ ledger ──▶ revenue, leads_attributed
//	                  └──▶ clicks_hourly, clicks_minutely
//
// Everything left of the ledger's arrow is checked in one way: the records are handled again, by the processor's own handlers, which read
// what is live and write into a database beside it; then the two are compared. What handling would write must stand.
package audit

import (
	"context"
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
	"tributary/schemas"
)

// Audit is one look at the chain.
type Audit struct {
	Live, Beside *clickhouse.Store // Beside is empty, migrated, and nobody else's
	BesideDB     string
	// Handlers over a store, as the processors run them, for which it is the time that now says.
	Handlers func(ctx context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error)
	// Topics reads Kafka; nil: the raw tables are the beginning of the chain.
	Topics *replay.Topics
	Batch  int
	Log    *slog.Logger
}

// Report is what was found.
type Report struct {
	Since, Until time.Time `json:"-"`
	Records      int       `json:"records"` // handled again
	Flaws        []Flaw    `json:"findings"`
}

// underWay is how long a record may take from Kafka into the tables.
const underWay = 2 * time.Minute

// aside reads what is live and writes beside it.
type aside struct {
	*clickhouse.Store
	beside *clickhouse.Store
}

func (a *aside) InsertClicks(ctx context.Context, rows []clickhouse.ClickRow) error {
	return a.beside.InsertClicks(ctx, rows)
}
func (a *aside) InsertEvents(ctx context.Context, rows []clickhouse.EventRow) error {
	return a.beside.InsertEvents(ctx, rows)
}
func (a *aside) InsertFacts(ctx context.Context, rows []clickhouse.FactRow) error {
	return a.beside.InsertFacts(ctx, rows)
}
func (a *aside) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return a.beside.InsertEdges(ctx, rows)
}
func (a *aside) InsertLeads(ctx context.Context, rows []ledger.Lead) error {
	return a.beside.InsertLeads(ctx, rows)
}
func (a *aside) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	return a.beside.InsertLedger(ctx, rows)
}
func (a *aside) InsertDeadLetters(ctx context.Context, rows []clickhouse.DeadLetterRow) error {
	return a.beside.InsertDeadLetters(ctx, rows)
}

// Carried is never asked of what is live: an edge that is known there would not be told again, and a lost one beside it not missed.
func (a *aside) Carried(context.Context, string, []identity.Edge) ([]identity.Edge, error) {
	return nil, nil
}

// Run looks at what was received since then, and at all of the dashboards' tables.
func (a *Audit) Run(ctx context.Context, since time.Time) (*Report, error) {
	if err := Scratch(ctx, a.Beside); err != nil {
		return nil, err
	}
	store := &aside{a.Live, a.Beside}
	r := &Report{Since: since, Until: time.Now().UTC().Add(-underWay)}
	// A hold that ended a moment ago may be the next sweep's.
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
	if r.Flaws, err = a.flaws(ctx, h, r); err != nil {
		return nil, err
	}
	copies, err := a.copies(ctx, r.Until)
	r.Flaws = append(r.Flaws, copies...)
	return r, err
}

// copies looks at the dashboards' tables, and more than once where it finds something: a row that is written at the moment in which two
// tables are read stands in one of them only. What is found every time is a flaw.
func (a *Audit) copies(ctx context.Context, until time.Time) ([]Flaw, error) {
	const looks, pause = 3, time.Second
	flaws, err := Copies(ctx, a.Live, until)
	for range looks - 1 {
		if err != nil || len(flaws) == 0 {
			break
		}
		select {
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-time.After(pause):
		}
		var again []Flaw
		again, err = Copies(ctx, a.Live, until)
		flaws = slices.DeleteFunc(flaws, func(f Flaw) bool { return !slices.Contains(again, f) })
	}
	return flaws, err
}

// fromTopics handles again what the processors have committed.
func (a *Audit) fromTopics(ctx context.Context, h *replay.Handlers, r *Report) error {
	begin, end, err := a.Topics.Committed(ctx, r.Since)
	if err != nil {
		return err
	}
	letter := replay.Aside(a.Beside)
	return a.Topics.Read(ctx, begin, end, a.Batch, func(records []*kgo.Record) error {
		r.Records += len(records)
		return h.Handle(ctx, records, letter, a.Log)
	}, func(replay.Offsets) error { return nil })
}

// fromTables handles the raw events again: what Kafka has forgotten.
func (a *Audit) fromTables(ctx context.Context, h *replay.Handlers, r *Report) error {
	var records []*kgo.Record
	ignored := func(context.Context, *kgo.Record, string, string, error) error { return nil } // it is among the dead letters since it came
	handle := func() error {
		r.Records += len(records)
		err := h.Handle(ctx, records, ignored, a.Log)
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

// flaws compares, and looks once more at whatever may only have been told more of while it was handled.
func (a *Audit) flaws(ctx context.Context, h *replay.Handlers, r *Report) ([]Flaw, error) {
	_, sales, err := Unexplained(ctx, a.Live, a.BesideDB, r.Since, r.Until)
	if err != nil {
		return nil, err
	}
	if err := recomputeSales(ctx, h, sales); err != nil {
		return nil, err
	}
	flaws, err := Flaws(ctx, a.Live, a.BesideDB)
	if err != nil {
		return nil, err
	}
	unexplained, _, err := Unexplained(ctx, a.Live, a.BesideDB, r.Since, r.Until)
	return append(flaws, unexplained...), err
}

func recomputeSales(ctx context.Context, h *replay.Handlers, sales []clickhouse.Sale) error {
	byWorkspace := make(map[string][]identity.Node)
	for _, s := range sales {
		byWorkspace[s.Workspace] = append(byWorkspace[s.Workspace], identity.New(identity.Object, s.ObjectID), identity.New(identity.Movement, s.ObjectID))
	}
	for workspace, nodes := range byWorkspace {
		if err := h.Recomputer.Recompute(ctx, workspace, nodes, nil); err != nil {
			return err
		}
	}
	return nil
}

// rounds bound a repair: what is mended on the left changes what must stand on the right.
const rounds = 4

// Repair mends what Run finds, from the left to the right, and looks again. It returns what was found at first, and what is left.
func (a *Audit) Repair(ctx context.Context, since time.Time) (found, left *Report, err error) {
	if found, err = a.Run(ctx, since); err != nil {
		return nil, nil, err
	}
	left = found
	for range rounds {
		if len(left.Flaws) == 0 {
			break
		}
		if err := a.mend(ctx, left.Flaws); err != nil {
			return found, left, err
		}
		if left, err = a.Run(ctx, since); err != nil {
			return found, nil, err
		}
	}
	return found, left, nil
}

// copies are the tables that are made anew as a whole.
var copies = []string{"revenue", "leads_attributed", "clicks_hourly", "clicks_minutely"}

func (a *Audit) mend(ctx context.Context, flaws []Flaw) error {
	rows := false
	tables := make(map[string]bool)
	for _, f := range flaws {
		if slices.Contains(copies, f.Table) {
			tables[f.Table] = true
		} else {
			rows = true
		}
	}
	if rows {
		if err := Mend(ctx, a.Live, a.BesideDB); err != nil {
			return err
		}
		if err := Remove(ctx, a.Live, flaws); err != nil {
			return err
		}
		return nil // the copies are looked at again after it
	}
	for _, table := range copies {
		if tables[table] {
			if err := clickhouse.Recopy(ctx, a.Live, table); err != nil {
				return err
			}
		}
	}
	return nil
}
