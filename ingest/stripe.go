package main

//	         Stripe                       operators, probes
//	            │                                 │
//	  --stripe-addr (net/http)           --ops-addr (net/http)
//	            │                         /metrics /readyz …
//	     ┌──────▼──────┐
//	     │   stripe    │ raw body ▶ signature (--stripe-webhook-secrets) ▶ envelope
//	     │   webhook   │
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
	"net"
	"net/http"

	"tributary/ingest/publish"
	"tributary/ingest/stripe"
	"tributary/schemas"
)

type stripeCommand struct {
	StripeAddr string `default:"127.0.0.1:8081" help:"Listen here."`
	OpsAddr    string `default:"127.0.0.1:8092" help:"Listen here for operators."`

	StripeWebhookSecrets []string `placeholder:"whsec_…,…" help:"Signing secrets of all endpoints that send here."`

	kafkaFlags
	opsFlags
}

// configs turns the flags into configurations, or reports every fault of all of them.
func (c *stripeCommand) configs() (stripe.Config, publish.Config, error) {
	hook := stripe.Default()
	hook.Secrets = c.StripeWebhookSecrets
	kafka, err := c.config(schemas.TopicStripe)
	// One event of the largest size must fit into a batch. Its JSON compresses well below the brokers' own limit.
	kafka.MaxBatchBytes = int(hook.MaxBodyBytes) + 128<<10
	return hook, kafka, errors.Join(checkAddr("stripe addr", c.StripeAddr), checkAddr("ops addr", c.OpsAddr), hook.Validate(), err)
}

// Run serves until ctx ends.
func (c *stripeCommand) Run(ctx context.Context, p *program) error {
	hook, kafka, err := c.configs()
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	if c.Check {
		_, err := fmt.Fprintln(p.stdout, "ingest stripe: the configuration is good")
		return err
	}
	log := p.logger()
	o := newOps()
	hook.Registry, kafka.Registry = o.registry, o.registry
	hook.Logger, kafka.Logger = log, log

	publisher, err := publish.New(kafka)
	if err != nil {
		return fmt.Errorf("start publisher: %w", err)
	}
	webhook, err := stripe.New(hook, publisher)
	if err != nil {
		return errors.Join(fmt.Errorf("start webhook: %w", err), publisher.Close(ctx))
	}
	o.ready = publisher.Ready
	public, operators, err := listen(c.StripeAddr, c.OpsAddr)
	if err != nil {
		return errors.Join(err, publisher.Close(ctx))
	}
	server := webhook.Server()
	s := &service{
		name: "stripe", serve: serveHTTP(server), shutdown: server.Shutdown, flush: publisher.Close,
		public: public, ops: operators, operators: o, stopDelay: c.StopDelay, stopTimeout: c.StopTimeout, log: log, started: p.started,
	}
	return s.run(ctx)
}

// serveHTTP is server.Serve, for which an orderly stop is no error.
func serveHTTP(server *http.Server) func(net.Listener) error {
	return func(ln net.Listener) error {
		if err := server.Serve(ln); !errors.Is(err, http.ErrServerClosed) {
			return err
		}
		return nil
	}
}
