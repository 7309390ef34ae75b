// Package publish puts records into Kafka under one of two promises. Durable: when Publish returns
// nil, every in-sync replica has the records, or they are fsynced to the spool on this machine's
// disk. Fast: when Publish returns nil, they are in this process's memory, on their way to Kafka.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"tributary/ingest/publish/spool"
	"tributary/schemas"
)

// ErrUnavailable says that the records are not known to be stored. The caller answers 503 with
// Retry-After; whoever repeats the request is safe, because what a record is about carries its own
// identity.
var ErrUnavailable = errors.New("kafka is unavailable")

// ErrInDoubt is an ErrUnavailable after which the records may still be stored: the client goes on
// trying.
var ErrInDoubt = fmt.Errorf("%w: not acknowledged in time", ErrUnavailable)

// Publisher is a Kafka producer that never blocks for longer than its timeout. It is safe for
// concurrent use.
type Publisher struct {
	cfg     Config
	client  atomic.Pointer[kgo.Client] // replaced when it cannot recover
	single  single
	metrics *metrics
	log     *slog.Logger
	kafka   *kafkaLogger // of all clients
	spool   *spool.Spool // nil: there is none
	tickets sync.Pool    // of *ticket
	copies  sync.Pool    // of *copied
	unsent  unsent
	waiting waiting
	rescues sync.WaitGroup // records that Kafka refused after Publish had returned, on their way into the spool
	lossLog rate.Sometimes
	started time.Time // what probed counts from: a clock that is set back must not stop the probes

	inFlight    atomic.Int64
	inDoubt     atomic.Int64
	copiedBytes atomic.Int64 // of the records in flight under the fast promise
	acked       atomic.Int64 // acknowledgements so far, for watch: that it moves is the sign of life
	stalled     atomic.Bool
	failure     atomic.Pointer[failure] // the last refused record; nil when one was acknowledged since
	outdated    atomic.Bool             // the client knows a topic by an id that it no longer has
	refused     atomic.Bool             // no broker has let the client connect since one refused it
	probed      atomic.Int64            // nanoseconds from started to when a Publish last went through the open breaker
	turn        atomic.Uint32           // counts watch's looks: leastBusy chooses again with each

	stop context.CancelFunc
	done sync.WaitGroup // watch and the drain
}

// New checks cfg and makes a publisher. It dials nothing before the first record or the first
// Ready, so that an edge starts while Kafka is away; it says so through Ready.
func New(cfg Config) (*Publisher, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Logger == nil {
		cfg.Logger = slog.Default()
	}
	p := &Publisher{cfg: cfg, log: cfg.Logger, kafka: newKafkaLogger(cfg.Logger),
		single: single{turn: make(chan struct{}, 1)}, lossLog: rate.Sometimes{Interval: sayAgain}, started: time.Now()}
	p.tickets.New = func() any { return newTicket(p) }
	p.copies.New = func() any { return newCopied(p) }
	p.metrics = newMetrics(cfg.Registry, p)
	client, err := p.newClient()
	if err != nil {
		return nil, err
	}
	p.client.Store(client)
	if cfg.SpoolDir != "" {
		p.spool, err = spool.Open(spool.Config{Dir: cfg.SpoolDir, MaxBytes: cfg.SpoolMaxBytes, Logger: cfg.Logger})
		if err != nil {
			client.Close()
			return nil, err
		}
		p.metrics.registerSpool(cfg.Registry, p.spool)
	}

	var ctx context.Context
	ctx, p.stop = context.WithCancel(context.Background())
	p.done.Go(func() { p.watch(ctx) })
	if p.spool != nil {
		p.done.Go(func() { p.drainSpool(ctx) })
	}
	return p, nil
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

// Publish stores records under the configured promise, and returns an ErrUnavailable when it
// cannot. With a spool, what Kafka does not acknowledge within SpoolAfter is fsynced there. Without
// one, ErrInDoubt comes after Timeout or when ctx ends, ErrUnacceptable when all are stored but
// those that Kafka never takes, and any other error at once.
//
// retained reports whether the Kafka client still reads the records' memory, error or not: the
// caller must then not use their keys, values and headers again.
func (p *Publisher) Publish(ctx context.Context, records ...*kgo.Record) (retained bool, err error) {
	if len(records) == 0 {
		return false, nil
	}
	if p.cfg.Ack == AckEnqueue {
		err = p.enqueue(records)
	} else {
		err = p.produce(ctx, records)
		retained = errors.Is(err, ErrInDoubt)
	}
	switch {
	case err == nil:
	case p.spool != nil:
		if failure := p.keep(ctx, records); failure != nil {
			return retained, fmt.Errorf("%w: %w", err, failure)
		}
		err = nil
	case unacceptable(err):
		err = p.sendEachAlone(ctx, records)
	}
	return retained, err
}

// admit counts n records in, or says why they are not to be handed to Kafka now.
func (p *Publisher) admit(n int64) (reason string) {
	switch {
	case p.stalled.Load() && !p.mayProbe():
		return reasonStalled
	case p.inDoubt.Load() >= int64(p.cfg.MaxInDoubt):
		return reasonInDoubt
	case p.inFlight.Add(n) > int64(p.cfg.MaxBufferedRecords):
		// All records of a batch are counted at once: one by one, a buffer that is nearly full would
		// take the first of them and refuse the rest.
		p.inFlight.Add(-n)
		return reasonFull
	}
	return ""
}

// mayProbe lets a Publish through the open breaker now and then. What is in flight already may
// never be acknowledged while the rest of Kafka is well: it may all be with one dead leader. With a
// spool a probe that fails costs its sender a tick of watch, without one the whole timeout.
func (p *Publisher) mayProbe() bool {
	every := p.cfg.stallAfter()
	if p.spool == nil {
		every = max(every, time.Second)
	}
	now, last := int64(time.Since(p.started)), p.probed.Load()
	return now-last >= int64(every) && p.probed.CompareAndSwap(last, now)
}

// produce hands records to Kafka and waits until all in-sync replicas have acknowledged all of
// them.
//
// kgo.ProduceSync is not used: it keeps waiting beyond its context's deadline as long as an
// idempotent record is in doubt, which is for as long as Kafka is away.
func (p *Publisher) produce(ctx context.Context, records []*kgo.Record) error {
	if reason := p.admit(int64(len(records))); reason != "" {
		return p.refuse(reason, ErrUnavailable)
	}
	t := p.tickets.Get().(*ticket)
	t.left, t.expired = len(records), false
	start := time.Now()
	t.deadline = start.Add(p.cfg.patience())
	t.list.add(t)
	for _, r := range records {
		// The background context: a record that was handed over is not taken back when its sender
		// goes away.
		p.client.Load().TryProduce(context.Background(), r, t.promise)
	}

	reason := reasonTimeout
	if gone := ctx.Done(); gone == nil {
		<-t.done
	} else {
		select {
		case <-t.done:
		case <-gone:
			reason = reasonGone
		}
	}
	t.list.remove(t)
	left, err := t.settle()
	if left == 0 && err == nil {
		p.metrics.latency.Observe(time.Since(start).Seconds())
		// Else a second signal may still lie in t.done: the last acknowledgement came together with
		// the deadline.
		if !t.expired && reason == reasonTimeout {
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
	switch {
	case err == nil:
		return p.refuse(reason, ErrInDoubt)
	case left > 0:
		return p.refuse(reason, fmt.Errorf("%w: %w", ErrInDoubt, err))
	}
	return p.refuse(reason, fmt.Errorf("%w: %w", ErrUnavailable, err))
}

// enqueue hands copies of records to Kafka and does not wait: the caller may use their memory
// again.
func (p *Publisher) enqueue(records []*kgo.Record) error {
	if p.copiedBytes.Load() >= int64(p.cfg.MaxBufferedBytes) {
		return p.refuse(reasonFull, ErrUnavailable)
	}
	if reason := p.admit(int64(len(records))); reason != "" {
		return p.refuse(reason, ErrUnavailable)
	}
	for _, r := range records {
		c := p.copies.Get().(*copied)
		c.set(r)
		p.copiedBytes.Add(c.size())
		p.client.Load().TryProduce(context.Background(), &c.record, c.promise)
	}
	return nil
}

// keep fsyncs records to the spool.
func (p *Publisher) keep(ctx context.Context, records []*kgo.Record) error {
	ctx, cancel := context.WithTimeout(ctx, p.cfg.Timeout)
	defer cancel()
	entries := make([][]byte, len(records))
	for i, r := range records {
		entries[i] = appendEntry(nil, r)
	}
	start := time.Now()
	if err := p.spool.Append(ctx, entries...); err != nil {
		p.metrics.spoolRefused.Inc()
		return err
	}
	p.metrics.spooled.Add(float64(len(records)))
	p.metrics.spoolLatency.Observe(time.Since(start).Seconds())
	return nil
}

func (p *Publisher) refuse(reason string, err error) error {
	p.metrics.refused[reason].Inc()
	return err
}

// finished counts a record out.
func (p *Publisher) finished(err error) {
	p.inFlight.Add(-1)
	if err != nil {
		p.metrics.failed.Inc()
		p.noteFailure(err)
		return
	}
	p.acked.Add(1)
	if p.failure.Load() != nil {
		p.failure.Store(nil)
	}
	if p.stalled.Load() && p.stalled.CompareAndSwap(true, false) {
		p.log.Info("kafka acknowledges again")
	}
}

// watch wakes those who have waited long enough, and is the breaker. It opens when somebody waits
// and nothing is acknowledged for StallAfter, and closes with the next acknowledgement: of what kgo
// holds and keeps trying, of a Publish that mayProbe let through, or of the drain. Only when
// nothing is held (Kafka refused it all) does watch ask Kafka itself. It also replaces the client
// when that cannot recover.
func (p *Publisher) watch(ctx context.Context) {
	tick := time.NewTicker(min(max(p.cfg.stallAfter()/16, 5*time.Millisecond), 50*time.Millisecond))
	defer tick.Stop()
	seen, since := int64(-1), time.Now()
	clients := renewal{p: p}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.turn.Add(1)
			inFlight, acked := p.inFlight.Load(), p.acked.Load()
			waitedFor := inFlight - p.inDoubt.Load()
			switch {
			case inFlight == 0 && p.stalled.Load():
				if p.checkBroker(ctx) == nil && p.stalled.CompareAndSwap(true, false) {
					p.log.Info("kafka answers again")
				}
				since = time.Now()
			case waitedFor <= 0 || acked != seen:
				seen, since = acked, now
			case now.Sub(since) >= p.stallAfter() && p.stalled.CompareAndSwap(false, true):
				p.probed.Store(int64(now.Sub(p.started)))
				p.log.Warn("kafka acknowledges nothing: it is given no new records until it does",
					"for", now.Sub(since).Round(time.Millisecond), "in_flight", inFlight, "spool", p.spool != nil)
			}
			if p.spool != nil && p.stalled.Load() {
				now = now.Add(p.cfg.patience()) // nobody needs to wait for his own deadline
			}
			p.resend(time.Now())
			p.waiting.expire(now) // after the breaker has looked who waits
			clients.look(ctx, time.Now())
		}
	}
}

// stallAfter is how long the breaker waits now. Where a spool makes a false alarm cheap, a refused
// connection is nearly proof: then a sixth of the time is enough for another broker to acknowledge.
func (p *Publisher) stallAfter() time.Duration {
	if p.spool != nil && p.refused.Load() {
		return p.cfg.stallAfter() / 6
	}
	return p.cfg.stallAfter()
}

// connectHook is called for the client's connections.
type connectHook struct{ p *Publisher }

func (h connectHook) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	h.p.refused.Store(err != nil)
}

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

// Close waits until what was handed over is stored or ctx ends, then closes the connections and the
// spool, whose records stay for the next start. It returns an error with the number of records that
// were still in flight: under the durable promise their senders have been answered 503, or the
// spool has them; under the fast one the spool takes them now, and without a spool they are lost.
func (p *Publisher) Close(ctx context.Context) error {
	err := p.client.Load().Flush(ctx)
	if p.spool == nil { // else the drain would have to end, and what is in flight goes to the spool
		err = p.waitForAll(ctx)
	}
	left := p.inFlight.Load()
	p.stop()
	p.done.Wait()           // then nobody replaces the client any more, or sends what it refused
	p.client.Load().Close() // fails what it still holds, in the background
	select {
	case p.single.turn <- struct{}{}: // and keeps it: nobody sends alone any more
		p.single.close()
	case <-ctx.Done():
	}
	for _, c := range p.unsent.close() {
		p.rescue(c, kgo.ErrClientClosed)
	}
	last, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = p.waitForAll(last)
	p.rescues.Wait()
	if err != nil {
		err = fmt.Errorf("flush kafka producer: %d records not acknowledged: %w", left, err)
	}
	if p.spool != nil {
		err = errors.Join(err, p.spool.Close())
	}
	return err
}

// waitForAll waits until nothing is in flight, at most until ctx ends.
func (p *Publisher) waitForAll(ctx context.Context) error {
	for p.inFlight.Load() > 0 {
		if !pause(ctx, time.Millisecond) {
			return ctx.Err()
		}
	}
	return nil
}
