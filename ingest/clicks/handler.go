package clicks

import (
	"context"
	"errors"
	"strings"

	"github.com/valyala/fasthttp"

	"tributary/ingest/publish"
	"tributary/schemas"
)

// click takes one event: POST /v1/click.
func (s *Server) click(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	o, f := s.readClick(ctx)
	s.store(ctx, o, f, answerClick)
}

func (s *Server) readClick(ctx *fasthttp.RequestCtx) (*outgoing, *fault) {
	w := s.acquire()
	defer s.release(w)
	f := s.receive(ctx, w, s.cfg.MaxEventBytes)
	if f == nil {
		f = w.event.parseJSON(&w.json, w.body)
	}
	return s.encode(ctx, w, f)
}

// pixel takes one event from the query string: GET /v1/click.gif. Without a target, the page that
// shows it is the target.
func (s *Server) pixel(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	if ctx.IsHead() { // link checkers and mail scanners look, but nobody clicked
		ctx.SetContentType("image/gif")
		return
	}
	o, f := s.readPixel(ctx)
	s.store(ctx, o, f, answerPixel)
}

func (s *Server) readPixel(ctx *fasthttp.RequestCtx) (*outgoing, *fault) {
	w := s.acquire()
	defer s.release(w)
	f := s.identify(ctx, &w.from)
	if f == nil {
		f = w.event.parseQuery(&w.json, ctx.QueryArgs())
		if w.event.click.Url == "" && w.event.click.LinkId == "" {
			w.event.click.Url = w.event.page(clean(b2s(ctx.Referer())))
		}
	}
	return s.encode(ctx, w, f)
}

// encode makes the record of the event in w. f is what is already known to be wrong with it.
func (s *Server) encode(ctx *fasthttp.RequestCtx, w *work, f *fault) (*outgoing, *fault) {
	if f == nil && !w.from.secret {
		f = s.admit(ctx, &w.from, w.event.key, w.event.track)
	}
	if f != nil {
		return nil, f
	}
	o := s.acquireOutgoing(1)
	if f := s.add(w, o, &w.from); f != nil {
		s.releaseOutgoing(o, false)
		return nil, f
	}
	return o, nil
}

// add completes the event that w.event holds, and makes a record of it in o.
func (s *Server) add(w *work, o *outgoing, from *sender) *fault {
	if f := s.complete(w, from, &o.ids[len(o.records)]); f != nil {
		return f
	}
	// The value goes behind the last one if there is room, else into memory of its own.
	n, r := len(o.values), o.nextRecord()
	if err := schemas.EncodeClick(r, &w.event.click, w.event.props, o.values[n:n:cap(o.values)]); err != nil {
		s.log.Error("encode click", "error", err)
		return errInternal
	}
	if end := n + len(r.Value); end <= cap(o.values) {
		o.values = o.values[:end]
	}
	o.records = append(o.records, r)
	if w.event.unknown > 0 {
		s.metrics.unknownFields.Add(float64(w.event.unknown))
	}
	return nil
}

// store puts the records into Kafka and answers. f is why there are none.
func (s *Server) store(ctx *fasthttp.RequestCtx, o *outgoing, f *fault, answer func(*fasthttp.RequestCtx, *outgoing)) {
	if f != nil {
		s.refuse(ctx, f)
		return
	}
	retained := true // until Publish says otherwise: it may panic
	defer func() { s.releaseOutgoing(o, retained) }()
	var err error
	if retained, err = s.publisher.Publish(context.Background(), o.records...); err != nil {
		f := unstored(err)
		s.refuse(ctx, f)
		s.metrics.rejected[f.code].Add(float64(max(0, len(o.records)-1))) // refuse has counted one
		return
	}
	s.metrics.accepted.Add(float64(len(o.records)))
	answer(ctx, o)
}

// unstored is the answer to a sender whose records Publish has not stored.
func unstored(err error) *fault {
	if errors.Is(err, publish.ErrUnacceptable) {
		return errNotStorable
	}
	return errUnavailable
}

func answerClick(ctx *fasthttp.RequestCtx, o *outgoing) {
	o.answer = append(o.answer, `{"click_id":"`...)
	o.answer = o.ids[0].AppendText(o.answer)
	o.answer = append(o.answer, `"}`...)
	answerJSON(ctx, o)
}

func answerJSON(ctx *fasthttp.RequestCtx, o *outgoing) {
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(o.answer)
}

// transparentGIF is one transparent pixel, GIF89a, 43 bytes.
var transparentGIF = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b")

func answerPixel(ctx *fasthttp.RequestCtx, _ *outgoing) {
	ctx.Response.Header.SetContentType("image/gif")
	ctx.Response.SetBodyRaw(transparentGIF)
}

// takesJSON reports whether the body may be read as JSON. text/plain is what navigator.sendBeacon
// sends for a string, and needs no preflight (Fetch standard, CORS-safelisted request-header).
// Compressed bodies are never unpacked.
func takesJSON(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if len(h.ContentEncoding()) > 0 { // which is the first such line's
		for _, e := range h.PeekAll(fasthttp.HeaderContentEncoding) {
			if !strings.EqualFold(b2s(e), "identity") {
				return false
			}
		}
	}
	t, _, _ := strings.Cut(b2s(h.ContentType()), ";")
	t = strings.TrimSpace(t)
	for _, known := range [...]string{"application/json", "text/plain", "", "application/x-ndjson", "application/jsonl",
		"application/ndjson"} {
		if strings.EqualFold(t, known) {
			return true
		}
	}
	return false
}

func decodePercent(s string) string { // X-Vercel-IP-City is percent-encoded
	if !strings.Contains(s, "%") {
		return s
	}
	return string(fasthttp.AppendUnquotedArg(nil, []byte(s)))
}
