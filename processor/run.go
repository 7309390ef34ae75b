package main

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"runtime/debug"
	"slices"
	"time"

	"github.com/alecthomas/kong"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/enrich"
	"tributary/processor/fx"
	"tributary/processor/stripeapi"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/schemas/program"
)

// runCommand wires `processor run`:
//
//	clicks.v1 ──▶ clicks ──▶ enrich ──────────┐ rows, edges        ┌──▶ clicks, identities
//	                                          ├─▶ clickhouse.Store ┤
//	stripe.v1 ─┐                              │                    ├──▶ stripe_events, facts, leads, dead_letters
//	leads.v1  ─┼▶ payments ──▶ stripe (facts) ┘                    │
//	dead…v1   ─┘      │                                            │
//	                  └──▶ recompute ─▶ identity ─▶ join, ledger, fx ──▶ ledger
//	          sweep ────────┘
//
//	stripe.v1 (thin events) ──▶ consumer thin ──▶ Stripe's API ──▶ stripe.v1 (their snapshots), with --stripe-api-key
//
// Each consumer commits after ClickHouse has acknowledged everything to the right of it.
type runCommand struct {
	kafkaSettings
	clickhouseSettings
	OpsAddr string `help:"Address of /metrics, /healthz, /readyz and /debug/pprof." default:"127.0.0.1:8094" placeholder:"HOST:PORT"`
	bookingSettings
	stripeAPISettings
	FXRefresh  time.Duration `name:"fx-refresh" help:"How often the sources are read again. Rates that another process stores, like processor fx --fetch, are used within --sweep." default:"1h"`
	InstanceID string        `name:"instance-id" help:"Static membership: a processor that restarts under the same name gets its partitions back without a rebalance. Unique among all running processors; without it membership is dynamic."`
	Rewind     time.Duration `help:"How far before the committed offset a partition is read again on every assignment." default:"15m"`
	replicaSettings
	Sweep   time.Duration `help:"How often one of the processors recomputes unattributed and unconverted sales; less often where it takes long." default:"15s"`
	Grace   time.Duration `help:"How long the current batch may take after the signal to stop; must be less than the supervisor's timeout." default:"20s"`
	Audit   time.Duration `help:"How often one of the processors audits what was received lately, while everything runs; 0: never. It writes into a database NAME_audit_…, which it removes." default:"1h"`
	Check   bool          `help:"Check the configuration and stop."`
	Connect bool          `help:"With --check: reach Kafka and ClickHouse, too, and find the topics and tables."`
}

// Bounds of one batch. A backlog of clicks is loaded in large blocks, because ClickHouse merges
// what comes in small ones again and again; a live batch is as small as what has come since the
// last one.
const (
	maxPayments      = 2_000
	paymentsAtOnce   = 3        // batches of a backlog
	maxPaymentsBytes = 16 << 20 // at least 14 of the largest webhooks
	maxClicks        = 90_000   // a backlog comes in batches of some 60,000
	maxClicksBytes   = 32 << 20
	gatherClicks     = 250 * time.Millisecond // as long as Kafka waits for records
)

// gcPercent is how much garbage may grow beside what lives, in percent, before it is collected. At
// Go's 100 collecting is a sixth of the processor's CPU for events. An operator's GOGC counts
// instead, and GOMEMLIMIT bounds both.
const gcPercent = 200

var errConnect = errors.New("connect: it belongs to --check (hint: --check --connect, or neither)")

// runConfig is what the flags say.
type runConfig struct {
	sources    []fx.Source
	workspaces *workspace.File
	agents     *enrich.Agents
	kafka      schemas.KafkaConnection
	stripe     *stripeapi.Client // nil without an API key
}

// validate turns the flags into a configuration, or reports every fault of all of them.
func (c *runCommand) validate(ctx context.Context) (runConfig, error) {
	sources, err := c.fxSources()
	faults := []error{err, program.CheckAddrs(c.opsAddr())}
	if c.Check {
		faults = append(faults, fx.CheckFiles(ctx, sources))
	}
	if c.Connect && !c.Check {
		faults = append(faults, errConnect)
	}
	workspaces, err := c.read()
	faults = append(faults, err)
	agents, err := c.agents()
	faults = append(faults, err)
	kafka, err := c.connection()
	faults = append(faults, err)
	if c.Rewind < 0 || c.Sweep <= 0 || c.Grace <= 0 || c.FXRefresh <= 0 || c.Audit < 0 || c.ReplicaLag < 0 ||
		c.ReplicaLag > maxReplicaLag {
		faults = append(faults, errors.New("durations: one is out of range (hint: --rewind, --replica-lag and --audit are "+
			"not negative; --replica-lag is at most 6h; --sweep, --grace and --fx-refresh are more than 0)"))
	}
	client, err := c.client()
	faults = append(faults, err)
	return runConfig{sources, workspaces, agents, kafka, client}, errors.Join(faults...)
}

func (c *runCommand) opsAddr() program.Addr { return program.Addr{Flag: "ops addr", Value: c.OpsAddr} }

// moved returns an error if the ledger has entries of accounts in another workspace than the file
// says.
func moved(ctx context.Context, store *clickhouse.Store, workspaces *workspace.File) error {
	booked, err := store.Accounts(ctx)
	if err != nil {
		return fmt.Errorf("read which workspaces the ledger's accounts are in: %w", err)
	}
	var faults []error
	for _, a := range booked {
		faults = append(faults, workspaces.Moved(a.ID, a.Livemode, a.Workspace))
	}
	return errors.Join(faults...)
}

// Run consumes until ctx ends.
func (c *runCommand) Run(ctx context.Context, app *kong.Kong, log *slog.Logger) error {
	config, err := c.validate(ctx)
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	c.deprecated(log)
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	registry := program.NewRegistry()
	store, err := clickhouse.Open(c.ClickhouseDSN, log, registry)
	if err != nil {
		return err
	}
	defer store.Close()
	schema, err := openSchema(c.ClickhouseDSN)
	if err != nil {
		return err
	}
	defer schema.close()
	if c.Check {
		return c.checked(ctx, app.Stdout, config.kafka, store, schema)
	}
	p := c.pipeline(ctx, config, store, schema, registry, log)

	listener, err := program.Listen(c.OpsAddr)
	if err != nil {
		return err
	}
	ops := program.NewOps(registry, p.ready, p.reloader.Warnings, p.currentWarnings)
	go func() { _ = ops.Serve(listener) }() // it ends with the shutdown below
	defer func() {
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = ops.Shutdown(soon) // operators' requests may be cut
	}()
	context.AfterFunc(ctx, ops.Stopping)
	log.Info("processor starts", "kafka", config.kafka.Seeds, "ops", listener.Addr().String())
	if err := p.load(ctx, &c.replicaSettings); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	start := time.Now()
	err = p.run(ctx, c.Sweep, c.FXRefresh)
	log.Info("processor stopped", "ran", time.Since(start).Round(time.Second))
	return err
}

// checked ends a --check whose flags are good.
func (c *runCommand) checked(ctx context.Context, stdout io.Writer, kafka schemas.KafkaConnection,
	store *clickhouse.Store, schema *schema,
) error {
	notes, err := program.TryAddrs(c.opsAddr())
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	good := "the configuration is good"
	if c.Connect {
		ctx, cancel := context.WithTimeout(ctx, 20*time.Second)
		defer cancel()
		use := schemas.KafkaUse{Reads: slices.Concat(consume.ClickTopics, consume.PaymentTopics),
			Writes: []string{schemas.TopicDeadLetters}, Groups: []string{schemas.ConsumerGroup}}
		if c.StripeAPIKey != "" || c.StripeAPIKeyFile != "" {
			use.Writes, use.Groups = append(use.Writes, schemas.TopicStripe), append(use.Groups, consume.ThinGroup)
		}
		faults := []error{kafka.Reach(ctx, use)}
		err := store.Ping(ctx)
		if err == nil {
			err = schema.check(ctx)
		}
		if err == nil { // without the tables these two would ask in vain until ctx ends
			err = errors.Join(checkRules(ctx, store), checkInsert(ctx, store))
		}
		faults = append(faults, err)
		if err := errors.Join(faults...); err != nil {
			return err
		}
		good += ", and Kafka and ClickHouse have what they need"
		if newer := schema.warning(); newer != "" {
			good += "; " + newer
		}
	}
	return program.WriteGood(stdout, "processor run", good, notes)
}
