package clicks

import (
	"crypto/rand"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// work is what one request is read with. It is given back before the request waits for Kafka: the
// next one then finds it in the processor's cache, and those that wait hold little memory.
type work struct {
	from    sender
	json    scanner
	event   *event
	body    []byte  // of the request, in buffer or where fasthttp has it
	buffer  []byte  // what bodies are read into
	one     [1]byte // the byte behind a body, which should not be there
	faults  []rejection
	charges []charge

	random     [640]byte // of crypto/rand, for 64 ids: one call costs as much as all other work on an id
	randomLeft int

	held hold // of memory for bodies
}

// rejection is one bad event of a batch.
type rejection struct {
	index int
	fault *fault
}

func (s *Server) acquire() *work {
	w := s.works.Get().(*work)
	w.event.reset()
	w.from = sender{}
	w.faults, w.charges = w.faults[:0], w.charges[:0]
	return w
}

// release keeps w for the next request. What one large request made grow does not stay.
func (s *Server) release(w *work) {
	w.body = nil
	if cap(w.buffer) > kept {
		w.buffer = nil
	}
	w.held.release()
	if cap(w.json.text) > kept {
		w.json.text = nil
	}
	w.json.data = nil
	s.works.Put(w)
}

// newID makes a click id.
func (w *work) newID(at time.Time) schemas.ClickID {
	if w.randomLeft == 0 {
		_, _ = rand.Read(w.random[:]) // never returns an error (Go 1.24)
		w.randomLeft = len(w.random)
	}
	w.randomLeft -= schemas.ClickIDRandom
	return schemas.ClickIDOf(at, w.random[w.randomLeft:])
}

// outgoing is the records of one request, the memory that they lie in, and the answer for when they
// are stored.
type outgoing struct {
	ids     []schemas.ClickID // the records' keys
	values  []byte            // the records' values, one after another
	records []*kgo.Record
	answer  []byte

	held hold
}

// acquireOutgoing has room for n events.
func (s *Server) acquireOutgoing(n int) *outgoing {
	o := s.outgoing.Get().(*outgoing)
	if cap(o.ids) < n {
		o.ids = make([]schemas.ClickID, n)
	}
	o.ids, o.values, o.records, o.answer = o.ids[:n], o.values[:0], o.records[:0], o.answer[:0]
	return o
}

// releaseOutgoing keeps o for another request, unless the Kafka client still reads its memory.
func (s *Server) releaseOutgoing(o *outgoing, retained bool) {
	o.held.release()
	if retained {
		return
	}
	for i, r := range o.records {
		if *r = (kgo.Record{}); i >= keptRecords { // what it points to must not stay with it
			o.records[i] = nil
		}
	}
	if cap(o.values) > kept {
		o.values = make([]byte, 0, valueRoom)
	}
	s.outgoing.Put(o)
}

// nextRecord is memory for one more record: that of an earlier request if there is some. The Kafka
// client is done with it, or releaseOutgoing would not have kept o.
func (o *outgoing) nextRecord() *kgo.Record {
	if n := len(o.records); n < cap(o.records) {
		if r := o.records[:n+1][n]; r != nil {
			return r
		}
	}
	return new(kgo.Record)
}
