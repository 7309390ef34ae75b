package program

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/pprof"
	"runtime"
	"strings"
	"sync/atomic"
	"syscall"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tributary/schemas/loopback"
)

// NewRegistry is a registry that knows the process, the Go runtime and the build.
func NewRegistry() *prometheus.Registry {
	registry := prometheus.NewRegistry()
	version, commit := build()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name:        "tributary_build_info",
			Help:        "1, with the version, commit and Go version that the program was built from.",
			ConstLabels: prometheus.Labels{"version": version, "commit": commit, "goversion": runtime.Version()},
		}, func() float64 { return 1 }))
	return registry
}

// Ops is the listener for operators and probes, which answers until the very end of a stop:
//
//	/metrics      Prometheus
//	/healthz      200 "ok": the process lives
//	/readyz       200 "ready", or 503 "not ready: " and the reason; warnings follow, one a line
//	/debug/pprof  profiles; not the command line, in which secrets may stand
type Ops struct {
	ready    func(context.Context) error
	warnings []func(context.Context) []string
	stopping atomic.Bool
	server   *http.Server
}

// NewOps makes the handler. ready returns why the program cannot do its work, or nil. Each of
// warnings returns what an operator has to look at while the program does its work all the same.
func NewOps(registry *prometheus.Registry, ready func(context.Context) error,
	warnings ...func(context.Context) []string) *Ops {
	o := &Ops{ready: ready, warnings: warnings}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", o.serveReady)
	mux.HandleFunc("GET /debug/pprof/", servePprof)
	mux.HandleFunc("GET /debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("GET /debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("GET /debug/pprof/trace", pprof.Trace)
	o.server = loopback.NewServer(loopback.Protect(mux))
	return o
}

// servePprof is the index and the named profiles. net/http/pprof would show the command line below
// it as well.
func servePprof(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path == "/debug/pprof/cmdline" {
		http.NotFound(w, r)
		return
	}
	pprof.Index(w, r)
}

func (o *Ops) serveReady(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Content-Type", "text/plain; charset=utf-8")
	err := errors.New("stopping")
	if !o.stopping.Load() {
		err = o.ready(r.Context())
	}
	if err != nil {
		w.WriteHeader(http.StatusServiceUnavailable)
		fmt.Fprintln(w, "not ready:", oneLine(err.Error()))
	} else {
		fmt.Fprintln(w, "ready")
	}
	for _, source := range o.warnings {
		for _, warning := range source(r.Context()) {
			fmt.Fprintln(w, "warning:", oneLine(warning))
		}
	}
}

func oneLine(text string) string { return strings.ReplaceAll(text, "\n", " ") }

// Serve answers on l until Shutdown.
func (o *Ops) Serve(l net.Listener) error {
	if err := o.server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
		return fmt.Errorf("serve operators: %w", err)
	}
	return nil
}

// Stopping makes /readyz answer 503 from now on, so that balancers send nothing new.
func (o *Ops) Stopping() { o.stopping.Store(true) }

// Shutdown closes the listener and waits for the answers under way, at most until ctx ends.
func (o *Ops) Shutdown(ctx context.Context) error { return o.server.Shutdown(ctx) }

// Listen opens a listener for operators.
func Listen(addr string) (net.Listener, error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for operators: %w (hint: --ops-addr chooses another)", err)
	}
	return l, nil
}

// Addr is an address that a flag gives to listen on.
type Addr struct{ Flag, Value string }

// CheckAddrs returns why the addresses cannot all be listened on, without doing it.
func CheckAddrs(addrs ...Addr) error {
	var faults []error
	resolved := make([]*net.TCPAddr, len(addrs))
	for i, a := range addrs {
		tcp, err := net.ResolveTCPAddr("tcp", a.Value)
		if err != nil {
			faults = append(faults, fmt.Errorf("%s: %w (hint: 127.0.0.1:8080, or :8080 for all interfaces)", a.Flag, err))
			continue
		}
		resolved[i] = tcp
		for j, other := range resolved[:i] {
			if other != nil && overlap(tcp, other) {
				faults = append(faults, fmt.Errorf("%s: %s takes the port of the %s, %s (hint: give each its own)", a.Flag, a.Value,
					addrs[j].Flag, addrs[j].Value))
			}
		}
	}
	return errors.Join(faults...)
}

// TryAddrs listens on each address for a moment. It returns why one can never be listened on, such
// as a port that needs more rights, and a note for each that is in use: beside the running program
// that is no fault.
func TryAddrs(addrs ...Addr) (notes []string, err error) {
	var faults []error
	for _, a := range addrs {
		l, err := net.Listen("tcp", a.Value)
		switch {
		case err == nil:
			_ = l.Close()
		case errors.Is(err, syscall.EADDRINUSE):
			notes = append(notes, a.Flag+": "+a.Value+" is in use now (hint: no fault if it is by this program, running)")
		default:
			faults = append(faults, fmt.Errorf("%s: %w (hint: an address of this machine, on a port that this user may take)",
				a.Flag, err))
		}
	}
	return notes, errors.Join(faults...)
}

// WriteGood says on w that a configuration is good, and what is to be known of it all the same.
func WriteGood(w io.Writer, command, good string, notes []string) error {
	text := command + ": " + good + "\n"
	for _, note := range notes {
		text += "note: " + note + "\n"
	}
	_, err := io.WriteString(w, text)
	return err
}

// overlap reports whether two listeners would want the same port of the same interface. Port 0 is
// any free one.
func overlap(a, b *net.TCPAddr) bool {
	all := func(ip net.IP) bool { return ip == nil || ip.IsUnspecified() }
	return a.Port == b.Port && a.Port != 0 && (all(a.IP) || all(b.IP) || a.IP.Equal(b.IP))
}
