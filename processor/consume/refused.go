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

// refusal is an error that Kafka gave instead of records.
type refusal struct {
	err  error                // nil: Kafka gives records
	at   time.Time            // when it was given last
	said map[string]time.Time // when the log last said so, by schemas.KafkaReason
}

const (
	// watchEvery is how often Watch asks.
	watchEvery = 10 * time.Second
	// lasts is how long after the last error Kafka is taken to refuse: a topic in which nothing is
	// written gives neither records nor errors.
	lasts = time.Minute
	// sayAgain is how often the log repeats a refusal that lasts.
	sayAgain = time.Minute
)

// Watch asks Kafka for the consumer's topics until ctx ends, over connections of its own. Kafka's
// client keeps to itself that it reaches no broker, is not let in, or finds no topic: it tries
// again, and a poll gives nothing.
func (c *Consumer) Watch(ctx context.Context) error {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers(c.Seeds...)}, c.Options...)...)
	if err != nil {
		return fmt.Errorf("open Kafka client to watch %s: %w", c.Name, err)
	}
	defer client.Close()
	for {
		asked, cancel := context.WithTimeout(ctx, watchEvery)
		err := schemas.FindTopics(asked, client, c.Topics...)
		cancel()
		if ctx.Err() != nil {
			return nil
		}
		if err != nil {
			c.Metrics.refusals.WithLabelValues(c.Name, schemas.KafkaReason(err)).Inc()
			c.refuse(err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(watchEvery):
		}
	}
}

// fetchErrors notes the errors that kgo tries again after, for Refused and the metric. It returns
// errRemade, which kgo does not recover from.
func (c *Consumer) fetchErrors(fetches kgo.Fetches) error {
	var remade, last error
	fetches.EachError(func(topic string, partition int32, err error) {
		if errors.Is(err, context.Canceled) || errors.Is(err, ErrFull) {
			return
		}
		if errors.Is(err, kerr.UnknownTopicID) {
			remade = fmt.Errorf("%s: %w", topic, errRemade)
		}
		c.Metrics.refusals.WithLabelValues(c.Name, schemas.KafkaReason(err)).Inc()
		last = schemas.WithKafkaHint(err)
		if topic != "" { // it is "" where the whole group failed
			last = fmt.Errorf("%s/%d: %w", topic, partition, last)
		}
	})
	if last == nil {
		c.mu.Lock()
		defer c.mu.Unlock()
		c.refused.err = nil
		return nil
	}
	c.refuse(last)
	return remade
}

// refuse notes an error. The log says it at first, when the reason is another, and once a minute:
// the texts of one outage differ by who asked.
func (c *Consumer) refuse(err error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	now := time.Now()
	c.refused.err, c.refused.at = err, now
	reason := schemas.KafkaReason(err)
	if said, known := c.refused.said[reason]; known && now.Sub(said) < sayAgain {
		return
	}
	if c.refused.said == nil {
		c.refused.said = make(map[string]time.Time)
	}
	c.refused.said[reason] = now
	c.Log.Warn("Kafka gives an error instead of records; trying again", "consumer", c.Name, "error", err)
}

// Refused returns why Kafka gave no records within the last minute, with a hint; nil if it gave
// some, or assigned partitions since.
func (c *Consumer) Refused() error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if time.Since(c.refused.at) > lasts {
		return nil
	}
	return c.refused.err
}
