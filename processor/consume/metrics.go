package consume

import (
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tributary/schemas"
)

// Metrics of all consumers.
type Metrics struct {
	records     *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	batch       *prometheus.HistogramVec
	commits     *prometheus.CounterVec
	refusals    *prometheus.CounterVec
	lag         *prometheus.GaugeVec
	newest      *prometheus.GaugeVec
	missing     *prometheus.CounterVec
}

// NewMetrics registers the consumers' metrics.
func NewMetrics(reg prometheus.Registerer) *Metrics {
	auto := promauto.With(reg)
	m := &Metrics{
		records: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_consume_records_total",
			Help: "Records handled and acknowledged by ClickHouse, by consumer and topic.",
		}, []string{"consumer", "topic"}),
		deadLetters: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_consume_dead_letters_total",
			Help: "Records set aside, by topic, step and reason.",
		}, []string{"topic", "step", "reason"}),
		batch: auto.NewHistogramVec(prometheus.HistogramOpts{
			Name:    "processor_consume_batch_seconds",
			Help:    "From poll to acknowledgement, by consumer.",
			Buckets: prometheus.ExponentialBuckets(0.002, 2, 14),
		}, []string{"consumer"}),
		commits: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_consume_commits_total",
			Help: "Offset commits, by consumer and result.",
		}, []string{"consumer", "result"}),
		refusals: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_consume_refusals_total",
			Help: "Errors instead of records, by consumer and reason: authentication, authorization, topic, " +
				"broker, tls or connection. What Kafka's client tries again by itself is among them when it lasts.",
		}, []string{"consumer", "reason"}),
		lag: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "processor_consume_lag_records",
			Help: "Records that were in Kafka at the last fetch and are not handled, by consumer, topic and partition.",
		}, []string{"consumer", "topic", "partition"}),
		newest: auto.NewGaugeVec(prometheus.GaugeOpts{
			Name: "processor_consume_newest_record_timestamp_seconds",
			Help: "Kafka's time of the newest record that is handled, by consumer and topic. " +
				"Its age is the delay while processor_consume_lag_records is above 0.",
		}, []string{"consumer", "topic"}),
		missing: auto.NewCounterVec(prometheus.CounterOpts{
			Name: "processor_consume_missing_records_total",
			Help: "Offsets that Kafka no longer had when they were to be read, by topic and reason. Alert on any; the " +
				"dead letters of step fetch name the ranges.",
		}, []string{"topic", "reason"}),
	}
	// A counter that begins with the first dead letter cannot be distinguished from one that stands
	// still.
	for _, topic := range []string{schemas.TopicClicks, schemas.TopicLeads, schemas.TopicStripe} {
		m.deadLetters.WithLabelValues(topic, "decode", "unreadable")
		m.deadLetters.WithLabelValues(topic, "load", "rejected")
	}
	for _, topic := range append(PaymentTopics, ClickTopics...) {
		m.missing.WithLabelValues(topic, LostUnread)
		m.missing.WithLabelValues(topic, LostEnd)
	}
	m.deadLetters.WithLabelValues(schemas.TopicStripe, "workspace", "unlisted_account")
	m.deadLetters.WithLabelValues(schemas.TopicStripe, "fetch", ThinReason)
	return m
}
