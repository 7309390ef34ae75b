package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/schemas"
)

// booking books what raw tables hold.
type booking struct {
	live     *clickhouse.Store // whose clicks and raw events are read
	table    tableNames        // whose leads and edges are read; live's own may have been exchanged
	into     *clickhouse.Store // where edges and leads are inserted; handlers book into the same
	handlers *Handlers
	batch    int // events that are handled at once
	log      *slog.Logger
	result   *Result // counts
}

// edgesAndLeads inserts the edges that clicks and leads received since then make, and credits the
// leads.
func (b *booking) edgesAndLeads(ctx context.Context, since time.Time) error {
	edges, firsts := edgeBuffer{insert: b.into.InsertEdges}, edgeBuffer{insert: b.into.InsertFirstNames}
	err := eachFirstName(ctx, b.live, b.table("first_names"), since, func(vouched bool, e clickhouse.EdgeRow) error {
		if vouched {
			return firsts.add(ctx, e)
		}
		public := e
		public.A, e.B = identity.PublicName(e.A), identity.PublicName(e.A)
		return errors.Join(edges.add(ctx, e), firsts.add(ctx, public))
	})
	if err != nil {
		return fmt.Errorf("read the names that clicks use: %w", err)
	}
	if err := errors.Join(edges.flush(ctx), firsts.flush(ctx)); err != nil {
		return err
	}
	if err := copyPublicLeads(ctx, b.into, b.table("first_names"), since); err != nil {
		return err
	}
	if err := copyReplacedClicks(ctx, b.into, b.table("first_names"), since); err != nil {
		return err
	}
	if err := b.copyEdges(ctx, since, "lead"); err != nil {
		return err
	}
	if err := b.leads(ctx, since); err != nil {
		return fmt.Errorf("book leads: %w", err)
	}
	return nil
}

// leads inserts the leads that were received since then and recomputes them.
func (b *booking) leads(ctx context.Context, since time.Time) error {
	const atOnce = 1000
	byWorkspace := make(map[string][]ledger.Lead)
	flush := func(workspace string) error {
		leads := byWorkspace[workspace]
		delete(byWorkspace, workspace)
		if err := b.into.InsertLeads(ctx, leads); err != nil {
			return err
		}
		nodes := make([]identity.Node, len(leads))
		for i, l := range leads {
			nodes[i] = ledger.LeadNode(l.ID)
		}
		return b.handlers.Recomputer.Recompute(ctx, workspace, nodes, nil)
	}
	err := eachLead(ctx, b.live, b.table("leads"), since, func(l ledger.Lead) error {
		byWorkspace[l.Workspace] = append(byWorkspace[l.Workspace], l)
		if len(byWorkspace[l.Workspace]) >= atOnce {
			return flush(l.Workspace)
		}
		return nil
	})
	for workspace := range byWorkspace {
		err = errors.Join(err, flush(workspace))
	}
	return err
}

// readAtOnce is how many events one query reads, in days that have fewer. The table is not sorted
// by time, so that each query looks through all of it; and it sorts what it returns in memory.
const readAtOnce = 100_000

// events handles the raw events that were received since then, some days at a time. Days up to
// done, like 2026-03-31, are skipped, and reached is called when all up to a day are handled.
func (b *booking) events(ctx context.Context, since time.Time, done string, reached func(day string) error) error {
	list, err := eventDays(ctx, b.live, since, done, readAtOnce)
	if err != nil {
		return fmt.Errorf("read days of events: %w", err)
	}
	for i, d := range list {
		begin, last := d.first, d.last.Format(time.DateOnly)
		if begin.Before(since) {
			begin = since
		}
		if err := b.eventsBetween(ctx, begin, d.last.AddDate(0, 0, 1)); err != nil {
			return fmt.Errorf("book events of %s to %s: %w", d.first.Format(time.DateOnly), last, err)
		}
		if err := reached(last); err != nil {
			return err
		}
		b.log.Info("booked", "up_to", last, "of", fmt.Sprintf("%d/%d", i+1, len(list)), "records", b.result.Records)
	}
	return nil
}

// maxBatchBytes bounds the bodies of one batch, some of which are very large.
const maxBatchBytes = 16 << 20

func (b *booking) eventsBetween(ctx context.Context, since, until time.Time) error {
	var records []*kgo.Record
	bytes := 0
	handle := func() error {
		if len(records) == 0 {
			return nil
		}
		err := consume.Quarantine(ctx, records, b.handlers.Payments.Handle, b.result.refused, b.log)
		b.result.Records += len(records)
		records, bytes = nil, 0
		return err
	}
	err := EachEvent(ctx, b.live, since, until, func(e *schemas.StripeEvent) error {
		records = append(records, schemas.StripeRecord(e, ""))
		if bytes += len(e.Body); len(records) >= b.batch || bytes >= maxBatchBytes {
			return handle()
		}
		return nil
	})
	return errors.Join(err, handle())
}

// copyEdges copies the edges of one source that were reported since then.
func (b *booking) copyEdges(ctx context.Context, since time.Time, source string) error {
	edges := edgeBuffer{insert: b.into.InsertEdges}
	err := eachEdge(ctx, b.live, b.table("identities"), since, source,
		func(e clickhouse.EdgeRow) error { return edges.add(ctx, e) })
	if err != nil {
		return fmt.Errorf("copy edges of source %s: %w", source, err)
	}
	return edges.flush(ctx)
}

// decisions are the sources of what no record contains: catalogues, and corrections by hand.
var decisions = []string{identity.CatalogueSource, credit.Source}

// decisions books again what operators have decided since a time.
func (b *booking) decisions(ctx context.Context, since time.Time) error {
	byWorkspace := make(map[string][]identity.Edge)
	for _, source := range decisions {
		err := eachEdge(ctx, b.live, b.table("identities"), since, source, func(e clickhouse.EdgeRow) error {
			e.Carried = false
			byWorkspace[e.Workspace] = append(byWorkspace[e.Workspace], e.Edge)
			return nil
		})
		if err != nil {
			return fmt.Errorf("read edges of source %s: %w", source, err)
		}
	}
	for workspace, edges := range byWorkspace {
		if err := b.handlers.Recomputer.Catalogue(ctx, workspace, edges); err != nil {
			return err
		}
	}
	return nil
}

// edgeBuffer collects edges into inserts of up to maxEdges.
type edgeBuffer struct {
	insert func(context.Context, []clickhouse.EdgeRow) error
	rows   []clickhouse.EdgeRow
}

const maxEdges = 20_000

func (b *edgeBuffer) add(ctx context.Context, e clickhouse.EdgeRow) error {
	b.rows = append(b.rows, e)
	if len(b.rows) >= maxEdges {
		return b.flush(ctx)
	}
	return nil
}

func (b *edgeBuffer) flush(ctx context.Context) error {
	err := b.insert(ctx, b.rows)
	b.rows = b.rows[:0]
	return err
}
