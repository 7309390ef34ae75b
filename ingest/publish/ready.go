package publish

import (
	"context"
	"fmt"
	"time"

	"tributary/schemas"
)

// Ready reports why records would not be taken now: no broker answers, a topic is missing, nothing
// is acknowledged or records are refused, and there is no spool or it has no room.
func (p *Publisher) Ready(ctx context.Context) error {
	err := p.kafkaReady(ctx)
	if err == nil || p.spool == nil {
		return err
	}
	if _, full := p.spool.Usage(); full != nil {
		return fmt.Errorf("%w; %w", err, full)
	}
	return nil
}

// Warnings says what an operator should know while Ready reports nothing, one sentence each: that
// Kafka is away and how much the spool still takes, or that the spool would not help if Kafka went
// away.
func (p *Publisher) Warnings(ctx context.Context) []string {
	if p.spool == nil {
		return nil
	}
	var warnings []string
	u, full := p.spool.Usage()
	if err := p.kafkaReady(ctx); err != nil {
		warnings = append(warnings, fmt.Sprintf("records go to the spool, which takes %d bytes more: %v", u.Room, err))
	} else if u.Segments > 0 {
		warnings = append(warnings, fmt.Sprintf("the spool holds %d bytes; the oldest since %s; it takes %d more",
			u.Bytes, u.Oldest.UTC().Format(time.RFC3339), u.Room))
	}
	if full != nil {
		warnings = append(warnings, "the spool takes nothing now: "+full.Error())
	}
	return warnings
}

func (p *Publisher) kafkaReady(ctx context.Context) error {
	if p.stalled.Load() {
		return fmt.Errorf("%w: nothing is acknowledged", ErrUnavailable)
	}
	if err := p.checkBroker(ctx); err != nil {
		return err
	}
	if f := p.failure.Load(); f != nil && time.Since(f.at) < failureMatters {
		return fmt.Errorf("%w: it refuses records: %w", ErrUnavailable, schemas.WithKafkaHint(f.err))
	}
	return nil
}

func (p *Publisher) checkBroker(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	return schemas.FindTopics(ctx, p.client.Load(), p.cfg.Topics...)
}
