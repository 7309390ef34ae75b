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
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/schemas"
)

// booking books what raw tables hold.
type booking struct {
	live     *clickhouse.Store // whose clicks and raw events are read
	database string            // whose leads and edges are read; live's own may have been exchanged
	into     *clickhouse.Store // where edges and leads are inserted; handlers book into the same
	handlers *Handlers
	batch    int // events that are handled at once
	log      *slog.Logger
	result   *Result // counts
}

// edgesAndLeads inserts the edges that clicks and leads received since then make, and credits the
// leads.
func (b *booking) edgesAndLeads(ctx context.Context, since time.Time) error {
	var edges edgeBuffer
	err := eachClickEdge(ctx, b.live, since, func(e clickhouse.EdgeRow) error { return edges.add(ctx, b.into, e) })
	if err != nil {
		return fmt.Errorf("read the edges of clicks: %w", err)
	}
	if err := edges.flush(ctx, b.into); err != nil {
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
	err := eachLead(ctx, b.live, b.database, since, func(l ledger.Lead) error {
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

// events handles the raw events that were received since then, day by day. Days up to done, like
// 2026-03-31, are skipped, and reached is called after each day.
func (b *booking) events(ctx context.Context, since time.Time, done string, reached func(day string) error) error {
	days, err := eventDays(ctx, b.live, since)
	if err != nil {
		return fmt.Errorf("read days of events: %w", err)
	}
	for i, day := range days {
		name := day.Format(time.DateOnly)
		if name <= done {
			continue
		}
		begin := day
		if begin.Before(since) {
			begin = since
		}
		if err := b.eventsBetween(ctx, begin, day.AddDate(0, 0, 1)); err != nil {
			return fmt.Errorf("book events of %s: %w", name, err)
		}
		if err := reached(name); err != nil {
			return err
		}
		b.log.Info("booked", "day", name, "of", fmt.Sprintf("%d/%d", i+1, len(days)), "records", b.result.Records)
	}
	return nil
}

func (b *booking) eventsBetween(ctx context.Context, since, until time.Time) error {
	var records []*kgo.Record
	handle := func() error {
		if len(records) == 0 {
			return nil
		}
		err := consume.Quarantine(ctx, records, b.handlers.Payments.Handle, b.result.refused, b.log)
		b.result.Records += len(records)
		records = nil
		return err
	}
	err := EachEvent(ctx, b.live, since, until, func(e *schemas.StripeEvent) error {
		if records = append(records, schemas.StripeRecord(e, "")); len(records) >= b.batch {
			return handle()
		}
		return nil
	})
	return errors.Join(err, handle())
}

// copyEdges copies the edges of one source that were reported since then.
func (b *booking) copyEdges(ctx context.Context, since time.Time, source string) error {
	var edges edgeBuffer
	err := eachEdge(ctx, b.live, b.database, since, source,
		func(e clickhouse.EdgeRow) error { return edges.add(ctx, b.into, e) })
	if err != nil {
		return fmt.Errorf("copy edges of source %s: %w", source, err)
	}
	return edges.flush(ctx, b.into)
}

// edgeBuffer collects edges into inserts of up to maxEdges.
type edgeBuffer []clickhouse.EdgeRow

const maxEdges = 20_000

func (b *edgeBuffer) add(ctx context.Context, into *clickhouse.Store, e clickhouse.EdgeRow) error {
	*b = append(*b, e)
	if len(*b) >= maxEdges {
		return b.flush(ctx, into)
	}
	return nil
}

func (b *edgeBuffer) flush(ctx context.Context, into *clickhouse.Store) error {
	err := into.InsertEdges(ctx, *b)
	*b = (*b)[:0]
	return err
}
