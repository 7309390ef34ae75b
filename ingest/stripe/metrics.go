package stripe

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	accepted *prometheus.CounterVec
	rejected map[string]prometheus.Counter
	unlisted prometheus.Counter
	thin     prometheus.Counter
	dropped  prometheus.Counter
}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{
		// Not by type: types come from outside and grow without end.
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingest_stripe_accepted_total", Help: "Events answered with 200: stored."}, []string{"livemode"}),
		rejected: make(map[string]prometheus.Counter),
		unlisted: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingest_stripe_unlisted_total",
			Help: "Events stored of accounts that no workspace lists: their money is held. Alert on an increase."}),
		thin: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingest_stripe_thin_total",
			Help: "Thin events stored: they carry no object, which has to be fetched by --stripe-api-key."}),
		dropped: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingest_stripe_connections_dropped_total",
			Help: "Connections without a good signature that were closed for newer ones, as too many were open."}),
	}
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ingest_stripe_rejected_total",
		Help: "Requests refused, by the code that the sender was given."}, []string{"reason"})
	for _, f := range faults {
		m.rejected[f.code] = rejected.WithLabelValues(f.code)
	}
	if reg != nil {
		reg.MustRegister(m.accepted, rejected, m.unlisted, m.thin, m.dropped)
	}
	return m
}
