package recompute

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse"
)

// sweepLimit is the number of sales that one pass recomputes at most. While there are more, up to
// sweepPasses passes follow each other.
const (
	sweepLimit  = 50_000
	sweepPasses = 40
)

// Wake starts a pass of Sweep and of RestateRates at once, because rates have arrived.
func (r *Recomputer) Wake() {
	for _, woken := range []chan struct{}{r.woken, r.rates} {
		select {
		case woken <- struct{}{}:
		default: // it is awake already
		}
	}
}

// Sweep recomputes, from time to time, what may have become better without a new record: a rate
// that arrived, or a click for a sale that names it. It returns when ctx ends.
func (r *Recomputer) Sweep(ctx context.Context, every time.Duration) error {
	const recent = time.Hour
	var wide, counted time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.woken:
		case <-time.After(every):
		}
		if r.cfg.Elected != nil && !r.cfg.Elected() {
			if r.cfg.Open != nil {
				r.cfg.Open.Reset() // another processor counts: an old count here would never become less
			}
			counted = time.Time{}
			continue
		}
		since := r.cfg.Now().Add(-recent)
		if r.cfg.Now().Sub(wide) > 10*time.Minute {
			wide, since = r.cfg.Now(), r.cfg.Now().AddDate(0, -3, 0)
		}
		err := repeat(func() (int, error) { return r.SweepOnce(ctx, since) })
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("sweep ledger: %w", err)
		}
		if r.cfg.Open != nil && r.cfg.Now().Sub(counted) > time.Minute {
			counted = r.cfg.Now()
			if err := r.count(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("count what the ledger lacks: %w", err)
			}
		}
	}
}

// RestateRates recomputes the sales whose rate was revised, when rates have arrived. It looks from
// time to time too, because whoever was elected when they arrived may have died. It returns when
// ctx ends.
func (r *Recomputer) RestateRates(ctx context.Context) error {
	const every = 10 * time.Minute
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.rates:
		case <-time.After(every):
		}
		if r.cfg.Elected != nil && !r.cfg.Elected() {
			continue
		}
		err := repeat(func() (int, error) { return r.restate(ctx) })
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("convert by revised rates: %w", err)
		}
	}
}

// repeat repeats a pass while there is more.
func repeat(pass func() (int, error)) error {
	for range sweepPasses {
		if seen, err := pass(); err != nil || seen < sweepLimit {
			return err
		}
	}
	return nil
}

// NewOpenMetric makes the gauge for Config.Open.
func NewOpenMetric() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "processor_ledger_open_entries",
		Help: "Entries that lack something: rate (no exchange rate for their day, in no sum in USD), click (they name one " +
			"that is not known), link (so many payments of their buyer lie near them that none is taken for an " +
			"invoice's). Alert on rate."}, []string{"lacks"})
}

func (r *Recomputer) count(ctx context.Context) error {
	o, err := r.cfg.Store.Outstanding(ctx)
	if err != nil {
		return err
	}
	r.cfg.Open.WithLabelValues("rate").Set(float64(o.Unconverted))
	r.cfg.Open.WithLabelValues("link").Set(float64(o.Crowded))
	r.cfg.Open.WithLabelValues("click").Set(float64(o.Waiting))
	return nil
}

// SweepOnce recomputes those sales received after since that have no exchange rate, or none that is
// final, or that are credited to nobody although they name a candidate. It returns how many sales
// it recomputed.
func (r *Recomputer) SweepOnce(ctx context.Context, since time.Time) (int, error) {
	sales, err := r.cfg.Store.Unfinished(ctx, since, sweepLimit)
	if err != nil {
		return 0, err
	}
	return len(sales), r.recomputeSwept(ctx, sales)
}

// restate recomputes the sales whose rate was revised after they were booked: a corrected one, or
// one that came after a later day's. It returns how many sales it recomputed.
func (r *Recomputer) restate(ctx context.Context) (int, error) {
	sales, err := r.cfg.Store.Outdated(ctx, func(currency string, day time.Time) int64 {
		quote, _, _ := r.cfg.Rates.Convert(currency, day)
		return quote.RevisedAt.Unix()
	}, sweepLimit)
	if err != nil {
		return 0, err
	}
	if len(sales) > 0 {
		r.cfg.Log.Info("exchange rates were revised: sales are converted again", "sales", len(sales))
	}
	return len(sales), r.recomputeSwept(ctx, sales)
}

func (r *Recomputer) recomputeSwept(ctx context.Context, sales []clickhouse.Sale) error {
	switch err := r.RecomputeSales(ctx, sales); {
	case errors.Is(err, clickhouse.ErrRejected): // the record was set aside when it was consumed; nothing here is new
		r.cfg.Log.Warn("some unfinished sales make rows that ClickHouse cannot take", "error", err)
	case err != nil:
		return err
	}
	return nil
}
