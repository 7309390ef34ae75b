package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"time"

	"tributary/processor/dashboard"
	"tributary/processor/workspace"
	"tributary/schemas/loopback"
)

// dashboardCommand serves the dashboard's page from ClickHouse.
type dashboardCommand struct {
	clickhouseSettings
	workspaceSettings
	DashboardAddr string `help:"Address of the page; loopback only, because it has no login (default: ${default})." default:"127.0.0.1:8090" placeholder:"HOST:PORT"`
}

// Help is shown under --help.
func (c *dashboardCommand) Help() string {
	return `The page shows clicks, revenue and affiliates, and why a sale is credited to whom. It reads
ClickHouse only: a user who may only read is enough, and --clickhouse-dsn must be an http:// one.

It has no login, and therefore listens on this machine's loopback interface only. From another machine:
ssh -L 8090:127.0.0.1:8090 HOST.`
}

func (c *dashboardCommand) Run(ctx context.Context, log *slog.Logger) error {
	if err := checkLoopback(c.DashboardAddr); err != nil {
		return err
	}
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	if err != nil {
		return err
	}
	page, err := dashboard.New(dashboard.Config{DSN: c.ClickhouseDSN, Policies: workspaces.Policies, Workspaces: workspaces.Regions, Log: log})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", c.DashboardAddr)
	if err != nil {
		return errors.Join(fmt.Errorf("listen for the dashboard: %w (hint: --dashboard-addr chooses another address)",
			err), page.Close())
	}
	server := &http.Server{Handler: loopback.Protect(page), ReadHeaderTimeout: 10 * time.Second}
	stopped := make(chan struct{})
	context.AfterFunc(ctx, func() {
		defer close(stopped)
		grace, cancel := context.WithTimeout(context.WithoutCancel(ctx), 5*time.Second)
		defer cancel()
		_ = server.Shutdown(grace) // whoever still reads a page may be cut off
	})
	log.Info("the dashboard is served on loopback only, because it has no login", "address",
		"http://"+listener.Addr().String()+"/")
	err = server.Serve(listener)
	if errors.Is(err, http.ErrServerClosed) {
		<-stopped
		err = nil
	}
	return errors.Join(err, page.Close())
}

// checkLoopback returns an error unless only this machine can reach an address.
func checkLoopback(address string) error {
	host, _, err := net.SplitHostPort(address)
	if err != nil {
		return fmt.Errorf("read --dashboard-addr: %w (hint: give HOST:PORT, like 127.0.0.1:8090)", err)
	}
	if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
		return fmt.Errorf("--dashboard-addr %s can be reached from other machines, and the dashboard has no login "+
			"(hint: give a loopback address like 127.0.0.1:8090)", address)
	}
	return nil
}
