// Command ingest takes clicks, leads and Stripe's webhooks from the world and puts them into Kafka.
package main

import (
	"context"
	"fmt"
	"io"
	"net"
	"os"

	"tributary/schemas/program"
)

func main() {
	p := &process{stdout: os.Stdout, stderr: os.Stderr}
	if err := p.run(program.Interruptible(), os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

// commands is the command table. Every flag is also TRIBUTARY_… in the environment.
type commands struct {
	Clicks clicksCommand          `cmd:"" help:"Take clicks, leads and sales from browsers and backends (POST /v1/click, /v1/clicks, /v1/leads, /v1/movements, /track/…; GET /v1/click.gif, /t.js)."`
	Stripe stripeCommand          `cmd:"" help:"Take Stripe's webhooks (POST /stripe/webhook)."`
	Script scriptCommand          `cmd:"" help:"Print the HTML that loads this version of the tracking script, with its hash."`
	Print  program.VersionCommand `cmd:"" name:"version" help:"Print the version."`
	program.Flags
}

const description = "Tributary's edge: what is answered with success is stored."

// process is one start of the program: where it writes, and for tests, where it listens.
type process struct {
	stdout, stderr io.Writer
	started        func(public, ops net.Addr) // nil outside tests
}

// run parses args, runs one command until ctx ends, and returns nil after an orderly stop.
func (p *process) run(ctx context.Context, args []string) error {
	var c commands
	command, err := program.Parse(&c, "ingest", description, p.stdout, p.stderr, args)
	if command == nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(p, c.Logger(p.stderr))
}
