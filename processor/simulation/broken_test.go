package simulation

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
)

// broken is one rule of the design that is broken on purpose, around the production code. The zero
// value breaks none.
type broken struct {
	name        string
	missOnError bool                                              // a failed lookup is taken for a miss
	harder      *statementFault                                   // happens often in schedules that are to show it
	noRewind    bool                                              // an assignment begins at its committed offset
	noLook      bool                                              // nothing is looked at a second time
	late        bool                                              // it is looked at again ten times as late
	noHold      bool                                              // the rewind passes what is not looked at again
	unmarked    bool                                              // a version does not say by which rules
	blind       bool                                              // nobody notices that another server answers
	once        bool                                              // a server that is gone soon after one is not missed
	unnamed     bool                                              // statements do not say which server answered them
	hurried     bool                                              // a name is marked as carried at once
	hasty       bool                                              // a topic is deleted without waiting for anything
	wrapStore   func(*client) recompute.Store                     // what a processor uses as ClickHouse
	wrapHandler func(*processor, consume.Handler) consume.Handler // what a consumer calls as its handler
}

func (b broken) store(c *client) recompute.Store {
	if b.wrapStore != nil {
		return b.wrapStore(c)
	}
	return c
}

func (b broken) replicaLag(lag time.Duration) time.Duration {
	switch {
	case b.noLook:
		return 0
	case b.late:
		return 10 * lag
	}
	return lag
}

func (b broken) settledUntil(r *recompute.Recomputer, s *consume.Servers) func() time.Time {
	if b.noHold {
		return time.Now
	}
	return func() time.Time {
		looked, synced := r.SettledUntil(), s.SettledUntil()
		if synced.Before(looked) {
			return synced
		}
		return looked
	}
}

func (b broken) kept(s *consume.Servers) func() time.Time {
	if b.hurried {
		return nil
	}
	return s.SettledUntil
}

func (b broken) handler(p *processor, handle consume.Handler) consume.Handler {
	if b.wrapHandler != nil {
		return b.wrapHandler(p, handle)
	}
	return handle
}

// altered is a Store that writes other entries than it is given.
type altered struct {
	*client
	write func([]ledger.Entry) []ledger.Entry
}

func (l *altered) InsertLedger(ctx context.Context, rows []ledger.Entry) error {
	return l.client.InsertLedger(ctx, l.write(slices.Clone(rows)))
}

func entries(write func([]ledger.Entry) []ledger.Entry) func(*client) recompute.Store {
	return func(c *client) recompute.Store { return &altered{c, write} }
}

// noHours is a Store that keeps no hour in which somebody paid.
type noHours struct{ *client }

func (s *noHours) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	return s.client.InsertEdges(ctx, slices.DeleteFunc(slices.Clone(rows),
		func(r clickhouse.EdgeRow) bool { return len(r.B.Near()) > 0 }))
}

// noMissing is a Store that keeps no dead letter of offsets that Kafka no longer has.
type noMissing struct{ *client }

func (s *noMissing) InsertDeadLetters(ctx context.Context, rows []clickhouse.DeadLetterRow) error {
	return s.client.InsertDeadLetters(ctx, slices.DeleteFunc(slices.Clone(rows),
		func(r clickhouse.DeadLetterRow) bool { return r.Step == consume.LostStep }))
}

// buffer is a Store that acknowledges facts, names and clicks before they are written, as
// async_insert does without waiting.
type buffer struct{ *client }

const bufferedFor = 200 * time.Millisecond

func (b *buffer) later(insert func(ctx context.Context)) error {
	time.AfterFunc(bufferedFor, func() {
		ctx, cancel := context.WithTimeout(context.Background(), attempt)
		defer cancel()
		insert(ctx)
	})
	return nil
}

func (b *buffer) InsertFacts(_ context.Context, rows []clickhouse.FactRow) error {
	return b.later(func(ctx context.Context) { b.client.InsertFacts(ctx, rows) })
}

func (b *buffer) InsertEdges(_ context.Context, rows []clickhouse.EdgeRow) error {
	return b.later(func(ctx context.Context) { b.client.InsertEdges(ctx, rows) })
}

func (b *buffer) InsertClicks(_ context.Context, rows []clickhouse.ClickRow) error {
	return b.later(func(ctx context.Context) { b.client.InsertClicks(ctx, rows) })
}

// unasked is a Store that notes what a command stores as booked already, and asks no processor to
// book it.
type unasked struct{ *client }

func (s *unasked) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Carried = true
	}
	return s.client.InsertEdges(ctx, rows)
}

func (s *unasked) InsertDeferred(context.Context, []clickhouse.Deferred) error { return nil }

// forgetful is a Store to which no processor says that what it booked in the background is to be
// booked again, should it be lost.
type forgetful struct{ *client }

func (s *forgetful) InsertDeferred(ctx context.Context, rows []clickhouse.Deferred) error {
	return s.client.InsertDeferred(ctx, slices.DeleteFunc(slices.Clone(rows),
		func(r clickhouse.Deferred) bool { return r.Wait > 0 && !r.Done && s.p.name != commandName }))
}

// breakable are the rules, each as it is when it is broken.
var breakable = []broken{
	{name: "offsets are committed before the rows are acknowledged", wrapHandler: func(_ *processor,
		handle consume.Handler) consume.Handler {
		return func(ctx context.Context, records []*kgo.Record, aside consume.DeadLetter) error {
			go func() {
				ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), 2*attempt)
				defer cancel()
				_ = handle(ctx, records, aside)
			}()
			return nil
		}
	}},
	{name: "a version is the time of writing, and clocks differ", wrapStore: func(c *client) recompute.Store {
		skew := time.Duration(c.p.name[1]-'0') * 20 * time.Second
		return &altered{c, func(rows []ledger.Entry) []ledger.Entry {
			for i := range rows {
				rows[i].Version = ledger.VersionOf(big.NewInt(time.Now().Add(skew).UnixNano()))
			}
			return rows
		}}
	}},
	{name: "a failed lookup is taken for a miss", missOnError: true, harder: &statementFault{verb: "lookup",
		trouble: refused, hits: 20}},
	{name: "no rewind, and a server that lost rows it had acknowledged", noRewind: true},
	{name: "nothing is looked at again after the replicas' lag", noLook: true},
	{name: "it is looked at again ten times as late", late: true},
	{name: "a version does not say by which rules a row is booked", unmarked: true},
	{name: "nobody notices that another server answers", blind: true},
	{name: "a server that is gone soon after another answered is not missed", once: true},
	{name: "a server is not missed that has answered statements only", unnamed: true},
	{name: "the rewind passes what ClickHouse may still lose", noHold: true},
	{name: "a name is marked as carried before ClickHouse has kept what it changed", hurried: true},
	{name: "what Kafka deleted unread is not named", wrapStore: func(c *client) recompute.Store { return &noMissing{c} }},
	{name: "a topic is deleted before what is in it is stored", hasty: true},
	{name: "a command notes as booked what it has only stored", wrapStore: func(c *client) recompute.Store {
		if c.p.name == commandName {
			return &unasked{c}
		}
		return c
	}},
	{name: "what is booked in the background is not asked for again",
		wrapStore: func(c *client) recompute.Store { return &forgetful{c} }},
	{name: "what other entries have now is not taken back", wrapStore: entries(func(rows []ledger.Entry) []ledger.Entry {
		return slices.DeleteFunc(rows, func(e ledger.Entry) bool { return e.Amount == 0 })
	})},
	{name: "the hours of payments and invoices are not stored",
		wrapStore: func(c *client) recompute.Store { return &noHours{c} }},
	{name: "a version does not count what is known",
		wrapStore: entries(func(rows []ledger.Entry) []ledger.Entry {
			for i := range rows {
				v := rows[i].Version.Big()
				class := new(big.Int).Lsh(big.NewInt(1), 126)
				rows[i].Version = ledger.VersionOf(v.Or(v.And(v, big.NewInt(3)), class))
			}
			return rows
		})},
	{name: "an entry is keyed by the event that reported it",
		wrapStore: entries(func(rows []ledger.Entry) []ledger.Entry {
			for i := range rows {
				e := &rows[i]
				e.ID = ledger.NewEntryID(e.Account, e.Livemode, e.ObjectID+e.ReceivedAt.String(), e.Kind, "")
			}
			return rows
		})},
	{name: "inserts are acknowledged before they are written",
		wrapStore: func(c *client) recompute.Store { return &buffer{c} }},
	{name: "what cannot be read is skipped", wrapHandler: func(_ *processor, handle consume.Handler) consume.Handler {
		return func(ctx context.Context, records []*kgo.Record, _ consume.DeadLetter) error {
			return handle(ctx, records, func(context.Context, *kgo.Record, string, string, error) error { return nil })
		}
	}},
	{name: "a batch that ClickHouse rejects is skipped", wrapHandler: func(_ *processor,
		handle consume.Handler) consume.Handler {
		return func(ctx context.Context, records []*kgo.Record, aside consume.DeadLetter) error {
			if err := handle(ctx, records, aside); err != nil && !errors.Is(err, clickhouse.ErrRejected) {
				return err
			}
			return nil
		}
	}},
}
