package consume

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

// kafka is a broker with one topic, and a client of it.
func kafka(t *testing.T, topic string, partitions int32) (*kfake.Cluster, *kgo.Client) {
	t.Helper()
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(partitions, topic),
		kfake.SeedTopics(1, schemas.TopicDeadLetters))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	client, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.RecordPartitioner(kgo.ManualPartitioner()))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	return cluster, client
}

// reader is a Consumer that writes down what it reads.
type reader struct {
	*Consumer
	mu   sync.Mutex
	read []string // topic/partition/offset
}

func newReader(cluster *kfake.Cluster, topics ...string) *reader {
	r := &reader{}
	r.Consumer = &Consumer{
		Name: "reader", Topics: topics, Seeds: cluster.ListenAddrs(), MaxRecords: 100, Rewind: time.Minute,
		Deadline: limit,
		Log:      slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
		Handle: func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			for _, record := range records {
				r.read = append(r.read, fmt.Sprintf("%s/%d/%d", record.Topic, record.Partition, record.Offset))
			}
			return nil
		},
	}
	return r
}

// start runs the consumer until stop is called.
func (r *reader) start(t *testing.T) (stop func()) {
	t.Helper()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.Run(ctx) }()
	return func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	}
}

// until waits until the records have been read in this order, whatever was read before.
func (r *reader) until(t *testing.T, want ...string) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		r.mu.Lock()
		read := slices.Clone(r.read)
		r.mu.Unlock()
		if len(read) >= len(want) && slices.Equal(read[len(read)-len(want):], want) {
			return
		}
		if time.Since(began) > limit {
			t.Fatalf("read %v, want %v at the end", read, want)
		}
	}
}

func produce(t *testing.T, client *kgo.Client, records ...*kgo.Record) {
	t.Helper()
	if err := client.ProduceSync(t.Context(), records...).FirstErr(); err != nil {
		t.Fatal(err)
	}
}

// commit commits offsets as a processor does, each with the time that its rewind is measured from.
func commit(t *testing.T, client *kgo.Client, topic string, at time.Time, offsets ...int64) {
	t.Helper()
	list := make(kadm.Offsets)
	for number, offset := range offsets {
		list.Add(kadm.Offset{Topic: topic, Partition: int32(number), At: offset, LeaderEpoch: -1,
			Metadata: strconv.FormatInt(at.UnixMilli(), 10)})
	}
	if err := kadm.NewClient(client).CommitAllOffsets(t.Context(), schemas.ConsumerGroup, list); err != nil {
		t.Fatal(err)
	}
}

// committed waits until the offset of a topic's first partition is committed.
func committed(t *testing.T, client *kgo.Client, topic string, want int64) {
	t.Helper()
	for began := time.Now(); ; time.Sleep(20 * time.Millisecond) {
		offsets, err := kadm.NewClient(client).FetchOffsets(t.Context(), schemas.ConsumerGroup)
		got, _ := offsets.Lookup(topic, 0)
		if err == nil && got.At == want {
			return
		}
		if time.Since(began) > limit {
			t.Fatalf("committed %d, %v; want %d", got.At, err, want)
		}
	}
}

// An assignment asks Kafka as often for a thousand partitions as for one: it once listed the whole
// topic for each of its partitions.
func TestAssignmentAsksOnceForAllPartitions(t *testing.T) {
	const topic, partitions = "many", 1000
	cluster, client := kafka(t, topic, partitions)
	offsets := make([]int64, partitions)
	commit(t, client, topic, time.Now(), offsets...)
	c := newReader(cluster, topic).Consumer
	c.client = client
	assigned := map[string]map[int32]kgo.Offset{topic: {}}
	for number := range offsets {
		assigned[topic][int32(number)] = kgo.NewOffset().At(0)
	}
	var mu sync.Mutex
	requests, lookups := 0, 0
	cluster.Control(func(r kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		mu.Lock()
		defer mu.Unlock()
		requests++
		if list, ok := r.(*kmsg.ListOffsetsRequest); ok {
			for _, topic := range list.Topics {
				lookups += len(topic.Partitions)
			}
		}
		return nil, nil, false
	})
	began := time.Now()
	if err := c.seekBack(t.Context(), assigned); err != nil {
		t.Fatal(err)
	}
	t.Logf("%d requests with %d offsets in %s", requests, lookups, time.Since(began))
	// By time, the first and the last; and a few for the coordinator and metadata.
	if requests > 12 || lookups > 3*partitions {
		t.Errorf("an assignment of %d partitions took %d requests for %d offsets", partitions, requests, lookups)
	}
}

// What retention deletes before it was read is named by a dead letter, whether it was deleted while
// no processor ran or under a running one.
func TestDeletedBeforeItWasReadIsADeadLetter(t *testing.T) {
	const topic = "short"
	cluster, client := kafka(t, topic, 1)
	now := time.Now()
	for range 10 {
		produce(t, client, &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: now})
	}
	commit(t, client, topic, now, 3)
	if err := cluster.DeleteRecords(topic, 0, 7); err != nil {
		t.Fatal(err)
	}
	r := newReader(cluster, topic)
	stop := r.start(t)
	r.until(t, "short/0/7", "short/0/8", "short/0/9")
	stop()
	letters := newReader(cluster, schemas.TopicDeadLetters)
	var gone []string
	letters.Handle = func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
		letters.mu.Lock()
		defer letters.mu.Unlock()
		for _, record := range records {
			row := DeadLetterRow(record)
			gone = append(gone, fmt.Sprintf("%s %s/%d/%d: %s", row.Reason, row.Topic, row.Partition, row.Offset, row.Error))
			letters.read = append(letters.read, row.Reason)
		}
		return nil
	}
	defer letters.start(t)()
	letters.until(t, LostUnread)
	want := "deleted_unread short/0/3: Kafka deleted offsets 3 to 6 of short/0 before they were read"
	if len(gone) != 1 || gone[0][:len(want)] != want {
		t.Errorf("dead letters are %q, want one that begins %q", gone, want)
	}
}

// A consumer that is asked to reads again what lies within Rewind before its committed offset, also
// while nothing arrives.
func TestRewindNow(t *testing.T) {
	const topic = "again"
	cluster, client := kafka(t, topic, 1)
	for i := range 3 {
		produce(t, client, &kgo.Record{Topic: topic, Value: []byte("v"),
			Timestamp: time.Now().Add(time.Duration(i-2) * 45 * time.Second)})
	}
	r := newReader(cluster, topic)
	r.SettledUntil = func() time.Time { return time.Now().Add(-time.Minute) }
	defer r.start(t)()
	r.until(t, "again/0/0", "again/0/1", "again/0/2")
	committed(t, client, topic, 3)
	r.RewindNow()
	// The first is 90 seconds old; but it was handled just now, and ClickHouse may not have synced it.
	r.until(t, "again/0/0", "again/0/1", "again/0/2", "again/0/0", "again/0/1", "again/0/2")
}

// A rewind that is asked for, and a processor that dies, while what the last rewind reaches is
// still being read begin no earlier than that rewind did: they once went back further each time, to
// the beginning of the topic, and read nothing new.
func TestRewindGoesBackOnce(t *testing.T) {
	const topic, size, stops = "back", 600, 6
	cluster, client := kafka(t, topic, 1)
	began := time.Now().Add(-time.Hour)
	for i := range size {
		produce(t, client, &kgo.Record{Topic: topic, Value: []byte("v"),
			Timestamp: began.Add(time.Duration(i) * time.Second)})
	}
	first := newReader(cluster, topic)
	first.MaxRecords = 10
	stop := first.start(t)
	committed(t, client, topic, size)
	stop()

	var begins []int64
	for range 2 {
		r := newReader(cluster, topic)
		r.MaxRecords = 10
		ctx, kill := context.WithCancel(t.Context())
		batches := 0 // since reading began
		r.Handle = func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
			switch batches++; {
			case batches == 1:
				begins = append(begins, records[0].Offset)
			case len(begins)%(stops/2) == 0:
				kill()
			default:
				batches = 0
				r.RewindNow()
			}
			return nil
		}
		if err := r.Run(ctx); err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Repeat([]int64{begins[0]}, stops)
	if !slices.Equal(begins, want) || begins[0] == 0 {
		t.Errorf("reading began at offsets %d, want %d", begins, want)
	}
	produce(t, client, &kgo.Record{Topic: topic, Value: []byte("v"), Timestamp: began.Add(size * time.Second)})
	defer newReader(cluster, topic).start(t)()
	committed(t, client, topic, size+1)
}

// The rewind is not measured from a record that came after what is unsettled, however fast a
// backlog is handled.
func TestRewindReachesWhatIsUnsettled(t *testing.T) {
	now := time.Now()
	settled := now.Add(-time.Minute)
	c := &Consumer{Rewind: 15 * time.Minute, SettledUntil: func() time.Time { return settled }}
	p := partition{"t", 0}
	hour := now.Add(-time.Hour)
	for i := range 60 { // an hour's records, a minute in each batch, within one moment
		c.advanceBase(p, hour.Add(time.Duration(i)*time.Minute))
	}
	if base := c.advanceBase(p, now); !base.Equal(hour.Add(c.Rewind)) {
		t.Errorf("the base is %s after the first unsettled record, want %s", base.Sub(hour), c.Rewind)
	}
	c.bases[p].unsettled[0].at = now.Add(-2 * time.Minute)
	settled = now.Add(-3 * time.Minute) // its second look is still to come
	if base := c.advanceBase(p, now); !base.Equal(hour.Add(c.Rewind)) {
		t.Errorf("before the second look the base is %s after the first record, want %s", base.Sub(hour), c.Rewind)
	}
	settled = now.Add(-time.Minute)
	c.RewindNow() // the batch that is under way was begun before
	if base := c.advanceBase(p, now); !base.Equal(hour.Add(c.Rewind)) {
		t.Errorf("before the rewind that is asked for the base is %s after the first record, want %s", base.Sub(hour),
			c.Rewind)
	}
	c.rewindAsked.Store(false)
	if base := c.advanceBase(p, now); !base.After(hour.Add(c.Rewind)) {
		t.Errorf("after the second look the base is still %s after the first record", base.Sub(hour))
	}
}

// The same topic and partition at a time are assigned to one member of a group.
func TestOwnsWhatIsAssigned(t *testing.T) {
	c := &Consumer{Metrics: NewMetrics(prometheus.NewRegistry())}
	c.onAssigned(t.Context(), nil, map[string][]int32{"t": {0, 1}})
	c.onRevoked(t.Context(), nil, map[string][]int32{"t": {0}})
	if c.Owns("t", 0) || !c.Owns("t", 1) || !c.Assigned() {
		t.Error("it does not own exactly what is assigned")
	}
}
