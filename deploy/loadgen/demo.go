package main

import (
	"context"
	"errors"
	"time"

	"tributary/deploy/loadgen/demo"
	"tributary/deploy/loadgen/send"
)

type demoCommand struct {
	edgeFlags
	webhookFlags
	Seed    uint64        `default:"1" help:"The same seed plays the same business."`
	For     time.Duration `help:"How long the present goes on, such as 10m. Until Ctrl-C without it; below 0 not at all."`
	History days          `default:"14d" help:"How much past to send first, in whole days; 0 for none. Sending it again changes nothing."`
}

// Help is shown by loadgen demo --help.
func (demoCommand) Help() string {
	return `Visitors come by affiliates' links, campaigns and search; some sign up; some buy once, subscribe, ask for their
money back or dispute it, in USD, EUR and JPY. Stripe's events arrive as Stripe sends them: signed one by one, some
twice, some out of order, some before the click. Sales name their clicks in all the conventions that Tributary reads,
and some not at all. The present goes on at the pace of the past, a click in ten to twenty seconds;
loadgen clicks makes more.`
}

func (c demoCommand) Run(ctx context.Context, s streams) error {
	client := send.NewClient(32, 8) // patient: the pipeline may still be starting
	edge, err1 := c.keyed(client)
	hook, err2 := c.webhook(client, c.AllowRemote)
	if err := errors.Join(err1, err2); err != nil {
		return err
	}
	r, err := demo.Run(ctx, demo.Config{Edge: edge, Webhook: hook, Seed: c.Seed, For: c.For,
		History: time.Duration(c.History), Log: s.err})
	if err != nil {
		return err
	}
	r.Table(s.out)
	if r.Refused() > 0 && ctx.Err() == nil {
		return errFailed
	}
	return nil
}
