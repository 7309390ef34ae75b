package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// DeadLetter sets one record aside. It returns when Kafka has acknowledged that.
type DeadLetter func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error

func (c *Consumer) deadLetter(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
	record := schemas.DeadLetterRecord(r, step, reason, cause)
	for {
		err := c.Produce(ctx, record)
		if err == nil {
			break
		}
		if errors.Is(err, kerr.UnknownTopicID) { // it was made again: kgo writes only to the topic that it knew
			c.client.PurgeTopicsFromProducing(record.Topic)
		}
		c.Log.Warn("writing a dead letter failed; trying again", "topic", r.Topic, "partition", r.Partition, "offset",
			r.Offset, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("write dead letter: %w", err)
		case <-time.After(time.Second):
		}
	}
	c.Metrics.deadLetters.WithLabelValues(r.Topic, step, reason).Inc()
	c.Log.Warn("record set aside", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "step", step,
		"reason", reason, "error", cause)
	return nil
}

// Produce writes a record by the consumer's own client, and returns when Kafka has acknowledged it
// or ctx ends. ProduceSync waits for Kafka's answer without a limit while it is not known whether
// the record was written. Whatever is written here may be written twice.
func (c *Consumer) Produce(ctx context.Context, r *kgo.Record) error {
	done := make(chan error, 1)
	c.client.Produce(ctx, r, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// MaxRecordBytes lets a dead letter, or an event that was fetched, be as large as the largest
// record that the webhook takes: one of its largest bodies, and the headers beside it.
const MaxRecordBytes = 1<<20 + 128<<10
