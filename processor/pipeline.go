package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/erase"
	"tributary/processor/fx"
	"tributary/processor/health"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/rollup"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/schemas/program"
)

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
		store: store, schema: schema, workspaces: config.workspaces, log: log,
	}
	p.erased = &erase.List{Keys: config.workspaces.Keys, Grown: func() { p.recomputer.Erased() }}
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
		Kept: func() time.Time { return p.servers.SettledUntil() },
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
	p.payments.AtOnce = paymentsAtOnce
	p.clicks.Gather = gatherClicks
	p.held = consume.NewHeld(store, payments, p.workspaces.Released, registry, log)
	p.servers = &consume.Servers{Ask: store.Server, Answered: store.Answered, Log: log, Changed: func() {
		clicks.Forget()
		p.recomputer.Forget()
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

	topics := &replay.Topics{Seeds: config.kafka.Seeds, Opts: config.kafka.Options(), Log: log.With("for", "audit")}
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
	group.Go(func() error { return p.recomputer.Mark(ctx) })
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
