package publish

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kgo"
)

// A topic is deleted and made again, under the fast promise and without a spool: what was answered
// with success stays in memory until there is a topic, and Publish refuses what comes meanwhile
// rather than take ever more.
func TestTopicMadeAgainFast(t *testing.T) {
	c := cluster(t)
	cfg := quickly(c.ListenAddrs()...)
	cfg.Ack, cfg.AnyPartition = AckEnqueue, true
	p := start(t, cfg)
	if err := put(t.Context(), p, record("before")); err != nil {
		t.Fatal(err)
	}
	eventually(t, "Kafka acknowledges", func() bool { return p.acked.Load() == 1 })
	if err := c.DeleteTopic(topic); err != nil {
		t.Fatal(err)
	}
	taken := 0
	eventually(t, "Publish refuses", func() bool {
		err := put(t.Context(), p, record(strconv.Itoa(taken)))
		if err == nil {
			taken++
		}
		return errors.Is(err, ErrUnavailable)
	})
	eventually(t, "Kafka refuses", func() bool { return testutil.ToFloat64(p.metrics.failed) > 0 })
	if err := c.CreateTopic(topic, 2, nil); err != nil {
		t.Fatal(err)
	}
	eventually(t, "everything is acknowledged", func() bool { return p.inFlight.Load() == 0 })
	storedAtLeast(t, c.ListenAddrs()[0], taken)
	if lost, bytes := testutil.ToFloat64(p.metrics.lost), p.copiedBytes.Load(); lost != 0 || bytes != 0 {
		t.Errorf("%v lost, %d bytes counted as in flight", lost, bytes)
	}
}

// A stop without Kafka, under the fast promise and without a spool, says how much it lost. More
// bytes than may be buffered are refused: Kafka's client would refuse them after the success.
func TestCloseFast(t *testing.T) {
	cfg := quickly("127.0.0.1:1")
	cfg.Ack, cfg.MaxBufferedBytes, cfg.MaxBatchBytes = AckEnqueue, 4<<20, 1<<20
	cfg.Timeout, cfg.StallAfter = time.Minute, time.Minute // so that only the bytes are a reason to refuse
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	taken := 0
	for err == nil && taken < 100 {
		if err = put(t.Context(), p, &kgo.Record{Topic: topic, Value: make([]byte, 100_000)}); err == nil {
			taken++
		}
	}
	if taken != 42 || !errors.Is(err, ErrUnavailable) {
		t.Errorf("%d records of 100 kB taken into 4 MiB, then %v", taken, err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	if err := p.Close(ctx); err == nil || !strings.Contains(err.Error(), "42 records not acknowledged") {
		t.Errorf("Close: %v", err)
	}
	if n := testutil.ToFloat64(p.metrics.lost); n != 42 {
		t.Errorf("%v lost, want 42", n)
	}
}
