// Package consume runs the processor's lanes: poll, handle, and only then commit.
package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// Handler does everything that a batch of records asks for and returns when ClickHouse has acknowledged it. Whatever it is
// given twice, in whatever order, it may do twice. It returns an error only when ctx ends, or clickhouse.ErrRejected when some record makes
// rows that can never be stored.
type Handler func(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error

// DeadLetter sets one record aside. It returns when Kafka has acknowledged that.
type DeadLetter func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error

// Consumer consumes some topics as one member of the consumer group. Clicks and money have a lane each, so that a sale never
// waits behind a backlog of clicks.
type Consumer struct {
	Name   string
	Topics []string
	Seeds  []string
	// Instance makes the membership static (KIP-345): a processor that comes back under its name within the session timeout
	// finds its partitions waiting. Empty: dynamic.
	Instance string
	// Rewind is how far before its committed offset a partition is read again on every assignment. Doing it again is free,
	// and it heals what a crashed server had acknowledged and lost.
	Rewind time.Duration
	// MaxRecords of one batch, and MaxBytes of their keys and values (0: as many). Both bound the memory that a batch takes, whatever is
	// waiting in Kafka.
	MaxRecords int
	MaxBytes   int
	// Deadline for a batch that is under way when the processor stops.
	Deadline time.Duration

	Handle  Handler
	Log     *slog.Logger
	Metrics *Metrics
	Options []kgo.Opt // for tests, and TLS and SASL

	mu    sync.Mutex
	marks map[partition]mark

	client   *kgo.Client
	hangUp   context.CancelFunc // ends whatever the client still asks Kafka
	assigned atomic.Int32
}

// Metrics of all lanes.
type Metrics struct {
	records     *prometheus.CounterVec
	deadLetters *prometheus.CounterVec
	batch       *prometheus.HistogramVec
	commits     *prometheus.CounterVec
}

// NewMetrics registers the lanes' metrics.
func NewMetrics(reg prometheus.Registerer) (*Metrics, error) {
	m := &Metrics{
		records:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "processor_consume_records_total", Help: "Records handled and acknowledged by ClickHouse, by lane and topic."}, []string{"lane", "topic"}),
		deadLetters: prometheus.NewCounterVec(prometheus.CounterOpts{Name: "processor_consume_dead_letters_total", Help: "Records set aside, by topic, step and reason."}, []string{"topic", "step", "reason"}),
		batch:       prometheus.NewHistogramVec(prometheus.HistogramOpts{Name: "processor_consume_batch_seconds", Help: "From poll to acknowledgement, by lane.", Buckets: prometheus.ExponentialBuckets(0.002, 2, 14)}, []string{"lane"}),
		commits:     prometheus.NewCounterVec(prometheus.CounterOpts{Name: "processor_consume_commits_total", Help: "Offset commits, by lane and result."}, []string{"lane", "result"}),
	}
	for _, c := range []prometheus.Collector{m.records, m.deadLetters, m.batch, m.commits} {
		if err := reg.Register(c); err != nil {
			return nil, fmt.Errorf("register metrics: %w", err)
		}
	}
	return m, nil
}

// Assigned tells whether the lane owns partitions.
func (l *Consumer) Assigned() bool { return l.assigned.Load() > 0 }

// Run consumes until ctx ends. The reading order of its loop is the guarantee: poll, handle (insert), then commit.
func (l *Consumer) Run(ctx context.Context) error {
	if err := l.open(); err != nil {
		return err
	}
	defer l.close()
	for {
		fetches := l.client.PollRecords(ctx, l.MaxRecords)
		if ctx.Err() != nil || fetches.IsClientClosed() {
			return nil
		}
		fetches.EachError(func(topic string, partition int32, err error) {
			if !errors.Is(err, context.Canceled) {
				l.Log.Warn("fetch", "lane", l.Name, "topic", topic, "partition", partition, "error", err)
			}
		})
		for records := range chunks(fetches.Records(), l.MaxBytes) {
			if err := l.batch(ctx, records); err != nil {
				return err
			}
			if ctx.Err() != nil {
				return nil // what is left is read again
			}
		}
		l.client.AllowRebalance()
	}
}

// farewell is how long Kafka may take to hear that the lane leaves. A coordinator that does not answer finds out by itself, when the
// session ends.
const farewell = 5 * time.Second

func (l *Consumer) close() {
	defer time.AfterFunc(farewell, l.hangUp).Stop()
	l.client.CloseAllowingRebalance() // Close would wait for a poll that never comes
}

// batch finishes what it began: under a context of its own, which ends only some time after the lane is told to stop. A
// batch that does not make it is not committed, and is done again by whoever comes next.
func (l *Consumer) batch(ctx context.Context, records []*kgo.Record) error {
	work, cancel := context.WithCancelCause(context.WithoutCancel(ctx))
	defer cancel(nil)
	stop := context.AfterFunc(ctx, func() {
		time.AfterFunc(l.Deadline, func() { cancel(errors.New("the processor stops")) })
	})
	defer stop()
	start := time.Now()
	if err := Isolate(work, records, l.Handle, l.deadLetter, l.Log); err != nil {
		if ctx.Err() != nil {
			l.Log.Warn("batch left undone; it will be read again", "lane", l.Name, "records", len(records), "error", err)
			return nil
		}
		return fmt.Errorf("handle batch of lane %s: %w", l.Name, err)
	}
	l.commit(work, records)
	l.Metrics.batch.WithLabelValues(l.Name).Observe(time.Since(start).Seconds())
	for _, r := range records {
		l.Metrics.records.WithLabelValues(l.Name, r.Topic).Inc()
	}
	return nil
}

// commit tells Kafka how far the lane is. A commit that fails costs nothing but work: the records are read again.
func (l *Consumer) commit(ctx context.Context, records []*kgo.Record) {
	earliest := make(map[partition]time.Time)
	for _, r := range records {
		p := partition{r.Topic, r.Partition}
		if e, ok := earliest[p]; !ok || r.Timestamp.Before(e) {
			earliest[p] = r.Timestamp
		}
	}
	marks := make(map[partition]string, len(earliest))
	for p, record := range earliest {
		marks[p] = strconv.FormatInt(l.advance(p, record).UnixMilli(), 10)
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				if mark, ok := marks[partition{req.Topics[i].Topic, p.Partition}]; ok {
					p.Metadata = kmsg.StringPtr(mark)
				}
			}
		}
		return nil
	})
	if err := l.client.CommitRecords(ctx, records...); err != nil {
		l.Metrics.commits.WithLabelValues(l.Name, "error").Inc()
		l.Log.Warn("commit; the records will be read again", "lane", l.Name, "error", err)
		return
	}
	l.Metrics.commits.WithLabelValues(l.Name, "ok").Inc()
}

func (l *Consumer) deadLetter(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
	letter := schemas.DeadLetterRecord(r, step, reason, cause)
	for {
		err := l.produce(ctx, letter)
		if err == nil {
			break
		}
		l.Log.Warn("write dead letter; trying again", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "error", err)
		select {
		case <-ctx.Done():
			return fmt.Errorf("write dead letter: %w", err)
		case <-time.After(time.Second):
		}
	}
	l.Metrics.deadLetters.WithLabelValues(r.Topic, step, reason).Inc()
	l.Log.Warn("record set aside", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset, "step", step, "reason", reason, "error", cause)
	return nil
}

// produce is ProduceSync that ends with ctx. ProduceSync waits for Kafka's answer for ever while it is in doubt whether the record was
// written; a letter that is written twice is one.
func (l *Consumer) produce(ctx context.Context, r *kgo.Record) error {
	done := make(chan error, 1)
	l.client.Produce(ctx, r, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Consumer) open() error {
	count := func(delta int32) func(context.Context, *kgo.Client, map[string][]int32) {
		return func(_ context.Context, _ *kgo.Client, m map[string][]int32) {
			for _, partitions := range m {
				l.assigned.Add(delta * int32(len(partitions)))
			}
		}
	}
	opts := []kgo.Opt{
		kgo.SeedBrokers(l.Seeds...),
		kgo.ConsumerGroup(schemas.ConsumerGroup),
		kgo.ConsumeTopics(l.Topics...),
		kgo.Balancers(wholeBalancer{kgo.CooperativeStickyBalancer()}),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AdjustFetchOffsetsFn(l.rewind),
		kgo.OnPartitionsAssigned(count(+1)),
		kgo.OnPartitionsRevoked(count(-1)),
		kgo.OnPartitionsLost(count(-1)),
		kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(time.Second),
		kgo.RebalanceTimeout(30 * time.Second),
		kgo.FetchMaxWait(250 * time.Millisecond),
		kgo.FetchMaxPartitionBytes(2 << 20), // compressed: some ten times as much in memory, once for each broker
		kgo.FetchMaxBytes(8 << 20),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerLinger(0),
	}
	if l.Instance != "" {
		opts = append(opts, kgo.InstanceID(l.Instance+"-"+l.Name))
	}
	line, hangUp := context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(append(opts, kgo.WithContext(line)), l.Options...)...)
	if err != nil {
		hangUp()
		return fmt.Errorf("open lane %s: %w", l.Name, err)
	}
	l.client, l.hangUp = client, hangUp
	return nil
}
