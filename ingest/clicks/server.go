// Package clicks is the edge that browsers and backends talk to: clicks and leads come in, an
// answer goes out when Kafka has them.
package clicks

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/netip"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"

	"github.com/pires/go-proxyproto"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"
)

// Publisher stores records: a nil error means stored. publish.Publisher is one. retained reports
// whether the records' memory is still in use.
type Publisher interface {
	Publish(ctx context.Context, records ...*kgo.Record) (retained bool, err error)
}

// Server is the edge. New makes it, Serve runs it, Shutdown ends it.
type Server struct {
	cfg        Config
	publisher  Publisher
	workspaces *Directory
	identities *identities
	metrics    *metrics
	log        *slog.Logger
	now        func() time.Time
	works      sync.Pool // of *work
	outgoing   sync.Pool // of *outgoing
	addresses  *addressRates
	public     *budget                  // for the bodies of senders whom nobody vouches for
	vouched    *budget                  // for those with a secret key
	forwarded  sync.Once                // the warning of an X-Forwarded-For that nobody is trusted for
	listener   atomic.Pointer[listener] // nil before Serve
	stopping   atomic.Bool              // each answer ends its connection
	http       *fasthttp.Server
}

// New checks cfg and makes an edge that stores through p. Nothing runs before Serve.
func New(cfg Config, p Publisher) (*Server, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	if cfg.Workspaces == nil {
		d, err := LoadWorkspaces("", "")
		if err != nil {
			return nil, err
		}
		cfg.Workspaces = d
	}
	s := &Server{cfg: cfg, publisher: p, workspaces: cfg.Workspaces, identities: newIdentities(cfg.IdentitySecret),
		log: cfg.Logger, now: cfg.now}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.now == nil {
		s.now = time.Now
	}
	s.works.New = func() any { return &work{event: newEvent()} }
	s.outgoing.New = func() any { return &outgoing{values: make([]byte, 0, valueRoom)} }
	s.addresses = newAddressRates(cfg.EventsPerAddress, cfg.MaxBatch)
	s.public, s.vouched = newBudget(cfg.BodyMemory, shares, cfg.MaxBodyBytes),
		newBudget(cfg.BodyMemory, 1, cfg.MaxBodyBytes)
	s.http = &fasthttp.Server{
		Handler:                      s.handle,
		ErrorHandler:                 s.unreadable,
		ReadTimeout:                  cfg.ReadTimeout,
		WriteTimeout:                 cfg.WriteTimeout,
		IdleTimeout:                  cfg.IdleTimeout,
		ReadBufferSize:               cfg.MaxHeaderBytes,
		StreamRequestBody:            true,     // the handler decides whether the rest of a body is read, and into what
		MaxRequestBodySize:           prefetch, // in this mode, how much is read before the handler; the limits are ours
		HeaderReceived:               ignoreExpect,
		ExpectHandler:                s.expect,
		Concurrency:                  cfg.Concurrency,
		NoDefaultServerHeader:        true,
		NoDefaultContentType:         true,
		DisablePreParseMultipartForm: true, // it would write uploads to temporary files
		SecureErrorLogMessage:        true, // no request text in logs
		CloseOnShutdown:              true,
		Logger:                       quiet{},
	}
	s.metrics = newMetrics(cfg.Registry, func() float64 { return float64(s.http.GetOpenConnectionsCount()) })
	return s, nil
}

// Serve answers on ln until Shutdown. From the inside out: the connections of an address are
// counted, a balancer's PROXY header is taken off, and what is left is TLS, if the edge has a
// certificate.
func (s *Server) Serve(ln net.Listener) error {
	public := &listener{Listener: ln}
	s.listener.Store(public)
	ln = public
	if s.cfg.MaxConnsPerIP > 0 {
		ln = &guard{Listener: ln, s: s, conns: make(map[netip.Prefix]int)}
	}
	if s.cfg.ProxyProtocol {
		ln = &proxyproto.Listener{Listener: ln, ReadHeaderTimeout: s.cfg.ReadTimeout, ConnPolicy: s.proxyPolicy}
	}
	ln = deadlineListener{ln}
	if s.cfg.CertFile != "" {
		c, err := newCertificate(s.cfg.CertFile, s.cfg.KeyFile, s.log)
		if err != nil {
			return fmt.Errorf("serve clicks: %w", err)
		}
		ln = tls.NewListener(ln, &tls.Config{GetCertificate: c.get, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1"}})
	}
	if err := s.http.Serve(ln); err != nil {
		return fmt.Errorf("serve clicks: %w", err)
	}
	return nil
}

// proxyPolicy demands the PROXY header of configured proxies and never looks for it elsewhere:
// anybody could write one.
func (s *Server) proxyPolicy(o proxyproto.ConnPolicyOptions) (proxyproto.Policy, error) {
	if s.isProxy(addressOf(o.Upstream)) {
		return proxyproto.REQUIRE, nil
	}
	return proxyproto.SKIP, nil
}

// Shutdown ends the edge so that a balancer which knows nothing of it sees no request fail, and
// waits for the requests under way, at most until ctx ends. First no connection is taken any more:
// a balancer that is refused one turns to another edge. Then each connection ends with its next
// answer, for cfg.LastRequests; those on which none came are closed at last.
func (s *Server) Shutdown(ctx context.Context) error {
	if wait, public := s.cfg.LastRequests, s.listener.Load(); wait > 0 && public != nil {
		public.end()
		s.stopping.Store(true)
		// Without a listener fasthttp counts one connection less than there are.
		for end := time.Now().Add(wait); s.http.GetOpenConnectionsCount() >= 0 && time.Now().Before(end) &&
			ctx.Err() == nil; {
			time.Sleep(10 * time.Millisecond)
		}
	}
	if err := s.http.ShutdownWithContext(ctx); err != nil {
		return fmt.Errorf("drain clicks: %w", err)
	}
	return nil
}

// chunked is what fasthttp gives for the length of a chunked body.
const chunked = -1

// handle is where every readable request arrives.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	defer s.recover(ctx)
	s.route(ctx)
	// What stands behind a chunk's size and behind the last chunk (RFC 9112 §7.1) is read in many
	// ways: fasthttp takes trailers with LF alone, spaces in names and folded lines. Where a
	// chunked body ends may be another place for a proxy, so nothing behind one is taken for a
	// request.
	h := &ctx.Request.Header
	if s.stopping.Load() || h.ContentLength() == chunked || h.ConnectionClose() {
		ctx.SetConnectionClose()
	}
	if unread(ctx) {
		ctx.SetConnectionClose()
		s.drain(ctx)
	}
}

// ignoreExpect drops the expectation of HTTP/1.0 clients, which would take 100 for the answer (RFC
// 9110 §10.1.1).
func ignoreExpect(h *fasthttp.RequestHeader) fasthttp.RequestConfig {
	if !h.IsHTTP11() {
		h.Del(fasthttp.HeaderExpect)
	}
	return fasthttp.RequestConfig{}
}

// expect answers a request whose sender waits with the body until it is asked for it (RFC 9110
// §10.1.1): 100, or at once the refusal that its headers deserve.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	limit := s.cfg.MaxEventBytes
	if string(ctx.URI().PathOriginal()) == "/v1/clicks" {
		limit = s.cfg.MaxBodyBytes
	}
	f := checkFraming(&ctx.Request.Header)
	if f == nil {
		f = checkHead(ctx, limit)
	}
	if f == nil {
		return fasthttp.StatusContinue
	}
	beaconCORS(ctx)
	s.refuse(ctx, f)
	return f.status
}

// route finds the handler. The path counts as it was sent: /v1%2fclick, //v1/click and
// /x/../v1/click are other paths for a proxy that allows only some of them, so they are here too.
func (s *Server) route(ctx *fasthttp.RequestCtx) {
	h := &ctx.Request.Header
	if f := checkFraming(h); f != nil {
		s.refuse(ctx, f)
		return
	}
	switch string(h.Method()) { // the compiler makes no copy
	case "GET", "HEAD", "POST", "OPTIONS":
		f := checkVersion(h)
		if f == nil {
			f = checkTarget(h.RequestURI())
		}
		if f != nil {
			s.refuse(ctx, f)
			ctx.SetConnectionClose()
			return
		}
	}
	switch string(ctx.URI().PathOriginal()) {
	case "/v1/click":
		s.post(ctx, s.click, true)
	case "/v1/clicks":
		s.post(ctx, s.batch, true)
	case "/v1/leads":
		s.post(ctx, s.lead, false)
	case "/v1/movements":
		s.post(ctx, s.movement, false)
	case "/track/click":
		s.post(ctx, s.trackClick, true)
	case "/track/visit":
		s.post(ctx, s.trackVisit, true)
	case "/track/open":
		s.post(ctx, s.trackOpen, true)
	case "/track/lead":
		s.post(ctx, s.trackLead, true)
	case "/track/lead/client":
		s.post(ctx, s.trackClientLead, true)
	case "/track/sale":
		s.post(ctx, s.trackSale, true)
	case "/track/sale/client":
		s.post(ctx, s.trackClientSale, true)
	case "/v1/click.gif":
		s.get(ctx, s.pixel)
	default:
		if script := scriptAt(b2s(ctx.URI().PathOriginal())); script != nil {
			s.get(ctx, script.serve)
			return
		}
		beaconCORS(ctx)
		switch string(h.Method()) {
		case "GET", "HEAD", "POST", "OPTIONS":
			s.refuse(ctx, errNotFound)
		default: // among them PRI, the HTTP/2 preface
			s.notAllowed(ctx, "GET, HEAD, POST, OPTIONS")
		}
	}
}

func (s *Server) post(ctx *fasthttp.RequestCtx, h fasthttp.RequestHandler, fromBrowsers bool) {
	switch {
	case ctx.IsPost():
		h(ctx)
	case ctx.IsOptions() && fromBrowsers:
		preflight(ctx, "POST, OPTIONS")
	case fromBrowsers:
		s.notAllowed(ctx, "POST, OPTIONS")
	default:
		s.notAllowed(ctx, "POST")
	}
}

func (s *Server) get(ctx *fasthttp.RequestCtx, h fasthttp.RequestHandler) {
	switch {
	case ctx.IsGet() || ctx.IsHead():
		h(ctx)
	case ctx.IsOptions():
		preflight(ctx, "GET, HEAD, OPTIONS")
	default:
		s.notAllowed(ctx, "GET, HEAD, OPTIONS")
	}
}

func (s *Server) notAllowed(ctx *fasthttp.RequestCtx, allow string) {
	beaconCORS(ctx)
	s.refuse(ctx, errMethod)
	ctx.Response.Header.Set(fasthttp.HeaderAllow, allow)
	switch string(ctx.Method()) {
	case "GET", "HEAD", "POST", "OPTIONS":
	default:
		ctx.SetConnectionClose() // whatever speaks so may not be speaking HTTP/1.1
	}
}

// recover keeps one request's panic from ending all others: fasthttp does not.
func (s *Server) recover(ctx *fasthttp.RequestCtx) {
	if p := recover(); p != nil {
		s.log.Error("panic in a request", "panic", p, "stack", string(debug.Stack()))
		ctx.Response.Reset()
		s.refuse(ctx, errInternal)
		ctx.SetConnectionClose()
	}
}

// unreadable answers requests that fasthttp could not read. It closes their connections.
func (s *Server) unreadable(ctx *fasthttp.RequestCtx, err error) {
	var headers *fasthttp.ErrSmallBuffer
	var network net.Error
	beaconCORS(ctx)
	switch {
	case errors.As(err, &headers):
		s.refuse(ctx, errHeaderSize)
		s.drain(ctx)
	case errors.As(err, &network) && network.Timeout():
		s.refuse(ctx, errTimeout)
	default:
		s.refuse(ctx, errBadRequest)
	}
}

// drain reads on for a moment before a refusal. A connection that is closed with unread bytes is
// reset, and then the sender sees a broken pipe instead of the reason.
func (s *Server) drain(ctx *fasthttp.RequestCtx) {
	c := ctx.Conn()
	_ = c.SetReadDeadline(time.Now().Add(300 * time.Millisecond))
	_, _ = io.CopyBuffer(onlyWriter{io.Discard}, io.LimitReader(c, 16<<20), make([]byte, 4<<10))
}

// onlyWriter hides that io.Discard reads by itself, in 8 KiB pieces that it keeps.
type onlyWriter struct{ io.Writer }

// quiet drops fasthttp's own log lines: what clients do wrong is counted, not logged.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
