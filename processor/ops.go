package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"net/http/pprof"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"tributary/schemas/loopback"
)

// opsServer answers operators: /metrics, /healthz (the process lives), /readyz (it does its work; a
// second line warns of what somebody should look at), /debug/pprof.
type opsServer struct {
	server   *http.Server
	listener net.Listener
}

func listenOps(addr string, registry *prometheus.Registry, ready func() error, warning func() string) (*opsServer, error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return nil, fmt.Errorf("listen for operators: %w (--ops-addr chooses another address)", err)
	}
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("GET /healthz", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		if err := ready(); err != nil {
			http.Error(w, err.Error(), http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ready")
		if text := warning(); text != "" {
			fmt.Fprintln(w, "warning: "+text)
		}
	})
	mux.HandleFunc("/debug/pprof/", pprof.Index)
	mux.HandleFunc("/debug/pprof/profile", pprof.Profile)
	mux.HandleFunc("/debug/pprof/symbol", pprof.Symbol)
	mux.HandleFunc("/debug/pprof/trace", pprof.Trace)
	o := &opsServer{server: &http.Server{Handler: loopback.Protect(mux), ReadHeaderTimeout: 5 * time.Second}, listener: listener}
	go func() { _ = o.server.Serve(listener) }() // ends with stop
	return o, nil
}

func (o *opsServer) addr() string { return o.listener.Addr().String() }

func (o *opsServer) stop() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_ = o.server.Shutdown(ctx) // operators' requests may be cut
}
