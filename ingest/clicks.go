package main

//	  browsers, apps, backends            operators, probes
//	            │                                 │
//	  --edge-addr (fasthttp)             --ops-addr (net/http)
//	   limits · framing · CORS            /metrics /readyz …
//	            │                                 │
//	     ┌──────▼──────┐  who may?   ┌────────────▼───────┐
//	     │   clicks    ├────────────▶│ --workspaces,      │
//	     │   handler   │             │ --secret-key       │
//	     └──────┬──────┘             └────────────────────┘
//	            │ records: clicks.v1, leads.v1
//	     ┌──────▼──────┐
//	     │   publish   │ waits for acks=all, or refuses ──▶ 503
//	     └──────┬──────┘
//	            ▼
//	   --kafka-seeds
//
// It starts from the bottom up and stops from the top down: not ready, drain, flush, close.

import (
	"context"
	"errors"
	"fmt"
	"net/netip"

	"tributary/ingest/clicks"
	"tributary/ingest/publish"
	"tributary/schemas"
)

type clicksCommand struct {
	EdgeAddr string `default:"127.0.0.1:8080" help:"Listen here."`
	OpsAddr  string `default:"127.0.0.1:8091" help:"Listen here for operators."`

	Workspaces     string   `placeholder:"FILE" help:"JSON array of workspaces: id, publishable_keys, secret_keys, hostnames, schemes, events_per_second, stripe_accounts. Without it there is one, \"default\", which takes any publishable key."`
	SecretKey      string   `help:"A secret key of the only workspace, for leads and imports."`
	TrustedProxies []string `placeholder:"CIDR,…" help:"Believe X-Forwarded-For and country headers of connections from these networks."`
	IdentitySecret string   `help:"Secret of the daily identity hashes; equal on all edges. Without it, random at every start."`
	EmailKey       string   `help:"Key of the hashes of leads' e-mail addresses; the processor needs the same."`
	MaxConnsPerIP  int      `name:"max-conns-per-ip" default:"1000" help:"Connections per IPv4 address or IPv6 /64 that is no trusted proxy; 0: no limit."`

	kafkaFlags
	opsFlags
}

// configs turns the flags into configurations, or reports every fault of all of them.
func (c *clicksCommand) configs() (clicks.Config, publish.Config, error) {
	edge := clicks.Default()
	edge.MaxConnsPerIP = c.MaxConnsPerIP
	edge.IdentitySecret, edge.EmailKey = []byte(c.IdentitySecret), []byte(c.EmailKey)
	faults := []error{checkAddr("edge addr", c.EdgeAddr), checkAddr("ops addr", c.OpsAddr)}
	for _, text := range c.TrustedProxies {
		network, err := netip.ParsePrefix(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("trusted proxies: %w (hint: 10.0.0.0/8, or 192.0.2.7/32 for one address)", err))
			continue
		}
		edge.TrustedProxies = append(edge.TrustedProxies, network.Masked())
	}
	directory, err := clicks.LoadWorkspaces(c.Workspaces, c.SecretKey)
	edge.Workspaces = directory
	faults = append(faults, err, edge.Validate())
	kafka, err := c.config(schemas.TopicClicks, schemas.TopicLeads)
	return edge, kafka, errors.Join(append(faults, err)...)
}

// Run serves until ctx ends.
func (c *clicksCommand) Run(ctx context.Context, p *program) error {
	edge, kafka, err := c.configs()
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	if c.Check {
		_, err := fmt.Fprintln(p.stdout, "ingest clicks: the configuration is good")
		return err
	}
	log := p.logger()
	o := newOps()
	edge.Registry, kafka.Registry = o.registry, o.registry
	edge.Logger, kafka.Logger = log, log

	publisher, err := publish.New(kafka)
	if err != nil {
		return fmt.Errorf("start publisher: %w", err)
	}
	server, err := clicks.New(edge, publisher)
	if err != nil {
		return errors.Join(fmt.Errorf("start edge: %w", err), publisher.Close(ctx))
	}
	o.ready = publisher.Ready
	public, operators, err := listen(c.EdgeAddr, c.OpsAddr)
	if err != nil {
		return errors.Join(err, publisher.Close(ctx))
	}
	s := &service{
		name: "clicks", serve: server.Serve, shutdown: server.Shutdown, flush: publisher.Close,
		public: public, ops: operators, operators: o, stopDelay: c.StopDelay, stopTimeout: c.StopTimeout, log: log, started: p.started,
	}
	return s.run(ctx)
}
