package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"tributary/deploy/dashboard"
)

// startDashboard serves the dashboard from this process: it only reads ClickHouse.
func (s *supervisor) startDashboard(_ context.Context, l net.Listener) error {
	page, err := dashboard.New(dashboard.Config{DSN: s.dsn(), ClickURL: "http://" + s.EdgeAddr + "/v1/click"})
	if err != nil {
		return fmt.Errorf("start dashboard: %w", err)
	}
	s.pages = s.serve(l, page)
	s.pages.RegisterOnShutdown(func() { _ = page.Close() }) // reading only: nothing is lost
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
