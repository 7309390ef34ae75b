package replay

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/consume"
	"tributary/schemas"
)

// Topics reads records from Kafka without a consumer group, so that no offsets are committed.
type Topics struct {
	Seeds []string
	Opts  []kgo.Opt // TLS, SASL, tests
	// DeadLetter sets a record aside that cannot be read; nil: such records are counted, being
	// among the dead letters already.
	DeadLetter consume.DeadLetter
	Log        *slog.Logger
}

// Offsets are positions by topic and partition.
type Offsets map[string]map[int32]int64

// Bounds returns the first offset at or after since (zero: the oldest that is left) and the offset
// at until (zero: the end), of every partition of the topics.
func (t *Topics) Bounds(ctx context.Context, since, until time.Time) (begin, end Offsets, err error) {
	client, err := schemas.DialKafka(ctx, append([]kgo.Opt{kgo.SeedBrokers(t.Seeds...)}, t.Opts...)...)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	topics := []string{schemas.TopicClicks, schemas.TopicLeads, schemas.TopicStripe, schemas.TopicDeadLetters}
	list := func(what string, ask func() (kadm.ListedOffsets, error)) (Offsets, error) {
		listed, err := ask()
		if err == nil {
			err = listed.Error()
		}
		if err != nil {
			return nil, fmt.Errorf("ask Kafka at %v for %s: %w", t.Seeds, what, schemas.WithKafkaHint(err))
		}
		at := make(Offsets)
		listed.Each(func(o kadm.ListedOffset) {
			if at[o.Topic] == nil {
				at[o.Topic] = make(map[int32]int64)
			}
			at[o.Topic][o.Partition] = o.Offset
		})
		return at, nil
	}
	begin, err = list("the first offsets", func() (kadm.ListedOffsets, error) {
		if since.IsZero() {
			return adm.ListStartOffsets(ctx, topics...)
		}
		return adm.ListOffsetsAfterMilli(ctx, since.UnixMilli(), topics...)
	})
	if err != nil {
		return nil, nil, err
	}
	end, err = list("the last offsets", func() (kadm.ListedOffsets, error) {
		if until.IsZero() {
			return adm.ListEndOffsets(ctx, topics...)
		}
		return adm.ListOffsetsAfterMilli(ctx, until.UnixMilli(), topics...)
	})
	return begin, end, err
}

// maxAhead is how many bytes of records are fetched while a batch is handled. Texts of the public may
// shrink to nothing in Kafka: a fetch of 8 MiB could be 2 GiB of them.
const maxAhead = 64 << 20

// Read passes the records of [begin, end) to handle, at most batch records at a time, and calls
// reached with the next offsets after each batch.
func (t *Topics) Read(ctx context.Context, begin, end Offsets, batch int, handle func([]*kgo.Record) error,
	reached func(Offsets) error,
) error {
	r := newReading(begin, end)
	if r.open == 0 {
		return reached(r.at)
	}
	decompressor := consume.NewDecompressor(maxAhead)
	client, err := kgo.NewClient(append([]kgo.Opt{
		kgo.SeedBrokers(t.Seeds...), kgo.ConsumePartitions(r.from()), kgo.FetchMaxBytes(8 << 20),
		kgo.FetchMaxPartitionBytes(2 << 20), kgo.KeepControlRecords(), kgo.WithDecompressor(decompressor),
	}, t.Opts...)...)
	if err != nil {
		return fmt.Errorf("open Kafka client: %w", err)
	}
	defer client.Close()
	logged := time.Now()
	for r.open > 0 {
		decompressor.Poll()
		fetches := client.PollRecords(ctx, batch)
		if err := ctx.Err(); err != nil {
			return err
		}
		var failed error
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, consume.ErrFull) {
				failed = errors.Join(failed, fmt.Errorf("read %s/%d: %w", topic, partition, err))
			}
		})
		if failed != nil {
			return failed
		}
		if err := handle(r.records(fetches)); err != nil {
			return err
		}
		r.advance(fetches)
		if err := reached(r.at); err != nil {
			return err
		}
		if time.Since(logged) > 5*time.Second {
			logged = time.Now()
			t.Log.Info("reading Kafka", "records", r.read, "of", r.total)
		}
	}
	return nil
}

// reading is how far the offsets from one to another are read.
type reading struct {
	at, end     Offsets // the next offset of each partition, and the one to stop before
	open        int     // partitions that are not read to their end
	read, total int64   // offsets
}

func newReading(begin, end Offsets) *reading {
	r := &reading{at: make(Offsets), end: end}
	for topic, partitions := range begin {
		r.at[topic] = maps.Clone(partitions)
		for partition, offset := range partitions {
			if left := end[topic][partition] - offset; left > 0 {
				r.total += left
				r.open++
			}
		}
	}
	return r
}

// from returns where the client begins to read each open partition.
func (r *reading) from() map[string]map[int32]kgo.Offset {
	from := make(map[string]map[int32]kgo.Offset)
	for topic, partitions := range r.at {
		from[topic] = make(map[int32]kgo.Offset)
		for partition, offset := range partitions {
			if offset < r.end[topic][partition] {
				from[topic][partition] = kgo.NewOffset().At(offset)
			}
		}
	}
	return from
}

// records returns those that lie before the end.
func (r *reading) records(fetches kgo.Fetches) []*kgo.Record {
	var records []*kgo.Record
	fetches.EachRecord(func(record *kgo.Record) {
		// A control record, which ends a transaction, has an offset and no content.
		if record.Offset < r.end[record.Topic][record.Partition] && !record.Attrs.IsControl() {
			records = append(records, record)
		}
	})
	return records
}

// advance goes on behind what was fetched.
func (r *reading) advance(fetches kgo.Fetches) {
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		before, last := r.at[p.Topic][p.Partition], r.end[p.Topic][p.Partition]
		if len(p.Records) == 0 || before >= last {
			return
		}
		next := min(p.Records[len(p.Records)-1].Offset+1, last)
		r.read += next - before
		r.at[p.Topic][p.Partition] = next
		if next == last {
			r.open--
		}
	})
}

// handler handles records as the consumers would, and counts them.
func (t *Topics) handler(ctx context.Context, h *Handlers, result *Result) func([]*kgo.Record) error {
	deadLetter := t.DeadLetter
	if deadLetter == nil {
		deadLetter = result.refused
	}
	return func(records []*kgo.Record) error {
		result.Records += len(records)
		return h.Handle(ctx, records, deadLetter, t.Log)
	}
}

// Range handles the records of [since, until) again. A zero time is the oldest or the newest
// record.
func (t *Topics) Range(ctx context.Context, h *Handlers, since, until time.Time, batch int) (*Result, error) {
	begin, end, err := t.Bounds(ctx, since, until)
	if err != nil {
		return nil, err
	}
	result := new(Result)
	return result, t.Read(ctx, begin, end, batch, t.handler(ctx, h, result), func(Offsets) error { return nil })
}

const positionStep = "topic "

func step(topic string, partition int32) string {
	return positionStep + topic + "/" + strconv.Itoa(int(partition))
}

func (b *Rebuild) fromTopics(ctx context.Context, h *Handlers, positions map[string]string, result *Result) error {
	begin, end, err := b.Topics.Bounds(ctx, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	resume(begin, positions)
	return b.Topics.Read(ctx, begin, end, b.Batch, b.Topics.handler(ctx, h, result), b.remember(ctx, positions))
}

// resume moves begin to where an interrupted run stopped.
func resume(begin Offsets, positions map[string]string) {
	for topic, partitions := range begin {
		for partition, offset := range partitions {
			if at, err := strconv.ParseInt(positions[step(topic, partition)], 10, 64); err == nil && at > offset {
				partitions[partition] = at
			}
		}
	}
}

// remember returns a function that stores the positions that changed. After an interruption, what
// was handled since is handled again.
func (b *Rebuild) remember(ctx context.Context, positions map[string]string) func(Offsets) error {
	return func(at Offsets) error {
		var moved []position
		for topic, partitions := range at {
			for partition, offset := range partitions {
				if text := strconv.FormatInt(offset, 10); positions[step(topic, partition)] != text {
					positions[step(topic, partition)] = text
					moved = append(moved, position{Step: step(topic, partition), At: text})
				}
			}
		}
		return reached(ctx, b.Shadow, moved...)
	}
}

// catchUp handles what was produced since the rebuild read the topics.
func (t *Topics) catchUp(ctx context.Context, h *Handlers, positions map[string]string, batch int,
	result *Result,
) error {
	begin, end, err := t.Bounds(ctx, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	resume(begin, positions)
	return t.Read(ctx, begin, end, batch, t.handler(ctx, h, result), func(Offsets) error { return nil })
}

// Committed returns for each partition the first offset at or after since, and the one that the
// processors have committed: the records between them must be stored. The two are equal where the
// committed offset is not after since: records may be stored there by a processor that could not
// commit.
func (t *Topics) Committed(ctx context.Context, since time.Time) (begin, end Offsets, err error) {
	if begin, _, err = t.Bounds(ctx, since, time.Time{}); err != nil {
		return nil, nil, err
	}
	client, err := schemas.DialKafka(ctx, append([]kgo.Opt{kgo.SeedBrokers(t.Seeds...)}, t.Opts...)...)
	if err != nil {
		return nil, nil, err
	}
	defer client.Close()
	committed, err := kadm.NewClient(client).FetchOffsets(ctx, schemas.ConsumerGroup)
	if err != nil && !errors.Is(err, kerr.GroupIDNotFound) { // no processor has ever run: nothing is committed
		return nil, nil, fmt.Errorf("read committed offsets: %w", schemas.WithKafkaHint(err))
	}
	end = make(Offsets)
	for topic, partitions := range begin {
		end[topic] = make(map[int32]int64)
		for partition, first := range partitions {
			end[topic][partition] = first
			if c, ok := committed.Lookup(topic, partition); ok {
				end[topic][partition] = max(first, c.At)
			}
		}
	}
	return begin, end, nil
}
