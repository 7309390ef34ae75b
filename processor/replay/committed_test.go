package replay_test

import (
	"bytes"
	"log/slog"
	"maps"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/replay"
	"tributary/schemas"
)

// Before a processor has committed, and of partitions of which it has not, an audit knows where to
// begin to read what may be stored all the same; and one broker that is away of those that are
// named is no reason not to know it.
func TestCommitted(t *testing.T) {
	t.Parallel()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, schemas.TopicClicks),
		kfake.SeedTopics(1, schemas.TopicLeads, schemas.TopicStripe, schemas.TopicDeadLetters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for partition := range int32(3) {
		for range 2 {
			record := &kgo.Record{Topic: schemas.TopicClicks, Partition: partition, Value: []byte("a click")}
			if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
				t.Fatal(err)
			}
		}
	}
	topics := &replay.Topics{Seeds: append(cluster.ListenAddrs(), "127.0.0.1:1"), Log: slog.New(slog.DiscardHandler)}
	want := func(since time.Time, first, last map[int32]int64) {
		t.Helper()
		begin, end, err := topics.Committed(t.Context(), since)
		if err != nil || !maps.Equal(begin[schemas.TopicClicks], first) || !maps.Equal(end[schemas.TopicClicks], last) {
			t.Errorf("committed are %v to %v, want %v to %v (%v)", begin[schemas.TopicClicks], end[schemas.TopicClicks],
				first, last, err)
		}
	}
	none := map[int32]int64{0: 0, 1: 0, 2: 0}
	for range 10 { // each client begins with one of the brokers by chance
		want(time.Time{}, none, none) // nor is there a group
	}
	var offsets kadm.Offsets
	offsets.AddOffset(schemas.TopicClicks, 1, 1, -1)
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), schemas.ConsumerGroup, offsets); err != nil {
		t.Fatal(err)
	}
	want(time.Time{}, none, map[int32]int64{0: 0, 1: 1, 2: 0})
	all := map[int32]int64{0: 2, 1: 2, 2: 2}
	want(time.Now().Add(time.Hour), all, all) // what is committed lies before
}

// Records that shrink to nothing in Kafka are read in pieces all the same, each once and in order.
func TestReadsWhatFitsIntoMemory(t *testing.T) {
	t.Parallel()
	const partitions, records, size = 3, 30, 950_000
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, schemas.TopicClicks),
		kfake.SeedTopics(1, schemas.TopicLeads, schemas.TopicStripe, schemas.TopicDeadLetters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic(schemas.TopicClicks),
		kgo.RecordPartitioner(kgo.ManualPartitioner()), kgo.ProducerBatchCompression(kgo.Lz4Compression()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	text := bytes.Repeat([]byte{'x'}, size)
	for i := range partitions * records {
		record := &kgo.Record{Partition: int32(i % partitions), Value: text}
		if err := client.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	topics := &replay.Topics{Seeds: cluster.ListenAddrs(), Log: slog.New(slog.DiscardHandler)}
	begin, end, err := topics.Bounds(t.Context(), time.Time{}, time.Time{})
	if err != nil {
		t.Fatal(err)
	}
	most, next := 0, make(map[int32]int64)
	err = topics.Read(t.Context(), begin, end, 1000, func(list []*kgo.Record) error {
		most = max(most, len(list)*size)
		for _, r := range list {
			if r.Offset != next[r.Partition] {
				t.Errorf("partition %d: offset %d comes where %d is due", r.Partition, r.Offset, next[r.Partition])
			}
			next[r.Partition] = r.Offset + 1
		}
		return nil
	}, func(replay.Offsets) error { return nil })
	if err != nil || next[0]+next[1]+next[2] != partitions*records {
		t.Errorf("read up to %v: %v", next, err)
	}
	if most > 64<<20+2*size {
		t.Errorf("%d bytes of records were in memory at once", most)
	}
}
