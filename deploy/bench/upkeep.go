package main

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/audit"
	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/processor/fx"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/schemas"
	"tributary/sql"
)

// upkeep measures what a processor does over the whole ledger although nothing comes in, once each:
// the sweep, the counting and the audit. Of each it prints the CPU that it takes of engine and
// program together, and the share of a core when it is done as often as processor run does it.
type upkeep struct {
	Entries uint64 `default:"10000000" help:"How many entries the ledger has; one in ten has two versions."`
	Data    string `placeholder:"DIR" help:"Keep the ledger here, and use the one that is here. Without it it is made in a temporary folder and deleted."`
}

// Run prints a line for each.
func (u *upkeep) Run(ctx context.Context) error {
	base, dir, remove, err := engineIn(u.Data)
	if err != nil {
		return err
	}
	defer remove()
	if err := u.prepare(ctx, base, dir); err != nil {
		return err
	}
	live, err := openPatient(base + "/bench")
	if err != nil {
		return err
	}
	defer live.Close()
	checks, err := u.audit(ctx, base, live)
	if err != nil {
		return err
	}
	total := 0.0
	for _, work := range []struct {
		name  string
		pause func(took time.Duration) time.Duration // until processor run does it again
		do    func() error
	}{
		{"sweep", clickhouse.ScanPause, func() error {
			_, err := live.Unfinished(ctx, untilDay.AddDate(0, -3, 0), 50_000)
			return err
		}},
		{"counting", clickhouse.ScanPause, func() error {
			_, err := live.Outstanding(ctx)
			return err
		}},
		{"audit", func(took time.Duration) time.Duration { return audit.Pause(time.Hour, took) }, func() error {
			report, err := checks.Run(ctx, time.Now().Add(-2*time.Hour))
			if err == nil && len(report.Findings) > 0 {
				err = fmt.Errorf("the audit finds %d differences in a ledger that has none", len(report.Findings))
			}
			return err
		}},
	} {
		began, used := time.Now(), ownCPU()
		if err := work.do(); err != nil {
			return fmt.Errorf("%s: %w", work.name, err)
		}
		took, cpu := time.Since(began), ownCPU()-used
		// One thread does it, so on an idle machine it takes as long as its CPU.
		share := cpu.Seconds() / (cpu + work.pause(cpu)).Seconds()
		total += share
		fmt.Printf("%s: %.1f s of CPU in %.1f s, at most %.2f %% of a core\n", work.name, cpu.Seconds(), took.Seconds(),
			100*share)
	}
	fmt.Printf("together at most %.2f %% of a core at %d entries\n", 100*total, u.Entries)
	return nil
}

// openPatient opens a database as the audit does that nobody waits for.
func openPatient(address string) (*clickhouse.Store, error) {
	return clickhouse.Open(address+"?max_threads=1&read_timeout=1h", slog.New(slog.DiscardHandler),
		prometheus.NewRegistry())
}

// prepare makes the ledger, unless the folder has it.
func (u *upkeep) prepare(ctx context.Context, base, dir string) error {
	db, err := openBench(ctx, base, "bench")
	if err != nil {
		return err
	}
	defer db.Close()
	if err := sql.Migrate(ctx, db, func(string) {}); err != nil {
		return err
	}
	var entries uint64
	if err := db.QueryRowContext(ctx, "SELECT uniq(entry_id) FROM ledger").Scan(&entries); err != nil {
		return err
	}
	if entries > u.Entries*9/10 {
		return nil
	}
	text, err := histories.ReadFile("history/ledger.sql")
	if err != nil {
		return err
	}
	clicks := u.Entries * 10
	for first := uint64(0); first < clicks; first += 10 * chunk {
		_, err := ask(ctx, base, string(text), url.Values{
			"param_total": {fmt.Sprint(clicks)}, "param_first": {fmt.Sprint(first)},
			"param_count": {fmt.Sprint(min(10*chunk, clicks-first))}, "param_until": {untilDay.Format(time.DateTime)},
			"param_few": {"false"},
		})
		if err != nil {
			return fmt.Errorf("make the ledger: %w", err)
		}
	}
	return nil
}

// audit makes an audit of the raw events, of which there are none, and of the derived tables.
func (u *upkeep) audit(ctx context.Context, base string, live *clickhouse.Store) (*audit.Audit, error) {
	db, err := openBench(ctx, base, "bench_audit")
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if err := sql.Migrate(ctx, db, func(string) {}); err != nil {
		return nil, err
	}
	shadow, err := openPatient(base + "/bench_audit")
	if err != nil {
		return nil, err
	}
	log := slog.New(slog.DiscardHandler)
	rates := fx.NewLive(live, nil, fx.StripeExponents(), log, nil)
	return &audit.Audit{
		Live: live, Shadow: shadow, ShadowDB: "bench_audit", Batch: 1000, Log: log,
		Handlers: func(_ context.Context, store recompute.Store, now func() time.Time) (*replay.Handlers, error) {
			r := recompute.New(recompute.Config{Store: store, Rates: rates, Log: log, Now: now})
			return &replay.Handlers{Recomputer: r, Clicks: &consume.Clicks{Store: store, Recomputer: r},
				Payments: &consume.Payments{Store: store, Recomputer: r, Events: consume.NewEventsMetric(),
					Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}}, nil
		},
	}, nil
}
