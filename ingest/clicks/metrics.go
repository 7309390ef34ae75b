package clicks

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	accepted      prometheus.Counter
	leads         prometheus.Counter
	movements     prometheus.Counter
	rejected      map[string]prometheus.Counter // by fault.code
	unknownFields prometheus.Counter
	clamped       prometheus.Counter
	foreign       prometheus.Counter
	connsRefused  prometheus.Counter
	connsDropped  prometheus.Counter
}

func newMetrics(reg *prometheus.Registry, open func() float64) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m := &metrics{
		accepted:  counter("ingest_clicks_accepted_total", "Clicks answered with success: stored."),
		leads:     counter("ingest_clicks_leads_accepted_total", "Leads answered with success: stored."),
		movements: counter("ingest_clicks_movements_accepted_total", "Movements of money answered with success: stored."),
		rejected:  make(map[string]prometheus.Counter),
		unknownFields: counter("ingest_clicks_unknown_fields_total",
			"Fields of accepted events that have no meaning here; they were ignored."),
		clamped: counter("ingest_clicks_clamped_total",
			"Clicks whose time lay outside the tolerance around receipt and was moved to its edge."),
		foreign: counter("ingest_clicks_foreign_ids_total",
			"Clicks that came with an id of the site's own, kept as an alias."),
		connsRefused: counter("ingest_clicks_connections_refused_total",
			"Connections closed at once because their address had too many."),
		connsDropped: counter("ingest_clicks_connections_dropped_total",
			"Connections closed since too many were open or memory was scarce; the last answer on them was long ago."),
	}
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ingest_clicks_rejected_total", Help: "Events refused, by the code of the answer. " +
			"A batch that is refused before it has been read counts as one."},
		[]string{"reason"})
	for _, f := range faults {
		m.rejected[f.code] = rejected.WithLabelValues(f.code)
	}
	if reg != nil {
		reg.MustRegister(m.accepted, m.leads, m.movements, rejected, m.unknownFields, m.clamped, m.foreign, m.connsRefused,
			m.connsDropped,
			prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "ingest_clicks_open_connections",
				Help: "Connections of the edge."}, open))
	}
	return m
}
