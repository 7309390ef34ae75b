// Package consume runs the processor's two consumers, of clicks and of payments: poll, handle, and
// only then commit.
package consume

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"maps"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"tributary/processor/recompute"
)

// Handler does everything that a batch of records asks for and returns when ClickHouse has
// acknowledged it. It must be idempotent, and its result must not depend on the order of records.
// It returns an error only when ctx ends, or clickhouse.ErrRejected when some record makes rows
// that can never be stored.
type Handler func(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error

// Consumer consumes some topics as one member of the consumer group. Clicks and payments have a
// consumer each, so that a sale never waits behind a backlog of clicks.
type Consumer struct {
	Name   string
	Topics []string
	Seeds  []string
	// Group of the consumer; empty: the processors' own, schemas.ConsumerGroup.
	Group string
	// Instance makes the membership static (KIP-345): a processor that comes back under its name
	// within the session timeout finds its partitions waiting. Empty: dynamic.
	Instance string
	// Rewind is how far before its committed offset a partition is read again on every assignment.
	// That changes nothing that is stored, and stores again what ClickHouse had acknowledged and
	// lost in a crash.
	Rewind time.Duration
	// MaxRecords of one batch; 0: no limit.
	MaxRecords int
	// AtOnce is how many batches of a backlog are handled at the same time; 0: one.
	AtOnce int
	// MaxBytes of the keys and values of all batches that are handled at the same time; 0: no limit.
	// With the two limits above it bounds their memory, whatever is waiting in Kafka.
	MaxBytes int
	// Gather is how long a poll that found many records, of a backlog, waits for more of them. A poll
	// then has whole fetches, so two fetches of each broker beyond the limits may be in memory, which
	// decompressor bounds, and is handled in batches of neighbouring times (byTime). 0: a poll is one
	// batch, and does not wait.
	Gather time.Duration
	// Deadline for a batch that is under way when the processor stops.
	Deadline time.Duration

	// SettledUntil returns until when, by our own clock, what was handled is settled: it has been
	// looked at again, and ClickHouse has synced it. The rewind begins no later than what was
	// handled since. Nil: now.
	SettledUntil func() time.Time

	Handle  Handler
	Log     *slog.Logger
	Metrics *Metrics
	Options []kgo.Opt // for tests, and TLS and SASL

	mu       sync.Mutex // guards what follows
	bases    map[partition]rewindBase
	next     map[partition]int64 // from where on nothing was read yet
	again    map[partition]int64 // up to where a rewind reads what was committed
	ends     map[partition]int64 // high watermarks, of partitions that records came from
	assigned map[partition]bool
	stopPoll context.CancelFunc
	refused  refusal // why Kafka gives no records

	rewindAsked  atomic.Bool
	client       *kgo.Client
	decompressor *Decompressor      // the client's
	cancel       context.CancelFunc // ends the client's requests to Kafka
}

// Assigned reports whether the consumer owns partitions.
func (c *Consumer) Assigned() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return len(c.assigned) > 0
}

// Owns reports whether the consumer is assigned this partition. Of a group one member is.
func (c *Consumer) Owns(topic string, number int32) bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.assigned[partition{topic, number}]
}

// RewindNow makes the consumer read all its partitions again from where they would begin if they
// were assigned anew: ClickHouse may have lost what it had acknowledged. It returns at once.
func (c *Consumer) RewindNow() {
	c.rewindAsked.Store(true)
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.stopPoll != nil {
		c.stopPoll()
	}
}

// errRemade ends a client whose topic was deleted and made again: kgo reads only the topic that it
// knew.
var errRemade = errors.New("a topic was made again")

// remadePause is how long a consumer waits before it joins its group again, so that a topic which
// brokers do not agree about does not keep the group from settling.
const remadePause = 2 * time.Second

// Run consumes until ctx ends.
func (c *Consumer) Run(ctx context.Context) error {
	for {
		err := c.consume(ctx)
		if !errors.Is(err, errRemade) {
			return err
		}
		c.Log.Warn("joining the group again", "consumer", c.Name, "error", err)
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(remadePause):
		}
	}
}

// consume consumes with one client. The reading order of its loop is the guarantee: poll, handle
// (insert), then commit.
func (c *Consumer) consume(ctx context.Context) error {
	if err := c.open(); err != nil {
		return err
	}
	defer c.close()
	for {
		fetches := c.poll(ctx)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return nil
		}
		if c.rewindAsked.Swap(false) {
			if err := c.rewindAssigned(ctx); err != nil {
				return nil // ctx ended
			}
			c.client.AllowRebalance() // what was polled is read again
			continue
		}
		if err := c.fetchErrors(fetches); err != nil {
			return err
		}
		c.fetched(fetches)
		if err := c.checkFetched(ctx, fetches); err != nil {
			return nil // ctx ended
		}
		for records := range c.batches(fetches) {
			if err := c.finish(ctx, records); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil // what is left is read again
			}
		}
		c.client.AllowRebalance()
	}
}

// gatherFrom is the share of MaxRecords from which on a poll has found many.
const gatherFrom = 64

// poll returns early when a rewind is asked for.
//
// A fetch takes little of each partition (fetchPartitionBytes), so a backlog in few partitions
// comes in small pieces, which are gathered. A poll that gathers takes whole fetches, which are in
// memory anyway: of a limited number of records kgo would give all of some partitions and nothing of
// others.
func (c *Consumer) poll(ctx context.Context) kgo.Fetches {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	c.mu.Lock()
	c.stopPoll = cancel
	c.mu.Unlock()
	if c.rewindAsked.Load() {
		cancel() // it was asked for before there was something to stop
	}
	c.decompressor.Poll()
	if c.Gather == 0 {
		return c.client.PollRecords(ctx, c.mostPolled())
	}
	fetches := c.client.PollFetches(ctx)
	for last := fetches.NumRecords(); c.gathers(fetches, last); {
		soon, stop := context.WithTimeout(ctx, c.Gather)
		c.decompressor.Poll()
		more := c.client.PollFetches(soon)
		stop()
		last = more.NumRecords()
		if last > 0 || !errors.Is(more.Err0(), context.DeadlineExceeded) {
			fetches = append(fetches, more...) // with what it says without records, which it says once
		}
	}
	return fetches
}

// batches are the records of a poll as they are handled, one batch after the other: those of a
// backlog in as few batches as the limits allow, by time.
func (c *Consumer) batches(fetches kgo.Fetches) iter.Seq[[]*kgo.Record] {
	if c.Gather == 0 {
		return chunks(fetches.Records(), c.MaxBytes)
	}
	n := 1
	if c.MaxRecords > 0 {
		n = max(n, (fetches.NumRecords()+c.MaxRecords-1)/c.MaxRecords)
	}
	if c.MaxBytes > 0 {
		n = max(n, (bytesOf(fetches)+c.MaxBytes-1)/c.MaxBytes)
	}
	return func(yield func([]*kgo.Record) bool) {
		for batch := range byTime(fetches, n) {
			size := len(batch)
			if c.MaxRecords > 0 { // many may have one time, or times in no order
				parts := (size + c.MaxRecords - 1) / c.MaxRecords
				size = (size + parts - 1) / parts
			}
			for part := range slices.Chunk(batch, size) {
				for records := range chunks(part, c.MaxBytes) { // some may be larger than others
					if !yield(records) {
						return
					}
				}
			}
		}
	}
}

// mostPolled is how many records are polled, and handled, before the next are.
func (c *Consumer) mostPolled() int { return c.MaxRecords * max(1, c.AtOnce) }

// gathers reports whether to wait for more records: the last poll found many, and all are not yet two
// thirds of a batch. One more fetch, of half a batch, then makes a full one, and not two small ones.
func (c *Consumer) gathers(fetches kgo.Fetches, last int) bool {
	if last <= c.MaxRecords/gatherFrom || fetches.NumRecords() >= c.MaxRecords*2/3 {
		return false
	}
	return c.MaxBytes == 0 || bytesOf(fetches) < c.MaxBytes
}

// bytesOf returns the bytes of all keys and values.
func bytesOf(fetches kgo.Fetches) int {
	size := 0
	fetches.EachRecord(func(r *kgo.Record) { size += len(r.Key) + len(r.Value) })
	return size
}

// finish handles and commits records under a context of its own, which ends only Deadline after
// ctx: what was begun is finished. What does not finish in time is not committed, and the
// partition's next owner reads it again.
func (c *Consumer) finish(ctx context.Context, records []*kgo.Record) error {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(c.Deadline, func() { cancel(errors.New("the processor stops")) })
	})
	defer stop()
	if err := c.handle(work, records); err != nil {
		if ctx.Err() != nil {
			c.Log.Warn("batch not finished; it will be read again", "consumer", c.Name, "records", len(records),
				"error", err)
			return nil
		}
		return fmt.Errorf("handle batch of %s: %w", c.Name, err)
	}
	c.commit(work, records)
	c.handled(records)
	return nil
}

// handle handles polled records, and returns when all of them are stored. More than MaxRecords are
// as many batches, of one size, at the same time: while one batch waits for ClickHouse another is
// computed, and one query finds the clicks of all (recompute.Together).
//
// That several batches may know of one sale does no harm: they are handled as by as many processors
// (recompute.Recomputer). Walk through it with three: A stores the session, B that its customer has
// an id of the merchant's, C that this id came by a click. A and B look up before C has stored, find
// no way from the session to the click, and book the sale without a credit. C looks up after it has
// stored. If A and B had stored by then, C finds the session by the customer, and books it with its
// click. If B had not, B comes last, and finds both. Whoever stored last finds everything, and its
// row has the greatest version, in whichever order the rows are inserted.
func (c *Consumer) handle(ctx context.Context, records []*kgo.Record) error {
	batches := 1
	if c.MaxRecords > 0 {
		batches = (len(records) + c.MaxRecords - 1) / c.MaxRecords
	}
	size := (len(records) + batches - 1) / batches
	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	ctx, together := recompute.WithTogether(ctx, batches)
	for batch := range slices.Chunk(records, size) {
		group.Go(func() error {
			defer together.End()
			if err := Quarantine(ctx, batch, c.Handle, c.deadLetter, c.Log); err != nil {
				return err
			}
			c.Metrics.batch.WithLabelValues(c.Name).Observe(time.Since(start).Seconds())
			return nil
		})
	}
	return group.Wait()
}

// commit commits the offsets behind records, each with the time that its partition's next rewind is
// measured from. A commit that fails loses nothing: the records are read again.
//
// While a rewind reads what was committed, nothing is committed: what is committed says where the
// next rewind begins, and this one is to be read again whole if it does not come to its end.
// Without this each rewind would begin further back than the one that it ends.
func (c *Consumer) commit(ctx context.Context, records []*kgo.Record) {
	earliest, last := make(map[partition]time.Time), make(map[partition]*kgo.Record)
	for _, r := range records {
		p := partition{r.Topic, r.Partition}
		if e, ok := earliest[p]; !ok || r.Timestamp.Before(e) {
			earliest[p] = r.Timestamp
		}
		if l := last[p]; l == nil || l.Offset < r.Offset {
			last[p] = r
		}
	}
	times := make(map[partition]string, len(earliest)) // Unix milliseconds
	for p, record := range earliest {
		times[p] = strconv.FormatInt(c.advanceBase(p, record).UnixMilli(), 10)
	}
	c.mu.Lock()
	maps.DeleteFunc(last, func(p partition, r *kgo.Record) bool { return r.Offset < c.again[p] })
	c.mu.Unlock()
	if len(last) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				if at, ok := times[partition{req.Topics[i].Topic, p.Partition}]; ok {
					p.Metadata = kmsg.StringPtr(at)
				}
			}
		}
		return nil
	})
	if err := c.client.CommitRecords(ctx, slices.Collect(maps.Values(last))...); err != nil {
		c.Metrics.commits.WithLabelValues(c.Name, "error").Inc()
		c.Log.Warn("commit failed; the records will be read again", "consumer", c.Name, "error", err)
		return
	}
	c.Metrics.commits.WithLabelValues(c.Name, "ok").Inc()
}
