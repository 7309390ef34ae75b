package clicks

import (
	"bytes"

	"github.com/valyala/fasthttp"
)

// The addresses under /track speak as Dub's and PiMMs' API does to their own scripts and SDKs, so
// that setting the script's data-api-host (or the SDK's server address) to the edge is the whole
// migration.

func isTrack(path []byte) bool { return bytes.HasPrefix(path, []byte("/track/")) }

// trackClick takes {domain, key, url, referrer}: a visitor came through the short link domain/key.
func (s *Server) trackClick(ctx *fasthttp.RequestCtx) { s.track(ctx, "link") }

// trackVisit takes {domain, url, referrer}: a visitor came to the site without a link. Dub books it
// under the domain's root link, whose key is "_root".
func (s *Server) trackVisit(ctx *fasthttp.RequestCtx) { s.track(ctx, "pageview") }

func (s *Server) track(ctx *fasthttp.RequestCtx, trigger string) {
	beaconCORS(ctx)
	if optedOut(ctx) {
		s.metrics.rejected[errOptedOut.code].Inc()
		ctx.Response.Header.SetContentType("application/json")
		ctx.Response.SetBodyString(`{"clickId":null,"partner":null,"discount":null}`)
		return
	}
	o, f := s.readTrack(ctx, trigger)
	s.store(ctx, o, f, answerTrack)
}

func (s *Server) readTrack(ctx *fasthttp.RequestCtx, trigger string) (*outgoing, *fault) {
	w := s.acquire()
	defer s.release(w)
	e := w.event
	e.track = true
	f := s.receive(ctx, w, s.cfg.MaxEventBytes)
	if f == nil {
		f = e.parseJSON(&w.json, w.body)
	}
	if trigger == "pageview" && e.linkKey == "" {
		e.linkKey = "_root"
	}
	if f == nil && (e.domain == "" || e.linkKey == "") {
		f = errBadLink
	}
	if e.click.Trigger == "" {
		e.click.Trigger = trigger
	}
	return s.encode(ctx, w, f)
}

// optedOut: Dub's and PiMMs' sign that a visit is not to be counted, as a header or a query
// parameter.
func optedOut(ctx *fasthttp.RequestCtx) bool {
	for _, name := range [...]string{"dub-no-track", "pimms-no-track"} {
		if len(ctx.Request.Header.Peek(name)) > 0 || ctx.QueryArgs().Has(name) {
			return true
		}
	}
	return false
}

// answerTrack has Dub's shape. Partner and discount live in Dub's own database; their scripts take
// null for "none".
func answerTrack(ctx *fasthttp.RequestCtx, o *outgoing) {
	o.answer = append(o.answer, `{"clickId":"`...)
	o.answer = o.ids[0].AppendText(o.answer)
	o.answer = append(o.answer, `","partner":null,"discount":null}`...)
	answerJSON(ctx, o)
}
