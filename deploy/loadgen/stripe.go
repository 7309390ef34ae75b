package main

import (
	"context"
	"fmt"
	"math/rand/v2"
	"time"

	"golang.org/x/time/rate"

	"tributary/deploy/loadgen/send"
	"tributary/deploy/loadgen/stripefile"
)

type stripeCommand struct {
	Path string `arg:"" help:"File of events (one, a JSON array, or one per line), a directory of such files, or - for stdin."`
	webhookFlags
	AllowRemote bool    `help:"Send to machines other than this one."`
	Repeat      int     `default:"1" help:"How often each event is delivered: Stripe, too, delivers some twice."`
	Shuffle     *uint64 `placeholder:"SEED" help:"Deliver in a random order, the same for the same seed."`
	Rate        int     `help:"Events per second; without it as fast as the webhook answers."`
}

// Help is shown by loadgen stripe --help.
func (stripeCommand) Help() string {
	return `Each event is sent byte for byte as it stands in the file, signed as of now. A bare object, such as an invoice, is
refused: an event says what happened to the object, and when.`
}

func (c stripeCommand) Run(ctx context.Context, s streams) error {
	if c.Repeat < 1 {
		return fmt.Errorf("read arguments: --repeat %d is less than once (hint: 1 sends each event once)", c.Repeat)
	}
	hook, err := c.webhook(send.NewClient(1, 8), c.AllowRemote)
	if err != nil {
		return err
	}
	events, refused, err := stripefile.Read(c.Path, s.in)
	if err != nil {
		return err
	}
	order := make([]stripefile.Event, 0, len(events)*c.Repeat)
	for range c.Repeat {
		order = append(order, events...)
	}
	if c.Shuffle != nil {
		rand.New(rand.NewPCG(*c.Shuffle, 0)).Shuffle(len(order), func(i, j int) { order[i], order[j] = order[j], order[i] })
	}
	var tally send.Tally
	for _, r := range refused {
		fmt.Fprintf(s.err, "%s: %v\n", r.From, r.Why)
	}
	limit := rate.NewLimiter(rate.Inf, 1)
	if c.Rate > 0 {
		limit.SetLimit(rate.Limit(c.Rate))
	}
	reported := time.Now()
	for _, e := range order {
		if err := limit.Wait(ctx); err != nil {
			break
		}
		err := hook.Deliver(ctx, e.Body)
		tally.Count(err)
		if err != nil {
			fmt.Fprintf(s.err, "%s %s %s: %v\n", e.From, e.ID, e.Type, err)
		}
		if time.Since(reported) > time.Second {
			sent, accepted, _ := tally.Numbers()
			fmt.Fprintf(s.err, "stripe: %d of %d sent, %d accepted\n", sent, len(order), accepted)
			reported = time.Now()
		}
	}
	tally.Table(s.out, "Stripe events")
	fmt.Fprintf(s.out, "%d values were not events and not sent\n", len(refused))
	if _, _, bad := tally.Numbers(); bad+len(refused) > 0 || ctx.Err() != nil {
		return errFailed
	}
	return nil
}
