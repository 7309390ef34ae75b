package main

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"tributary/deploy/loadgen/latency"
	"tributary/deploy/loadgen/load"
	"tributary/deploy/loadgen/send"
)

type latencyCommand struct {
	edgeFlags
	webhookFlags
	ClickhouseDSN string        `name:"clickhouse-dsn" default:"http://127.0.0.1:8123/tributary" help:"ClickHouse with the dashboards' tables."`
	ClicksRate    int           `default:"1000" help:"Clicks per second beside the sales; 0 for none."`
	ClicksBatch   int           `default:"20" help:"Clicks per request beside the sales."`
	For           time.Duration `default:"30s" help:"How long sales are made."`
	Sales         int           `default:"200" help:"How many sales, evenly over this time."`
	Wait          time.Duration `default:"30s" help:"How long to wait for the last sales."`
	Poll          time.Duration `default:"20ms" help:"Time between two questions to ClickHouse."`
	Seed          uint64        `default:"1" help:"Seed of the invented clicks and sales; their ids are always new."`
}

// Help is shown by loadgen latency --help.
func (latencyCommand) Help() string {
	return `Each sale sends its click, then a signed checkout.session.completed that names it, and waits for a row of table
revenue with a match. Exits with status 1 when the median is over 1 s, the 99th percentile over 3 s, or a sale is
never seen.`
}

func (c latencyCommand) Run(ctx context.Context, s streams) error {
	client := send.NewClient(64, 1)
	edge, err1 := c.edge(client)
	hook, err2 := c.webhook(client, c.AllowRemote)
	ledger, done, err3 := latency.ClickHouse(c.ClickhouseDSN, c.AllowRemote)
	if err := errors.Join(err1, err2, err3); err != nil {
		return err
	}
	defer func() { _ = done() }()

	beside, stop := context.WithCancel(ctx)
	defer stop()
	var clicks *load.Report
	var clicksErr error
	var loading sync.WaitGroup
	if c.ClicksRate > 0 {
		loading.Go(func() {
			clicks, clicksErr = load.Run(beside, load.Config{Edge: edge, Seed: c.Seed, Rate: c.ClicksRate, Connections: 8,
				Batch: c.ClicksBatch})
		})
	}
	r, err := latency.Run(ctx, latency.Config{Edge: edge, Webhook: hook, Ledger: ledger, Seed: c.Seed, Sales: c.Sales,
		For: c.For, Wait: c.Wait, Poll: c.Poll})
	stop()
	loading.Wait()
	if err := errors.Join(err, clicksErr); err != nil {
		return err
	}
	if clicks != nil {
		fmt.Fprintf(s.out, "beside it %.0f clicks/s, %d not sent\n", clicks.Rate(), clicks.Unsent)
	}
	r.Table(s.out)
	if !r.Passed() {
		return errFailed
	}
	return nil
}
