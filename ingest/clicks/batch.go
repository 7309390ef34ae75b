package clicks

import (
	"bytes"
	"context"
	"strconv"

	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"
)

// batch takes many events: POST /v1/clicks, a JSON array or one object per line. Good events are kept when others are bad.
func (s *Server) batch(ctx *fasthttp.RequestCtx) {
	cors(ctx)
	if !takesJSON(ctx) {
		s.refuse(ctx, errContentType)
		return
	}
	body := bytes.TrimSpace(ctx.PostBody())
	var from sender
	if f := s.identify(ctx, &from); f != nil {
		s.refuse(ctx, f)
		return
	}
	w := s.acquire(s.cfg.MaxBatch)
	var f *fault
	if len(body) > 0 && body[0] == '[' {
		f = s.readArray(ctx, w, &from, body)
	} else {
		f = s.readLines(ctx, w, &from, body)
	}
	if f != nil {
		s.release(w, nil)
		s.refuse(ctx, f)
		return
	}
	err := s.publisher.Publish(context.Background(), w.records...)
	if err != nil {
		s.refuse(ctx, errUnavailable)
		s.release(w, doubtful(err))
		return
	}
	s.metrics.accepted.Add(float64(len(w.records)))
	w.answer = append(w.answer, `{"accepted":`...)
	w.answer = strconv.AppendInt(w.answer, int64(len(w.records)), 10)
	w.answer = append(w.answer, `,"rejected":[`...)
	for i, r := range w.faults {
		s.metrics.rejected[r.fault.code].Inc()
		if i > 0 {
			w.answer = append(w.answer, ',')
		}
		w.answer = append(w.answer, `{"index":`...)
		w.answer = strconv.AppendInt(w.answer, int64(r.index), 10)
		w.answer = append(w.answer, `,"error":`...)
		w.answer = strconv.AppendQuote(w.answer, r.fault.message+" ("+r.fault.hint+")") // ASCII without controls: valid JSON
		w.answer = append(w.answer, '}')
	}
	w.answer = append(w.answer, `]}`...)
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(w.answer)
	s.release(w, nil)
}

func (s *Server) readArray(ctx *fasthttp.RequestCtx, w *work, from *sender, body []byte) *fault {
	v, err := w.parser.ParseBytes(body)
	if err != nil {
		return errBadJSON
	}
	list := v.GetArray()
	if len(list) > s.cfg.MaxBatch {
		return errBatchSize
	}
	s.reserve(w, len(body))
	member := membership{}
	for i, v := range list {
		if f := s.readOne(ctx, w, from, v, i, len(list), &member); f != nil {
			return f
		}
	}
	return nil
}

// readLines reads NDJSON. A line that is no JSON spoils itself only.
func (s *Server) readLines(ctx *fasthttp.RequestCtx, w *work, from *sender, body []byte) *fault {
	n := 0
	for line := range bytes.Lines(body) {
		if len(bytes.TrimSpace(line)) > 0 {
			n++
		}
	}
	if n > s.cfg.MaxBatch {
		return errBatchSize
	}
	if n == 0 {
		return errBadJSON
	}
	s.reserve(w, len(body))
	member := membership{}
	i := 0
	for line := range bytes.Lines(body) {
		line = bytes.TrimSpace(line)
		if len(line) == 0 {
			continue
		}
		v, err := w.parser.ParseBytes(line)
		if err != nil {
			w.faults = append(w.faults, rejection{i, errBadJSON})
		} else if f := s.readOne(ctx, w, from, v, i, n, &member); f != nil {
			return f
		}
		i++
	}
	return nil
}

// reserve makes room for all values at once. Protobuf drops the field names, the edge adds agent, workspace and ids.
func (s *Server) reserve(w *work, body int) {
	if cap(w.values) < 2*body {
		w.values = make([]byte, 0, 2*body)
	}
}

// membership remembers who the events of one batch belong to: most batches have one key.
type membership struct {
	known bool
	key   string
	from  sender
	fault *fault
}

// readOne takes the i-th of n events. It gives a fault only if the whole batch is to be refused.
func (s *Server) readOne(ctx *fasthttp.RequestCtx, w *work, from *sender, v *fastjson.Value, i, n int, member *membership) *fault {
	e := w.event
	e.reset()
	f := e.parseJSON(v)
	if f == nil && !from.secret {
		if !member.known || member.key != e.key {
			// A copy of the key: the parser's memory is written again with the next line.
			*member = membership{known: true, key: string([]byte(e.key)), from: *from}
			member.fault = s.admitN(ctx, &member.from, member.key, false, n)
			switch member.fault {
			case errRate, errHost:
				return member.fault
			case errNoKey, errUnknownKey:
				if i == 0 && n == 1 {
					return member.fault
				}
			}
		}
		f = member.fault
		from = &member.from
	}
	if f == nil {
		f = s.add(w, from, i)
	}
	if f != nil {
		w.faults = append(w.faults, rejection{i, f})
	}
	return nil
}
