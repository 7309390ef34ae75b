// Package clicks is the edge that browsers and backends talk to: clicks and leads come in, an
// answer goes out when Kafka has them.
package clicks

import (
	"context"
	"crypto/tls"
	"fmt"
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
	shares     *addressRates            // what addresses have taken of workspaces' events
	public     memory                   // for the bodies of senders whom nobody vouches for
	vouched    memory                   // for those with a secret key
	forwarded  sync.Once                // the warning of an X-Forwarded-For that nobody is trusted for
	listener   atomic.Pointer[listener] // nil before Serve
	guard      atomic.Pointer[guard]    // nil before Serve, and where connections have no limit
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
	if s.addresses = newAddressRates(cfg.EventsPerAddress, cfg.MaxBatch); s.addresses != nil {
		s.shares = newAddressRates(1, 1)
	}
	s.public, s.vouched = newMemory(&cfg, false), newMemory(&cfg, true)
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
	if s.cfg.MaxConnsPerIP > 0 || s.cfg.MaxConns > 0 {
		g := &guard{Listener: ln, s: s, conns: make(map[netip.Prefix]int), least: alwaysOpen}
		s.guard.Store(g)
		ln = g
	}
	if s.cfg.ProxyProtocol {
		ln = &proxyproto.Listener{Listener: ln, ReadHeaderTimeout: s.cfg.ReadTimeout, ConnPolicy: s.proxyPolicy}
	}
	ln = deadlineListener{ln}
	if s.cfg.Certificate != nil {
		ln = tlsListener{ln, &tls.Config{GetCertificate: s.cfg.Certificate.get, MinVersion: tls.VersionTLS12,
			NextProtos: []string{"http/1.1", "http/1.0"}}}
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

// keptHead is how many bytes of target and headers a request may have whose connection waits for
// another one: fasthttp keeps copies of them as long as the connection waits. Trusted proxies have
// few connections, and would open one for each click of a site whose cookies are large.
const keptHead = 4 << 10

// chunked is what fasthttp gives for the length of a chunked body.
const chunked = -1

// handle is where every readable request arrives.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	defer s.recover(ctx)
	c := connOf(ctx)
	if c != nil && c.guarded != nil {
		c.guarded.asked()
	}
	s.route(ctx)
	// What stands behind a chunk's size and behind the last chunk (RFC 9112 §7.1) is read in many
	// ways: fasthttp takes trailers with LF alone, spaces in names and folded lines. Where a
	// chunked body ends may be another place for a proxy, so nothing behind one is taken for a
	// request.
	h := &ctx.Request.Header
	if s.stopping.Load() || h.ContentLength() == chunked || h.ConnectionClose() ||
		len(h.RequestURI())+len(h.RawHeaders()) > keptHead && !s.isProxy(peerOf(ctx)) {
		ctx.SetConnectionClose()
	}
	if unread(ctx) {
		ctx.SetConnectionClose()
		s.drain(ctx)
	}
	if c != nil {
		if c.guarded != nil {
			c.guarded.answered()
		}
		c.giveWay()
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

// route answers a request that find has looked at.
func (s *Server) route(ctx *fasthttp.RequestCtx) {
	switch e, f := s.find(ctx); {
	case f != nil:
		s.refuseRequest(ctx, &e, f)
	case ctx.IsOptions():
		preflight(ctx, e.allow())
	default:
		e.serve(s, ctx)
	}
}

// expect answers a request whose sender waits with the body until it is asked for it (RFC 9110
// §10.1.1): 100, or at once the refusal that its headers deserve.
func (s *Server) expect(ctx *fasthttp.RequestCtx) int {
	e, f := s.find(ctx)
	if f == nil && ctx.IsPost() {
		if e.backends {
			f = s.identifyBackend(ctx, &sender{})
		} else {
			f = checkHead(ctx, s.bodyLimit(&e))
		}
	}
	if f == nil {
		return fasthttp.StatusContinue
	}
	s.refuseRequest(ctx, &e, f)
	return f.status
}

// bodyLimit returns the bytes that a body may have.
func (s *Server) bodyLimit(e *endpoint) int {
	if e.batch {
		return s.cfg.MaxBodyBytes
	}
	return s.cfg.MaxEventBytes
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

// quiet drops fasthttp's own log lines: what clients do wrong is counted, not logged.
type quiet struct{}

func (quiet) Printf(string, ...any) {}
