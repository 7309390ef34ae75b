package publish

import "github.com/prometheus/client_golang/prometheus"

// Reasons why Publish refuses. Each is a label value of ingest_publish_refused_total.
const (
	reasonStalled = "stalled"  // records in flight and no acknowledgement for StallAfter
	reasonFull    = "full"     // the buffer holds MaxBufferedRecords or MaxBufferedBytes
	reasonInDoubt = "in_doubt" // more than MaxInDoubt records of unknown fate
	reasonTimeout = "timeout"  // not acknowledged within Timeout
	reasonGone    = "gone"     // the caller's context ended first
	reasonFailed  = "failed"   // Kafka, or its client, said no
)

type metrics struct {
	acked    prometheus.Counter
	failed   prometheus.Counter
	refused  map[string]prometheus.Counter
	latency  prometheus.Histogram
	inFlight prometheus.GaugeFunc
	inDoubt  prometheus.GaugeFunc
	stalled  prometheus.GaugeFunc
}

func newMetrics(reg *prometheus.Registry, p *Publisher) *metrics {
	m := &metrics{
		acked: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingest_publish_acked_total", Help: "Records that Kafka acknowledged with acks=all."}),
		failed: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ingest_publish_failed_total", Help: "Records that Kafka or its client refused for good."}),
		refused: make(map[string]prometheus.Counter),
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ingest_publish_ack_seconds", Help: "From handing records over to the acknowledgement of the last of them.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}),
		inFlight: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_publish_in_flight_records", Help: "Records handed over and not yet acknowledged."},
			func() float64 { return float64(p.inFlight.Load()) }),
		inDoubt: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_publish_in_doubt_records", Help: "Records whose caller was answered 503 and which may still be stored."},
			func() float64 { return float64(p.inDoubt.Load()) }),
		stalled: prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ingest_publish_stalled", Help: "1 while new records are refused because Kafka acknowledges nothing."},
			func() float64 {
				if p.stalled.Load() {
					return 1
				}
				return 0
			}),
	}
	refused := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ingest_publish_refused_total", Help: "Calls that ended without an acknowledgement, by reason."}, []string{"reason"})
	for _, r := range []string{reasonStalled, reasonFull, reasonInDoubt, reasonTimeout, reasonGone, reasonFailed} {
		m.refused[r] = refused.WithLabelValues(r)
	}
	if reg != nil {
		reg.MustRegister(m.acked, m.failed, refused, m.latency, m.inFlight, m.inDoubt, m.stalled)
	}
	return m
}
