package main

import (
	"context"
	"net"
	"net/http"
	"time"
)

// startDashboard serves the dashboard from this process: it only reads ClickHouse.
func (s *supervisor) startDashboard(_ context.Context, l net.Listener) error {
	s.pages = s.serve(l, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		http.Error(w, "the dashboard is not built into this program", http.StatusServiceUnavailable)
	}))
	return nil
}

// stopDashboard lets the answers under way be finished, for a moment.
func (s *supervisor) stopDashboard() {
	if s.pages == nil {
		return
	}
	began := time.Now()
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	if err := s.pages.Shutdown(ctx); err != nil {
		_ = s.pages.Close()
	}
	s.out.say("stopped dashboard in %s", time.Since(began).Round(time.Millisecond))
}
