package publish

import (
	"context"
	"errors"
	"hash/maphash"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/ingest/publish/spool"
)

const (
	drainEvery   = 100 * time.Millisecond // how often an empty spool is looked at
	drainFirst   = 100                    // records in Kafka's hands at a time, doubled with each success
	drainRecords = 2000                   // up to this
	drainBytes   = 1 << 20                // of their entries
	drainRetry   = time.Second            // after Kafka refused
	drainTries   = 8                      // of one chunk while nothing at all is acknowledged
)

var errNoAnswer = errors.New("not acknowledged in time")

// drainer is the state of the drain.
type drainer struct {
	*Publisher
	buf   []byte // holds the segment; nil when Kafka's client may still read the last one
	limit int    // records of the next chunk
	tries int    // of the chunk, without an answer

	refusing map[string]bool // topics of which Kafka has refused a record since the oldest segment was read
	// remaining has the segments that are delivered and whose files could not be deleted, and whether
	// such a file is to be kept: a disk that can only be read would have them sent for ever.
	remaining map[int64]bool
	// unwritten has the segments that are delivered in part and could not be rewritten, as on a full
	// disk, and the hashes of what is left in them: the rest would be sent again each second.
	unwritten map[int64]map[uint64]bool
	seed      maphash.Seed
}

// drainSpool delivers the spool's records in their order, oldest first, until ctx ends. While Kafka
// is away it waits with a few of them in Kafka's client, which tries them until Kafka is back. What
// Kafka refuses for a reason that somebody can mend, as for a topic that is missing, stays where it
// is, and what stands behind it goes first.
func (p *Publisher) drainSpool(ctx context.Context) {
	d := &drainer{Publisher: p, limit: drainFirst, refusing: make(map[string]bool), remaining: make(map[int64]bool),
		unwritten: make(map[int64]map[uint64]bool), seed: maphash.MakeSeed()}
	for pause(ctx, drainEvery) {
		clear(d.refusing)
		for last := int64(0); ctx.Err() == nil; { // an open breaker is no obstacle: the drain may be what closes it
			seg, buf, err := p.spool.Next(last, d.buf)
			d.buf = buf
			if err != nil {
				p.log.Error("drain the spool", "error", err)
				pause(ctx, drainRetry)
				break
			}
			if seg == nil {
				d.buf = nil // a segment's memory: the spool may stay empty for days
				break
			}
			d.drainSegment(ctx, seg)
			last = seg.Name
		}
	}
}

// outcome is what became of entries that are not delivered.
type outcome struct {
	later [][]byte // Kafka refused them for a reason that may end
	never [][]byte // Kafka will never take them
}

// drainSegment delivers one segment and deletes its file. A process that ends in between begins the
// segment again at its next start: what is delivered twice is the same row.
func (d *drainer) drainSegment(ctx context.Context, seg *spool.Segment) {
	left, err := d.deliverSegment(ctx, seg)
	if err == nil {
		err = d.finish(ctx, seg, left)
	}
	if err != nil && ctx.Err() == nil {
		d.log.Error("drain the spool", "error", err)
		pause(ctx, drainRetry)
	}
}

// deliverSegment returns what it could not deliver of a segment, and an error only if ctx has ended.
func (d *drainer) deliverSegment(ctx context.Context, seg *spool.Segment) (left outcome, err error) {
	if _, delivered := d.remaining[seg.Name]; delivered {
		return outcome{}, nil
	}
	if seg.Torn > 0 {
		d.log.Warn("a spool segment ends in an unfinished write, which nobody was promised", "bytes", seg.Torn)
	}
	if undelivered := d.unwritten[seg.Name]; undelivered != nil {
		seg.Entries = slices.DeleteFunc(seg.Entries, func(e []byte) bool {
			return !undelivered[maphash.Bytes(d.seed, e)]
		})
	}
	for entries := seg.Entries; len(entries) > 0; {
		n := chunk(entries, d.limit)
		begin := time.Now()
		out, err := d.deliverChunk(ctx, entries[:n])
		switch {
		case ctx.Err() != nil:
			return left, ctx.Err()
		case errors.Is(err, errNoAnswer):
			// All of it may be with one dead leader. What is sent again goes to a partition that
			// has less to do; a small chunk, since that one's leader may be dead too.
			d.limit, d.tries, d.buf = drainFirst, d.tries+1, nil
			continue
		case err != nil:
			d.log.Warn("drain the spool: the client refused; trying again", "error", err)
			if !pause(ctx, drainRetry) {
				return left, ctx.Err()
			}
			continue
		}
		d.limit, d.tries = min(2*d.limit, drainRecords), 0
		d.metrics.spoolDrained.Add(float64(n - len(out.later) - len(out.never)))
		left.later, left.never = append(left.later, out.later...), append(left.never, out.never...)
		entries = entries[n:]
		// A pause half as long as Kafka took: a third of its time is left to those who wait for an
		// answer.
		if !pause(ctx, min(time.Since(begin)/2, drainEvery)) {
			return left, ctx.Err()
		}
	}
	return left, nil
}

// finish ends a segment of which left is not delivered.
func (d *drainer) finish(ctx context.Context, seg *spool.Segment, left outcome) error {
	undelivered := len(left.later) + len(left.never)
	switch {
	case len(left.later) == 0:
		return d.remove(seg, left.never)
	// A damaged segment stays as it is, for people.
	case undelivered == len(seg.Entries) && d.unwritten[seg.Name] == nil || seg.Damaged > 0:
		pause(ctx, drainRetry)
		return nil
	}
	rest := slices.Concat(left.later, left.never)
	err := d.spool.Rewrite(seg, rest)
	if err == nil {
		delete(d.unwritten, seg.Name)
		return nil
	}
	hashes := make(map[uint64]bool, len(rest))
	for _, e := range rest {
		hashes[maphash.Bytes(d.seed, e)] = true
	}
	d.unwritten[seg.Name] = hashes
	return err
}

// remove deletes the file of a delivered segment, or keeps it for people if it has entries that Kafka
// will never take.
func (d *drainer) remove(seg *spool.Segment, never [][]byte) error {
	keep, again := d.remaining[seg.Name]
	if !again {
		keep = len(never) > 0
		d.metrics.spoolDamaged.Add(float64(seg.Damaged))
		d.metrics.spoolUndeliverable.Add(float64(len(never)))
	}
	d.remaining[seg.Name] = keep
	err := d.spool.Remove(seg, keep)
	if err == nil {
		delete(d.remaining, seg.Name)
		delete(d.unwritten, seg.Name)
	}
	return err
}

// deliverChunk delivers entries and returns those that it could not. After an error all of them are
// to be delivered again.
func (d *drainer) deliverChunk(ctx context.Context, entries [][]byte) (left outcome, err error) {
	records, written := make([]*kgo.Record, 0, len(entries)), make([][]byte, 0, len(entries))
	entry := func(r *kgo.Record) []byte { return written[slices.Index(records, r)] }
	for _, e := range entries {
		r, err := parseEntry(e)
		switch {
		case err != nil:
			d.log.Error("read a spool entry", "error", err)
			left.never = append(left.never, e)
		case d.refusing[r.Topic]:
			left.later = append(left.later, e)
		default:
			records, written = append(records, r), append(written, e)
		}
	}
	v, err := d.deliver(ctx, records)
	if err != nil {
		return outcome{}, err
	}
	for _, r := range v.failed {
		d.refusing[r.Topic] = true
		left.later = append(left.later, entry(r))
	}
	for _, r := range v.refused {
		again, cancel := context.WithTimeout(ctx, d.cfg.Timeout) // the client may have to connect first
		err := d.sendAlone(again, r)
		cancel()
		switch {
		case err == nil:
		case unacceptable(err):
			d.log.Error("kafka takes no such record: it is kept in the spool", "topic", r.Topic, "bytes", len(r.Value),
				"error", err, "hint", "compare the topic's max.message.bytes, and rename the .kept file back to .spool")
			left.never = append(left.never, entry(r))
		default:
			return outcome{}, err
		}
	}
	return left, nil
}

// chunk returns how many of the entries, at most limit, go to Kafka together.
func chunk(entries [][]byte, limit int) int {
	bytes := 0
	for i, e := range entries {
		if bytes += len(e); i == limit || i > 0 && bytes > drainBytes {
			return i
		}
	}
	return len(entries)
}

// delivery counts down the acknowledgements of what the drain has handed to Kafka.
type delivery struct {
	done chan struct{} // closed with the last of them

	mu      sync.Mutex // guards what follows
	left    int
	refused []*kgo.Record // that Kafka will never take, or not together
	failed  []*kgo.Record // that Kafka does not take now
	err     error         // of the client, which says nothing of the records
	inDoubt bool          // nobody waits any longer
}

// deliver hands records to Kafka and waits for what becomes of each. After an error, errNoAnswer
// among them, all of them are to be delivered again.
func (d *drainer) deliver(ctx context.Context, records []*kgo.Record) (*delivery, error) {
	v := &delivery{done: make(chan struct{}), left: len(records)}
	if len(records) == 0 {
		return v, nil
	}
	acked, client := d.acked.Load(), d.client.Load()
	d.inFlight.Add(int64(len(records)))
	for _, r := range records {
		client.TryProduce(context.Background(), r, func(r *kgo.Record, err error) { d.acknowledge(v, r, err) })
	}
	tick := time.NewTicker(d.cfg.patience())
	defer tick.Stop()
	for {
		select {
		case <-v.done:
			return v, v.err
		case <-ctx.Done():
			return nil, ctx.Err()
		case <-tick.C:
			// Not for ever while Kafka is away: each time leaves a copy in the client's memory.
			if (d.tries < drainTries || d.acked.Load() != acked) && d.abandon(v) {
				return nil, errNoAnswer
			}
		}
	}
}

func (d *drainer) acknowledge(v *delivery, r *kgo.Record, err error) {
	d.finished(err)
	v.mu.Lock()
	defer v.mu.Unlock()
	switch {
	case err == nil:
	case unacceptable(err):
		v.refused = append(v.refused, r)
	case errors.Is(err, kgo.ErrMaxBuffered), errors.Is(err, kgo.ErrClientClosed):
		v.err = err
	default:
		v.failed = append(v.failed, r)
	}
	if v.inDoubt {
		d.inDoubt.Add(-1)
	}
	if v.left--; v.left == 0 {
		close(v.done)
	}
}

// abandon counts what v still waits for as in doubt, if there is room for it.
func (d *drainer) abandon(v *delivery) bool {
	v.mu.Lock()
	defer v.mu.Unlock()
	if v.left == 0 || d.inDoubt.Load()+int64(v.left) > int64(d.cfg.MaxInDoubt) {
		return false
	}
	v.inDoubt = true
	d.inDoubt.Add(int64(v.left))
	return true
}

// pause waits for d and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
