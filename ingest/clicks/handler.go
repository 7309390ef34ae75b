package clicks

import (
	"bytes"
	"context"
	"crypto/rand"
	"errors"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"tributary/ingest/publish"
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

	bodyHeld hold
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
	w.bodyHeld.release()
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
			w.event.click.Url = w.event.limit(clean(b2s(ctx.Referer())), maxURL)
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

// identify reads from the headers who sends, and charges one event to a visitor's address. A secret
// key makes the sender a backend, whose own address and agent mean nothing.
func (s *Server) identify(ctx *fasthttp.RequestCtx, from *sender) *fault {
	h := &ctx.Request.Header
	from.received = s.received(ctx)
	addr, trusted := s.clientAddress(ctx)
	var wrong *fault
	if token, given := bearer(h); given {
		if from.workspace = s.workspaces.bySecret(token); from.workspace != nil {
			from.secret = true
			return nil
		}
		// A key that is neither is refused rather than ignored: an import would otherwise be
		// clamped without a word.
		if s.workspaces.ownerOf(b2s(token)) == nil && !isTrack(ctx.URI().PathOriginal()) {
			wrong = errWrongSecret
		}
	}
	from.addr = addr
	if c := connOf(ctx); c != nil {
		from.last = &c.identity
	}
	if f := s.charge(ctx, from, 1); f != nil {
		return f // also for wrong keys: nobody tries a million of them
	}
	from.agent = clean(cut(b2s(h.UserAgent()), maxAgent))
	from.optOut = string(h.Peek("Sec-Gpc")) == "1" || string(h.Peek("Dnt")) == "1"
	from.purpose = purpose(h)
	from.hints = hintsOf(h)
	from.place = s.place(h, addr, trusted)
	return wrong
}

// received returns when the head of a request had arrived, with the first bytes of its body.
func (s *Server) received(ctx *fasthttp.RequestCtx) time.Time {
	if s.cfg.now != nil {
		return s.cfg.now()
	}
	return ctx.Time()
}

// charge takes n events from the budget of a visitor's address.
func (s *Server) charge(ctx *fasthttp.RequestCtx, from *sender, n int) *fault {
	if wait, ok := s.addresses.take(from.addr, from.received, n); !ok {
		setRetryAfter(ctx, wait)
		return errRate
	}
	return nil
}

// admit authorizes a visitor's event and takes it from its workspace's budget.
func (s *Server) admit(ctx *fasthttp.RequestCtx, from *sender, key string, keyless bool) *fault {
	if f := s.authorize(ctx, from, key, keyless); f != nil {
		return f
	}
	if wait, ok := from.workspace.limit.take(from.received, 1); !ok {
		setRetryAfter(ctx, wait)
		return errRate
	}
	return nil
}

// authorize finds the workspace that a visitor's event belongs to, and checks that the site may
// send for it.
func (s *Server) authorize(ctx *fasthttp.RequestCtx, from *sender, key string, keyless bool) *fault {
	h := &ctx.Request.Header
	k := []byte(nil)
	switch {
	case key != "":
		k = []byte(key)
	default:
		k, _ = bearer(h) // Dub's scripts send their publishable key so
	}
	host := ""
	if !s.workspaces.openToAll() { // no workspace lists hostnames: nobody asks for them
		host = site(h)
	}
	w, f := s.workspaces.byPublishable(k, host, keyless)
	if f != nil {
		return f
	}
	if !w.allowsHost(host) {
		return errHost
	}
	from.workspace = w
	return nil
}

// bearer returns the token of an Authorization header (RFC 6750 §2.1). given reports whether the
// sender meant to give one: an empty token, and a key without a scheme before it, are mistakes. What
// has another scheme is between a browser and a proxy.
func bearer(h *fasthttp.RequestHeader) (token []byte, given bool) {
	v := h.Peek(fasthttp.HeaderAuthorization)
	if len(v) == 0 {
		return nil, false
	}
	end := bytes.IndexAny(v, " \t")
	if end < 0 {
		return nil, true
	}
	if strings.EqualFold(b2s(v[:end]), "bearer") {
		return bytes.TrimSpace(v[end:]), true
	}
	return nil, false
}

func decodePercent(s string) string { // X-Vercel-IP-City is percent-encoded
	if !strings.Contains(s, "%") {
		return s
	}
	return string(fasthttp.AppendUnquotedArg(nil, []byte(s)))
}
