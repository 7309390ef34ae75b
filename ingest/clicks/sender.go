package clicks

import (
	"bytes"
	"strings"
	"time"

	"github.com/valyala/fasthttp"
)

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
	wait, ok := from.workspace.limit.take(from.received, 1)
	if ok {
		wait, ok = from.workspace.limit.takePart(s.shares, from.addr, from.received, 1)
	}
	if !ok {
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
// sender meant to give one: an empty token, and a key without a scheme before it, are mistakes.
// What has another scheme is between a browser and a proxy.
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
