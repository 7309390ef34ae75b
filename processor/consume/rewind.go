package consume

import (
	"context"
	"fmt"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
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
	// unsettled are the batches whose rows ClickHouse may still lose, or whose sales are to be looked
	// at again: the earliest record of each, in order of both times.
	unsettled []handledBatch
}

// handledBatch is a batch that was handled.
type handledBatch struct {
	at     time.Time // by our own clock
	record time.Time // its earliest record
}

// advanceBase moves the base of a partition to the earliest record of a batch, and returns it.
// Where that record is later by more than Rewind, an edge's clock was set forward or there was no
// traffic; the base then follows only after Rewind has passed by our own clock. Without this: an
// edge's clock is set forward by an hour, one record of the new time is committed, ClickHouse
// crashes and loses its last rows. Measured from that record, the rewind would not reach the
// records of those rows.
//
// Nor does the base pass what is unsettled. Without this: a backlog of an hour is handled within
// seconds, and the processor dies. Rewind before its last record are only the last of those
// seconds; what was handled before them was not looked at again yet, and the next owner would not
// read it.
//
// While a rewind is asked for, nothing is settled. Without this: a batch takes longer than it takes
// until the server that answers is known to have kept everything since its restart. Its commit would
// move the base past what the server had lost before, and the rewind, which follows, would not reach
// it.
func (c *Consumer) advanceBase(p partition, record time.Time) time.Time {
	now := time.Now()
	settled := now
	if c.SettledUntil != nil {
		settled = c.SettledUntil()
	}
	if c.rewindAsked.Load() { // after SettledUntil: see Servers.sight
		settled = time.Time{}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bases == nil {
		c.bases = make(map[partition]rewindBase)
	}
	base := c.bases[p]
	if base.set.IsZero() || record.Sub(base.record) <= c.Rewind || now.Sub(base.set) >= c.Rewind {
		base.record, base.set = record, now
	}
	base.unsettled = append(stillUnsettled(base.unsettled, settled, record), handledBatch{now, record})
	c.bases[p] = base
	if held := base.unsettled[0].record.Add(c.Rewind); held.Before(base.record) {
		return held
	}
	return base.record
}

// stillUnsettled drops batches that are settled, and those that begin no earlier than a newer one:
// they are settled before it.
func stillUnsettled(list []handledBatch, settled, record time.Time) []handledBatch {
	for len(list) > 0 && list[0].at.Before(settled) {
		list = list[1:]
	}
	for len(list) > 0 && !list[len(list)-1].record.Before(record) {
		list = list[:len(list)-1]
	}
	return list
}

// inheritBase takes over the base of the partition's last owner.
func (c *Consumer) inheritBase(p partition, record time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.bases == nil {
		c.bases = make(map[partition]rewindBase)
	}
	base := c.bases[p]
	base.record, base.set = record, time.Now()
	c.bases[p] = base
}

// rewind moves each newly assigned partition back by Rewind before the time of its last committed
// record. It tries until Kafka has answered for every partition: if one began at its committed
// offset, rows of it that ClickHouse lost in a crash would stay lost. Meanwhile kgo waits, keeps
// sending heartbeats, and ends ctx when the partitions are no longer assigned.
func (c *Consumer) rewind(ctx context.Context,
	offsets map[string]map[int32]kgo.Offset,
) (map[string]map[int32]kgo.Offset, error) {
	return offsets, c.persist(ctx, "finding the offset to begin at", func() error { return c.seekBack(ctx, offsets) })
}

// persist calls ask until Kafka answers. It returns an error only when ctx ends.
func (c *Consumer) persist(ctx context.Context, what string, ask func() error) error {
	for {
		err := ask()
		if err == nil {
			return nil
		}
		c.Log.Warn(what+" failed; trying again", "consumer", c.Name, "error", err)
		select {
		case <-ctx.Done():
			return err
		case <-time.After(500 * time.Millisecond):
		}
	}
}

// rewindAssigned moves the partitions that are assigned back, as if they were assigned anew. The
// group must not be rebalanced meanwhile. It returns an error only when ctx ends.
func (c *Consumer) rewindAssigned(ctx context.Context) error {
	offsets := make(map[string]map[int32]kgo.Offset)
	c.mu.Lock()
	for p := range c.assigned {
		if offsets[p.topic] == nil {
			offsets[p.topic] = make(map[int32]kgo.Offset)
		}
		offsets[p.topic][p.number] = kgo.NewOffset().AtStart() // unless an offset was committed
	}
	c.mu.Unlock()
	if len(offsets) == 0 {
		return nil
	}
	if _, err := c.rewind(ctx, offsets); err != nil {
		return err
	}
	back := make(map[string]map[int32]kgo.EpochOffset)
	for topic, partitions := range offsets {
		back[topic] = make(map[int32]kgo.EpochOffset)
		for number, offset := range partitions {
			back[topic][number] = offset.EpochOffset()
		}
	}
	c.client.SetOffsets(back)
	return nil
}

// seekBack replaces each offset by that of the first record within Rewind before the committed
// time. However many partitions there are, it asks each broker four times.
func (c *Consumer) seekBack(ctx context.Context, offsets map[string]map[int32]kgo.Offset) error {
	adm := kadm.NewClient(c.client)
	committed, err := adm.FetchOffsets(ctx, c.group())
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	next, from := make(map[partition]int64), make(map[partition]int64)
	for topic, partitions := range offsets {
		for number := range partitions {
			last, ok := committed.Lookup(topic, number)
			if ok && last.Err != nil {
				return fmt.Errorf("read committed offset of %s/%d: %w", topic, number, last.Err)
			}
			if !ok || last.At < 0 {
				continue
			}
			p := partition{topic, number}
			next[p] = last.At
			if offsets[topic][number].EpochOffset().Offset < 0 {
				partitions[number] = kgo.NewOffset().At(last.At)
			}
			at, err := strconv.ParseInt(last.Metadata, 10, 64)
			if err != nil || c.Rewind <= 0 {
				continue // committed by another program, or nothing is read again: begin at its offset
			}
			c.inheritBase(p, time.UnixMilli(at))
			from[p] = at - c.Rewind.Milliseconds()
		}
	}
	begin, err := c.firstAfter(ctx, from)
	if err != nil {
		return err
	}
	for p, offset := range begin {
		if offset >= 0 && offset < next[p] {
			offsets[p.topic][p.number] = kgo.NewOffset().At(offset)
		}
	}
	list, err := c.findMissing(ctx, next)
	if err != nil {
		return err
	}
	for _, m := range list {
		if at := offsets[m.topic][m.number].EpochOffset().Offset; m.reason == LostEnd && at >= m.begin {
			offsets[m.topic][m.number] = kgo.NewOffset().AtStart()
		}
	}
	c.expect(next, list)
	return c.report(ctx, list)
}

// firstAfter returns the offset of the first record at or after a time in Unix milliseconds, of
// each partition; -1 where there is none. kadm asks for one time only, of all partitions of a
// topic.
func (c *Consumer) firstAfter(ctx context.Context, times map[partition]int64) (map[partition]int64, error) {
	if len(times) == 0 {
		return nil, nil
	}
	req := kmsg.NewPtrListOffsetsRequest()
	topics := make(map[string]int)
	for p, at := range times {
		i, ok := topics[p.topic]
		if !ok {
			i = len(req.Topics)
			topics[p.topic] = i
			topic := kmsg.NewListOffsetsRequestTopic()
			topic.Topic = p.topic
			req.Topics = append(req.Topics, topic)
		}
		one := kmsg.NewListOffsetsRequestTopicPartition()
		one.Partition, one.Timestamp = p.number, at
		req.Topics[i].Partitions = append(req.Topics[i].Partitions, one)
	}
	answer, err := req.RequestWith(ctx, c.client)
	if err != nil {
		return nil, fmt.Errorf("find offsets by time: %w", err)
	}
	found := make(map[partition]int64, len(times))
	for _, topic := range answer.Topics {
		for _, one := range topic.Partitions {
			if err := kerr.ErrorForCode(one.ErrorCode); err != nil {
				return nil, fmt.Errorf("find offset by time of %s/%d: %w", topic.Topic, one.Partition, err)
			}
			found[partition{topic.Topic, one.Partition}] = one.Offset
		}
	}
	for p := range times {
		if _, ok := found[p]; !ok {
			return nil, fmt.Errorf("find offset by time of %s/%d: Kafka did not answer for it", p.topic, p.number)
		}
	}
	return found, nil
}
