package fx

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"
)

// Metrics counts what an operator should know of the rates. A nil *Metrics counts nothing.
type Metrics struct {
	missing *prometheus.CounterVec
	failed  *prometheus.CounterVec
	held    *prometheus.GaugeVec
	open    *prometheus.GaugeVec
}

// NewMetrics registers the metrics of the rates.
func NewMetrics(registry prometheus.Registerer) *Metrics {
	factory := promauto.With(registry)
	return &Metrics{
		missing: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_fx_missing_total",
			Help: "Conversions for which there was no rate, by currency.",
		}, []string{"currency"}),
		failed: factory.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_fx_fetch_failures_total",
			Help: "Reads of a source of exchange rates that failed as a whole, by source.",
		}, []string{"source"}),
		held: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "processor_fx_held_back_rates",
			Help: "Exchange rates that are not used, because they are no numbers or not plausible, by source.",
		}, []string{"source"}),
		open: factory.NewGaugeVec(prometheus.GaugeOpts{
			Name: "processor_fx_unconverted_entries",
			Help: "Entries that are booked and have no exchange rate, by currency. Alert on it.",
		}, []string{"currency"}),
	}
}

func (m *Metrics) noRate(currency string) {
	if m != nil {
		m.missing.WithLabelValues(currency).Inc()
	}
}

func (m *Metrics) fetchFailed(source string) {
	if m != nil {
		m.failed.WithLabelValues(source).Inc()
	}
}

func (m *Metrics) heldBack(held []HeldBack) {
	if m == nil {
		return
	}
	m.held.Reset()
	for _, h := range held {
		m.held.WithLabelValues(h.Rate.Source).Inc()
	}
}

func (m *Metrics) unconverted(list []Unconverted) {
	if m == nil {
		return
	}
	m.open.Reset()
	for _, u := range list {
		m.open.WithLabelValues(u.Currency).Set(float64(u.Entries)) // a count, not money
	}
}
