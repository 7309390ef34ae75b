package consume

import (
	"context"
	"log/slog"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
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
