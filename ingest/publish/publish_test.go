package publish

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

const topic = "clicks.v1"

// limit is longer than a loaded machine takes for anything here.
const limit = 3 * time.Minute

// patiently is for a Kafka that answers, however late.
func patiently(seeds ...string) Config {
	c := Default()
	c.Seeds, c.Topics = seeds, []string{topic}
	c.Timeout, c.StallAfter = limit, limit
	c.Logger = slog.New(slog.DiscardHandler)
	c.Registry = prometheus.NewRegistry()
	return c
}

// quickly is for a Kafka that does not answer.
func quickly(seeds ...string) Config {
	c := patiently(seeds...)
	c.Timeout, c.StallAfter = 400*time.Millisecond, 150*time.Millisecond
	return c
}

func start(t *testing.T, c Config) *Publisher {
	t.Helper()
	p, err := New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 200*time.Millisecond)
		defer cancel()
		_ = p.Close(ctx)
	})
	return p
}

// put publishes and drops whether the memory is retained.
func put(ctx context.Context, p *Publisher, records ...*kgo.Record) error {
	_, err := p.Publish(ctx, records...)
	return err
}

func cluster(t *testing.T, opts ...kfake.Opt) *kfake.Cluster {
	t.Helper()
	c, err := kfake.NewCluster(append([]kfake.Opt{kfake.NumBrokers(1), kfake.SeedTopics(3, topic)}, opts...)...)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

func record(value string) *kgo.Record {
	return &kgo.Record{Topic: topic, Key: []byte(value), Value: []byte(value)}
}

// stored reads n records, in any order.
func stored(t *testing.T, seed string, n int) map[string]int {
	t.Helper()
	cl, err := kgo.NewClient(kgo.SeedBrokers(seed), kgo.ConsumeTopics(topic),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer cl.Close()
	ctx, cancel := context.WithTimeout(context.Background(), limit)
	defer cancel()
	got := make(map[string]int)
	for count := 0; count < n; {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read %d of %d records: %v", count, n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++; count++ })
	}
	return got
}

func TestPublishStores(t *testing.T) {
	c := cluster(t)
	p := start(t, patiently(c.ListenAddrs()...))
	eventually(t, "Ready", func() bool { return p.Ready(t.Context()) == nil })
	var wg sync.WaitGroup
	for i := range 50 {
		wg.Go(func() {
			if err := put(t.Context(), p, record(fmt.Sprint("a", i)), record(fmt.Sprint("b", i))); err != nil {
				t.Errorf("Publish: %v", err)
			}
		})
	}
	wg.Wait()
	got := stored(t, c.ListenAddrs()[0], 100)
	if len(got) != 100 {
		t.Errorf("%d different records, want 100", len(got))
	}
	if n := p.inFlight.Load(); n != 0 {
		t.Errorf("%d in flight, want 0", n)
	}
	if err := put(t.Context(), p); err != nil {
		t.Errorf("Publish of nothing: %v", err)
	}
}

// The life of an outage: in doubt, then refused at once, then taken again without anybody's help,
// and nothing lost.
func TestOutage(t *testing.T) {
	o := newOutage(t)
	p := start(t, quickly(o.addr))
	direct(t, p, "before")
	// watch has seen that acknowledgement: from here on it counts the time without one.
	turn := p.turn.Load()
	eventually(t, "nothing is in flight", func() bool { return p.inFlight.Load() == 0 && p.turn.Load() > turn+1 })
	o.end()

	begin := time.Now()
	if err := put(t.Context(), p, record("in doubt")); !errors.Is(err, ErrInDoubt) || !errors.Is(err, ErrUnavailable) {
		t.Fatalf("Publish while Kafka is down: %v, want ErrInDoubt", err)
	}
	if d := time.Since(begin); d < p.cfg.Timeout {
		t.Errorf("it waited %s, want the timeout of %s", d, p.cfg.Timeout)
	}
	if n := p.inDoubt.Load(); n != 1 {
		t.Errorf("%d in doubt, want 1", n)
	}
	p.probed.Store(time.Now().Add(limit).UnixNano()) // none of these goes through the open breaker
	for range 100 {
		err := put(t.Context(), p, record("refused"))
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInDoubt) {
			t.Fatalf("Publish with the breaker open: %v", err)
		}
	}
	p.probed.Store(0)
	if n := testutil.ToFloat64(p.metrics.refused[reasonStalled]); n != 100 {
		t.Errorf("%v of 100 were refused at once", n)
	}
	if err := p.Ready(t.Context()); err == nil {
		t.Error("Ready says yes while Kafka is down")
	}

	o.again()
	eventually(t, "Kafka takes records again", func() bool { return put(t.Context(), p, record("after")) == nil })
	if got := storedAtLeast(t, o.addr, 3); got["before"] < 1 || got["in doubt"] < 1 || got["after"] < 1 {
		t.Errorf("stored %v", got)
	}
	eventually(t, "nothing is in doubt", func() bool { return p.inDoubt.Load() == 0 })
}

func TestRefusals(t *testing.T) {
	dead := "127.0.0.1:1" // nothing listens on tcpmux
	t.Run("full", func(t *testing.T) {
		c := patiently(dead)
		c.MaxBufferedRecords, c.MaxInDoubt = 1000, 1000
		p := start(t, c)
		batch := make([]*kgo.Record, 1000)
		for i := range batch {
			batch[i] = record("x")
		}
		ctx, cancel := context.WithCancel(t.Context())
		defer cancel()
		done := make(chan error)
		go func() { done <- put(ctx, p, batch...) }()
		eventually(t, "the buffer is full", func() bool { return p.inFlight.Load() == 1000 })
		if err := put(t.Context(), p, record("one more")); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInDoubt) {
			t.Errorf("Publish into a full buffer: %v", err)
		}
		if n := testutil.ToFloat64(p.metrics.refused[reasonFull]); n != 1 {
			t.Errorf("%v records were refused at once, want 1", n)
		}
		cancel()
		if err := <-done; !errors.Is(err, ErrInDoubt) {
			t.Errorf("the batch: %v, want ErrInDoubt", err)
		}
	})
	t.Run("bytes", func(t *testing.T) {
		c := patiently(dead)
		c.MaxBufferedBytes = 4 << 20
		p := start(t, c)
		batch := make([]*kgo.Record, 10)
		for i := range batch {
			batch[i] = record(strings.Repeat("x", 300_000)) // twice, as key and value
		}
		begin := time.Now()
		if err := put(t.Context(), p, batch...); !errors.Is(err, ErrInDoubt) {
			t.Errorf("a batch that half fits: %v, want ErrInDoubt", err)
		}
		if d := time.Since(begin); d >= c.Timeout {
			t.Errorf("it waited for the timeout, %s", d)
		}
	})
	t.Run("in doubt", func(t *testing.T) {
		c := quickly(dead)
		c.MaxInDoubt, c.StallAfter = 1, 400*time.Millisecond
		p := start(t, c)
		_ = put(t.Context(), p, record("x"))
		p.stalled.Store(false) // the other breaker is not the one asked here
		if err := put(t.Context(), p, record("y")); !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInDoubt) {
			t.Errorf("Publish: %v", err)
		}
		if n := testutil.ToFloat64(p.metrics.refused[reasonInDoubt]); n != 1 {
			t.Errorf("%v records were refused at once, want 1", n)
		}
	})
	t.Run("sender gone", func(t *testing.T) {
		c := patiently(dead)
		p := start(t, c)
		ctx, cancel := context.WithCancel(t.Context())
		time.AfterFunc(20*time.Millisecond, cancel)
		begin := time.Now()
		if err := put(ctx, p, record("x")); !errors.Is(err, ErrInDoubt) {
			t.Errorf("Publish: %v, want ErrInDoubt", err)
		}
		if d := time.Since(begin); d >= c.Timeout {
			t.Errorf("it waited for the timeout, %s", d)
		}
	})
	t.Run("kafka says no", func(t *testing.T) {
		c := cluster(t)
		c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: 1})
		p := start(t, patiently(c.ListenAddrs()...))
		err := put(t.Context(), p, record("x"))
		if !errors.Is(err, ErrUnavailable) || errors.Is(err, ErrInDoubt) || !errors.Is(err, kerr.TopicAuthorizationFailed) {
			t.Errorf("Publish: %v, want TOPIC_AUTHORIZATION_FAILED", err)
		}
		if err := put(t.Context(), p, record("x")); err != nil {
			t.Errorf("Publish afterwards: %v", err)
		}
	})
	t.Run("topic missing", func(t *testing.T) {
		c, err := kfake.NewCluster(kfake.NumBrokers(1))
		if err != nil {
			t.Fatal(err)
		}
		defer c.Close()
		p := start(t, quickly(c.ListenAddrs()...))
		if err := p.Ready(t.Context()); err == nil || !strings.Contains(err.Error(), topic) {
			t.Errorf("Ready: %v, want the topic's name", err)
		}
	})
}

// What was handed over before Close is stored by Close; what cannot be is reported, within the
// deadline.
func TestClose(t *testing.T) {
	c := cluster(t)
	p, err := New(patiently(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan error)
	go func() { done <- put(context.Background(), p, record("last")) }()
	for p.inFlight.Load() == 0 && p.acked.Load() == 0 {
		time.Sleep(time.Millisecond)
	}
	if err := p.Close(t.Context()); err != nil {
		t.Errorf("Close: %v", err)
	}
	if err := <-done; err != nil {
		t.Errorf("Publish during Close: %v", err)
	}
	if got := stored(t, c.ListenAddrs()[0], 1); got["last"] != 1 {
		t.Errorf("stored %v", got)
	}

	p, err = New(quickly("127.0.0.1:1"))
	if err != nil {
		t.Fatal(err)
	}
	_ = put(t.Context(), p, record("x"))
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "1 records") {
		t.Errorf("Close without Kafka: %v, want the number of records", err)
	}
}

func TestValidate(t *testing.T) {
	c := Default()
	c.Timeout, c.MaxBufferedRecords, c.MaxBufferedBytes, c.MaxBatchBytes = 0, 0, 0, 0
	err := c.Validate()
	if err == nil {
		t.Fatal("no faults")
	}
	for _, want := range []string{"publish timeout", "publish stall", "records cannot hold", "bytes cannot hold",
		"publish batch", "in doubt"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("%q is not reported in:\n%v", want, err)
		}
	}
	if n, hints := len(strings.Split(err.Error(), "\n")), strings.Count(err.Error(), "(hint: "); n != hints {
		t.Errorf("%d faults but %d hints", n, hints)
	}
}
