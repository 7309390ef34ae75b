package main

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse"
	"tributary/processor/fx"
)

// rates keeps the table of exchange rates that the join converts by. What was fetched is stored first and then read back, so
// that a conversion only ever uses a rate that is kept: replaying with the same stored rates gives the same bytes.
type rates struct {
	store      *clickhouse.Store
	sources    []fx.Source
	exponents  fx.Exponents
	log        *slog.Logger
	table      atomic.Pointer[fx.Table]
	missing    *prometheus.CounterVec
	storedOnly bool   // the sources only say their order of preference
	arrived    func() // called when rates came that were not there before; may be nil
}

func newRates(store *clickhouse.Store, sources []fx.Source, ugxExponent int, log *slog.Logger) *rates {
	return &rates{
		store: store, sources: sources, exponents: fx.StripeExponents().WithUGX(ugxExponent), log: log,
		missing: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "processor_fx_missing_total", Help: "Conversions for which there was no rate, by currency."}, []string{"currency"}),
	}
}

// Convert implements ledger.Rates.
func (r *rates) Convert(currency string, at time.Time) (fx.Quote, int, bool) {
	exponent, known := r.exponents.Of(currency)
	if !known {
		r.missing.WithLabelValues("unknown").Inc()
		return fx.Quote{}, 0, false
	}
	quote, ok := r.table.Load().Lookup(currency, fx.DateOf(at))
	if !ok {
		r.missing.WithLabelValues(currency).Inc()
	}
	return quote, exponent, ok
}

// load fetches every source, stores what is new, and makes the table of all that is stored. A source that cannot be read is
// said and left for the next time; what it gave before still counts.
func (r *rates) load(ctx context.Context) error {
	stored, err := r.store.Rates(ctx)
	if err != nil {
		return err
	}
	type key struct {
		currency, source string
		date             fx.Date
	}
	known := make(map[key]fx.Rate, len(stored))
	for _, rate := range stored {
		known[key{rate.Currency, rate.Source, rate.Date}] = rate
	}
	news := false
	for _, source := range r.sources {
		if r.storedOnly {
			break
		}
		fetched, err := source.Fetch(ctx)
		if err != nil {
			r.log.Warn("exchange rates not read; what is stored still counts", "source", source.Name(), "error", err)
			continue
		}
		fresh := slices.DeleteFunc(fetched, func(rate fx.Rate) bool {
			old, ok := known[key{rate.Currency, rate.Source, rate.Date}]
			return ok && old.USD.Equal(rate.USD) && old.Open() == rate.Open()
		})
		if len(fresh) == 0 {
			continue
		}
		if err := r.store.InsertRates(ctx, fresh); err != nil {
			return err
		}
		news = true
		r.log.Info("exchange rates stored", "source", source.Name(), "rates", len(fresh))
		for _, rate := range fresh {
			known[key{rate.Currency, rate.Source, rate.Date}] = rate
		}
	}
	bySource := make(map[string][]fx.Rate)
	for _, rate := range known {
		bySource[rate.Source] = append(bySource[rate.Source], rate)
	}
	// Preference is the order of --fx-source; what only earlier runs had comes last, by name.
	var order []string
	for _, source := range r.sources {
		order = append(order, source.Name())
	}
	rest := make([]string, 0, len(bySource))
	for name := range bySource {
		if !slices.Contains(order, name) {
			rest = append(rest, name)
		}
	}
	slices.Sort(rest)
	var lists [][]fx.Rate
	for _, name := range append(order, rest...) {
		if len(bySource[name]) > 0 {
			lists = append(lists, bySource[name])
		}
	}
	table, err := fx.NewTable(lists, fx.Options{})
	if err != nil {
		return fmt.Errorf("build table of exchange rates: %w", err)
	}
	for _, h := range table.HeldBack() {
		r.log.Warn("exchange rate held back", "rate", h.String())
	}
	first := r.table.Swap(table) == nil
	if news && !first && r.arrived != nil {
		r.arrived()
	}
	return nil
}

// refresh loads again every interval until ctx ends.
func (r *rates) refresh(ctx context.Context, every time.Duration) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		if err := r.load(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
}
