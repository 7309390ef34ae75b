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
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/enrich"
	"tributary/processor/erase"
	"tributary/processor/fx"
	"tributary/processor/health"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/rollup"
	"tributary/processor/stripeapi"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/schemas/program"
	"tributary/sql"
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
	OpsAddr string `help:"Metrics, health and profiles." default:"127.0.0.1:8094" placeholder:"HOST:PORT"`
	bookingSettings
	stripeAPISettings
	FXRefresh  time.Duration `name:"fx-refresh" help:"How often the sources are read again. Rates that another process stores, like processor fx --fetch, are used within --sweep." default:"1h"`
	InstanceID string        `name:"instance-id" help:"Static membership: a processor that restarts under its name gets its partitions back without a rebalance. Unique among all running ones."`
	Rewind     time.Duration `help:"How far before the committed offset a partition is read again on every assignment." default:"15m"`
	replicaSettings
	Sweep   time.Duration `help:"How often one of the processors recomputes unattributed and unconverted sales; less often where it takes long." default:"15s"`
	Grace   time.Duration `help:"How long the current batch may take after the signal to stop; less than the supervisor's timeout." default:"20s"`
	Audit   time.Duration `help:"How often one of the processors audits what was received lately, while everything runs; 0: never. It writes into a database NAME_audit_…, which it removes." default:"1h"`
	Check   bool          `help:"Check the configuration and stop."`
	Connect bool          `help:"With --check: reach Kafka and ClickHouse, too, and find the topics and tables."`
}

// Bounds of one batch. A backlog of clicks is loaded in large blocks, because ClickHouse merges
// what comes in small ones again and again; a live batch is as small as what has come since the
// last one.
const (
	maxPayments      = 2_000
	maxPaymentsBytes = 16 << 20 // at least 14 of the largest webhooks
	maxClicks        = 60_000
	maxClicksBytes   = 32 << 20
	gatherClicks     = 250 * time.Millisecond // as long as Kafka waits for records
)

// gcPercent is how much garbage may grow beside what lives, in percent, before it is collected. At
// Go's 100 collecting is a sixth of the processor's CPU for events. An operator's GOGC counts
// instead, and GOMEMLIMIT bounds both.
const gcPercent = 200

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
		faults = append(faults, errors.New("connect: it belongs to --check (hint: --check --connect, or neither)"))
	}
	workspaces, err := c.read()
	faults = append(faults, err)
	agents, err := c.agents()
	faults = append(faults, err)
	kafka, err := c.connection()
	faults = append(faults, err)
	if c.Rewind < 0 || c.Sweep <= 0 || c.Grace <= 0 || c.FXRefresh <= 0 || c.Audit < 0 || c.ReplicaLag < 0 {
		faults = append(faults, errors.New("durations: one is out of range (hint: --rewind, --replica-lag and --audit are "+
			"not negative; --sweep, --grace and --fx-refresh are more than 0)"))
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

// pipeline is everything that processor run starts.
type pipeline struct {
	store            *clickhouse.Store
	schema           *schema
	workspaces       *workspace.File
	reloader         *program.Reloader
	rates            *fx.Live
	erased           *erase.List
	recomputer       *recompute.Recomputer
	payments, clicks *consume.Consumer
	servers          *consume.Servers
	thin             *consume.Consumer // nil without an API key
	held             *consume.Held
	warnings         []func() string // each empty if there is nothing to warn of
	auditor          *audit.Continuous
	reporter         *health.Reporter
	log              *slog.Logger
}

func (c *runCommand) pipeline(ctx context.Context, config runConfig, store *clickhouse.Store, schema *schema,
	registry *prometheus.Registry, log *slog.Logger,
) *pipeline {
	p := &pipeline{
		store: store, schema: schema, workspaces: config.workspaces, erased: &erase.List{Keys: config.workspaces.Keys},
		log: log,
	}
	p.reloader = program.NewReloader([]string{c.Workspaces, c.Bots}, func() error {
		fresh, err := c.read()
		if err != nil {
			return err
		}
		rules, err := c.rules()
		if err != nil {
			return err
		}
		if err := moved(ctx, store, fresh); err != nil {
			return err
		}
		p.workspaces.Replace(fresh)
		config.agents.Replace(rules)
		p.held.Wake()
		return nil
	}, log, registry)
	p.rates = fx.NewLive(store, config.sources, fx.StripeExponents().WithUGX(c.UGXExponent), log,
		fx.NewMetrics(registry))
	events, open := consume.NewEventsMetric(), recompute.NewOpenMetric()
	registry.MustRegister(events, open)
	p.recomputer = recompute.New(recompute.Config{
		Store: store, Rates: p.rates, Policies: p.workspaces.Policies, Released: p.workspaces.Released, Log: log, Open: open,
		Metrics: recompute.NewNameMetrics(registry), Elected: p.elected,
	})
	metrics := consume.NewMetrics(registry)
	consumer := func(name string, topics []string, maxRecords, maxBytes int, handle consume.Handler) *consume.Consumer {
		return &consume.Consumer{
			Name: name, Topics: topics, MaxRecords: maxRecords, MaxBytes: maxBytes, Handle: handle,
			Seeds: config.kafka.Seeds, Options: config.kafka.Options(), Instance: c.InstanceID,
			Rewind: c.Rewind, SettledUntil: p.settledUntil, Deadline: c.Grace, Log: log, Metrics: metrics,
		}
	}
	payments := &consume.Payments{
		Store: store, Recomputer: p.recomputer, Workspace: p.workspaces.OfEvent, Keys: p.workspaces.Keys,
		Erased: p.erased, Events: events, ThinFetched: config.stripe != nil,
	}
	clicks := &consume.Clicks{Store: store, Recomputer: p.recomputer, Erased: p.erased, Agents: config.agents}
	p.payments = consumer("payments", consume.PaymentTopics, maxPayments, maxPaymentsBytes, payments.Handle)
	p.clicks = consumer("clicks", consume.ClickTopics, maxClicks, maxClicksBytes, clicks.Handle)
	p.clicks.Gather = gatherClicks
	p.held = consume.NewHeld(store, payments, p.workspaces.Released, registry, log)
	p.servers = &consume.Servers{Ask: store.Server, Log: log, Changed: func() {
		clicks.Forget()
		p.payments.RewindNow()
		p.clicks.RewindNow()
	}}
	p.warnings = []func() string{p.schema.warning, p.rates.Warning, payments.Warning, p.held.Warning, func() string {
		return retentionWarning(ctx, store, c.Workspaces)
	}}
	if config.stripe != nil {
		config.stripe.Patience, config.stripe.Log = 0, log
		thin := &consume.Thin{API: config.stripe, Log: log}
		p.thin = consumer("thin", []string{schemas.TopicStripe}, 100, maxPaymentsBytes, thin.Handle)
		// What was fetched once is in Kafka, and ClickHouse's crashes do not lose it: nothing is
		// read again.
		p.thin.Group, p.thin.Rewind = consume.ThinGroup, 0
		thin.Produce = p.thin.Produce
		p.warnings = append(p.warnings, thin.Warning)
	}

	topics := &replay.Topics{Seeds: config.kafka.Seeds, Opts: config.kafka.Options(), Log: log}
	p.auditor = audit.NewContinuous(c.Audit, p.elected, func(ctx context.Context, since time.Time) (*audit.Report, error) {
		report, err := c.auditSince(ctx, since, c.ClickhouseDSN, topics, log)
		if err == nil {
			health.Store(ctx, store, health.Audit(time.Now().UTC(), report, report), log)
		}
		return report, err
	}, registry, log)
	p.reporter = &health.Reporter{
		Kafka: append(config.kafka.Options(), kgo.SeedBrokers(config.kafka.Seeds...)),
		Store: store, Elected: p.elected, Log: log,
	}
	return p
}

// elected reports whether this processor does what one of all does: sweep, count and audit. It is
// the one that is assigned the first partition of Stripe's events.
func (p *pipeline) elected() bool { return p.payments.Owns(schemas.TopicStripe, 0) }

// ready returns why /readyz answers 503, or nil.
func (p *pipeline) ready(ctx context.Context) error {
	if err := p.store.Failing(); err != nil {
		return err
	}
	switch {
	case p.rates.Table() == nil:
		return errors.New("exchange rates are not loaded yet")
	case !p.payments.Assigned() && !p.clicks.Assigned():
		return errors.New("no partitions are assigned yet") // warnings say why Kafka gives none
	}
	return clickhouse.WithHint(p.schema.check(ctx))
}

func (p *pipeline) consumers() []*consume.Consumer {
	list := []*consume.Consumer{p.payments, p.clicks}
	if p.thin != nil {
		list = append(list, p.thin)
	}
	return list
}

func (p *pipeline) currentWarnings(context.Context) []string {
	var list []string
	for _, c := range p.consumers() {
		if err := c.Refused(); err != nil {
			list = append(list, fmt.Sprintf("consumer %s: %v", c.Name, err))
		}
	}
	for _, warning := range p.warnings {
		if w := warning(); w != "" {
			list = append(list, w)
		}
	}
	return list
}

// load reads what must be known before the first record is handled.
func (p *pipeline) load(ctx context.Context, replicas *replicaSettings) error {
	if err := checkRules(ctx, p.store); err != nil {
		return err
	}
	if err := moved(ctx, p.store, p.workspaces); err != nil {
		return err
	}
	if err := p.erased.Load(ctx, p.store); err != nil {
		return fmt.Errorf("read erased names: %w", err)
	}
	if _, err := p.rates.Load(ctx); err != nil {
		return fmt.Errorf("load exchange rates: %w", err)
	}
	if err := replicas.useReplicaLag(ctx, p.store, p.recomputer); err != nil {
		return err
	}
	if err := p.servers.Begin(ctx); err != nil {
		return fmt.Errorf("ask which ClickHouse answers: %w", err)
	}
	return nil
}

// settledUntil is consume.Consumer's.
func (p *pipeline) settledUntil() time.Time {
	looked, synced := p.recomputer.SettledUntil(), p.servers.SettledUntil()
	if synced.Before(looked) {
		return synced
	}
	return looked
}

// run returns when ctx ends or a part of the pipeline fails, which stops the others.
func (p *pipeline) run(ctx context.Context, sweep, fxRefresh time.Duration) error {
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return p.reloader.Run(ctx) })
	for _, c := range p.consumers() {
		group.Go(func() error { return c.Run(ctx) })
		group.Go(func() error { return c.Watch(ctx) })
	}
	group.Go(func() error { return p.recomputer.LookAgain(ctx) })
	group.Go(func() error { return p.servers.Run(ctx) })
	group.Go(func() error { return watchRules(ctx, p.store) })
	group.Go(func() error { return p.recomputer.Sweep(ctx, sweep) })
	group.Go(func() error { return p.recomputer.RestateRates(ctx) })
	group.Go(func() error { return p.recomputer.Background(ctx, sweep) })
	group.Go(func() error { return p.held.Run(ctx, sweep) })
	group.Go(func() error { return p.rates.Run(ctx, fxRefresh, sweep, p.recomputer.Wake) })
	group.Go(func() error { return p.auditor.Run(ctx) })
	group.Go(func() error { return p.erased.Run(ctx, p.store) })
	group.Go(func() error { return rollup.Run(ctx, p.store, p.workspaces.RetentionDays, p.log) })
	group.Go(func() error { return p.reporter.Run(ctx, sweep) })
	return group.Wait()
}

// checkInsert returns an error if the user may read and not insert, or the DSN says readonly.
func checkInsert(ctx context.Context, store *clickhouse.Store) error {
	const nothing = "INSERT INTO pipeline_status SELECT * FROM pipeline_status WHERE false"
	if err := store.Exec(ctx, nothing); err != nil {
		return fmt.Errorf("try to insert no rows: %w", clickhouse.WithHint(err))
	}
	return nil
}

// watchRules returns an error once the ledger is booked by other rules than this program's: a
// rebuild of another version has begun to exchange it, and what this program books would stand in
// the new tables.
func watchRules(ctx context.Context, store *clickhouse.Store) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(replay.StopWithin / 6):
		}
		if err := checkRules(ctx, store); err != nil && ctx.Err() == nil {
			return err
		}
	}
}

// checkRules returns an error if the ledger was booked by other rules than this program's: its rows
// would outrank what is booked now.
func checkRules(ctx context.Context, store *clickhouse.Store) error {
	rules, _, err := store.LedgerRules(ctx)
	if err != nil {
		return fmt.Errorf("read by which rules the ledger is booked: %w", err)
	}
	if rules != sql.LedgerRules {
		return fmt.Errorf("the ledger is booked by rules %d, and this program books by rules %d "+
			"(hint: stop every processor, run `processor replay rebuild --exchange`, "+
			"which books everything again, and start this one)", rules, sql.LedgerRules)
	}
	return nil
}
