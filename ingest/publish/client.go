package publish

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A Kafka client can come into a state that it does not leave, whatever Kafka says later:
//
//   - A topic that was deleted and made again has another id. kgo keeps the old one and fails every
//     record of the topic with UNKNOWN_TOPIC_ID.
//   - Kafka refused the client a producer id for a reason that is not transient, such as a right
//     that was taken and given back. kgo keeps the answer and fails every record with it.
//
// A new client knows nothing of either. It takes the place of the old one when Kafka has refused a
// record and acknowledged none since, and at once when a topic has another id.

const (
	renewAfter     = 2 * time.Second  // between two clients, at least; doubled while Kafka acknowledges nothing
	renewAtMost    = time.Minute      // up to this
	failureMatters = 10 * time.Second // how long a refusal makes the publisher not ready: without requests no other comes
)

// failure is a record that Kafka refused.
type failure struct {
	err    error
	at     time.Time
	logged time.Time
}

// noteFailure remembers that a record was refused, unless that says nothing about Kafka or the
// client.
func (p *Publisher) noteFailure(err error) {
	if errors.Is(err, kgo.ErrMaxBuffered) || errors.Is(err, kgo.ErrClientClosed) || unacceptable(err) {
		return
	}
	now := time.Now()
	f := &failure{err: err, at: now, logged: now}
	if last := p.failure.Load(); last != nil && now.Sub(last.logged) < sayAgain {
		f.logged = last.logged
	} else {
		p.log.Warn("kafka refuses records", "error", err, "spool", p.spool != nil)
	}
	p.failure.Store(f)
	if errors.Is(err, kerr.UnknownTopicID) {
		p.outdated.Store(true)
	}
}

// renewal decides when a client is replaced. It belongs to watch.
type renewal struct {
	p       *Publisher
	last    time.Time     // when the client was made
	acked   int64         // acknowledgements by then
	wait    time.Duration // the least time to the next client
	because *failure      // for which it was made
}

// look replaces the client if it needs to be.
func (n *renewal) look(ctx context.Context, now time.Time) {
	f := n.p.failure.Load()
	if outdated := n.p.outdated.Load(); !outdated && (f == nil || f == n.because) {
		return
	}
	acked := n.p.acked.Load()
	if acked != n.acked || n.wait == 0 {
		n.wait = renewAfter
	}
	if now.Sub(n.last) < n.wait {
		return
	}
	n.last, n.acked, n.because, n.wait = now, acked, f, min(2*n.wait, renewAtMost)
	n.p.outdated.Store(false)
	if err := n.p.renew(ctx); err != nil {
		n.p.log.Error("replace the kafka client", "error", err)
	}
}

// renew puts a new client in the place of the present one, which ends in the background when what
// it holds is acknowledged or refused. With a spool it has as long as a Publish waits: what nobody
// has acknowledged by then is in the spool, or goes there.
func (p *Publisher) renew(ctx context.Context) error {
	client, err := p.newClient()
	if err != nil {
		return err
	}
	old := p.client.Swap(client)
	p.log.Warn("a new kafka client replaces one whose records kafka refuses")
	p.done.Go(func() {
		if p.spool != nil {
			var cancel context.CancelFunc
			ctx, cancel = context.WithTimeout(ctx, p.cfg.Timeout)
			defer cancel()
		}
		_ = old.Flush(ctx)
		old.Close()
	})
	return nil
}

func (p *Publisher) newClient(more ...kgo.Opt) (*kgo.Client, error) {
	opts := append(p.cfg.clientOptions(p.kafka), kgo.WithHooks(connectHook{p}))
	if p.cfg.AnyPartition {
		opts = append(opts, kgo.RecordPartitioner(leastBusy{&p.turn}))
	}
	client, err := kgo.NewClient(append(opts, more...)...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	return client, nil
}

// clientOptions are the Kafka client's.
func (c Config) clientOptions(log kgo.Logger) []kgo.Opt {
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Seeds...),
		kgo.ClientID(c.ClientID),
		kgo.WithLogger(log),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent by default: kgo's own retries store nothing twice
		kgo.WithCompressor(newLZ4Frames()),
		// A broker's work is by the request rather than by the record: a little wait halves it.
		// DESIGN.md has the figures.
		kgo.ProducerLinger(c.Linger),
		kgo.MaxBufferedRecords(c.MaxBufferedRecords),
		kgo.MaxBufferedBytes(c.MaxBufferedBytes),
		kgo.ProducerBatchMaxBytes(int32(c.MaxBatchBytes)),
		// A silent broker must be found out sooner than by the 10 s defaults, and a returned one
		// found again sooner.
		kgo.DialTimeout(3 * time.Second),
		kgo.ProduceRequestTimeout(5 * time.Second),
		kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.MetadataMinAge(time.Second),
		kgo.RetryBackoffFn(backoff),
		// No record delivery timeout: what was handed over is tried until it is stored or the
		// program stops. Giving up earlier would turn "in doubt" into "lost" for every sender that
		// cannot retry.
	}
	if c.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(c.TLS))
	}
	if c.SASL != nil {
		opts = append(opts, kgo.SASL(c.SASL))
	}
	return opts
}

// backoff between tries of one request. kgo's own goes to 5 s, which is as long as a caller waits.
// The first is short: a broker that has gone shows by refusing the next connection, which
// stallAfter waits for.
func backoff(tries int) time.Duration { return min(time.Second, 10*time.Millisecond<<min(tries, 7)) }
