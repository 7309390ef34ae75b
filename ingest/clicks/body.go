package clicks

import (
	"errors"
	"io"

	"github.com/valyala/fasthttp"
)

const (
	// prefetch is how much of a body fasthttp reads before the handler runs, in bytes. The rest is
	// read here, into memory that grows with what arrives and not with what Content-Length
	// announces.
	prefetch = 1 << 10
	// freeBody is how much of each body is read without asking for memory, in bytes. Single events
	// are hardly ever larger. A connection costs 16 KiB for its headers anyway.
	freeBody = 4 << 10
	// manyBytes is how many bytes of a body have come when memory is taken for twice as many, and no
	// longer for four times.
	manyBytes = 64 << 10
	// freeRecords is the same for the records that are made of a body.
	freeRecords = 8 << 10
	// valueRoom is the memory for the value of a single event, in bytes; larger ones get their own.
	valueRoom = 1 << 10
	// kept is the largest buffer, in bytes, that a work keeps between requests.
	kept = 128 << 10
	// keptRecords is how many records' memory stays with a work.
	keptRecords = 128
	// recordCost is what one event takes beside the bytes that it came as: the record, its key and
	// header, ids and names.
	recordCost = 512
)

// memory returns what the request shares with others, and who it is counted for: a backend whom a
// secret key vouches for, or a visitor's address. A crowd that fills the visitors' leaves imports
// alone.
func (s *Server) memory(from *sender) (*memory, owner) {
	if from.secret {
		return &s.vouched, owner{workspace: from.workspace}
	}
	if !from.addr.IsValid() {
		return &s.public, owner{}
	}
	return &s.public, owner{network: network(from.addr)}
}

// receive judges what the headers say (content type, announced length, secret key, the address's
// rate) and only then reads the body into w.body. limit is the largest body, in bytes.
func (s *Server) receive(ctx *fasthttp.RequestCtx, w *work, limit int) *fault {
	f := checkHead(ctx, limit)
	if f == nil {
		f = s.identify(ctx, &w.from)
	}
	if f == nil {
		f = s.readBody(ctx, w, limit)
	}
	return f
}

// checkHead refuses bodies of another kind or of more than limit bytes by what their headers say.
func checkHead(ctx *fasthttp.RequestCtx, limit int) *fault {
	if !takesJSON(ctx) {
		return errContentType
	}
	if ctx.Request.Header.ContentLength() > limit {
		return errBodySize
	}
	return nil
}

// readBody reads the body of at most limit bytes into w.body.
func (s *Server) readBody(ctx *fasthttp.RequestCtx, w *work, limit int) *fault {
	req := &ctx.Request
	if !req.IsBodyStream() {
		if w.body = req.Body(); len(w.body) > limit {
			return errBodySize
		}
		return nil
	}
	c := connOf(ctx)
	if req.Header.ContentLength() != chunked || c == nil {
		return s.readStream(ctx, w, limit)
	}
	// fasthttp sets no limit to what stands around a chunk's bytes (RFC 9112 §7.1.1, extensions): it
	// may be as long as the body.
	c.bound(2 * int64(limit))
	f := s.readStream(ctx, w, limit)
	switch failed, ended := c.unbound(); {
	case failed:
		return errBodySize
	case ended && f == nil:
		// fasthttp takes the end of the connection for that of the body, which may have had more
		// chunks (RFC 9112 §8).
		return errBadRequest
	}
	return f
}

// readStream reads a body that fasthttp has not read whole.
func (s *Server) readStream(ctx *fasthttp.RequestCtx, w *work, limit int) *fault {
	req := &ctx.Request
	if c := connOf(ctx); c != nil && c.guarded != nil {
		c.guarded.receives()
		defer c.guarded.asked()
	}
	size := req.Header.ContentLength()
	known := size != chunked
	if !known {
		size = limit
	}
	if cap(w.buffer) < freeBody {
		w.buffer = make([]byte, 0, freeBody)
	}
	w.buffer = w.buffer[:0]
	room := min(size, freeBody)
	ended, err := w.fill(req.BodyStream(), room)
	for err == nil && !ended && room < size {
		// Memory for some times as much as has arrived already: whoever announces much and sends little
		// holds little. The first steps are larger, or most batches would take a read more.
		if room < manyBytes {
			room *= 2
		}
		room = min(2*room, size)
		shared, of := s.memory(&w.from)
		if !w.held.take(shared.bodies, of, room) {
			return errBusy
		}
		if cap(w.buffer) < room {
			w.buffer = append(make([]byte, 0, room), w.buffer...)
		}
		ended, err = w.fill(req.BodyStream(), room)
	}
	if err == nil && !ended && !known { // a chunked body of limit bytes: it ends here, or it is too large
		var n int
		if n, err = req.BodyStream().Read(w.one[:]); n > 0 {
			return errBodySize
		}
		if errors.Is(err, io.EOF) {
			err = nil
		}
	}
	if err == nil && known && len(w.buffer) < size {
		err = io.ErrUnexpectedEOF // the sender went away
	}
	if err != nil {
		ctx.SetConnectionClose()
		return cutShort(err)
	}
	w.body = w.buffer
	if !known || size > prefetch {
		// A click that names an affiliate counts for later sales only: its sender must not date it
		// back by a body that he keeps to himself until he has seen the sale.
		w.from.received = s.now()
	}
	_ = req.CloseBodyStream() // it has been read: the connection is good for the next request
	return nil
}

// cutShort is the answer to a body that could not be read to its end because of err.
func cutShort(err error) *fault {
	var late interface{ Timeout() bool } // net.Error, and fasthttp's error of trailers
	if errors.As(err, &late) && late.Timeout() {
		return errTimeout
	}
	return errBadRequest
}

// fill reads until w.buffer, which has room for n bytes, holds them or the body ends. It reports
// whether the body has ended.
func (w *work) fill(body io.Reader, n int) (ended bool, err error) {
	for len(w.buffer) < n {
		got, err := body.Read(w.buffer[len(w.buffer):n])
		w.buffer = w.buffer[:len(w.buffer)+got]
		if errors.Is(err, io.EOF) {
			return true, nil
		}
		if err != nil {
			return false, err
		}
	}
	return false, nil
}

// reserve takes memory for the records of at most n events, and makes room for their values.
func (s *Server) reserve(w *work, o *outgoing, n int) *fault {
	need := len(w.body) + n*(len(w.from.agent)+recordCost)
	if shared, of := s.memory(&w.from); need > freeRecords && !o.held.take(shared.records, of, need) {
		return errBusy
	}
	// A record leaves out the names that the body spells: what it adds beside the agent fits in their
	// place. The value that does not fit gets memory of its own.
	if room := len(w.body) + n*len(w.from.agent); cap(o.values) < room {
		o.values = make([]byte, 0, room)
	}
	return nil
}

// unread reports whether bytes of the request's body are still to come on the connection. Whatever
// answers without having read them must close it, or they would be taken for the next request.
func unread(ctx *fasthttp.RequestCtx) bool {
	n := ctx.Request.Header.ContentLength()
	return ctx.Request.IsBodyStream() && (n > prefetch || n < 0)
}
