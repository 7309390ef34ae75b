package consume

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
)

// LostStep is the step of dead letters that stand for offsets which Kafka no longer has. They have
// no record, so that none can be handled again.
const LostStep = "fetch"

// Reasons of such dead letters.
const (
	// LostUnread: Kafka deleted records before this group read them. Retention is shorter than the
	// processors, or ClickHouse, were away.
	LostUnread = "deleted_unread"
	// LostEnd: the group had read further than the topic reaches. It was deleted and made again, or
	// its brokers lost what they had acknowledged.
	LostEnd = "topic_ends_earlier"
)

// missing is a range of offsets of one partition, [begin, end), that Kafka no longer has.
type missing struct {
	partition
	begin, end int64
	reason     string
}

func (m missing) Error() string {
	if m.reason == LostEnd {
		return fmt.Sprintf("%s/%d ends at offset %d, and the processors had read it up to %d: it was made again, or its "+
			"brokers lost records (hint: processor audit --since all compares what Kafka has with the tables)", m.topic,
			m.number, m.begin, m.end)
	}
	return fmt.Sprintf("Kafka deleted offsets %d to %d of %s/%d before they were read (hint: make the topic's retention "+
		"longer than the longest outage, and fetch Stripe's events again with processor backfill)", m.begin, m.end-1, m.topic,
		m.number)
}

// report sets one dead letter aside for each range, under its first offset: it stays where an
// operator looks for what was not processed, also when nobody watched the log.
func (c *Consumer) report(ctx context.Context, list []missing) error {
	for _, m := range list {
		c.Log.Error("records are gone", "consumer", c.Name, "topic", m.topic, "partition", m.number, "begin", m.begin,
			"end", m.end, "reason", m.reason)
		c.Metrics.missing.WithLabelValues(m.topic, m.reason).Add(float64(m.end - m.begin))
		r := &kgo.Record{Topic: m.topic, Partition: m.number, Offset: m.begin}
		if err := c.deadLetter(ctx, r, LostStep, m.reason, m); err != nil {
			return err
		}
	}
	return nil
}

// findMissing compares from where on partitions were not read with what Kafka has of them.
func (c *Consumer) findMissing(ctx context.Context, next map[partition]int64) ([]missing, error) {
	if len(next) == 0 {
		return nil, nil
	}
	topics := make(map[string]bool)
	for p := range next {
		topics[p.topic] = true
	}
	adm, names := kadm.NewClient(c.client), slices.Collect(maps.Keys(topics))
	starts, err := adm.ListStartOffsets(ctx, names...)
	if err = cmp.Or(err, starts.Error()); err != nil {
		return nil, fmt.Errorf("find the first offsets: %w", err)
	}
	ends, err := adm.ListEndOffsets(ctx, names...)
	if err = cmp.Or(err, ends.Error()); err != nil {
		return nil, fmt.Errorf("find the last offsets: %w", err)
	}
	var list []missing
	for p, at := range next {
		start, started := starts.Lookup(p.topic, p.number)
		end, ended := ends.Lookup(p.topic, p.number)
		switch {
		case !started || !ended:
			return nil, fmt.Errorf("find the offsets of %s/%d: Kafka did not answer for it", p.topic, p.number)
		case start.Offset > at:
			list = append(list, missing{p, at, start.Offset, LostUnread})
		case end.Offset < at:
			list = append(list, missing{p, end.Offset, at, LostEnd})
		}
	}
	return list, nil
}

// expect notes the next offset to read of each partition. Where records are missing, it is the
// first one behind them. Up to there a rewind reads what was committed, unless the topic ends
// earlier: its records are other ones.
func (c *Consumer) expect(next map[partition]int64, list []missing) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.next == nil {
		c.next, c.again = make(map[partition]int64), make(map[partition]int64)
	}
	maps.Copy(c.next, next)
	maps.Copy(c.again, next)
	for _, m := range list {
		c.next[m.partition] = m.continues()
		if m.reason == LostEnd {
			delete(c.again, m.partition)
		}
	}
}

// checkFetched reports what was deleted, while the consumer ran, before it was read. kgo goes on at
// the log's new start by itself. It returns an error only when ctx ends.
func (c *Consumer) checkFetched(ctx context.Context, fetches kgo.Fetches) error {
	var list []missing
	shorter := make(map[partition]int64) // may have lost its end
	c.mu.Lock()
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p := partition{f.Topic, f.Partition}
		var loss *kgo.ErrDataLoss
		next, ok := c.next[p]
		switch {
		case ok && f.LogStartOffset > next:
			list = append(list, missing{p, next, f.LogStartOffset, LostUnread})
			c.next[p] = f.LogStartOffset
		case errors.As(f.Err, &loss):
			shorter[p] = loss.ConsumedTo
		}
		if n := len(f.Records); n > 0 && c.next != nil {
			c.next[p] = max(c.next[p], f.Records[n-1].Offset+1)
		}
	})
	c.mu.Unlock()
	err := c.persist(ctx, "finding what is missing", func() error {
		more, err := c.findMissing(ctx, shorter)
		if err == nil {
			c.expect(nil, more)
			list = append(list, more...)
		}
		return err
	})
	if err != nil {
		return err
	}
	return c.report(ctx, list)
}

// continues returns the offset from which on records are expected again.
func (m missing) continues() int64 {
	if m.reason == LostEnd {
		return m.begin
	}
	return m.end
}
