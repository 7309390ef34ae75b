package consume

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// A backlog in one partition comes in many small fetches, and is handled as one batch all the same.
func TestGathersABacklog(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(2, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.ManualFlushing(),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	write := func(records int, partition int32) {
		for range records {
			producer.Produce(t.Context(), &kgo.Record{Topic: "topic", Partition: partition, Value: []byte("x")},
				func(_ *kgo.Record, err error) {
					if err != nil {
						t.Error(err)
					}
				})
		}
		if err := producer.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	// When the client learns of the topic, it may send what waits before it is flushed: that is a
	// record of the other partition, which is deleted, so that each piece is one batch of Kafka.
	write(1, 1)
	if err := cluster.DeleteRecords("topic", 1, 1); err != nil {
		t.Fatal(err)
	}
	const pieces, piece = 8, 10
	for range pieces {
		write(piece, 0)
	}
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var batches []int
	c := &Consumer{
		Name: "reader", Topics: []string{"topic"}, Seeds: cluster.ListenAddrs(), MaxRecords: pieces * piece * 3 / 2,
		Gather: time.Hour, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
		Handle: func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
			batches = append(batches, len(records))
			stop()
			return nil
		},
		Options: []kgo.Opt{kgo.FetchMaxPartitionBytes(1)}, // one piece a fetch
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if len(batches) != 1 || batches[0] != pieces*piece {
		t.Errorf("batches of %v records, want one of %d", batches, pieces*piece)
	}
}

// kgo says once that records are lost or cannot be read. What it says while a poll waits for more
// records counts as what it says before.
func TestGathersErrors(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	if err := producer.ProduceSync(t.Context(), &kgo.Record{Value: []byte("x")}).FirstErr(); err != nil {
		t.Fatal(err)
	}
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		fetch := request.(*kmsg.FetchRequest)
		if fetch.Topics[0].Partitions[0].FetchOffset == 0 {
			return nil, nil, false
		}
		refused := fetch.ResponseKind().(*kmsg.FetchResponse)
		topic := kmsg.NewFetchResponseTopic()
		topic.Topic, topic.TopicID = fetch.Topics[0].Topic, fetch.Topics[0].TopicID
		partition := kmsg.NewFetchResponseTopicPartition()
		partition.ErrorCode = kerr.TopicAuthorizationFailed.Code
		topic.Partitions = append(topic.Partitions, partition)
		refused.Topics = append(refused.Topics, topic)
		return refused, nil, true
	})
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	c := &Consumer{
		Name: "reader", Topics: []string{"topic"}, Seeds: cluster.ListenAddrs(), MaxRecords: 30, Gather: time.Hour,
		Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
		Handle:  func(context.Context, []*kgo.Record, DeadLetter) error { stop(); return nil },
		Options: []kgo.Opt{kgo.DisableFetchSessions()},
	}
	if err := c.Run(ctx); err != nil {
		t.Fatal(err)
	}
	if err := c.Refused(); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("Kafka refused the second fetch: %v", err)
	}
}

// Records that all have one time are as many batches, one after the other.
func TestBatchesOfOneTime(t *testing.T) {
	p := kgo.FetchPartition{HighWatermark: 50}
	for i := range int64(50) {
		p.Records = append(p.Records, &kgo.Record{Offset: i, Timestamp: time.UnixMilli(1)})
	}
	fetches := kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "topic", Partitions: []kgo.FetchPartition{p}}}}}
	var sizes []int
	for batch := range (&Consumer{Gather: time.Hour, MaxRecords: 20}).batches(fetches) {
		sizes = append(sizes, len(batch))
	}
	if want := []int{17, 17, 16}; !slices.Equal(sizes, want) {
		t.Errorf("batches of %v records, want %v", sizes, want)
	}
}

// What is gathered is bounded by bytes, too: records may be large.
func TestGathersNoMoreThanABatch(t *testing.T) {
	fetched := func(records, size int) kgo.Fetches {
		p := kgo.FetchPartition{Records: make([]*kgo.Record, records)}
		for i := range p.Records {
			p.Records[i] = &kgo.Record{Value: make([]byte, size)}
		}
		return kgo.Fetches{{Topics: []kgo.FetchTopic{{Topic: "topic", Partitions: []kgo.FetchPartition{p}}}}}
	}
	c := &Consumer{Gather: time.Hour, MaxRecords: 1000, MaxBytes: 1000}
	for _, f := range []struct {
		records, size, last int
		want                bool
	}{{99, 10, 99, true}, {100, 10, 100, false}, {665, 0, 100, true}, {666, 0, 100, false}, {99, 10, 10, false}} {
		if got := c.gathers(fetched(f.records, f.size), f.last); got != f.want {
			t.Errorf("after %d records of %d bytes, %d of them last: %t", f.records, f.size, f.last, got)
		}
	}
}
