package consume

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// partition of a topic.
type partition struct {
	topic  string
	number int32
}

// mark is the time from which the next owner of a partition measures its rewind, and when it was set, by our own clock. It is a time of
// records, as the doors' clocks have it, and is committed with the offset.
type mark struct {
	record time.Time
	set    time.Time
}

// advance moves the mark of a partition to the earliest record of a batch, and gives it. A time that leaps by more than the rewind is a
// door's clock that was set, or the end of a quiet night; it is taken after a rewind's time only. Walk through it: the clock leaps by an
// hour, one record of the new time is committed, ClickHouse crashes and has lost its last rows. Measured from that record, the rewind
// would not reach them.
func (l *Consumer) advance(p partition, record time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	if old, ok := l.marks[p]; ok && record.Sub(old.record) > l.Rewind && time.Since(old.set) < l.Rewind {
		return old.record
	}
	l.setMark(p, record)
	return record
}

// inherit takes over the mark of the partition's last owner.
func (l *Consumer) inherit(p partition, record time.Time) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.setMark(p, record)
}

func (l *Consumer) setMark(p partition, record time.Time) {
	if l.marks == nil {
		l.marks = make(map[partition]mark)
	}
	l.marks[p] = mark{record: record, set: time.Now()}
}

// rewind moves each newly assigned partition back by the configured stretch before the time of its last committed record. It asks
// until Kafka has answered for every partition: one that began at its committed offset would keep what a crashed server had lost of it
// lost. kgo waits as long, beats on, and ends ctx when the assignment is over.
func (l *Consumer) rewind(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for l.Rewind > 0 {
		err := l.back(ctx, offsets)
		if err == nil {
			break
		}
		l.Log.Warn("find where to begin; trying again", "lane", l.Name, "error", err)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(500 * time.Millisecond):
		}
	}
	return offsets, nil
}

func (l *Consumer) back(ctx context.Context, offsets map[string]map[int32]kgo.Offset) error {
	adm := kadm.NewClient(l.client)
	committed, err := adm.FetchOffsets(ctx, schemas.ConsumerGroup)
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	for topic, partitions := range offsets {
		for number := range partitions {
			c, ok := committed.Lookup(topic, number)
			if ok && c.Err != nil {
				return fmt.Errorf("read committed offset of %s/%d: %w", topic, number, c.Err)
			}
			if !ok || c.At < 0 {
				continue
			}
			at, err := strconv.ParseInt(c.Metadata, 10, 64)
			if err != nil {
				continue // committed by another program; begin there
			}
			l.inherit(partition{topic, number}, time.UnixMilli(at))
			listed, err := adm.ListOffsetsAfterMilli(ctx, at-l.Rewind.Milliseconds(), topic)
			if err != nil {
				return fmt.Errorf("find offset before %s/%d: %w", topic, number, err)
			}
			back, ok := listed.Lookup(topic, number)
			switch {
			case !ok:
				return fmt.Errorf("find offset before %s/%d: Kafka said nothing of it", topic, number)
			case back.Err != nil:
				return fmt.Errorf("find offset before %s/%d: %w", topic, number, back.Err)
			case back.Offset >= 0 && back.Offset < c.At:
				partitions[number] = kgo.NewOffset().At(back.Offset)
			}
		}
	}
	return nil
}
