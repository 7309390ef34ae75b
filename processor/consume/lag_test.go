package consume

import (
	"context"
	"log/slog"
	"slices"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
)

// What a batch that hangs holds is still waiting, and nothing is once it is handled. A consumer
// that has stopped reports no partition.
func TestLag(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, "sales"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	producer, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...), kgo.DefaultProduceTopic("sales"))
	if err != nil {
		t.Fatal(err)
	}
	defer producer.Close()
	newest := time.UnixMilli(1_767_225_600_000)
	for i := range 5 {
		record := &kgo.Record{Value: []byte("sale"), Timestamp: newest.Add(time.Duration(i-4) * time.Second)}
		if err := producer.ProduceSync(t.Context(), record).FirstErr(); err != nil {
			t.Fatal(err)
		}
	}
	hanging, release := make(chan int, 10), make(chan struct{})
	registry := prometheus.NewRegistry()
	values := func(name string) (list []float64) {
		families, err := registry.Gather()
		if err != nil {
			t.Fatal(err)
		}
		for _, family := range families {
			for _, m := range family.GetMetric() {
				if family.GetName() == name {
					list = append(list, m.GetGauge().GetValue())
				}
			}
		}
		return list
	}
	c := &Consumer{
		Name: "payments", Topics: []string{"sales"}, Seeds: cluster.ListenAddrs(), Metrics: NewMetrics(registry),
		Deadline: limit,
		Log:      slog.New(slog.DiscardHandler),
		Handle: func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
			hanging <- len(records)
			<-release
			return nil
		},
	}
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	go func() { done <- c.Run(ctx) }()
	const waiting = "processor_consume_lag_records"
	if n := <-hanging; !slices.Equal(values(waiting), []float64{5}) {
		t.Errorf("%v waiting while %d records hang, want 5", values(waiting), n)
	}
	close(release)
	for deadline := time.Now().Add(limit); !slices.Equal(values(waiting),
		[]float64{0}); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("%v waiting at the end, want 0", values(waiting))
		}
	}
	if at := values("processor_consume_newest_record_timestamp_seconds"); !slices.Equal(at,
		[]float64{float64(newest.Unix())}) {
		t.Errorf("the newest is of %v, want %v", at, newest.Unix())
	}
	cancel()
	if err := <-done; err != nil {
		t.Error(err)
	}
	if left := values(waiting); len(left) != 0 {
		t.Errorf("%v at the end, want no partition", left)
	}
}

// Of a partition that several fetches of one poll have, all of them wait.
func TestLagOfSeveralFetches(t *testing.T) {
	c := &Consumer{Name: "clicks", Metrics: NewMetrics(prometheus.NewRegistry())}
	var fetches kgo.Fetches
	for offset := range int64(3) {
		fetches = append(fetches, kgo.Fetch{Topics: []kgo.FetchTopic{{Topic: "clicks", Partitions: []kgo.FetchPartition{
			{HighWatermark: 5 + offset, Records: []*kgo.Record{{Offset: offset}}}}}}})
	}
	c.fetched(fetches)
	if got := testutil.ToFloat64(c.Metrics.lag.WithLabelValues("clicks", "clicks", "0")); got != 7 {
		t.Errorf("%v records wait, want 7", got)
	}
}
