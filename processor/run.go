package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/erase"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/processor/workspace"
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

func (c *runCommand) validate() ([]fx.Source, *workspace.File, error) {
	var faults []error
	sources, err := c.fxSources()
	if err != nil {
		faults = append(faults, err)
	}
	workspaces, err := c.read()
	if err != nil {
		faults = append(faults, err)
	}
	if len(c.KafkaSeeds) == 0 {
		faults = append(faults, errors.New("no Kafka broker: give at least one with --kafka-seeds"))
	}
	if c.Rewind < 0 || c.Settle < 0 || c.Sweep <= 0 || c.Grace <= 0 || c.FXRefresh <= 0 || c.Audit < 0 {
		faults = append(faults, errors.New("--rewind, --settle and --audit must not be negative; --sweep, --grace and --fx-refresh must be more than 0"))
	}
	return sources, workspaces, errors.Join(faults...)
}

func (c *runCommand) Run(ctx context.Context, log *slog.Logger) error {
	sources, workspaces, err := c.validate()
	if c.Check {
		err = errors.Join(err, fx.CheckFiles(ctx, sources))
	}
	if err != nil {
		return err
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	store, err := clickhouse.Open(c.ClickhouseDSN, log, registry)
	if err != nil {
		return err
	}
	defer store.Close()
	if c.Check {
		log.Info("configuration is sound")
		return nil
	}
	metrics, err := consume.NewMetrics(registry)
	if err != nil {
		return err
	}
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
	money := &consume.Payments{Store: store, Recomputer: recomputer, Workspace: workspaces.Of, Keys: workspaces.Keys, Erased: erased, Events: events}
	clicks := &consume.Clicks{Store: store, Recomputer: recomputer, Erased: erased}
	lane := func(name string, topics []string, maxRecords int, handle consume.Handler) *consume.Consumer {
		return &consume.Consumer{
			Name: name, Topics: topics, MaxRecords: maxRecords, MaxBytes: maxBatchBytes, Handle: handle,
			Seeds: c.KafkaSeeds, Instance: c.InstanceID, Rewind: c.Rewind, Deadline: c.Grace, Log: log, Metrics: metrics,
		}
	}
	moneyLane := lane("money", consume.PaymentTopics, 2_000, money.Handle)
	clickLane := lane("clicks", consume.ClickTopics, 20_000, clicks.Handle)

	auditor := newContinuousAudit(c.Audit, &c.bookingSettings, c.ClickhouseDSN, &replay.Topics{Seeds: c.KafkaSeeds, Log: log}, store, log)
	registry.MustRegister(auditor.findings, auditor.last)

	ops, err := listenOps(c.OpsAddr, registry, func() error {
		switch {
		case rates.Table() == nil:
			return errors.New("exchange rates are not loaded yet")
		case store.Failing():
			return errors.New("ClickHouse refuses; waiting")
		case !moneyLane.Assigned() && !clickLane.Assigned():
			return errors.New("no partitions are assigned yet")
		}
		return nil
	}, rates.Warning)
	if err != nil {
		return err
	}
	defer ops.stop()
	log.Info("processor starts", "kafka", c.KafkaSeeds, "ops", ops.addr())
	booked, err := store.Accounts(ctx)
	if err != nil {
		if ctx.Err() != nil {
			return nil
		}
		return fmt.Errorf("read which workspaces the ledger's accounts are in: %w", err)
	}
	if err := workspaces.Moved(booked); err != nil {
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
	group.Go(func() error { return moneyLane.Run(ctx) })
	group.Go(func() error { return clickLane.Run(ctx) })
	group.Go(func() error { return recomputer.Sweep(ctx, c.Sweep) })
	group.Go(func() error { return rates.Run(ctx, c.FXRefresh, c.Sweep, recomputer.Wake) })
	group.Go(func() error { return auditor.run(ctx) })
	group.Go(func() error { return erased.Keep(ctx, store) })
	err = group.Wait()
	log.Info("processor stopped", "ran", time.Since(start).Round(time.Second))
	return err
}
