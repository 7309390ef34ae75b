package clicks

import (
	"bytes"
	"context"
	"crypto/rand"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"tributary/schemas"
)

// work is all memory that one request needs, kept between requests.
type work struct {
	from    sender
	json    scanner
	event   *event
	body    []byte            // of the request, in buffer or where fasthttp has it
	buffer  []byte            // what bodies are read into
	one     [1]byte           // the byte behind a body, which should not be there
	ids     []schemas.ClickID // one per event: the records' keys share it
	values  []byte            // the encoded events, one after another
	records []*kgo.Record
	faults  []rejection
	charges []charge
	answer  []byte

	random     [640]byte // of crypto/rand, for 64 ids: one call costs as much as all other work on an id
	randomLeft int
	hashedSite []byte // whose identity hash is in event.hash
	hashed     bool   // event.hash holds one, and it is for every event of this request

	bodyHeld, recordsHeld hold
}

// rejection is one bad event of a batch.
type rejection struct {
	index int
	fault *fault
}

func (s *Server) acquire(events int) *work {
	w := s.works.Get().(*work)
	if cap(w.ids) < events {
		w.ids = make([]schemas.ClickID, events)
	}
	w.ids = w.ids[:events]
	w.event.reset()
	w.from, w.hashed = sender{}, false
	w.values, w.records, w.faults, w.charges, w.answer = w.values[:0], w.records[:0], w.faults[:0], w.charges[:0], w.answer[:0]
	return w
}

// release keeps w for the next request, unless the Kafka client still reads its records' memory.
// What one large request made grow does not stay.
func (s *Server) release(w *work, retained bool) {
	w.parsed()
	w.recordsHeld.release()
	if retained {
		return
	}
	for i, r := range w.records {
		if *r = (kgo.Record{}); i >= keptRecords { // what it points to must not stay with it
			w.records[i] = nil
		}
	}
	if cap(w.values) > kept {
		w.values = make([]byte, 0, freeBody)
	}
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

// nextRecord is memory for one more record: that of an earlier request if there is some. The Kafka
// client is done with it, or release would not have kept w.
func (w *work) nextRecord() *kgo.Record {
	if n := len(w.records); n < cap(w.records) {
		if r := w.records[:n+1][n]; r != nil {
			return r
		}
	}
	return new(kgo.Record)
}

// add completes and encodes the event that w.event holds, under the i-th id.
func (s *Server) add(w *work, from *sender, i int) *fault {
	if f := s.complete(w, from, i); f != nil {
		return f
	}
	// The value goes behind the last one if there is room, else into memory of its own.
	n, r := len(w.values), w.nextRecord()
	if err := schemas.EncodeClick(r, &w.event.click, w.values[n:n:cap(w.values)]); err != nil {
		s.log.Error("encode click", "error", err)
		return errInternal
	}
	if end := n + len(r.Value); end <= cap(w.values) {
		w.values = w.values[:end]
	}
	w.records = append(w.records, r)
	if w.event.unknown > 0 {
		s.metrics.unknownFields.Add(float64(w.event.unknown))
	}
	return nil
}

// click takes one event: POST /v1/click.
func (s *Server) click(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	w := s.acquire(1)
	f := s.receive(ctx, w, s.cfg.MaxEventBytes)
	if f == nil {
		f = w.event.parseJSON(&w.json, w.body)
	}
	s.store(ctx, w, f, answerClick)
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
	w := s.acquire(1)
	f := s.identify(ctx, &w.from)
	if f == nil {
		f = w.event.parseQuery(&w.json, ctx.QueryArgs())
		if w.event.click.Url == "" && w.event.click.LinkId == "" {
			w.event.click.Url = w.event.limit(clean(b2s(ctx.Referer())), maxURL)
		}
	}
	s.store(ctx, w, f, answerPixel)
}

// store completes the event in w, puts it into Kafka and answers. f is what is already known to be
// wrong with it.
func (s *Server) store(ctx *fasthttp.RequestCtx, w *work, f *fault, answer func(*fasthttp.RequestCtx, *work)) {
	if f == nil && !w.from.secret {
		f = s.admit(ctx, &w.from, w.event.key, w.event.track)
	}
	if f == nil {
		f = s.add(w, &w.from, 0)
	}
	if f != nil {
		s.release(w, false)
		s.refuse(ctx, f)
		return
	}
	w.parsed()
	retained, err := s.publisher.Publish(context.Background(), w.records...)
	if err != nil {
		s.refuse(ctx, errUnavailable)
	} else {
		s.metrics.accepted.Inc()
		answer(ctx, w)
	}
	s.release(w, retained)
}

func answerClick(ctx *fasthttp.RequestCtx, w *work) {
	w.answer = append(w.answer, `{"click_id":"`...)
	w.answer = w.ids[0].AppendText(w.answer)
	w.answer = append(w.answer, `"}`...)
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBody(w.answer)
}

// transparentGIF is one transparent pixel, GIF89a, 43 bytes.
var transparentGIF = []byte("GIF89a\x01\x00\x01\x00\x80\x00\x00\x00\x00\x00\xff\xff\xff\x21\xf9\x04\x01\x00\x00\x00\x00\x2c\x00\x00\x00\x00\x01\x00\x01\x00\x00\x02\x02\x44\x01\x00\x3b")

func answerPixel(ctx *fasthttp.RequestCtx, _ *work) {
	ctx.Response.Header.SetContentType("image/gif")
	ctx.Response.SetBodyRaw(transparentGIF)
}

// takesJSON reports whether the body may be read as JSON. text/plain is what navigator.sendBeacon
// sends for a string, and needs no preflight (Fetch standard, CORS-safelisted request-header).
// Compressed bodies are never unpacked.
func takesJSON(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if e := h.ContentEncoding(); len(e) > 0 && !strings.EqualFold(b2s(e), "identity") {
		return false
	}
	t, _, _ := strings.Cut(b2s(h.ContentType()), ";")
	t = strings.TrimSpace(t)
	for _, known := range [...]string{"application/json", "text/plain", "", "application/x-ndjson", "application/jsonl", "application/ndjson"} {
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
	from.received = s.now()
	addr, trusted := s.clientAddress(ctx)
	var wrong *fault
	if token := bearer(h); len(token) > 0 {
		if from.workspace = s.workspaces.bySecret(token); from.workspace != nil {
			from.secret = true
			return nil
		}
		// A key that is neither is refused rather than ignored: an import would otherwise be
		// clamped without a word.
		if !s.workspaces.isPublishable(token) && !isTrack(ctx.URI().PathOriginal()) {
			wrong = errWrongSecret
		}
	}
	from.addr = addr
	if f := s.charge(ctx, from, 1); f != nil {
		return f // also for wrong keys: nobody tries a million of them
	}
	from.agent = clean(cut(b2s(h.UserAgent()), maxAgent))
	from.optOut = string(h.Peek("Sec-Gpc")) == "1"
	if trusted {
		from.country, _ = countryCode(b2s(firstHeader(h, countryHeaders)))
		from.region = clean(cut(b2s(firstHeader(h, regionHeaders)), maxPlace))
		from.city = clean(cut(decodePercent(b2s(firstHeader(h, cityHeaders))), maxPlace))
	}
	return wrong
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
	if wait, ok := allow(from.workspace.limit, from.received, 1); !ok {
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
		k = bearer(h) // Dub's scripts send their publishable key so
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

// bearer is the token of an Authorization header (RFC 6750 §2.1), nil without one.
func bearer(h *fasthttp.RequestHeader) []byte {
	v := h.Peek(fasthttp.HeaderAuthorization)
	if len(v) > 7 && strings.EqualFold(b2s(v[:7]), "bearer ") {
		return bytes.TrimSpace(v[7:])
	}
	return nil
}

func decodePercent(s string) string { // X-Vercel-IP-City is percent-encoded
	if !strings.Contains(s, "%") {
		return s
	}
	return string(fasthttp.AppendUnquotedArg(nil, []byte(s)))
}
