package publish

import (
	"context"
	"slices"

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

// keptCopy is how many bytes of memory stay with a copied that is used again.
const keptCopy = 4 << 10

// acknowledge is called by kgo when the fate of the record is known. It must not block.
func (c *copied) acknowledge(_ *kgo.Record, err error) {
	p := c.p
	defer p.finished(err)
	if err != nil {
		p.rescues.Go(func() { p.rescue(&c.record, err) }) // this callback must not wait for a disk
		return
	}
	if cap(c.memory) <= keptCopy {
		p.copies.Put(c)
	}
}

// rescue keeps a record that was answered with success and that Kafka did not take.
func (p *Publisher) rescue(r *kgo.Record, err error) {
	ctx := context.Background()
	switch {
	case p.spool != nil && p.keep(ctx, []*kgo.Record{r}) == nil:
		return
	case p.spool == nil && unacceptable(err) && p.sendEachAlone(ctx, []*kgo.Record{r}) == nil:
		return
	}
	p.metrics.lost.Inc()
	p.log.Error("a record that was answered with success is lost", "topic", r.Topic, "error", err)
}
