package publish

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// copied is a record under the fast promise, with memory of its own: its Publish has returned long
// before Kafka acknowledges it.
type copied struct {
	p       *Publisher
	promise func(*kgo.Record, error) // bound once: a method value per record would be garbage per record
	record  kgo.Record
	memory  []byte // of key, value and the values of headers
	headers []kgo.RecordHeader
}

func newCopied(p *Publisher) *copied {
	c := &copied{p: p}
	c.promise = c.acknowledge
	return c
}

// set makes a copy of r, with all memory that its sender may use again.
func (c *copied) set(r *kgo.Record) {
	size := len(r.Key) + len(r.Value)
	for _, h := range r.Headers {
		size += len(h.Value)
	}
	c.memory = slices.Grow(c.memory[:0], size) // before the first copy: what is copied stays where it is
	c.record = *r
	c.record.Key, c.record.Value = c.copy(r.Key), c.copy(r.Value)
	c.headers = append(c.headers[:0], r.Headers...)
	for i := range c.headers {
		c.headers[i].Value = c.copy(c.headers[i].Value)
	}
	c.record.Headers = c.headers
}

func (c *copied) copy(b []byte) []byte {
	if b == nil { // null and empty are two things in Kafka
		return nil
	}
	n := len(c.memory)
	c.memory = append(c.memory, b...)
	return c.memory[n:len(c.memory):len(c.memory)]
}

// keptCopy is how many bytes of memory a copied keeps at most when it goes back to the pool.
const keptCopy = 4 << 10

// acknowledge is called by kgo when the fate of the record is known. It must not block.
func (c *copied) acknowledge(_ *kgo.Record, err error) {
	p := c.p
	if err != nil {
		p.inFlight.Add(1) // until rescue has ended
		p.finished(err)
		p.rescues.Go(func() { p.rescue(c, err) }) // this callback must not wait for a disk
		return
	}
	p.copiedBytes.Add(-c.size())
	if cap(c.memory) <= keptCopy {
		p.copies.Put(c)
	}
	p.finished(nil)
}

// size returns the bytes of the record, counted as MaxBufferedBytes is but without the names of
// headers.
func (c *copied) size() int64 { return int64(len(c.memory)) }

// rescue keeps a record that was answered with success and that Kafka did not take: in the spool,
// else in memory, from which resend hands it over again.
func (p *Publisher) rescue(c *copied, err error) {
	ctx, alone := context.Background(), []*kgo.Record{&c.record}
	stored := p.spool != nil && p.keep(ctx, alone) == nil
	if !stored && unacceptable(err) { // perhaps only because of another record of its batch
		err = p.sendEachAlone(ctx, alone)
		stored = err == nil
	}
	switch {
	case stored:
	case !unacceptable(err) && p.unsent.add(c):
		return
	default:
		p.lose(err)
	}
	p.copiedBytes.Add(-c.size())
	p.inFlight.Add(-1)
}

// lose counts a record that was answered with success and is stored nowhere.
func (p *Publisher) lose(err error) {
	p.metrics.lost.Inc()
	p.lossLog.Do(func() { // not for each: a stop may lose a hundred thousand
		p.log.Error("records that were answered with success are lost", "error", err,
			"hint", "ingest_publish_lost_total counts them; a spool (--spool-dir) would have kept them")
	})
}

// resendEvery is how long records wait that Kafka refused and that no spool keeps.
const resendEvery = time.Second

// unsent is records under the fast promise that Kafka refused for a reason that may end: the topic
// is missing, or the client knows it by an id that it no longer has. They count as in flight, so
// that Publish refuses new ones when they are too many.
type unsent struct {
	mu     sync.Mutex
	list   []*copied
	sent   time.Time
	closed bool
}

// add reports whether c will be sent again: not after close.
func (u *unsent) add(c *copied) bool {
	u.mu.Lock()
	defer u.mu.Unlock()
	if !u.closed {
		u.list = append(u.list, c)
	}
	return !u.closed
}

// take returns what is to be sent at now.
func (u *unsent) take(now time.Time) []*copied {
	u.mu.Lock()
	defer u.mu.Unlock()
	if len(u.list) == 0 || now.Sub(u.sent) < resendEvery {
		return nil
	}
	list := u.list
	u.list, u.sent = nil, now
	return list
}

// close returns what will not be sent any more.
func (u *unsent) close() []*copied {
	u.mu.Lock()
	defer u.mu.Unlock()
	u.closed = true
	return u.list
}

// resend hands the unsent records to the present client.
func (p *Publisher) resend(now time.Time) {
	for _, c := range p.unsent.take(now) {
		p.client.Load().TryProduce(context.Background(), &c.record, c.promise)
	}
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
