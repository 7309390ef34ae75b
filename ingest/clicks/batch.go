package clicks

import (
	"bytes"
	"strconv"

	"github.com/valyala/fasthttp"
)

// batch takes many events: POST /v1/clicks, a JSON array or one object per line. Good events are
// kept when others are bad.
func (s *Server) batch(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	o, f := s.receiveBatch(ctx)
	s.store(ctx, o, f, answerJSON)
}

// receiveBatch makes the records of a batch, and the answer for when they are stored. It returns a
// fault only if the whole batch is to be refused; then nothing of it is stored.
func (s *Server) receiveBatch(ctx *fasthttp.RequestCtx) (o *outgoing, f *fault) {
	w := s.acquire()
	defer s.release(w)
	if f := s.receive(ctx, w, s.cfg.MaxBodyBytes); f != nil {
		return nil, f
	}
	events := min(countObjects(w.body), s.cfg.MaxBatch)
	read := s.acquireOutgoing(events)
	defer func() {
		if o == nil { // a fault, or a panic
			s.releaseOutgoing(read, false)
		}
	}()
	if f := s.reserve(w, read, events); f != nil {
		return nil, f
	}
	if f := s.readBatch(ctx, w, read); f != nil {
		return nil, f
	}
	s.appendBatchAnswer(w, read)
	return read, nil
}

// countObjects returns how many events body may hold. An event is an object and no field's value:
// counting the brackets that could open one is the cheapest bound of what is to come.
func countObjects(body []byte) int {
	n := 0
	for at := 0; ; at++ {
		next := bytes.IndexByte(body[at:], '{')
		if next < 0 {
			return n
		}
		if at += next; at == 0 || body[at-1] != ':' {
			n++
		}
	}
}

func (s *Server) appendBatchAnswer(w *work, o *outgoing) {
	o.answer = append(o.answer, `{"accepted":`...)
	o.answer = strconv.AppendInt(o.answer, int64(len(o.records)), 10)
	o.answer = append(o.answer, `,"rejected":[`...)
	for i, r := range w.faults {
		s.metrics.rejected[r.fault.code].Inc()
		if i > 0 {
			o.answer = append(o.answer, ',')
		}
		o.answer = append(o.answer, `{"index":`...)
		o.answer = strconv.AppendInt(o.answer, int64(r.index), 10)
		o.answer = append(o.answer, `,"error":`...)
		o.answer = strconv.AppendQuote(o.answer, r.fault.message+" ("+r.fault.hint+")") // ASCII without controls: valid JSON
		o.answer = append(o.answer, '}')
	}
	o.answer = append(o.answer, `]}`...)
}

// readBatch makes records of the events in w.body.
func (s *Server) readBatch(ctx *fasthttp.RequestCtx, w *work, o *outgoing) *fault {
	body := withoutBOM(w.body)
	w.json.reset(body)
	read := s.readLines
	if w.json.open('[') {
		read = s.readArray
	}
	n, f := read(ctx, w, o)
	if f != nil {
		return f
	}
	return s.settle(ctx, w, n)
}

// readArray returns how many elements the array has.
func (s *Server) readArray(ctx *fasthttp.RequestCtx, w *work, o *outgoing) (int, *fault) {
	m := membership{}
	for n := 0; ; n++ {
		more, err := w.json.more(']', n == 0)
		switch {
		case err != nil:
			return n, errBadJSON
		case !more && !w.json.end():
			return n, errBadJSON
		case !more:
			return n, nil
		case n == s.cfg.MaxBatch:
			return n, errBatchSize
		}
		w.event.reset()
		w.json.text = w.json.text[:0] // the last event has been encoded
		if f := w.event.parse(&w.json); f != nil {
			return n, f
		}
		if f := s.addTo(ctx, w, o, n, &m); f != nil {
			return n, f
		}
	}
}

// readLines reads NDJSON and returns how many lines are not empty. A line that is no JSON spoils
// itself only.
func (s *Server) readLines(ctx *fasthttp.RequestCtx, w *work, o *outgoing) (int, *fault) {
	m := membership{}
	rest := w.json.data
	for n := 0; ; n++ {
		w.json.reset(rest)
		if w.json.space() == 0 && w.json.pos == len(rest) {
			if n == 0 {
				return 0, errBadJSON
			}
			return n, nil
		}
		if n == s.cfg.MaxBatch {
			return n, errBatchSize
		}
		line := rest[w.json.pos:]
		rest = nil
		if end := bytes.IndexByte(line, '\n'); end >= 0 {
			line, rest = line[:end], line[end+1:]
		}
		w.event.reset()
		w.json.reset(line)
		if f := w.event.parse(&w.json); f != nil || !w.json.end() {
			w.event.fault = errBadJSON
		}
		if f := s.addTo(ctx, w, o, n, &m); f != nil {
			return n, f
		}
	}
}

// membership remembers whom the events of one batch belong to: most batches have one key.
type membership struct {
	known bool
	key   string
	from  sender
	fault *fault
}

// charge is what one workspace's budget pays for a batch.
type charge struct {
	limit *workspaceRate
	n     int
}

// addTo takes the i-th event of a batch, which w.event holds. It returns a fault only if the whole
// batch is to be refused.
func (s *Server) addTo(ctx *fasthttp.RequestCtx, w *work, o *outgoing, i int, m *membership) *fault {
	from, f := &w.from, w.event.fault
	if f == nil && !from.secret {
		if !m.known || m.key != w.event.key {
			// A copy of the key: the memory that it lies in is written again with the next event.
			*m = membership{known: true, key: string([]byte(w.event.key)), from: *from}
			m.fault = s.authorize(ctx, &m.from, m.key, false)
			if m.fault == nil && !m.from.workspace.limit.has(from.received) {
				setRetryAfter(ctx, s.cfg.RetryAfter)
				m.fault = errRate // before more of the batch is read
			}
			if m.fault == errRate {
				return m.fault
			}
		}
		if from, f = &m.from, m.fault; f == nil {
			w.addCharge(from.workspace.limit)
		}
	}
	if f == nil {
		f = s.add(w, o, from)
	}
	if f != nil {
		w.faults = append(w.faults, rejection{i, f})
	}
	return nil
}

func (w *work) addCharge(limit *workspaceRate) {
	if limit == nil {
		return
	}
	for i := range w.charges {
		if w.charges[i].limit == limit {
			w.charges[i].n++
			return
		}
	}
	w.charges = append(w.charges, charge{limit, 1})
}

// nobodys returns why nobody may send a batch of n events, or nil if somebody may: its site may not
// for any of them, or there is one event and nobody knows whose.
func (w *work) nobodys(n int) *fault {
	if n == 0 || len(w.faults) < n {
		return nil
	}
	f := w.faults[0].fault
	for _, r := range w.faults[1:] {
		if r.fault != f {
			return nil
		}
	}
	if f == errHost || n == 1 && (f == errNoKey || f == errUnknownKey) {
		return f
	}
	return nil
}

// settle takes a batch of n events from the budgets of its address and its workspaces: all of it,
// or nothing, so that a sender who repeats it later does not pay twice.
func (s *Server) settle(ctx *fasthttp.RequestCtx, w *work, n int) *fault {
	if f := w.nobodys(n); f != nil {
		return f
	}
	now := w.from.received
	for i, c := range w.charges {
		wait, ok := c.limit.take(now, c.n)
		if ok {
			wait, ok = c.limit.takePart(s.shares, w.from.addr, now, c.n)
		}
		if ok {
			continue
		}
		giveBack(w.charges[:i])
		setRetryAfter(ctx, wait)
		return errRate
	}
	f := s.charge(ctx, &w.from, n-1) // receive has charged the first
	if f != nil {
		giveBack(w.charges)
	}
	return f
}

func giveBack(paid []charge) {
	for _, c := range paid {
		c.limit.giveBack(c.n)
	}
}
