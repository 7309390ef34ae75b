package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/pprof"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tributary/schemas/loopback"
)

// ops is the second listener, for operators and probes: /metrics, /healthz, /readyz and /debug/pprof. It shows what must
// not be shown to the world, and it answers until the very end of a stop.
type ops struct {
	registry *prometheus.Registry
	ready    func(context.Context) error // why not, or nil
	stopping atomic.Bool
	server   *http.Server
}

func newOps() *ops {
	o := &ops{registry: prometheus.NewRegistry()}
	o.registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, "alive\n") })
	mux.HandleFunc("GET /readyz", o.serveReady)
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	o.server = &http.Server{Handler: loopback.Protect(mux), ReadHeaderTimeout: 5 * time.Second}
	return o
}

func (o *ops) serveReady(w http.ResponseWriter, r *http.Request) {
	err := errors.New("stopping")
	if !o.stopping.Load() {
		err = o.ready(r.Context())
	}
	if err != nil {
		http.Error(w, "not ready: "+err.Error(), http.StatusServiceUnavailable)
		return
	}
	_, _ = io.WriteString(w, "ready\n")
}

// service is one public listener in front of a publisher: what both commands start and stop in the same order.
type service struct {
	name        string
	serve       func(net.Listener) error
	shutdown    func(context.Context) error
	flush       func(context.Context) error
	public, ops net.Listener
	operators   *ops
	stopDelay   time.Duration // between not ready and not listening
	stopTimeout time.Duration // for the requests under way, and again for Kafka
	log         *slog.Logger
	started     func(public, ops net.Addr)
}

// run serves until ctx ends or a listener fails, then stops: not ready, wait for balancers, drain, flush, close.
func (s *service) run(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- s.operators.server.Serve(s.ops) }()
	go func() { failed <- s.serve(s.public) }()
	s.log.Info("listening", "command", s.name, "addr", s.public.Addr().String(), "ops", s.ops.Addr().String())
	if s.started != nil {
		s.started(s.public.Addr(), s.ops.Addr())
	}

	var cause error
	select {
	case <-ctx.Done():
	case err := <-failed:
		cause = fmt.Errorf("serve %s: %w", s.name, err)
	}

	// The stop has its own deadline: ctx has ended already.
	begin := time.Now()
	s.operators.stopping.Store(true)
	s.log.Info("stopping", "command", s.name, "delay", s.stopDelay)
	if cause == nil {
		time.Sleep(s.stopDelay)
	}
	errs := []error{cause}
	for _, step := range []struct {
		name string
		do   func(context.Context) error
	}{{"drain requests", s.shutdown}, {"flush kafka", s.flush}, {"close ops", s.operators.server.Shutdown}} {
		start := time.Now()
		deadline, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.stopTimeout)
		err := step.do(deadline)
		cancel()
		s.log.Info("stopped", "step", step.name, "took", time.Since(start).Round(time.Millisecond), "error", err)
		errs = append(errs, err)
	}
	s.log.Info("stopped", "command", s.name, "took", time.Since(begin).Round(time.Millisecond))
	return errors.Join(errs...)
}

// opsFlags are about running, not about what is served; both commands have them.
type opsFlags struct {
	StopDelay   time.Duration `default:"0s" help:"After a signal, go on serving for so long while /readyz says no, until balancers have noticed (5s to 10s behind one)."`
	StopTimeout time.Duration `default:"10s" help:"Wait at most so long for requests under way, and again for Kafka."`
	Check       bool          `help:"Check the configuration, say so, and end."`
}

// listen opens both listeners, or none.
func listen(public, operators string) (net.Listener, net.Listener, error) {
	a, err := net.Listen("tcp", public)
	if err != nil {
		return nil, nil, fmt.Errorf("listen: %w (hint: is another program using it?)", err)
	}
	b, err := net.Listen("tcp", operators)
	if err != nil {
		_ = a.Close()
		return nil, nil, fmt.Errorf("listen for operators: %w (hint: --ops-addr chooses another)", err)
	}
	return a, b, nil
}

// checkAddr tells whether addr can be listened on, without doing it.
func checkAddr(flag, addr string) error {
	if _, err := net.ResolveTCPAddr("tcp", addr); err != nil {
		return fmt.Errorf("%s: %w (hint: 127.0.0.1:8080, or :8080 for all interfaces)", flag, err)
	}
	return nil
}
