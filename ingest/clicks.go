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
//	     │   publish   │ waits for acks=all, else fsyncs ──▶ --spool-dir, else refuses ──▶ 503
//	     └──────┬──────┘                                        │
//	            ▼                                               │ drained when Kafka is back
//	   --kafka-seeds ◀──────────────────────────────────────────┘
//
// It starts from the bottom up and stops from the top down: not ready, drain, flush, close.

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"

	"tributary/ingest/clicks"
	"tributary/ingest/geo"
	"tributary/ingest/publish"
	"tributary/ingest/publish/spool"
	"tributary/schemas"
	"tributary/schemas/program"
)

type clicksCommand struct {
	EdgeAddr string `default:"127.0.0.1:8080" help:"Address of the edge: clicks, leads and sales."`
	OpsAddr  string `default:"127.0.0.1:8091" help:"Address of /metrics, /healthz, /readyz and /debug/pprof."`

	Workspaces     string   `placeholder:"FILE" help:"JSON array of workspaces, the same file as the processor's; read again on change and on SIGHUP. Without it there is one workspace, \"default\", which takes any publishable key."`
	SecretKey      string   `help:"A secret key of the only workspace, for leads and imports; at least 16 bytes. Better in a file."`
	SecretKeyFile  string   `placeholder:"FILE" help:"File that holds --secret-key; read again on change and on SIGHUP."`
	TrustedProxies []string `placeholder:"CIDR,…" help:"Believe X-Forwarded-For and country headers of connections from these networks."`

	Geo         []string `placeholder:"FILE" help:"MaxMind DB file of cities, countries or autonomous systems, by which a click's place and kind of network are found; repeat for several, the first that knows a country counts. Read again on change and on SIGHUP."`
	Datacenters string   `placeholder:"FILE" help:"CSV \"asn,name\" of the autonomous systems whose clicks are flagged as coming from datacenters, instead of the built-in list; needs a --geo file of autonomous systems. Read again on change and on SIGHUP."`

	IdentitySecret     string `help:"Secret of the daily identity hashes, at least 16 bytes; equal on all edges. Without it a random one is made at every start. Better in a file."`
	IdentitySecretFile string `placeholder:"FILE" help:"File that holds --identity-secret."`
	EmailKey           string `help:"Key of the hashes of leads' e-mail addresses, at least 16 bytes; the processor needs the same. Without it, none is hashed. Better in a file."`
	EmailKeyFile       string `placeholder:"FILE" help:"File that holds --email-key."`
	MaxConnsPerIP      int    `name:"max-conns-per-ip" default:"1000" help:"Connections per IPv4 address or IPv6 /64 that is no trusted proxy; 0: no limit."`
	MaxConns           int    `default:"6000" help:"Connections of all addresses together, without those of trusted proxies; each takes some 20 KB. When a third of the limit is open, each new connection closes one that is idle after its answer; when they take more memory than some 50 MB, fewer stay open. 0: no limit."`

	EventsPerAddress float64 `default:"1000" help:"Events a second that an IPv4 address or IPv6 /64 may send without a secret key; 0: no limit. This machine's own addresses are not limited."`
	ProxyProtocol    bool    `help:"Connections from --trusted-proxies begin with a PROXY protocol header (version 1 or 2), which names the visitor's address."`
	TLSCertFile      string  `placeholder:"FILE" help:"Speak TLS with this certificate (PEM); read again on change and on SIGHUP."`
	TLSKeyFile       string  `placeholder:"FILE" help:"The certificate's key (PEM)."`

	kafkaFlags
	spoolFlags
	opsFlags
}

// configs turns the flags into configurations, or reports every fault of all of them.
func (c *clicksCommand) configs() (clicks.Config, publish.Config, error) {
	edge := clicks.Default()
	edge.MaxConnsPerIP, edge.MaxConns, edge.EventsPerAddress = c.MaxConnsPerIP, c.MaxConns, c.EventsPerAddress
	edge.ProxyProtocol = c.ProxyProtocol
	faults := []error{program.CheckAddrs(c.addrs()...), c.opsFlags.validate()}
	for _, s := range []struct {
		name, value, file string
		into              *[]byte
	}{
		{"identity secret", c.IdentitySecret, c.IdentitySecretFile, &edge.IdentitySecret},
		{"email key", c.EmailKey, c.EmailKeyFile, &edge.EmailKey},
	} {
		secret, err := schemas.Secret(s.name, s.value, s.file)
		*s.into, faults = []byte(secret), append(faults, err)
	}
	proxies, err := program.Networks(c.TrustedProxies)
	edge.TrustedProxies, faults = proxies, append(faults, err)
	directory, err := c.directory(string(edge.EmailKey))
	edge.Workspaces = directory
	places, geoErr := geo.Open(c.Geo, c.Datacenters)
	edge.Geo = places
	certificate, certificateErr := clicks.ReadCertificate(c.TLSCertFile, c.TLSKeyFile)
	if edge.Certificate = certificate; c.Check {
		faults = append(faults, certificate.Invalid())
	}
	faults = append(faults, err, geoErr, certificateErr, edge.Validate())
	kafka, err := c.config(schemas.TopicClicks, schemas.TopicLeads, schemas.TopicStripe)
	if c.apply(&kafka); err == nil {
		err = errors.Join(kafka.Validate(), c.spoolFlags.validate())
	}
	return edge, kafka, errors.Join(append(faults, err)...)
}

// addrs are the addresses that are listened on.
func (c *clicksCommand) addrs() []program.Addr {
	return []program.Addr{{Flag: "edge addr", Value: c.EdgeAddr}, {Flag: "ops addr", Value: c.OpsAddr}}
}

// try does for a moment what a start would do with addresses and the spool's directory.
func (c *clicksCommand) try() (notes []string, err error) {
	notes, err = program.TryAddrs(c.addrs()...)
	if c.SpoolDir == "" {
		return notes, err
	}
	more, spoolErr := spool.Try(c.SpoolDir)
	return append(notes, more...), errors.Join(err, spoolErr)
}

// directory reads what a reload reads again.
func (c *clicksCommand) directory(emailKey string) (*clicks.Directory, error) {
	key, err := schemas.Secret("secret key", c.SecretKey, c.SecretKeyFile)
	faults := []error{err}
	if key != "" {
		if err := schemas.CheckSecretKey(key); err != nil {
			faults = append(faults, fmt.Errorf("secret key: %w", err))
		}
	}
	directory, err := clicks.LoadWorkspaces(c.Workspaces, key)
	faults = append(faults, err)
	if directory != nil {
		faults = append(faults, schemas.CheckEmailKey(emailKey, directory.EmailFallback()))
	}
	return directory, errors.Join(faults...)
}

// reload reads again what the edge can replace. Each kind is replaced if it is good, whatever is
// wrong with the other.
func (c *clicksCommand) reload(edge *clicks.Config) error {
	directory, workspacesErr := c.directory(string(edge.EmailKey))
	if workspacesErr == nil {
		edge.Workspaces.Replace(directory)
	}
	places, geoErr := geo.Open(c.Geo, c.Datacenters)
	if geoErr == nil {
		edge.Geo.Replace(places)
	}
	certificate, certificateErr := clicks.ReadCertificate(c.TLSCertFile, c.TLSKeyFile)
	if certificateErr == nil {
		certificateErr = edge.Certificate.Renew(certificate)
	}
	return errors.Join(workspacesErr, geoErr, certificateErr)
}

// Run serves until ctx ends.
func (c *clicksCommand) Run(ctx context.Context, p *process, log *slog.Logger) error {
	edge, kafka, err := c.configs()
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	if c.Check {
		notes, err := c.try()
		if err != nil {
			return fmt.Errorf("check configuration:\n%w", err)
		}
		return c.checked(ctx, p, "clicks", notes, &c.kafkaFlags, kafka.Topics...)
	}
	registry := program.NewRegistry()
	files := append([]string{c.Workspaces, c.SecretKeyFile, c.Datacenters, c.TLSCertFile, c.TLSKeyFile}, c.Geo...)
	reloader := program.NewReloader(files, func() error { return c.reload(&edge) }, log, registry)
	edge.Registry, kafka.Registry = registry, registry
	edge.Logger, kafka.Logger = log, log

	publisher, err := publish.New(kafka)
	if err != nil {
		return fmt.Errorf("start publisher: %w", err)
	}
	server, err := clicks.New(edge, publisher)
	if err != nil {
		return errors.Join(fmt.Errorf("start edge: %w", err), publisher.Close(ctx))
	}
	server.LimitMemory(os.Getenv("GOGC") == "")
	if c.SpoolDir == "" {
		log.Warn("there is no spool: clicks are answered 503 while Kafka is away (hint: --spool-dir)")
	}
	public, operators, err := listen(c.EdgeAddr, c.OpsAddr)
	if err != nil {
		return errors.Join(err, publisher.Close(ctx))
	}
	s := &service{
		name: "clicks", serve: server.Serve, shutdown: server.Shutdown, flush: publisher.Close, reload: reloader.Run,
		public: public, operators: operators, ops: program.NewOps(registry, publisher.Ready, reloader.Warnings,
			edge.Certificate.Warnings, publisher.Warnings),
		stopDelay: c.StopDelay, stopTimeout: c.StopTimeout, log: log, started: p.started,
	}
	return s.run(ctx)
}
