// Package publish puts records into Kafka under one of two promises. Durable: when Publish returns
// nil, every in-sync replica has the records, or they are fsynced to the spool on this machine's
// disk. Fast: when Publish returns nil, they are in this process's memory, on their way to Kafka.
package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/time/rate"

	"tributary/ingest/publish/spool"
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
		if left, _ := p.spool.Usage(); left.Bytes > 0 { // this process may never be started again
			p.log.Warn("the spool still holds records (hint: start an edge with this --spool-dir, which delivers them)", "dir",
				p.cfg.SpoolDir, "bytes", left.Bytes)
		}
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
