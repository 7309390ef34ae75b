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
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// Handler does everything that a batch of records asks for and returns when ClickHouse has acknowledged it. Whatever it is
// given twice, in whatever order, it may do twice. It returns an error only when ctx ends, or load.ErrRejected when some record makes
// rows that can never be stored.
type Handler func(ctx context.Context, records []*kgo.Record, deadLetter DeadLetter) error

// DeadLetter sets one record aside. It returns when Kafka has acknowledged that.
type DeadLetter func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error

// Lane consumes some topics as one member of the consumer group. Clicks and money have a lane each, so that a sale never
// waits behind a backlog of clicks.
type Lane struct {
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
	marks map[string]map[int32]mark // by topic and partition

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
func (l *Lane) Assigned() bool { return l.assigned.Load() > 0 }

// Run consumes until ctx ends. The reading order of its loop is the guarantee: poll, handle (insert), then commit.
func (l *Lane) Run(ctx context.Context) error {
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

func (l *Lane) close() {
	defer time.AfterFunc(farewell, l.hangUp).Stop()
	l.client.CloseAllowingRebalance() // Close would wait for a poll that never comes
}

// batch finishes what it began: under a context of its own, which ends only some time after the lane is told to stop. A
// batch that does not make it is not committed, and is done again by whoever comes next.
func (l *Lane) batch(ctx context.Context, records []*kgo.Record) error {
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

// mark is the time from which the next owner of a partition measures its rewind, and when it was set, by our own clock. It is the time
// of the records, as the doors' clocks had it.
type mark struct {
	record time.Time
	set    time.Time
}

// advance moves the mark of a partition to the earliest record of a batch, and gives it. A time that leaps by more than the rewind is a
// door's clock that was set, or a quiet night; only after a rewind's time it is taken. Walk through it: the clock leaps by an hour, one
// record of the new time is committed, ClickHouse crashes and has lost its last rows. Measured from that record, the rewind would not
// reach them.
func (l *Lane) advance(topic string, partition int32, record time.Time) time.Time {
	l.mu.Lock()
	defer l.mu.Unlock()
	old, known := l.marks[topic][partition]
	if known && record.Sub(old.record) > l.Rewind && time.Since(old.set) < l.Rewind {
		return old.record
	}
	l.setMark(topic, partition, record)
	return record
}

func (l *Lane) setMark(topic string, partition int32, record time.Time) {
	if l.marks == nil {
		l.marks = make(map[string]map[int32]mark)
	}
	if l.marks[topic] == nil {
		l.marks[topic] = make(map[int32]mark)
	}
	l.marks[topic][partition] = mark{record: record, set: time.Now()}
}

// commit tells Kafka how far the lane is. A commit that fails costs nothing but work: the records are read again.
func (l *Lane) commit(ctx context.Context, records []*kgo.Record) {
	earliest := make(map[string]map[int32]time.Time)
	for _, r := range records {
		if earliest[r.Topic] == nil {
			earliest[r.Topic] = make(map[int32]time.Time)
		}
		if e, ok := earliest[r.Topic][r.Partition]; !ok || r.Timestamp.Before(e) {
			earliest[r.Topic][r.Partition] = r.Timestamp
		}
	}
	marks := make(map[string]map[int32]string)
	for topic, partitions := range earliest {
		marks[topic] = make(map[int32]string)
		for partition, record := range partitions {
			marks[topic][partition] = strconv.FormatInt(l.advance(topic, partition, record).UnixMilli(), 10)
		}
	}
	ctx, cancel := context.WithTimeout(ctx, 10*time.Second)
	defer cancel()
	ctx = kgo.PreCommitFnContext(ctx, func(req *kmsg.OffsetCommitRequest) error {
		for i := range req.Topics {
			for j := range req.Topics[i].Partitions {
				p := &req.Topics[i].Partitions[j]
				if mark, ok := marks[req.Topics[i].Topic][p.Partition]; ok {
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

func (l *Lane) deadLetter(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
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
func (l *Lane) produce(ctx context.Context, r *kgo.Record) error {
	done := make(chan error, 1)
	l.client.Produce(ctx, r, func(_ *kgo.Record, err error) { done <- err })
	select {
	case err := <-done:
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

func (l *Lane) open() error {
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

// rewind moves each newly assigned partition back by the configured stretch before the time of its last committed record. It asks
// until Kafka has answered for every partition: one that began at its committed offset would keep what a crashed server had lost of it
// lost. kgo waits as long, beats on, and ends ctx when the assignment is over.
func (l *Lane) rewind(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (map[string]map[int32]kgo.Offset, error) {
	for l.Rewind > 0 {
		err := l.back(ctx, offsets)
		if err == nil {
			break
		}
		l.Log.Warn("find where to begin; trying again", "lane", l.Name, "error", err)
		select {
		case <-ctx.Done():
			return nil, err
		case <-time.After(500 * time.Millisecond):
		}
	}
	return offsets, nil
}

func (l *Lane) back(ctx context.Context, offsets map[string]map[int32]kgo.Offset) error {
	adm := kadm.NewClient(l.client)
	committed, err := adm.FetchOffsets(ctx, schemas.ConsumerGroup)
	if err != nil {
		return fmt.Errorf("read committed offsets: %w", err)
	}
	for topic, partitions := range offsets {
		for partition := range partitions {
			c, ok := committed.Lookup(topic, partition)
			if ok && c.Err != nil {
				return fmt.Errorf("read committed offset of %s/%d: %w", topic, partition, c.Err)
			}
			if !ok || c.At < 0 {
				continue
			}
			at, err := strconv.ParseInt(c.Metadata, 10, 64)
			if err != nil {
				continue // committed by another program; begin there
			}
			l.mu.Lock()
			l.setMark(topic, partition, time.UnixMilli(at))
			l.mu.Unlock()
			listed, err := adm.ListOffsetsAfterMilli(ctx, at-l.Rewind.Milliseconds(), topic)
			if err != nil {
				return fmt.Errorf("find offset before %s/%d: %w", topic, partition, err)
			}
			back, ok := listed.Lookup(topic, partition)
			switch {
			case !ok:
				return fmt.Errorf("find offset before %s/%d: Kafka said nothing of it", topic, partition)
			case back.Err != nil:
				return fmt.Errorf("find offset before %s/%d: %w", topic, partition, back.Err)
			case back.Offset >= 0 && back.Offset < c.At:
				partitions[partition] = kgo.NewOffset().At(back.Offset)
			}
		}
	}
	return nil
}
