package stripe

import "github.com/prometheus/client_golang/prometheus"

type metrics struct {
	accepted *prometheus.CounterVec
	rejected map[string]prometheus.Counter
}

func newMetrics(reg *prometheus.Registry) *metrics {
	m := &metrics{
		// Not by type: types come from outside and grow without end.
		accepted: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "ingest_stripe_accepted_total", Help: "Events answered with 200: stored."}, []string{"livemode"}),
		rejected: make(map[string]prometheus.Counter),
	}
	rejected := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ingest_stripe_rejected_total", Help: "Requests refused, by the code the sender was told."}, []string{"reason"})
	for _, f := range faults {
		m.rejected[f.code] = rejected.WithLabelValues(f.code)
	}
	if reg != nil {
		reg.MustRegister(m.accepted, rejected)
	}
	return m
}
