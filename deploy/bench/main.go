// Command bench races the programs against their peers on this machine: what one click costs in
// CPU, how long its sender waits, and how much memory it takes. See race.go and load.go for who
// takes part and how they are measured.
//
//	make bench                                  # everything: some three minutes
//	bin/bench race --kafka kfake --connections 64 --rounds 3
//	bin/bench enrich
//	bin/bench load --clicks 1000000 --rounds 5
//	bin/bench rebuild --clicks 4000000 --events 1000000 --data DIR
//	bin/bench outage --for 10m --rate 5000 --kill
//	bin/bench restart --rate 10000              # needs nginx
package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/alecthomas/kong"
)

type commands struct {
	Race        race        `cmd:"" default:"withargs" help:"Race them all."`
	Queries     queries     `cmd:"" help:"Time the page's questions over a history of two years."`
	Enrich      enrichment  `cmd:"" help:"Decode and enrich clicks, beside a bare fasthttp answer."`
	Load        load        `cmd:"" help:"Load waiting clicks into ClickHouse, beside ClickHouse's own Kafka engine."`
	Events      events      `cmd:"" help:"Book Stripe events that wait, and look clicks up among many."`
	Rebuild     rebuild     `cmd:"" help:"Look clicks up among a million and among many, and book stored Stripe events again."`
	Outage      outage      `cmd:"" help:"Take Kafka away under load, and count what is lost."`
	Views       views       `cmd:"" help:"Measure what the materialized views cost when clicks are inserted."`
	Upkeep      upkeep      `cmd:"" help:"Measure sweep, counting and audit over a large ledger, as shares of a core."`
	Restart     restart     `cmd:"" help:"Restart two edges behind nginx under load, and count what fails."`
	Restatement restatement `cmd:"" help:"Restate entries of a large ledger, and wait until the page shows it."`
	Kafka       kafka       `cmd:"" hidden:"" help:"Be a Kafka."`
	Engine      engine      `cmd:"" hidden:"" help:"Be a ClickHouse."`
	Bare        bare        `cmd:"" hidden:"" help:"Be a server that answers 204."`
	Smallest    smallest    `cmd:"" hidden:"" help:"Be the smallest server that answers after Kafka."`
	Send        send        `cmd:"" hidden:"" help:"Be the senders."`
}

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	var c commands
	command := kong.Parse(&c, kong.Name("bench"), kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Description("Race the programs against their peers on this machine."))
	if err := command.Run(); err != nil && !errors.Is(err, context.Canceled) {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}
