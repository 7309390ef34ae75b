package publish

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tributary/ingest/publish/spool"
)

// Reasons why Kafka did not take records. Each is a label value of ingest_publish_refused_total.
const (
	reasonStalled = "stalled"  // records in flight and no acknowledgement for StallAfter
	reasonFull    = "full"     // the buffer holds MaxBufferedRecords or MaxBufferedBytes
	reasonInDoubt = "in_doubt" // more than MaxInDoubt records of unknown fate
	reasonTimeout = "timeout"  // not acknowledged within Timeout
	reasonGone    = "gone"     // the caller's context ended first
	reasonFailed  = "failed"   // Kafka, or its client, said no

	reasonUnacceptable = "unacceptable" // Kafka takes no such record, whenever it is sent
)

type metrics struct {
	failed  prometheus.Counter
	lost    prometheus.Counter
	refused map[string]prometheus.Counter
	latency prometheus.Histogram

	spooled            prometheus.Counter
	spoolDrained       prometheus.Counter
	spoolRefused       prometheus.Counter
	spoolUndeliverable prometheus.Counter
	spoolDamaged       prometheus.Counter
	spoolLatency       prometheus.Histogram
}

func newMetrics(reg *prometheus.Registry, p *Publisher) *metrics {
	with := registerer(reg)
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	gauge := func(name, help string, value func() float64) {
		with.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m := &metrics{
		failed: counter("ingest_publish_failed_total", "Refusals of records by Kafka or its client. One record may be refused several times."),
		lost: counter("ingest_publish_lost_total",
			"Records answered with success under --ack=enqueue that neither Kafka nor the spool took. Alert on any."),
		refused: make(map[string]prometheus.Counter),
		latency: with.NewHistogram(prometheus.HistogramOpts{
			Name:    "ingest_publish_ack_seconds",
			Help:    "From handing records over to the acknowledgement of the last of them.",
			Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}}),
	}
	with.NewCounterFunc(prometheus.CounterOpts{
		Name: "ingest_publish_acked_total", Help: "Records that Kafka acknowledged with acks=all."},
		func() float64 { return float64(p.acked.Load()) })
	gauge("ingest_publish_in_flight_records", "Records handed over and not yet acknowledged.",
		func() float64 { return float64(p.inFlight.Load()) })
	gauge("ingest_publish_in_doubt_records", "Records that nobody waits for any longer and that may still be stored.",
		func() float64 { return float64(p.inDoubt.Load()) })
	gauge("ingest_publish_stalled", "1 while Kafka is given no new records because it acknowledges nothing.",
		func() float64 {
			if p.stalled.Load() {
				return 1
			}
			return 0
		})
	refused := with.NewCounterVec(prometheus.CounterOpts{
		Name: "ingest_publish_refused_total",
		Help: "Requests that ended without Kafka's acknowledgement, by reason. With a spool they go there.",
	}, []string{"reason"})
	for _, r := range []string{
		reasonStalled, reasonFull, reasonInDoubt, reasonTimeout, reasonGone, reasonFailed, reasonUnacceptable,
	} {
		m.refused[r] = refused.WithLabelValues(r)
	}
	m.newSpoolMetrics(with)
	return m
}

func (m *metrics) newSpoolMetrics(with promauto.Factory) {
	counter := func(name, help string) prometheus.Counter {
		return with.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	m.spooled = counter("ingest_spool_records_total", "Records fsynced to the spool.")
	m.spoolDrained = counter("ingest_spool_drained_records_total", "Records of the spool that Kafka has acknowledged.")
	m.spoolRefused = counter("ingest_spool_refused_total",
		"Requests that neither Kafka nor the spool took. Their senders were answered 503. Alert on any.")
	m.spoolUndeliverable = counter("ingest_spool_undeliverable_records_total",
		"Records of the spool that Kafka will never take; their segment is kept as a .kept file. Alert on any.")
	m.spoolDamaged = counter("ingest_spool_damaged_bytes_total",
		"Bytes of the spool that the disk has changed; their segment is kept as a .kept file. Alert on any.")
	m.spoolLatency = with.NewHistogram(prometheus.HistogramOpts{
		Name: "ingest_spool_fsync_seconds", Help: "From handing records to the spool to the end of their fsync.",
		Buckets: []float64{.0005, .001, .0025, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5}})
}

// registerer makes metrics that are registered, or only kept when reg is nil.
func registerer(reg *prometheus.Registry) promauto.Factory {
	if reg == nil { // as an interface it would not be nil
		return promauto.With(nil)
	}
	return promauto.With(reg)
}

// registerSpool shows the spool's state.
func (m *metrics) registerSpool(reg *prometheus.Registry, s *spool.Spool) {
	with := registerer(reg)
	gauge := func(name, help string, value func(spool.Usage) float64) {
		with.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 {
			u, _ := s.Usage() // the reason why it takes nothing is shown by ready
			return value(u)
		})
	}
	gauge("ingest_spool_bytes", "Bytes of the spool's files.", func(u spool.Usage) float64 { return float64(u.Bytes) })
	gauge("ingest_spool_room_bytes", "Bytes that the spool can still take, by its limit and by its disk.",
		func(u spool.Usage) float64 { return float64(u.Room) })
	gauge("ingest_spool_oldest_seconds", "Age of the oldest records in the spool; 0 when it is empty.",
		func(u spool.Usage) float64 {
			if u.Oldest.IsZero() {
				return 0
			}
			return time.Since(u.Oldest).Seconds()
		})
}
