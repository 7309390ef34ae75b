package main

//	         Stripe                       operators, probes
//	            │                                 │
//	  --stripe-addr (net/http)           --ops-addr (net/http)
//	            │                         /metrics /readyz …
//	     ┌──────▼──────┐
//	     │   stripe    │ raw body ▶ signature ▶ envelope ▶ may this secret sign for this account?
//	     │   webhook   │ (--workspaces, --stripe-webhook-secrets)
//	     └──────┬──────┘
//	            │ record: stripe.v1, the body byte for byte
//	     ┌──────▼──────┐
//	     │   publish   │ waits for acks=all, or refuses ──▶ 503, and Stripe sends it again
//	     └──────┬──────┘
//	            ▼
//	   --kafka-seeds
//
// It starts from the bottom up and stops from the top down: not ready, drain, flush, close.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"

	"tributary/ingest/publish"
	"tributary/ingest/stripe"
	"tributary/schemas"
	"tributary/schemas/program"
)

type stripeCommand struct {
	StripeAddr string `default:"127.0.0.1:8081" help:"Address of the webhook."`
	OpsAddr    string `default:"127.0.0.1:8092" help:"Address of /metrics, /healthz, /readyz and /debug/pprof."`

	Workspaces               string   `placeholder:"FILE" help:"JSON array of workspaces, the same file as the processor's; its \"stripe\" holds each one's accounts and signing secrets. Read again on change and on SIGHUP. Without it there is one workspace, \"default\", for all accounts."`
	StripeWebhookSecrets     []string `placeholder:"whsec_…,…" help:"Signing secrets of all endpoints that send here; with --workspaces, of the accounts in \"stripe_accounts\". Better in a file."`
	StripeWebhookSecretsFile string   `placeholder:"FILE" help:"File that holds --stripe-webhook-secrets, one a line; read again on change and on SIGHUP."`

	kafkaFlags
	opsFlags
}

// configs turns the flags into configurations, or reports every fault of all of them.
func (c *stripeCommand) configs() (stripe.Config, publish.Config, error) {
	hook := stripe.Default()
	signers, err := c.signers()
	faults := []error{program.CheckAddrs(c.addrs()...), c.validate(), err}
	if hook.Signers = signers; err == nil {
		faults = append(faults, hook.Validate())
	}
	kafka, err := c.config(schemas.TopicStripe)
	// One event of the largest size must fit into a batch. Its JSON compresses well below the
	// brokers' own limit.
	kafka.MaxBatchBytes = int(hook.MaxBodyBytes) + 128<<10
	return hook, kafka, errors.Join(append(faults, err)...)
}

// addrs are the addresses that are listened on.
func (c *stripeCommand) addrs() []program.Addr {
	return []program.Addr{{Flag: "stripe addr", Value: c.StripeAddr}, {Flag: "ops addr", Value: c.OpsAddr}}
}

// signers reads what a reload reads again.
func (c *stripeCommand) signers() (*stripe.Signers, error) {
	secrets, err := schemas.Secrets("stripe webhook secrets", c.StripeWebhookSecrets, c.StripeWebhookSecretsFile)
	if err != nil {
		return nil, err
	}
	if c.Workspaces == "" {
		return stripe.NewSigners(nil, secrets)
	}
	workspaces, err := schemas.ReadWorkspaces(c.Workspaces)
	if err != nil {
		return nil, err
	}
	return stripe.NewSigners(workspaces, secrets)
}

// Run serves until ctx ends.
func (c *stripeCommand) Run(ctx context.Context, p *process, log *slog.Logger) error {
	hook, kafka, err := c.configs()
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	if c.Check {
		notes, err := program.TryAddrs(c.addrs()...)
		if err != nil {
			return fmt.Errorf("check configuration:\n%w", err)
		}
		return c.checked(ctx, p, "stripe", notes, &c.kafkaFlags, kafka.Topics...)
	}
	registry := program.NewRegistry()
	reloader := program.NewReloader([]string{c.Workspaces, c.StripeWebhookSecretsFile}, func() error {
		signers, err := c.signers()
		if err == nil {
			hook.Signers.Replace(signers)
		}
		return err
	}, log, registry)
	hook.Registry, kafka.Registry = registry, registry
	hook.Logger, kafka.Logger = log, log

	publisher, err := publish.New(kafka)
	if err != nil {
		return fmt.Errorf("start publisher: %w", err)
	}
	webhook, err := stripe.New(hook, publisher)
	if err != nil {
		return errors.Join(fmt.Errorf("start webhook: %w", err), publisher.Close(ctx))
	}
	public, operators, err := listen(c.StripeAddr, c.OpsAddr)
	if err != nil {
		return errors.Join(err, publisher.Close(ctx))
	}
	s := &service{
		name: "stripe", serve: webhook.Serve, shutdown: webhook.Shutdown, flush: publisher.Close, reload: reloader.Run,
		public: public, operators: operators, ops: program.NewOps(registry, publisher.Ready,
			reloader.Warnings, webhook.Warnings),
		stopDelay: c.StopDelay, stopTimeout: c.StopTimeout, log: log, started: p.started,
	}
	return s.run(ctx)
}
