package replay

import (
	"context"
	"fmt"
	"time"

	"tributary/processor/clickhouse"
)

// overlap is how long before the beginning of the rebuild its catching up starts. It starts earlier
// where the processors have meanwhile stored records that were received before that, as while they
// work off a backlog.
const overlap = 15 * time.Minute

// sinceStep is the step whose position is the earliest time since which a rebuild had to catch up.
const sinceStep = "since"

// since returns the time from which records have to be booked again: then, or the first day of
// which the live tables have received other records than the shadow's. It never forgets an earlier
// day: what was booked of that day before an interruption is not known. leads and rebuilt name the
// leads as they were received and as they were rebuilt.
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

// follow books what was received and decided since the rebuild began, so that the two can be
// compared while the processors continue. It returns the time up to which they should be equal.
func (b *Rebuild) follow(ctx context.Context, h *Handlers, positions map[string]string, began time.Time,
	result *Result,
) (until time.Time, err error) {
	from := began.Add(-overlap)
	for range 2 { // the second time there is little left
		until = time.Now().UTC()
		if err := syncTables(ctx, b.Shadow, inDatabase(b.LiveDB), copied...); err != nil {
			return until, err
		}
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
