package clicks

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"

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
		answerText(ctx, `{"clickId":null,"partner":null,"discount":null}`)
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

// trackOpen takes {deepLink}: an app was opened by a short link. Without a link, Dub looks for a
// click of the same address in the hour before. Here nobody is known by their address, so such an
// open has no click; the app may hand over the link itself (the install referrer, the clipboard).
func (s *Server) trackOpen(ctx *fasthttp.RequestCtx) {
	beaconCORS(ctx)
	if optedOut(ctx) {
		s.metrics.rejected[errOptedOut.code].Inc()
		answerText(ctx, noOpen)
		return
	}
	o, link, f := s.readOpen(ctx)
	if o == nil && f == nil {
		answerText(ctx, noOpen)
		return
	}
	s.store(ctx, o, f, func(ctx *fasthttp.RequestCtx, o *outgoing) {
		o.answer = append(o.answer, `{"clickId":"`...)
		o.answer = o.ids[0].AppendText(o.answer)
		o.answer = append(append(append(o.answer, `","link":`...), link...), '}')
		answerJSON(ctx, o)
	})
}

// readOpen returns neither a record nor a fault if there is no link.
func (s *Server) readOpen(ctx *fasthttp.RequestCtx) (o *outgoing, link []byte, f *fault) {
	w := s.acquire()
	defer s.release(w)
	e := w.event
	e.track = true
	f = s.receive(ctx, w, s.cfg.MaxEventBytes)
	if f == nil {
		f = e.parseJSON(&w.json, w.body)
	}
	if f == nil && e.deepLink == "" {
		return nil, nil, nil
	}
	if f == nil {
		f = e.open()
	}
	if o, f = s.encode(ctx, w, f); f != nil {
		return nil, nil, f
	}
	// Dub's shape. A link is known here by its domain and key, and by nothing else.
	link, _ = json.Marshal(struct { // strings only: it cannot fail
		ID     string `json:"id"`
		Domain string `json:"domain"`
		Key    string `json:"key"`
		URL    string `json:"url"`
	}{e.click.LinkId, e.domain, e.linkKey, e.click.Url})
	return o, link, nil
}

const noOpen = `{"clickId":null,"link":null}`

// open makes a click of the deep link. A click's id that the link carries is kept, so that the
// redirect's click and the app's are one.
func (e *event) open() *fault {
	link, err := url.Parse(e.deepLink)
	if err != nil || link.Host == "" {
		return errBadDeepLink
	}
	e.click.Url, e.click.Trigger = e.deepLink, "deeplink"
	e.domain = clean(strings.ToLower(link.Hostname()))
	e.linkKey = clean(strings.Trim(link.Path, "/"))
	if e.linkKey == "" {
		e.linkKey = "_root"
	}
	query := link.Query()
	for _, name := range [...]string{"tributary_id", "dub_id", "pimms_id"} {
		if id := query.Get(name); id != "" && e.clickID == "" {
			e.clickID = e.id(id)
		}
	}
	return e.fault
}

// optedOut reports whether a request has the header or the query parameter by which Dub's and
// PiMMs' scripts ask that a visit is not counted.
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

func answerText(ctx *fasthttp.RequestCtx, text string) {
	ctx.Response.Header.SetContentType("application/json")
	ctx.Response.SetBodyString(text)
}
