package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/alecthomas/kong"
	"golang.org/x/sync/errgroup"

	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/erase"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/workspace"
	"tributary/schemas"
	"tributary/schemas/program"
)

// runCommand wires `processor run`:
//
//	clicks.v1 ──▶ lane clicks ──▶ enrich ─────────┐ rows, names        ┌──▶ clicks, identities
//	                                              ├─▶ clickhouse.Store ┤
//	stripe.v1 ─┐                                  │                    ├──▶ stripe_events, facts, leads, dead_letters
//	leads.v1  ─┼▶ lane money ──▶ stripe (facts) ──┘                    │
//	dead…v1   ─┘         │                                             │
//	                     └──▶ recompute ▶ identity ─▶ join, ledger, fx ┴──▶ ledger
//	          sweep ────────────┘
//
// Each lane commits after ClickHouse has acknowledged everything to the right of it.
type runCommand struct {
	kafkaSettings
	clickhouseSettings
	OpsAddr string `help:"Metrics, health and profiles." default:"127.0.0.1:8094" placeholder:"HOST:PORT"`
	bookingSettings
	FXRefresh  time.Duration `name:"fx-refresh" help:"How often the sources are read again. What others store, like processor fx --fetch, is noticed within --sweep." default:"1h"`
	InstanceID string        `name:"instance-id" help:"Static membership: a processor that comes back under its name finds its partitions waiting. Unique among all running ones."`
	Rewind     time.Duration `help:"How far before the committed offset a partition is read again on every assignment." default:"15m"`
	Sweep      time.Duration `help:"How often unattributed and unconverted sales are looked at again." default:"15s"`
	Grace      time.Duration `help:"How long a batch under way may take after the signal to stop; less than the supervisor's patience." default:"20s"`
	Audit      time.Duration `help:"How often what was received lately is audited, beside everything else; 0: never. It writes into a database NAME_audit_…, which it removes." default:"1h"`
	Check      bool          `help:"Check the configuration and stop."`
}

// maxBatchBytes of records in one batch: some 20,000 clicks, and at least 60 of the largest webhooks.
const maxBatchBytes = 16 << 20

// runConfig is what the flags come to.
type runConfig struct {
	sources    []fx.Source
	workspaces *workspace.File
	kafka      schemas.KafkaConnection
}

// validate turns the flags into a configuration, or reports every fault of all of them.
func (c *runCommand) validate(ctx context.Context) (runConfig, error) {
	sources, err := c.fxSources()
	faults := []error{err, program.CheckAddr("ops addr", c.OpsAddr)}
	if c.Check {
		faults = append(faults, fx.CheckFiles(ctx, sources))
	}
	workspaces, err := c.read()
	faults = append(faults, err)
	kafka, err := c.connection()
	faults = append(faults, err)
	if c.Rewind < 0 || c.Settle < 0 || c.Sweep <= 0 || c.Grace <= 0 || c.FXRefresh <= 0 || c.Audit < 0 {
		faults = append(faults, errors.New("durations: one is out of range "+
			"(hint: --rewind, --settle and --audit are not negative; --sweep, --grace and --fx-refresh are more than 0)"))
	}
	return runConfig{sources, workspaces, kafka}, errors.Join(faults...)
}

// moved returns an error if the ledger has money of accounts in another workspace than the file says.
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

func (c *runCommand) Run(ctx context.Context, app *kong.Kong, log *slog.Logger) error {
	config, err := c.validate(ctx)
	if err != nil {
		return fmt.Errorf("check configuration:\n%w", err)
	}
	sources, workspaces := config.sources, config.workspaces
	registry := program.NewRegistry()
	store, err := clickhouse.Open(c.ClickhouseDSN, log, registry)
	if err != nil {
		return err
	}
	defer store.Close()
	if c.Check {
		_, err := fmt.Fprintln(app.Stdout, "processor run: the configuration is good")
		return err
	}
	reloader := program.NewReloader([]string{c.Workspaces}, func() error {
		fresh, err := c.read()
		if err != nil {
			return err
		}
		if err := moved(ctx, store, fresh); err != nil {
			return err
		}
		workspaces.Replace(fresh)
		return nil
	}, log, registry)
	metrics := consume.NewMetrics(registry)
	events := consume.NewEventsMetric()
	exponents := fx.StripeExponents().WithUGX(c.UGXExponent)
	rates := fx.NewLive(store, sources, exponents, log, fx.NewMetrics(registry))
	registry.MustRegister(events)

	open := recompute.NewOpenMetric()
	registry.MustRegister(open)
	recomputer := recompute.New(recompute.Config{
		Store: store, Rates: rates, Policies: workspaces.Policies, Settle: c.Settle, Log: log, Open: open,
	})
	erased := new(erase.List)
	money := &consume.Payments{Store: store, Recomputer: recomputer, Workspace: workspaces.OfEvent, Keys: workspaces.Keys, Erased: erased, Events: events}
	clicks := &consume.Clicks{Store: store, Recomputer: recomputer, Erased: erased}
	lane := func(name string, topics []string, maxRecords int, handle consume.Handler) *consume.Consumer {
		return &consume.Consumer{
			Name: name, Topics: topics, MaxRecords: maxRecords, MaxBytes: maxBatchBytes, Handle: handle,
			Seeds: config.kafka.Seeds, Options: config.kafka.Options(), Instance: c.InstanceID, Rewind: c.Rewind, Deadline: c.Grace, Log: log, Metrics: metrics,
		}
	}
	moneyLane := lane("money", consume.PaymentTopics, 2_000, money.Handle)
	clickLane := lane("clicks", consume.ClickTopics, 20_000, clicks.Handle)

	topics := &replay.Topics{Seeds: config.kafka.Seeds, Opts: config.kafka.Options(), Log: log}
	auditor := audit.NewContinuous(c.Audit, func(ctx context.Context, since time.Time) (*audit.Report, error) {
		return c.auditSince(ctx, since, c.ClickhouseDSN, store, topics, log)
	}, registry, log)

	listener, err := program.Listen(c.OpsAddr)
	if err != nil {
		return err
	}
	ops := program.NewOps(registry, func(context.Context) error {
		switch {
		case rates.Table() == nil:
			return errors.New("exchange rates are not loaded yet")
		case store.Failing():
			return errors.New("ClickHouse refuses; waiting")
		case !moneyLane.Assigned() && !clickLane.Assigned():
			return errors.New("no partitions are assigned yet")
		}
		return nil
	}, reloader.Warnings, func(context.Context) []string {
		if warning := rates.Warning(); warning != "" {
			return []string{warning}
		}
		return nil
	})
	go func() { _ = ops.Serve(listener) }() // it ends with the shutdown below
	defer func() {
		soon, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
		defer cancel()
		_ = ops.Shutdown(soon) // operators' requests may be cut
	}()
	context.AfterFunc(ctx, ops.Stopping)
	log.Info("processor starts", "kafka", config.kafka.Seeds, "ops", listener.Addr().String())
	if err := moved(ctx, store, workspaces); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return err
	}
	if err := erased.Load(ctx, store); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("read who was erased: %w", err)
	}
	if _, err := rates.Load(ctx); err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("load exchange rates: %w", err)
	}

	start := time.Now()
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return reloader.Run(ctx) })
	group.Go(func() error { return moneyLane.Run(ctx) })
	group.Go(func() error { return clickLane.Run(ctx) })
	group.Go(func() error { return recomputer.Sweep(ctx, c.Sweep) })
	group.Go(func() error { return rates.Run(ctx, c.FXRefresh, c.Sweep, recomputer.Wake) })
	group.Go(func() error { return auditor.Run(ctx) })
	group.Go(func() error { return erased.Run(ctx, store) })
	err = group.Wait()
	log.Info("processor stopped", "ran", time.Since(start).Round(time.Second))
	return err
}
