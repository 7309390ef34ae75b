// Command loadgen makes traffic for Tributary: a believable business, an old access log, Stripe
// events from files, and measurements of the running pipeline.
package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"

	"tributary/deploy/loadgen/send"
	"tributary/schemas/program"
)

// commands is the table of what this program does. Each field's file holds the command.
type commands struct {
	Demo    demoCommand    `cmd:"" help:"Play a business: clicks, leads and Stripe events, some days of past first."`
	Log     logCommand     `cmd:"" help:"Send the page visits in a web server's access log."`
	Stripe  stripeCommand  `cmd:"" help:"Sign and send Stripe events from files."`
	Latency latencyCommand `cmd:"" help:"Measure how long a sale takes from the webhook's 200 to an attributed row."`
	Clicks  clicksCommand  `cmd:"" help:"Load the edge with a steady rate of distinct clicks."`

	Print program.VersionCommand `cmd:"" name:"version" help:"Print the version."`
	program.VersionFlag
}

const description = `Traffic for Tributary. Everything is sent to this machine unless --allow-remote is given.

  loadgen demo --secret-key sk_… --secret whsec_…          a business, until Ctrl-C
  loadgen log access.log.gz --secret-key sk_…              an old log; sending it twice changes nothing
  loadgen stripe events/ --secret whsec_… --shuffle 1      recorded events, in another order
  loadgen clicks --rate 20000 --for 30s --batch 100        plain load
  loadgen latency --secret-key sk_… --secret whsec_…       sale to dashboard, in milliseconds`

// errFailed ends the program with status 1 after a command has already said why.
var errFailed = errors.New("failed")

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:], streams{os.Stdin, os.Stdout, os.Stderr})
	stop()
	if err != nil {
		if !errors.Is(err, errFailed) {
			fmt.Fprintln(os.Stderr, "loadgen:", err)
		}
		os.Exit(1)
	}
}

// streams are the process's own, or a test's.
type streams struct {
	in       io.Reader
	out, err io.Writer
}

func run(ctx context.Context, args []string, s streams) error {
	command, err := program.Parse(new(commands), "loadgen", description, s.out, s.err, args)
	if command == nil {
		return err
	}
	command.BindTo(ctx, (*context.Context)(nil))
	return command.Run(s)
}

// edgeFlags name the edge. They appear in every command that sends clicks.
type edgeFlags struct {
	Edge        string `default:"127.0.0.1:8080" env:"TRIBUTARY_EDGE,TRIBUTARY_EDGE_ADDR" help:"Address of the edge."`
	SecretKey   string `placeholder:"sk_…" help:"Secret key of the workspace: with it the edge keeps the given time, agent, address and country, and takes leads."`
	AllowRemote bool   `help:"Send to machines other than this one."`
}

func (f edgeFlags) edge(c *send.Client) (*send.Edge, error) {
	base, err := send.Target(f.Edge, f.AllowRemote)
	if err != nil {
		return nil, err
	}
	return &send.Edge{Client: c, Base: base, SecretKey: f.SecretKey}, nil
}

// keyed is edge for commands that make no sense without the secret key.
func (f edgeFlags) keyed(c *send.Client) (*send.Edge, error) {
	if f.SecretKey == "" {
		return nil, errors.New("reach edge: no secret key, and without it times and agents would be those of this program " +
			"(hint: --secret-key; `make run` prints the one it made)")
	}
	return f.edge(c)
}

// webhookFlags name the webhook.
type webhookFlags struct {
	Stripe string `default:"127.0.0.1:8081" env:"TRIBUTARY_STRIPE,TRIBUTARY_STRIPE_ADDR" help:"Address of the webhook; its path is /stripe/webhook unless the address has one."`
	Secret string `env:"TRIBUTARY_SECRET,TRIBUTARY_STRIPE_WEBHOOK_SECRETS" placeholder:"whsec_…" help:"Webhook secret to sign with; of a comma separated list, the first."`
}

func (f webhookFlags) webhook(c *send.Client, remote bool) (*send.Webhook, error) {
	url, err := send.WebhookURL(f.Stripe, remote)
	if err != nil {
		return nil, err
	}
	secret, err := send.FirstSecret(f.Secret)
	if err != nil {
		return nil, err
	}
	return &send.Webhook{Client: c, URL: url, Secret: secret}, nil
}
