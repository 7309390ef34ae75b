package consume

import (
	"bytes"
	"context"
	"log/slog"
	"maps"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// Records that shrink to nothing in Kafka are fetched in pieces all the same, each record once, and
// Kafka is not said to refuse anything. Each partition comes first now and then, so that none waits
// for the backlog of others.
func TestFetchesWhatFitsIntoMemory(t *testing.T) {
	const partitions, records, size = 4, 40, 10_000
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("topic"),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	for i := range partitions * records {
		r := &kgo.Record{Partition: int32(i % partitions), Value: bytes.Repeat([]byte{'x'}, size)}
		if err := producer.ProduceSync(t.Context(), r).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	var mu sync.Mutex
	began := make(map[int32]bool)              // partitions that a request begins with
	orders := make(map[[partitions]int32]bool) // of requests, as if they began with the first partition
	cluster.ControlKey(int16(kmsg.Fetch), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		fetch := request.(*kmsg.FetchRequest)
		if fetch.SessionEpoch != -1 {
			t.Errorf("a fetch is of session %d: brokers answer in the session's order", fetch.SessionID)
		}
		mu.Lock()
		defer mu.Unlock()
		if len(fetch.Topics) == 0 || len(fetch.Topics[0].Partitions) < partitions {
			return nil, nil, false
		}
		var numbers [partitions]int32
		first := slices.IndexFunc(fetch.Topics[0].Partitions, func(p kmsg.FetchRequestTopicPartition) bool {
			return p.Partition == 0
		})
		for i := range numbers {
			numbers[i] = fetch.Topics[0].Partitions[(first+i)%partitions].Partition
		}
		began[fetch.Topics[0].Partitions[0].Partition], orders[numbers] = true, true
		return nil, nil, false
	})
	for name, gather := range map[string]time.Duration{"gathering": time.Millisecond, "as they come": 0} {
		t.Run(name, func(t *testing.T) {
			ctx, stop := context.WithCancel(t.Context())
			defer stop()
			var ahead int64
			seen := make(map[partition][]int64)
			c := &Consumer{
				Name: "reader", Group: name, Topics: []string{"topic"}, Seeds: cluster.ListenAddrs(),
				MaxRecords: records, MaxBytes: size, Gather: gather,
				Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
			}
			handled := 0
			c.Handle = func(_ context.Context, batch []*kgo.Record, _ DeadLetter) error {
				ahead = max(ahead, c.decompressor.ahead.Load())
				for _, r := range batch {
					key := partition{r.Topic, r.Partition}
					seen[key] = append(seen[key], r.Offset)
				}
				if handled += len(batch); handled >= partitions*records {
					stop()
				}
				return nil
			}
			if err := c.Run(ctx); err != nil {
				t.Fatal(err)
			}
			for key, offsets := range seen {
				for i, offset := range offsets {
					if offset != int64(i) {
						t.Fatalf("partition %v: offset %d was handled as number %d", key, offset, i)
					}
				}
			}
			if handled != partitions*records {
				t.Errorf("handled %d records, want %d", handled, partitions*records)
			}
			if limit := int64(size*fetchedAhead + size + 1000); ahead > limit {
				t.Errorf("%d bytes were fetched ahead, want at most %d", ahead, limit)
			}
			if err := c.Refused(); err != nil {
				t.Errorf("Kafka refused: %v", err)
			}
		})
	}
	mu.Lock()
	defer mu.Unlock()
	if len(began) != partitions || len(orders) < 2 {
		t.Errorf("requests begin with partitions %v only, in %d orders", slices.Sorted(maps.Keys(began)), len(orders))
	}
}
