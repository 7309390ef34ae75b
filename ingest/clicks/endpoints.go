package clicks

import (
	"github.com/valyala/fasthttp"
)

// endpoint is what one address takes, beside OPTIONS.
type endpoint struct {
	serve    func(*Server, *fasthttp.RequestCtx)
	get      bool // GET and HEAD, else POST
	browsers bool // a site's script may send here
	backends bool // nobody without a secret key may
	batch    bool // a body of up to MaxBodyBytes, else of MaxEventBytes
}

// endpoints is every address but those of scripts, as it must be written in the request:
// /v1%2fclick, //v1/click and /x/../v1/click are other paths for a proxy that allows only some of
// them, so they are here too.
var endpoints = map[string]endpoint{
	"/v1/click":          {serve: (*Server).click, browsers: true},
	"/v1/clicks":         {serve: (*Server).batch, browsers: true, batch: true},
	"/v1/leads":          {serve: (*Server).lead, backends: true},
	"/v1/movements":      {serve: (*Server).movement, backends: true},
	"/track/click":       {serve: (*Server).trackClick, browsers: true},
	"/track/visit":       {serve: (*Server).trackVisit, browsers: true},
	"/track/open":        {serve: (*Server).trackOpen, browsers: true},
	"/track/lead":        {serve: (*Server).trackLead, browsers: true, backends: true},
	"/track/lead/client": {serve: (*Server).trackClientLead, browsers: true},
	"/track/sale":        {serve: (*Server).trackSale, browsers: true, backends: true},
	"/track/sale/client": {serve: (*Server).trackClientSale, browsers: true},
	"/v1/click.gif":      {serve: (*Server).pixel, get: true, browsers: true},
}

var scriptEndpoint = endpoint{serve: (*Server).script, get: true, browsers: true}

// allow returns the methods of the endpoint, as an Allow header lists them.
func (e *endpoint) allow() string {
	switch {
	case e.get:
		return "GET, HEAD, OPTIONS"
	case e.browsers:
		return "POST, OPTIONS"
	}
	return "POST"
}

// takes reports whether a request's method is one of the endpoint's.
func (e *endpoint) takes(h *fasthttp.RequestHeader) bool {
	switch {
	case h.IsOptions():
		return e.browsers
	case h.IsGet(), h.IsHead():
		return e.get
	}
	return h.IsPost() && !e.get
}

// find returns the endpoint of a request, or why it is refused before any endpoint sees it.
func (s *Server) find(ctx *fasthttp.RequestCtx) (e endpoint, f *fault) {
	h := &ctx.Request.Header
	known := isKnown(h.Method())
	f = checkFraming(h)
	if f == nil && known {
		f = checkVersion(h)
	}
	if f == nil && known {
		f = checkTarget(h.RequestURI())
	}
	if f != nil {
		return e, f
	}
	path := ctx.URI().PathOriginal()
	e, found := endpoints[string(path)] // the compiler makes no copy
	if !found && scriptAt(b2s(path)) != nil {
		e, found = scriptEndpoint, true
	}
	switch {
	case !found && known:
		return e, errNotFound
	case !found || !e.takes(h):
		return e, errMethod
	}
	return e, nil
}

// isKnown reports whether any address takes the method. Whatever uses another, such as PRI of the
// HTTP/2 preface, may not be speaking HTTP/1.1.
func isKnown(method []byte) bool {
	switch string(method) {
	case "GET", "HEAD", "POST", "OPTIONS":
		return true
	}
	return false
}
