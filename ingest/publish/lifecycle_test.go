package publish

import (
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/deploy/local/apache"
	"tributary/ingest/publish/spool"
)

// eventually asks until ok, for as long as a loaded machine may need.
func eventually(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !ok(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("never: " + what)
		}
	}
}

// direct publishes until Kafka itself has taken the record: the spool takes every record, so that
// Publish alone says nothing about Kafka.
func direct(t *testing.T, p *Publisher, value string) {
	t.Helper()
	eventually(t, "Kafka acknowledges "+value, func() bool {
		acked, spooled := p.acked.Load(), testutil.ToFloat64(p.metrics.spooled)
		return put(t.Context(), p, record(value)) == nil && p.acked.Load() > acked &&
			testutil.ToFloat64(p.metrics.spooled) == spooled
	})
}

// A topic that is deleted and made again is another topic with the same name. What came in between
// arrives in the new one.
func TestTopicMadeAgain(t *testing.T) {
	for _, spooled := range []bool{true, false} {
		t.Run(fmt.Sprintf("spool %v", spooled), func(t *testing.T) {
			c := cluster(t)
			cfg := quickly(c.ListenAddrs()...)
			if spooled {
				cfg = spooling(t.TempDir(), c.ListenAddrs()...)
			}
			cfg.AnyPartition = true
			p := start(t, cfg)
			direct(t, p, "before")
			if err := c.DeleteTopic(topic); err != nil {
				t.Fatal(err)
			}
			if err := put(t.Context(), p, record("between")); (err == nil) != spooled {
				t.Errorf("Publish without the topic: %v", err)
			}
			if err := c.CreateTopic(topic, 2, nil); err != nil { // fewer partitions than before
				t.Fatal(err)
			}
			direct(t, p, "after")
			if spooled {
				waitDrained(t, p)
				if got := storedAtLeast(t, c.ListenAddrs()[0], 2); got["between"] == 0 {
					t.Errorf("stored %v", got)
				}
			}
			eventually(t, "Ready", func() bool { return p.Ready(t.Context()) == nil })
		})
	}
}

// The same with Apache Kafka, and its limit for messages.
func TestApacheKafka(t *testing.T) {
	if testing.Short() {
		t.Skip("a real broker takes many seconds to start")
	}
	jars, err := apache.Dir()
	if err != nil {
		t.Fatal(err)
	}
	classpath, err := apache.Install(t.Context(), jars)
	if errors.Is(err, apache.ErrMissing) && os.Getenv("CI_REAL_SERVICES") != "1" {
		t.Skip(err)
	}
	if err != nil {
		t.Fatal(err)
	}
	c, err := apache.Start(t.Context(), apache.Config{
		Classpath: classpath, Dir: t.TempDir(), Brokers: 1, HeapMB: 256,
		Properties: map[string]string{"min.insync.replicas": "1", "default.replication.factor": "1"},
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	create := func(partitions int32, configs map[string]*string) {
		t.Helper()
		if _, err := c.Admin().CreateTopic(t.Context(), partitions, 1, configs, topic); err != nil {
			t.Fatal(err)
		}
	}
	create(3, nil)
	dir := t.TempDir()
	cfg := spooling(dir, c.Seeds()...)
	cfg.AnyPartition, cfg.SpoolAfter = true, Default().SpoolAfter
	p := start(t, cfg)
	direct(t, p, "before")
	if _, err := c.Admin().DeleteTopic(t.Context(), topic); err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), p, record("between")); err != nil {
		t.Errorf("Publish without the topic: %v", err)
	}
	limit := "10000"
	create(2, map[string]*string{"max.message.bytes": &limit})
	direct(t, p, "after")
	if err := put(t.Context(), p, record("small"), &kgo.Record{Topic: topic, Value: incompressible(20000)}); err != nil {
		t.Errorf("Publish of a record that is too large: %v", err)
	}
	waitDrained(t, p)
	if got := storedAtLeast(t, c.Seeds()[0], 3); got["between"] == 0 || got["small"] == 0 {
		t.Errorf("stored %v", got)
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*.kept")); len(kept) != 1 {
		t.Errorf("kept files: %q", kept)
	}
}

// A topic that is missing at the start is found when somebody makes it.
func TestTopicMadeLater(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	p := start(t, spooling(t.TempDir(), c.ListenAddrs()...))
	if err := put(t.Context(), p, record("early")); err != nil {
		t.Fatalf("Publish: %v", err)
	}
	if w := p.Warnings(t.Context()); len(w) != 1 || !strings.Contains(w[0], "go to the spool") {
		t.Errorf("Warnings: %q", w)
	}
	if err := c.CreateTopic(topic, 3, nil); err != nil {
		t.Fatal(err)
	}
	waitDrained(t, p)
	if got := stored(t, c.ListenAddrs()[0], 1); got["early"] == 0 {
		t.Errorf("stored %v", got)
	}
}

// What Kafka refuses of one topic stays in the spool, with its age, and holds up no other topic.
func TestTopicHoldsUpNoOther(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	const each = 500
	for i := range each {
		lead, click := record(fmt.Sprint("lead", i)), record(fmt.Sprint("click", i))
		lead.Topic = "leads.v1"
		if err := s.Append(t.Context(), appendEntry(nil, lead), appendEntry(nil, click)); err != nil {
			t.Fatal(err)
		}
	}
	before, err := s.Usage()
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c := cluster(t)
	p := start(t, spooling(dir, c.ListenAddrs()...))
	storedAtLeast(t, c.ListenAddrs()[0], each)
	eventually(t, "the spool holds nothing but leads", func() bool {
		u, err := p.spool.Usage()
		if err != nil {
			t.Fatal(err)
		}
		if !u.Oldest.Equal(before.Oldest) {
			t.Fatalf("the oldest entry is of %s and was of %s", u.Oldest, before.Oldest)
		}
		return u.Bytes < before.Bytes*6/10
	})
	if err := c.CreateTopic("leads.v1", 1, nil); err != nil {
		t.Fatal(err)
	}
	waitDrained(t, p)
	if n := testutil.ToFloat64(p.metrics.spoolDrained); n != 2*each {
		t.Errorf("%v records drained, want %d", n, 2*each)
	}
}

// Partitions that are added to a topic while records come.
func TestPartitionsAdded(t *testing.T) {
	c := cluster(t)
	cfg := spooling(t.TempDir(), c.ListenAddrs()...)
	cfg.AnyPartition = true
	p := start(t, cfg)
	direct(t, p, "before")
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).UpdatePartitions(t.Context(), 6, topic); err != nil {
		t.Fatal(err)
	}
	for i := range 50 {
		direct(t, p, fmt.Sprint(i))
	}
}

// What Kafka says about the producer's id is no reason to refuse records for ever.
func TestProducerIDs(t *testing.T) {
	for _, tt := range []struct {
		key kmsg.Key
		err *kerr.Error
	}{
		{kmsg.InitProducerID, kerr.ClusterAuthorizationFailed},
		{kmsg.InitProducerID, kerr.CoordinatorLoadInProgress},
		{kmsg.InitProducerID, kerr.UnknownServerError},
		{kmsg.Produce, kerr.OutOfOrderSequenceNumber},
		{kmsg.Produce, kerr.UnknownProducerID},
		{kmsg.Produce, kerr.InvalidProducerEpoch},
		{kmsg.Produce, kerr.ProducerFenced},
		{kmsg.Produce, kerr.TopicAuthorizationFailed},
		{kmsg.Produce, kerr.ClusterAuthorizationFailed},
		{kmsg.Produce, kerr.InvalidRequiredAcks},
		{kmsg.Produce, kerr.UnsupportedForMessageFormat},
		{kmsg.Produce, kerr.PolicyViolation},
		{kmsg.Produce, kerr.CorruptMessage},
		{kmsg.Produce, kerr.UnknownServerError},
		{kmsg.Produce, kerr.KafkaStorageError},
	} {
		t.Run(fmt.Sprint(tt.key.Name(), " ", tt.err.Message), func(t *testing.T) {
			t.Parallel()
			c := cluster(t)
			p := start(t, spooling(t.TempDir(), c.ListenAddrs()...))
			fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{tt.key}, Err: tt.err, Count: -1})
			if err := put(t.Context(), p, record("meanwhile")); err != nil {
				t.Errorf("Publish: %v", err)
			}
			fault.Remove()
			direct(t, p, "after")
			waitDrained(t, p)
			if got := storedAtLeast(t, c.ListenAddrs()[0], 2); got["meanwhile"] == 0 {
				t.Errorf("stored %v", got)
			}
		})
	}
}

// Kafka answers, knows the topic and refuses every record: an edge that cannot store is not ready,
// and is again with the first record that is stored.
func TestNotReadyWhileRefused(t *testing.T) {
	c := cluster(t)
	p := start(t, patiently(c.ListenAddrs()...))
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: -1})
	if err := put(t.Context(), p, record("refused")); !errors.Is(err, ErrUnavailable) {
		t.Errorf("Publish: %v, want ErrUnavailable", err)
	}
	if err := p.Ready(t.Context()); !errors.Is(err, kerr.TopicAuthorizationFailed) {
		t.Errorf("Ready: %v, want TOPIC_AUTHORIZATION_FAILED", err)
	}
	fault.Remove()
	direct(t, p, "stored")
	eventually(t, "Ready", func() bool { return p.Ready(t.Context()) == nil })
}

// relay passes connections on to an address that may change.
type relay struct {
	net.Listener
	to atomic.Pointer[string]
}

func newRelay(t *testing.T) *relay {
	ln, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = ln.Close() })
	r := &relay{Listener: ln}
	go func() {
		for {
			in, err := ln.Accept()
			if err != nil {
				return
			}
			out, err := net.Dial("tcp", *r.to.Load())
			if err != nil {
				_ = in.Close()
				continue
			}
			go func() { _, _ = io.Copy(out, in); _ = out.Close() }()
			go func() { _, _ = io.Copy(in, out); _ = in.Close() }()
		}
	}()
	return r
}

// A broker that comes back under another address is found through the seeds.
func TestBrokerMoves(t *testing.T) {
	dir := t.TempDir()
	begin := func() *kfake.Cluster {
		c, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(3, topic), kfake.DataDir(dir))
		if err != nil {
			t.Fatal(err)
		}
		return c
	}
	c := begin()
	r := newRelay(t)
	r.to.Store(&c.ListenAddrs()[0])
	p := start(t, spooling(t.TempDir(), r.Addr().String()))
	direct(t, p, "before")
	c.Close()
	if err := put(t.Context(), p, record("between")); err != nil {
		t.Errorf("Publish: %v", err)
	}
	c = begin()
	t.Cleanup(c.Close)
	r.to.Store(&c.ListenAddrs()[0])
	direct(t, p, "after")
	waitDrained(t, p)
	if got := storedAtLeast(t, c.ListenAddrs()[0], 3); got["between"] == 0 {
		t.Errorf("stored %v", got)
	}
}

// limitMessages sets a topic's max.message.bytes.
func limitMessages(t *testing.T, c *kfake.Cluster, limit string) {
	t.Helper()
	client, err := kgo.NewClient(kgo.SeedBrokers(c.ListenAddrs()...))
	if err != nil {
		t.Fatal(err)
	}
	defer client.Close()
	if _, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(),
		[]kadm.AlterConfig{{Op: kadm.SetConfig, Name: "max.message.bytes", Value: &limit}}, topic); err != nil {
		t.Fatal(err)
	}
}

// incompressible is a value that no compression makes much smaller.
func incompressible(n int) []byte {
	b := make([]byte, n)
	_, _ = rand.NewChaCha8([32]byte{}).Read(b)
	return b
}

// A broker refuses a whole batch for one record that is too large. The others are stored all the
// same. With a spool that one is kept there; without one its sender gets a refusal.
func TestOneOfABatchIsTooLarge(t *testing.T) {
	for _, tt := range []struct {
		name string
		ack  string
		dir  string
		want error
	}{
		{"spool", AckDurable, t.TempDir(), nil},
		{"no spool", AckDurable, "", ErrUnacceptable},
		{"fast, spool", AckEnqueue, t.TempDir(), nil},
		{"fast", AckEnqueue, "", nil},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := cluster(t)
			limitMessages(t, c, "10000")
			cfg := patiently(c.ListenAddrs()...)
			cfg.SpoolDir, cfg.Ack = tt.dir, tt.ack
			cfg.AnyPartition, cfg.Linger = true, 20*time.Millisecond
			p := start(t, cfg)
			batch := []*kgo.Record{{Topic: topic, Value: incompressible(20000)}}
			for i := range 20 {
				batch = append(batch, record(strconv.Itoa(i)))
			}
			if err := put(t.Context(), p, batch...); !errors.Is(err, tt.want) {
				t.Errorf("Publish: %v, want %v", err, tt.want)
			}
			if got := storedAtLeast(t, c.ListenAddrs()[0], 20); len(got) != 20 {
				t.Errorf("%d different records stored", len(got))
			}
			switch {
			case tt.dir != "":
				waitDrained(t, p)
				if kept, _ := filepath.Glob(filepath.Join(tt.dir, "*.kept")); len(kept) == 0 {
					t.Error("the large record is not kept")
				}
			case tt.ack == AckEnqueue:
				eventually(t, "the loss is counted", func() bool { return testutil.ToFloat64(p.metrics.lost) == 1 })
			case testutil.ToFloat64(p.metrics.refused[reasonUnacceptable]) != 1:
				t.Error("the refusal is not counted")
			}
		})
	}
}
