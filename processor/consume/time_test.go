package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// fetchesOf are records of so many partitions in several fetches. Each partition has its own pace;
// late is how far a record's time may be before that of the one before it.
func fetchesOf(rng *rand.Rand, partitions int, late time.Duration) kgo.Fetches {
	fetches := make(kgo.Fetches, 3)
	for n := range partitions {
		at, offset := time.Unix(1_700_000_000, 0), int64(0)
		for i := range fetches {
			p := kgo.FetchPartition{Partition: int32(n)}
			for range rng.IntN(200) {
				at = at.Add(time.Duration(rng.Int64N(int64(n+1) * int64(time.Millisecond))))
				p.Records = append(p.Records, &kgo.Record{Topic: "topic", Partition: int32(n), Offset: offset,
					Timestamp: at.Add(-time.Duration(rng.Int64N(int64(late) + 1)))})
				offset++
			}
			if n == 0 {
				fetches[i].Topics = []kgo.FetchTopic{{Topic: "topic"}}
			}
			fetches[i].Topics[0].Partitions = append(fetches[i].Topics[0].Partitions, p)
		}
	}
	return fetches
}

// Batches by time have all records once, those of a partition in their order whatever their times.
func TestByTimeKeepsOrder(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 1))
		fetches := fetchesOf(rng, 1+rng.IntN(12), time.Duration(rng.IntN(3))*200*time.Millisecond)
		next, batches := make(map[int32]int64), 0
		most := 1 + rng.IntN(7)
		for batch := range byTime(fetches, most) {
			batches++
			for _, r := range batch {
				if r.Offset != next[r.Partition] {
					t.Fatalf("seed %d: offset %d of partition %d follows %d", seed, r.Offset, r.Partition, next[r.Partition]-1)
				}
				next[r.Partition]++
			}
		}
		all := 0
		for _, n := range next {
			all += int(n)
		}
		if all != fetches.NumRecords() || batches > most {
			t.Fatalf("seed %d: %d records in %d batches, want %d in at most %d", seed, all, batches, fetches.NumRecords(), most)
		}
	}
}

// Where the times of partitions are in order, batches have no time in common, and are of one size
// but for records of one time.
func TestByTimeSeparatesTimes(t *testing.T) {
	for seed := range uint64(300) {
		rng := rand.New(rand.NewPCG(seed, 2))
		fetches := fetchesOf(rng, 1+rng.IntN(12), 0)
		var last time.Time
		same := make(map[int64]int)
		fetches.EachRecord(func(r *kgo.Record) { same[r.Timestamp.UnixMilli()]++ })
		for batch := range byTime(fetches, 3) {
			times := make([]time.Time, len(batch))
			for i, r := range batch {
				times[i] = r.Timestamp
			}
			first := slices.MinFunc(times, time.Time.Compare)
			if first.UnixMilli() <= last.UnixMilli() && !last.IsZero() {
				t.Fatalf("seed %d: a batch begins at %s, the one before it ends at %s", seed, first, last)
			}
			last = slices.MaxFunc(times, time.Time.Compare)
			if most := fetches.NumRecords()/3 + 2*slices.Max(slices.Collect(maps.Values(same))); len(batch) > most {
				t.Fatalf("seed %d: %d of %d records in one batch", seed, len(batch), fetches.NumRecords())
			}
		}
	}
}

// A poll of a backlog is several batches. What was stored before one fails is committed, what
// follows is read again, and nothing is left out.
func TestBatchesByTimeAreCommittedOneByOne(t *testing.T) {
	const records, most = 90, 20
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, "topic"))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...),
		kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	begin := time.Now().Add(-time.Hour)
	for p := range int32(3) {
		var some []*kgo.Record
		for n := range records / 3 {
			some = append(some, &kgo.Record{Topic: "topic", Partition: p, Value: fmt.Append(nil, p, " ", n),
				Timestamp: begin.Add(time.Duration(n) * time.Second)})
		}
		if err := producer.ProduceSync(t.Context(), some...).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	stored, again, fault := make(map[string]bool), 0, errors.New("no ClickHouse")
	run := func(fails int) (batches int, err error) {
		ctx, stop := context.WithCancel(t.Context())
		defer stop()
		c := &Consumer{
			Name: "reader", Topics: []string{"topic"}, Seeds: cluster.ListenAddrs(), MaxRecords: most, Gather: time.Second,
			Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
			Handle: func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
				if batches++; batches == fails {
					return fault
				}
				for _, r := range records {
					if stored[string(r.Value)] {
						again++
					}
					stored[string(r.Value)] = true
				}
				if len(stored) == 90 {
					stop()
				}
				return nil
			},
		}
		err = c.Run(ctx)
		return batches, err
	}
	if batches, err := run(3); !errors.Is(err, fault) || len(stored) == 0 || len(stored) > 2*most {
		t.Fatalf("%d batches, %d records stored: %v", batches, len(stored), err)
	}
	if batches, err := run(0); err != nil || len(stored) != records || again > 0 {
		t.Errorf("%d batches, %d records stored, %d of them again: %v", batches, len(stored), again, err)
	}
}
