// Package publish puts records into Kafka under one promise: when Publish returns nil, every in-sync replica has them.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/plugin/kprom"
)

// ErrUnavailable says that the records are not known to be stored. The caller answers 503 with Retry-After; whoever
// repeats the request is safe, because what a record is about carries its own identity.
var ErrUnavailable = errors.New("kafka is unavailable")

// ErrInDoubt is an ErrUnavailable after which the records may still be stored: the client goes on trying. Until then it
// reads the records' memory, so the caller must not reuse their keys, values or headers.
var ErrInDoubt = fmt.Errorf("%w: not acknowledged in time", ErrUnavailable)

// Publisher is a Kafka producer that never blocks for longer than its timeout. It is safe for concurrent use.
type Publisher struct {
	cfg     Config
	client  *kgo.Client
	admin   *kadm.Client
	metrics *metrics
	log     *slog.Logger
	tickets sync.Pool

	inFlight atomic.Int64
	inDoubt  atomic.Int64
	acked    atomic.Int64 // acknowledgements so far, for watch: that it moves is the sign of life
	stalled  atomic.Bool

	stop context.CancelFunc
	done chan struct{}
}

// New checks cfg and makes a publisher. It dials nothing before the first record or the first Ready, so that an edge
// starts while Kafka is away; it says so through Ready.
func New(cfg Config) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	p := &Publisher{cfg: cfg, log: cfg.Logger, done: make(chan struct{})}
	p.tickets.New = func() any { return newTicket(p) }
	p.metrics = newMetrics(cfg.Registry, p)

	opts := []kgo.Opt{
		kgo.SeedBrokers(cfg.Seeds...),
		kgo.ClientID(cfg.ClientID),
		kgo.WithLogger(kafkaLogger{cfg.Logger}),
		kgo.RequiredAcks(kgo.AllISRAcks()), // idempotent by default: kgo's own retries store nothing twice
		kgo.ProducerBatchCompression(kgo.Lz4Compression()),
		// Callers wait for the acknowledgement, so lingering would only add to their wait. Batches form by back pressure:
		// while one request is under way, the next one fills.
		kgo.ProducerLinger(0),
		kgo.MaxBufferedRecords(cfg.MaxBufferedRecords),
		kgo.MaxBufferedBytes(cfg.MaxBufferedBytes),
		kgo.ProducerBatchMaxBytes(int32(cfg.MaxBatchBytes)),
		// A silent broker must be found out sooner than by the 10 s defaults, and a returned one found again sooner.
		kgo.DialTimeout(3 * time.Second),
		kgo.ProduceRequestTimeout(5 * time.Second),
		kgo.RequestTimeoutOverhead(5 * time.Second),
		kgo.MetadataMinAge(time.Second),
		kgo.RetryBackoffFn(backoff),
		// No record delivery timeout: what was handed over is tried until it is stored or the program stops. Giving up
		// earlier would turn "in doubt" into "lost" for every sender that cannot retry.
	}
	if cfg.TLS != nil {
		opts = append(opts, kgo.DialTLSConfig(cfg.TLS))
	}
	if cfg.SASL != nil {
		opts = append(opts, kgo.SASL(cfg.SASL))
	}
	if cfg.Registry != nil {
		opts = append(opts, kgo.WithHooks(kprom.NewMetrics("ingest_publish_kafka", kprom.Registry(cfg.Registry))))
	}
	client, err := kgo.NewClient(opts...)
	if err != nil {
		return nil, fmt.Errorf("make kafka client: %w", err)
	}
	p.client, p.admin = client, kadm.NewClient(client)

	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	go p.watch(ctx)
	return p, nil
}

// backoff between tries of one request. kgo's own goes to 5 s, which is as long as a caller waits.
func backoff(tries int) time.Duration { return min(time.Second, 50*time.Millisecond<<min(tries, 5)) }

// Publish hands records to Kafka and waits until all of them are acknowledged by all in-sync replicas. It gives
// ErrUnavailable at once when it can tell that this will not happen, and ErrInDoubt after Timeout or when ctx ends.
//
// kgo.ProduceSync is not used: it keeps waiting beyond its context's deadline as long as an idempotent record is in
// doubt, which is for as long as Kafka is away.
func (p *Publisher) Publish(ctx context.Context, records ...*kgo.Record) error {
	n := int64(len(records))
	if n == 0 {
		return nil
	}
	switch {
	case p.stalled.Load():
		return p.refuse(reasonStalled, ErrUnavailable)
	case p.inDoubt.Load() >= int64(p.cfg.MaxInDoubt):
		return p.refuse(reasonInDoubt, ErrUnavailable)
	case p.inFlight.Add(n) > int64(p.cfg.MaxBufferedRecords):
		// Checked for all records together, so that a batch is not torn in the usual case of a full buffer.
		p.inFlight.Add(-n)
		return p.refuse(reasonFull, ErrUnavailable)
	}

	t := p.tickets.Get().(*ticket)
	t.left = len(records)
	start := time.Now()
	t.timer.Reset(p.cfg.Timeout)
	for _, r := range records {
		// The background context: a record that was handed over is not taken back when its sender goes away.
		p.client.TryProduce(context.Background(), r, t.promise)
	}

	reason := ""
	select {
	case <-t.done:
		t.timer.Stop()
	case <-t.timer.C:
		reason = reasonTimeout
	case <-ctx.Done():
		t.timer.Stop()
		reason = reasonGone
	}
	left, err := t.settle()
	if left == 0 && err == nil { // also when the last acknowledgement came together with the timer
		p.metrics.latency.Observe(time.Since(start).Seconds())
		if reason == "" { // else a late signal may still lie in t.done
			p.tickets.Put(t)
		}
		return nil
	}
	switch {
	case errors.Is(err, kgo.ErrMaxBuffered):
		reason = reasonFull
	case err != nil:
		reason = reasonFailed
	}
	if left > 0 {
		return p.refuse(reason, ErrInDoubt)
	}
	return p.refuse(reason, fmt.Errorf("%w: %w", ErrUnavailable, err))
}

func (p *Publisher) refuse(reason string, err error) error {
	p.metrics.refused[reason].Inc()
	return err
}

// ticket counts down the acknowledgements of one Publish. A ticket whose Publish gave up stays with its records.
type ticket struct {
	p       *Publisher
	promise func(*kgo.Record, error) // bound once: a method value per record would be garbage per record
	timer   *time.Timer
	done    chan struct{} // one signal: all acknowledged, or the first failure

	mu        sync.Mutex // guards what follows
	left      int
	err       error // the first failure
	abandoned bool  // Publish has returned; the rest is counted in p.inDoubt
}

func newTicket(p *Publisher) *ticket {
	t := &ticket{p: p, done: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
	t.timer.Stop()
	t.promise = t.acknowledge
	return t
}

// acknowledge is called by kgo once per record, serially; it must not block.
func (t *ticket) acknowledge(_ *kgo.Record, err error) {
	p := t.p
	p.inFlight.Add(-1)
	if err == nil {
		p.acked.Add(1)
		p.metrics.acked.Inc()
		if p.stalled.Load() && p.stalled.CompareAndSwap(true, false) {
			p.log.Info("kafka acknowledges again")
		}
	} else {
		p.metrics.failed.Inc()
	}

	t.mu.Lock()
	t.left--
	first := err != nil && t.err == nil
	if first {
		t.err = err
	}
	signal := first || t.left == 0
	if t.abandoned {
		p.inDoubt.Add(-1)
		signal = false
	}
	t.mu.Unlock()

	if signal {
		select {
		case t.done <- struct{}{}:
		default: // the first failure has been told already
		}
	}
	if first && !errors.Is(err, kgo.ErrMaxBuffered) && !errors.Is(err, kgo.ErrClientClosed) {
		p.log.Warn("kafka refused a record", "error", err)
	}
}

// settle ends the wait: how many acknowledgements are missing, and the first failure. Missing ones are in doubt from here.
func (t *ticket) settle() (int, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left > 0 {
		t.abandoned = true
		t.p.inDoubt.Add(int64(t.left))
	}
	return t.left, t.err
}

// watch is the breaker. It opens when records are in flight and none is acknowledged for StallAfter, and closes with the
// next acknowledgement: kgo keeps trying what it holds, so recovery needs no probe. Only when nothing is held any more
// (Kafka refused it all) does watch ask Kafka itself.
func (p *Publisher) watch(ctx context.Context) {
	defer close(p.done)
	tick := time.NewTicker(max(p.cfg.StallAfter/8, 5*time.Millisecond))
	defer tick.Stop()
	seen, since := int64(-1), time.Now()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			flying, acked := p.inFlight.Load(), p.acked.Load()
			switch {
			case flying == 0 && p.stalled.Load():
				if p.ask(ctx) == nil && p.stalled.CompareAndSwap(true, false) {
					p.log.Info("kafka answers again")
				}
				since = time.Now()
			case flying == 0 || acked != seen:
				seen, since = acked, now
			case now.Sub(since) >= p.cfg.StallAfter && p.stalled.CompareAndSwap(false, true):
				p.log.Warn("kafka acknowledges nothing: new records are refused until it does", "for", now.Sub(since).Round(time.Millisecond), "in_flight", flying)
			}
		}
	}
}

// Ready tells why records would not be taken now: no broker answers, a topic is missing, or nothing is acknowledged.
func (p *Publisher) Ready(ctx context.Context) error {
	if p.stalled.Load() {
		return fmt.Errorf("%w: nothing is acknowledged", ErrUnavailable)
	}
	return p.ask(ctx)
}

func (p *Publisher) ask(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 2*time.Second)
	defer cancel()
	if err := p.client.Ping(ctx); err != nil {
		return fmt.Errorf("ask kafka: %w", err)
	}
	if len(p.cfg.Topics) == 0 {
		return nil
	}
	topics, err := p.admin.ListTopics(ctx, p.cfg.Topics...)
	if err != nil {
		return fmt.Errorf("list kafka topics: %w", err)
	}
	for _, name := range p.cfg.Topics {
		if err := topics[name].Err; err != nil {
			return fmt.Errorf("find topic %s: %w (hint: `processor topics` creates it)", name, err)
		}
	}
	return nil
}

// Close waits until what was handed over is stored or ctx ends, then closes the connections. It gives an error with the
// number of records that were still in flight; their senders have been answered 503.
func (p *Publisher) Close(ctx context.Context) error {
	err := p.client.Flush(ctx)
	left := p.inFlight.Load()
	p.stop()
	<-p.done
	p.client.Close()
	if err != nil {
		return fmt.Errorf("flush kafka producer: %d records not acknowledged: %w", left, err)
	}
	return nil
}

// kafkaLogger passes what kgo says at warning level and above to slog.
type kafkaLogger struct{ log *slog.Logger }

func (kafkaLogger) Level() kgo.LogLevel { return kgo.LogLevelWarn }

func (l kafkaLogger) Log(level kgo.LogLevel, msg string, keyvals ...any) {
	if level == kgo.LogLevelError {
		l.log.Error("kafka client: "+msg, keyvals...)
		return
	}
	l.log.Warn("kafka client: "+msg, keyvals...)
}
