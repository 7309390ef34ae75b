package main

import (
	"context"
	"fmt"
	"net"
	"time"

	"tributary/processor/dashboard"
	"tributary/processor/workspace"
)

// startDashboard serves the dashboard from this process: it only reads ClickHouse.
func (s *supervisor) startDashboard(_ context.Context, l net.Listener) error {
	workspaces, err := workspace.ReadPolicies(s.Workspaces)
	if err != nil {
		return fmt.Errorf("start dashboard: %w", err)
	}
	if regions := workspaces.Regions(); len(regions) > 0 {
		s.region = regions[0]
	}
	page, err := dashboard.New(dashboard.Config{DSN: s.readerDSN(), ClickURL: "http://" + s.EdgeAddr + "/v1/click",
		Policies: workspaces.Policies, Workspaces: workspaces.Regions})
	if err != nil {
		return fmt.Errorf("start dashboard: %w", err)
	}
	s.pages = s.serve(l, page)
	s.pages.RegisterOnShutdown(func() { _ = page.Close() }) // reading only: nothing is lost
	return nil
}

// stopDashboard waits up to two seconds for the answers under way.
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
