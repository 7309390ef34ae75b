package publish

import (
	"context"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// ErrUnacceptable says that Kafka takes no such record, whenever it is sent.
var ErrUnacceptable = errors.New("kafka takes no such record")

// unacceptable reports whether Kafka refuses a record, or another one of its batch, whenever it is
// sent.
func unacceptable(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) ||
		errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTimestamp)
}

// single sends records each in a batch of its own. A broker refuses a whole batch for one record,
// or for the sum of all, and the publisher's client puts into one batch whatever comes together:
// records that were refused together are judged one by one here.
type single struct {
	turn   chan struct{} // holds an element while somebody sends
	client *kgo.Client   // nil before the first record, and after a failure
}

func (s *single) close() {
	if s.client != nil {
		s.client.Close()
		s.client = nil
	}
}

// sendAlone sends a copy of r in a batch of its own and waits for the acknowledgement, at most
// until ctx ends.
func (p *Publisher) sendAlone(ctx context.Context, r *kgo.Record) error {
	select {
	case p.single.turn <- struct{}{}:
	case <-ctx.Done():
		return errNoAnswer
	}
	defer func() { <-p.single.turn }()
	if p.single.client == nil {
		client, err := p.newClient(kgo.ProducerLinger(0))
		if err != nil {
			return err
		}
		p.single.client = client
	}
	c, done := newCopied(p), make(chan error, 1) // a copy: the client may read it beyond ctx
	c.set(r)
	p.inFlight.Add(1)
	p.single.client.TryProduce(context.Background(), &c.record, func(_ *kgo.Record, err error) {
		p.finished(err)
		done <- err
	})
	var err error
	select {
	case err = <-done:
	case <-ctx.Done():
		err = errNoAnswer
	}
	if err != nil && !unacceptable(err) {
		p.single.close()
	}
	return err
}

// sendEachAlone stores records one by one. It returns ErrUnacceptable if all others are stored.
func (p *Publisher) sendEachAlone(ctx context.Context, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	var refused error
	for _, r := range records {
		switch err := p.sendAlone(ctx, r); {
		case err == nil:
		case unacceptable(err):
			p.log.Error("kafka takes no such record", "topic", r.Topic, "bytes", len(r.Value),
				"error", err, "hint", "compare the topic's max.message.bytes")
			refused = p.refuse(reasonUnacceptable, fmt.Errorf("%w: %w", ErrUnacceptable, err))
		default:
			return p.refuse(reasonFailed, fmt.Errorf("%w: %w", ErrUnavailable, err))
		}
	}
	return refused
}
