// Command ingest takes clicks, leads and Stripe's webhooks from the world and puts them into Kafka.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"runtime/debug"
	"syscall"

	"github.com/alecthomas/kong"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	context.AfterFunc(ctx, stop) // the first signal stops in order; the second one finds the default behaviour: now
	p := &program{stdout: os.Stdout, stderr: os.Stderr}
	if err := p.run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "ingest:", err)
		os.Exit(1)
	}
}

// commands is the command table. Every flag is also TRIBUTARY_… in the environment.
type commands struct {
	Clicks  clicksCommand  `cmd:"" help:"Take clicks and leads from browsers and backends (POST /v1/click, /v1/clicks, /v1/leads; GET /v1/click.gif, /t.js)."`
	Stripe  stripeCommand  `cmd:"" help:"Take Stripe's webhooks (POST /stripe/webhook)."`
	Version versionCommand `cmd:"" help:"Print the version."`
}

// program is one start of the command: where it writes, and for tests, where it listens.
type program struct {
	stdout, stderr io.Writer
	started        func(public, ops net.Addr) // nil outside tests
}

type exit int // how --help ends a run

// run parses args, runs one command until ctx ends, and gives nil after an orderly stop.
func (p *program) run(ctx context.Context, args []string) (err error) {
	defer func() {
		switch caught := recover().(type) {
		case nil:
		case exit:
			if caught != 0 {
				err = fmt.Errorf("exit status %d", int(caught))
			}
		default:
			panic(caught)
		}
	}()
	var c commands
	parser, err := kong.New(&c,
		kong.Name("ingest"),
		kong.Description("Tributary's edge: what is answered with success is stored in Kafka."),
		kong.DefaultEnvars("TRIBUTARY"),
		kong.Writers(p.stdout, p.stderr),
		kong.Exit(func(code int) { panic(exit(code)) }),
		kong.BindTo(ctx, (*context.Context)(nil)),
		kong.Bind(p),
	)
	if err != nil {
		return fmt.Errorf("describe commands: %w", err)
	}
	command, err := parser.Parse(args)
	if err != nil {
		return err
	}
	return command.Run()
}

type versionCommand struct{}

// Run prints the module version and the commit that the binary was built from.
func (versionCommand) Run(p *program) error {
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return errors.New("read version: the binary carries no build information")
	}
	revision := ""
	for _, s := range info.Settings {
		if s.Key == "vcs.revision" {
			revision = " " + s.Value
		}
	}
	_, err := fmt.Fprintf(p.stdout, "ingest %s%s %s\n", info.Main.Version, revision, info.GoVersion)
	return err
}

func (p *program) logger() *slog.Logger { return slog.New(slog.NewTextHandler(p.stderr, nil)) }
