package main

import (
	"context"
	"time"

	"tributary/deploy/loadgen/load"
	"tributary/deploy/loadgen/send"
)

type clicksCommand struct {
	edgeFlags
	Key         string        `placeholder:"pk_…" help:"Publishable key, where the edge wants one."`
	Rate        int           `default:"1000" help:"Clicks per second."`
	For         time.Duration `default:"30s" help:"How long clicks are sent."`
	Connections int           `default:"16" help:"Requests at once."`
	Batch       int           `default:"1" help:"Clicks per request, at most 1000: 1 uses /v1/click, more use /v1/clicks."`
	Seed        uint64        `default:"1" help:"Seed of agents, links and countries; click ids are always new."`
}

// Help is shown by loadgen clicks --help.
func (clicksCommand) Help() string {
	return `Requests are due by the clock, whether or not earlier ones were answered, and each latency counts from that moment: a
slow edge shows. When every connection is busy and the queue is full, clicks are counted as not sent.`
}

func (c clicksCommand) Run(ctx context.Context, s streams) error {
	edge, err := c.edge(send.NewClient(c.Connections, 1))
	if err != nil {
		return err
	}
	r, err := load.Run(ctx, load.Config{Edge: edge, Seed: c.Seed, Key: c.Key, Rate: c.Rate, For: c.For,
		Connections: c.Connections, Batch: c.Batch})
	if err != nil {
		return err
	}
	r.Table(s.out)
	if _, _, refused := r.Tally.Numbers(); refused > 0 {
		return errFailed
	}
	return nil
}
