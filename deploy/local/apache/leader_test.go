//go:build unix && proof

package apache

import (
	"context"
	"errors"
	"fmt"
	"os"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/chdb/chdbtest"
)

// started returns three brokers, or skips the test where there is no Java.
func started(t *testing.T) *Cluster {
	t.Helper()
	dir, err := Dir()
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	classpath, err := Install(ctx, dir)
	if errors.Is(err, ErrMissing) && os.Getenv(chdbtest.RequireVariable) != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := Start(ctx, Config{Classpath: classpath, Dir: t.TempDir()})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	return c
}

// What the chaos test relies on: an acknowledged record survives the kill of its leader, one broker
// of three acknowledges nothing, a suspended leader is replaced, and the dead come back with their
// data.
func TestLeaderDies(t *testing.T) {
	if testing.Short() {
		t.Skip("three brokers take half a minute to start and to die")
	}
	c := started(t)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	if _, err := c.Admin().CreateTopic(ctx, 1, -1, nil, "t"); err != nil {
		t.Fatal(err)
	}
	configs, err := c.Admin().DescribeTopicConfigs(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	for _, config := range configs[0].Configs {
		want, checked := map[string]string{"min.insync.replicas": "2", "unclean.leader.election.enable": "false"}[config.Key]
		if checked && config.MaybeValue() != want {
			t.Errorf("%s is %s, want %s", config.Key, config.MaybeValue(), want)
		}
	}
	var replicas []int32
	for ; len(replicas) == 0; time.Sleep(100 * time.Millisecond) { // the broker that answers may not know the topic yet
		listed, err := c.Admin().ListTopics(ctx, "t")
		if err != nil {
			t.Fatal(err)
		}
		replicas = listed["t"].Partitions[0].Replicas
	}
	if len(replicas) != 3 {
		t.Errorf("%d replicas, want 3", len(replicas))
	}

	client, err := kgo.NewClient(kgo.SeedBrokers(c.Seeds()...), kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.MetadataMinAge(100*time.Millisecond), kgo.ProducerLinger(0),
		kgo.ConsumeTopics("t"), kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	n := 0
	produce := func() {
		t.Helper()
		if err := client.ProduceSync(ctx, &kgo.Record{Topic: "t", Value: fmt.Append(nil, n)}).FirstErr(); err != nil {
			t.Fatal(err)
		}
		n++
	}
	leader := func() int {
		t.Helper()
		for ; ; time.Sleep(100 * time.Millisecond) {
			id, err := c.Leader(ctx, "t", 0)
			if err == nil {
				return id
			}
			if ctx.Err() != nil {
				t.Fatal(err)
			}
		}
	}
	elected := func(not int) int {
		t.Helper()
		for ; ; time.Sleep(100 * time.Millisecond) {
			if id := leader(); id != not {
				return id
			}
			if ctx.Err() != nil {
				t.Fatalf("broker %d leads still", not)
			}
		}
	}

	produce()
	first := leader()
	c.Kill(first)
	began := time.Now()
	produce()
	t.Logf("acknowledged %s after the kill of the leader", time.Since(began).Round(time.Millisecond))
	second := elected(first)

	// One of three is no majority and no two copies: whatever is sent now waits.
	third := 6 - first - second
	c.Kill(third)
	acknowledged := make(chan error, 1)
	client.Produce(ctx, &kgo.Record{Topic: "t", Value: fmt.Append(nil, n)},
		func(_ *kgo.Record, err error) { acknowledged <- err })
	n++
	select {
	case err := <-acknowledged:
		t.Errorf("one broker of three acknowledged a record: %v", err)
	case <-time.After(3 * time.Second):
	}
	for _, id := range []int{first, third} {
		if err := c.Begin(id); err != nil {
			t.Fatal(err)
		}
	}
	for _, id := range []int{first, third} {
		if err := c.WaitJoined(ctx, id); err != nil {
			t.Fatal(err)
		}
	}
	if err := <-acknowledged; err != nil {
		t.Fatal(err)
	}

	frozen := leader()
	if err := c.Suspend(frozen); err != nil {
		t.Fatal(err)
	}
	elected(frozen)
	if err := c.Resume(frozen); err != nil {
		t.Fatal(err)
	}
	produce()
	if err := c.Stop(ctx, frozen); err != nil {
		t.Fatal(err)
	}
	produce()
	if err := c.Restart(ctx, frozen); err != nil {
		t.Fatal(err)
	}
	if err := c.Restart(ctx, frozen); err == nil {
		t.Error("a running broker was started a second time")
	}
	if created, err := c.Admin().CreatePartitions(ctx, 1, "t"); err != nil || created["t"].Err != nil {
		t.Errorf("add a partition: %v, %v", err, created["t"].Err)
	}

	for read := 0; read < n; {
		fetched := client.PollFetches(ctx)
		if ctx.Err() != nil {
			t.Fatalf("%d of %d acknowledged records are there", read, n)
		}
		fetched.EachRecord(func(r *kgo.Record) {
			if string(r.Value) != fmt.Sprint(read) {
				t.Fatalf("record %d is %q", read, r.Value)
			}
			read++
		})
	}
	end, err := c.Admin().ListEndOffsets(ctx, "t")
	if err != nil {
		t.Fatal(err)
	}
	total := int64(0)
	end.Each(func(o kadm.ListedOffset) { total += o.Offset })
	if total != int64(n) {
		t.Errorf("the topic holds %d records, %d were sent", total, n)
	}
}
