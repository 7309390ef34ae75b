package clicks

import (
	"bytes"
	"context"
	"errors"
	"strings"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
	"github.com/valyala/fastjson"

	"tributary/ingest/publish"
	"tributary/schemas"
)

// work is all memory that one request needs, kept between requests.
type work struct {
	parser  fastjson.Parser
	event   *event
	ids     []schemas.ClickID // one per event: the records' keys share it
	values  []byte            // the encoded events, one after another
	records []*kgo.Record
	faults  []rejection
	answer  []byte
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
	w.values, w.records, w.faults, w.answer = w.values[:0], w.records[:0], w.faults[:0], w.answer[:0]
	return w
}

// release keeps w for the next request, unless its records are in doubt: the Kafka client still reads their memory.
func (s *Server) release(w *work, err error) {
	if err != nil {
		return
	}
	clear(w.records[:cap(w.records)])
	if cap(w.values) <= 1<<20 { // one huge batch must not be held for ever
		s.works.Put(w)
	}
}

// add completes and encodes the event that w.event holds, under the i-th id.
func (s *Server) add(w *work, from *sender, i int) *fault {
	if f := s.complete(w.event, from, &w.ids[i]); f != nil {
		return f
	}
	// The value goes behind the last one if there is room, else into memory of its own.
	n := len(w.values)
	r, err := schemas.ClickRecord(&w.event.click, w.values[n:n:cap(w.values)])
	if err != nil {
		s.log.Error("encode click", "error", err)
		return errInternal
	}
	if end := n + len(r.Value); end <= cap(w.values) {
		w.values = w.values[:end]
	}
	w.records = append(w.records, r)
	s.metrics.unknownFields.Add(float64(w.event.unknown))
	return nil
}

// click takes one event: POST /v1/click.
func (s *Server) click(ctx *fasthttp.RequestCtx) {
	cors(ctx)
	if !takesJSON(ctx) {
		s.refuse(ctx, errContentType)
		return
	}
	if len(ctx.PostBody()) > s.cfg.MaxEventBytes {
		s.refuse(ctx, errBodySize)
		return
	}
	w := s.acquire(1)
	w.event.reset()
	v, err := w.parser.ParseBytes(ctx.PostBody())
	if err != nil {
		s.release(w, nil)
		s.refuse(ctx, errBadJSON)
		return
	}
	s.store(ctx, w, w.event.parseJSON(v), answerClick)
}

// pixel takes one event from the query string: GET /v1/click.gif. Without a target, the page that shows it is the target.
func (s *Server) pixel(ctx *fasthttp.RequestCtx) {
	cors(ctx)
	ctx.Response.Header.Set(fasthttp.HeaderCacheControl, "no-store")
	if ctx.IsHead() { // link checkers and mail scanners look, but nobody clicked
		ctx.SetContentType("image/gif")
		return
	}
	w := s.acquire(1)
	w.event.reset()
	f := w.event.parseQuery(ctx.QueryArgs(), &w.parser)
	if w.event.click.Url == "" && w.event.click.LinkId == "" {
		w.event.click.Url = w.event.limit(b2s(ctx.Referer()), maxURL)
	}
	s.store(ctx, w, f, answerPixel)
}

// store completes the event in w, puts it into Kafka and answers.
func (s *Server) store(ctx *fasthttp.RequestCtx, w *work, f *fault, answer func(*fasthttp.RequestCtx, *work)) {
	var from sender
	if f == nil {
		f = s.identify(ctx, &from)
	}
	if f == nil && !from.secret {
		f = s.admit(ctx, &from, w.event.key, w.event.track)
	}
	if f == nil {
		f = s.add(w, &from, 0)
	}
	if f != nil {
		s.release(w, nil)
		s.refuse(ctx, f)
		return
	}
	err := s.publisher.Publish(context.Background(), w.records...)
	if err != nil {
		s.refuse(ctx, errUnavailable)
	} else {
		s.metrics.accepted.Inc()
		answer(ctx, w)
	}
	s.release(w, doubtful(err))
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

// doubtful is err if the records' memory is still in use.
func doubtful(err error) error {
	if errors.Is(err, publish.ErrInDoubt) {
		return err
	}
	return nil
}

// takesJSON tells whether the body may be read as JSON. text/plain is what navigator.sendBeacon sends for a string, and
// needs no preflight (Fetch standard, CORS-safelisted request-header). Compressed bodies are never unpacked.
func takesJSON(ctx *fasthttp.RequestCtx) bool {
	h := &ctx.Request.Header
	if len(h.ContentEncoding()) > 0 {
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

// identify reads from the request who sends. A secret key makes it a backend, whose own address and agent mean nothing.
func (s *Server) identify(ctx *fasthttp.RequestCtx, from *sender) *fault {
	h := &ctx.Request.Header
	from.received = s.now()
	if token := bearer(h); len(token) > 0 {
		if from.workspace = s.workspaces.bySecret(token); from.workspace != nil {
			from.secret = true
			return nil
		}
		// A key that is neither is refused rather than ignored: an import would otherwise be clamped without a word.
		if !s.workspaces.isPublishable(token) && !isTrack(ctx.Path()) {
			return errWrongSecret
		}
	}
	from.agent = cut(b2s(h.UserAgent()), maxAgent)
	from.optOut = string(h.Peek("Sec-Gpc")) == "1"
	var trusted bool
	from.addr, trusted = s.clientAddress(ctx)
	if trusted {
		from.country, _ = countryCode(b2s(firstHeader(h, countryHeaders)))
		from.region = cut(b2s(firstHeader(h, regionHeaders)), maxPlace)
		from.city = cut(decodePercent(b2s(firstHeader(h, cityHeaders))), maxPlace)
	}
	return nil
}

// admit finds the workspace of a visitor's event and checks that the site may send for it.
func (s *Server) admit(ctx *fasthttp.RequestCtx, from *sender, key string, keyless bool) *fault {
	return s.admitN(ctx, from, key, keyless, 1)
}

func (s *Server) admitN(ctx *fasthttp.RequestCtx, from *sender, key string, keyless bool, n int) *fault {
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
	if d, ok := allow(w.limit, from.received, n); !ok {
		setRetryAfter(ctx, d)
		return errRate
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
