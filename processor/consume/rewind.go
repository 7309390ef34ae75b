package consume

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// partition of a topic.
type partition struct {
	topic  string
	number int32
}

// rewindBase is the time from which the next owner of a partition measures its rewind. It is
// committed with the offset.
type rewindBase struct {
	record time.Time // of a record, by the clock of the edge that wrote it
	set    time.Time // when record was taken, by our own clock
}

// advanceBase moves the base of a partition to the earliest record of a batch, and returns it.
// Where that record is later by more than Rewind, an edge's clock was set forward or there was no
// traffic; the base then follows only after Rewind has passed by our own clock. Without this: an
// edge's clock is set forward by an hour, one record of the new time is committed, ClickHouse
// crashes and loses its last rows. Measured from that record, the rewind would not reach the
// records of those rows.
func (c *Consumer) advanceBase(p partition, record time.Time) time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if old, ok := c.bases[p]; ok && record.Sub(old.record) > c.Rewind && time.Since(old.set) < c.Rewind {
		return old.record
	}
	c.setBase(p, record)
	return record
}

// inheritBase takes over the base of the partition's last owner.
func (c *Consumer) inheritBase(p partition, record time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.setBase(p, record)
}

// setBase needs mu.
func (c *Consumer) setBase(p partition, record time.Time) {
	if c.bases == nil {
		c.bases = make(map[partition]rewindBase)
	}
	c.bases[p] = rewindBase{record: record, set: time.Now()}
}

// rewind moves each newly assigned partition back by Rewind before the time of its last committed
// record. It tries until Kafka has answered for every partition: if one began at its committed
// offset, rows of it that ClickHouse lost in a crash would stay lost. Meanwhile kgo waits, keeps
// sending heartbeats, and ends ctx when the partitions are no longer assigned.
func (c *Consumer) rewind(ctx context.Context,
	offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	for c.Rewind > 0 {
		err := c.seekBack(ctx, offsets)
		if err == nil {
			break
		}
		c.Log.Warn("finding the offset to begin at failed; trying again", "consumer", c.Name, "error", err)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(500 * time.Millisecond):
		}
	}
	return offsets, nil
}

// seekBack replaces each offset by that of the first record within Rewind before the committed
// time.
func (c *Consumer) seekBack(ctx context.Context, offsets map[string]map[int32]kgo.Offset) error {
	adm := kadm.NewClient(c.client)
	committed, err := adm.FetchOffsets(ctx, c.group())
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	for topic, partitions := range offsets {
		for number := range partitions {
			last, ok := committed.Lookup(topic, number)
			if ok && last.Err != nil {
				return fmt.Errorf("read committed offset of %s/%d: %w", topic, number, last.Err)
			}
			if !ok || last.At < 0 {
				continue
			}
			at, err := strconv.ParseInt(last.Metadata, 10, 64)
			if err != nil {
				continue // committed by another program: begin at its offset
			}
			c.inheritBase(partition{topic, number}, time.UnixMilli(at))
			listed, err := adm.ListOffsetsAfterMilli(ctx, at-c.Rewind.Milliseconds(), topic)
			if err != nil {
				return fmt.Errorf("find offset before %s/%d: %w", topic, number, err)
			}
			back, ok := listed.Lookup(topic, number)
			switch {
			case !ok:
				return fmt.Errorf("find offset before %s/%d: Kafka did not answer for it", topic, number)
			case back.Err != nil:
				return fmt.Errorf("find offset before %s/%d: %w", topic, number, back.Err)
			case back.Offset >= 0 && back.Offset < last.At:
				partitions[number] = kgo.NewOffset().At(back.Offset)
			}
		}
	}
	return nil
}
