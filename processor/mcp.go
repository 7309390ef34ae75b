package main

import (
	"context"
	"errors"
	"log/slog"

	"github.com/modelcontextprotocol/go-sdk/mcp"

	"tributary/processor/access"
	"tributary/processor/dashboard"
	"tributary/processor/workspace"
)

// mcpCommand answers an assistant on standard input and output.
type mcpCommand struct {
	clickhouseSettings
	workspaceSettings
}

// Help is shown under --help.
func (c *mcpCommand) Help() string {
	return `It is for assistants on this machine: one read-only tool for each named question, with the same answers as
GET /api/query. There is no login: whoever may start it and knows --clickhouse-dsn sees all workspaces. An http:// DSN
of a user who may only read is enough. For assistants elsewhere there is POST /mcp of processor dashboard, with a
bearer token.`
}

func (c *mcpCommand) Run(ctx context.Context, log *slog.Logger) error {
	workspaces, err := workspace.ReadPolicies(c.Workspaces)
	if err != nil {
		return err
	}
	d, err := dashboard.New(
		dashboard.Config{DSN: c.ClickhouseDSN, Policies: workspaces.Policies, Workspaces: workspaces.Regions, Log: log},
	)
	if err != nil {
		return err
	}
	defer d.Close()
	server, err := d.ToolServer(access.Everybody)
	if err != nil {
		return err
	}
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	go d.LogWarnings(ctx)
	if err := server.Run(ctx, &mcp.StdioTransport{}); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return nil
}
