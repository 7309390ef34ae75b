package publish

import (
	"bufio"
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/testutil"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/deploy/process"
	"tributary/ingest/publish/spool"
)

func spooling(dir string, seeds ...string) Config {
	c := patiently(seeds...)
	c.SpoolAfter, c.SpoolDir = 100*time.Millisecond, dir
	return c
}

// outage is a Kafka that can be taken away and brought back with what it had.
type outage struct {
	t    *testing.T
	dir  string
	addr string
	c    *kfake.Cluster
}

func newOutage(t *testing.T) *outage {
	t.Helper()
	addrs, err := process.Addresses(1) // that no other program is given during the outage
	if err != nil {
		t.Fatal(err)
	}
	o := &outage{t: t, dir: t.TempDir(), addr: addrs[0]}
	o.again()
	t.Cleanup(o.end)
	return o
}

func (o *outage) end() {
	if o.c != nil {
		o.c.Close()
		o.c = nil
	}
}

func (o *outage) again() {
	o.t.Helper()
	_, port, _ := net.SplitHostPort(o.addr)
	n, _ := strconv.Atoi(port)
	c, err := kfake.NewCluster(kfake.Ports(n), kfake.NumBrokers(1), kfake.SeedTopics(3, topic), kfake.DataDir(o.dir))
	if err != nil {
		o.t.Fatal(err)
	}
	o.c = c
}

// waitDrained waits until p's spool is empty.
func waitDrained(t *testing.T, p *Publisher) {
	t.Helper()
	eventually(t, "the spool is empty", func() bool {
		u, err := p.spool.Usage()
		if err != nil {
			t.Fatal(err)
		}
		return u.Segments == 0
	})
}

// An outage under load: nobody is refused, nobody waits behind an open breaker, memory is bounded,
// and nothing is lost.
func TestOutageWithSpool(t *testing.T) {
	o := newOutage(t)
	p := start(t, spooling(t.TempDir(), o.addr))
	direct(t, p, "before")
	o.end()

	var wg sync.WaitGroup
	send := func(from, to int) {
		for i := from; i < to; i++ {
			wg.Go(func() {
				if err := put(t.Context(), p, record(fmt.Sprint(i))); err != nil {
					t.Errorf("Publish: %v", err)
				}
			})
		}
	}
	const first, all, together = 1000, 6000, 20
	send(0, first)
	eventually(t, "the breaker opens", p.stalled.Load)
	opened := time.Now()
	if err := p.Ready(t.Context()); err != nil {
		t.Errorf("Ready with a spool that has room: %v", err)
	}
	if w := p.Warnings(t.Context()); len(w) != 1 || !strings.Contains(w[0], "spool") {
		t.Errorf("Warnings: %q", w)
	}
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for from := first; from < all; from += together {
		<-tick.C
		send(from, from+together)
	}
	wg.Wait()
	// Of those that came later only the probes were handed to Kafka. How fast the answers are, make
	// outages measures.
	probes := int64(time.Since(opened)/p.cfg.SpoolAfter) + 1
	if n := p.inDoubt.Load(); n > first+probes+drainTries*drainFirst {
		t.Errorf("%d records in doubt, and %d were sent before the breaker opened", n, first)
	}

	o.again()
	waitDrained(t, p)
	got := storedAtLeast(t, o.addr, 1+all)
	for i := range all {
		if got[fmt.Sprint(i)] == 0 {
			t.Fatalf("record %d is lost", i)
		}
	}
	if n := testutil.ToFloat64(p.metrics.spoolDrained); n != testutil.ToFloat64(p.metrics.spooled) {
		t.Errorf("%v records drained of %v", n, testutil.ToFloat64(p.metrics.spooled))
	}
	eventually(t, "the breaker closes", func() bool { return !p.stalled.Load() })
	if err := put(t.Context(), p, record("after")); err != nil {
		t.Errorf("Publish after the outage: %v", err)
	}
}

// storedAtLeast reads until n different values are there.
func storedAtLeast(t *testing.T, seed string, n int) map[string]int {
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
	for len(got) < n {
		fetches := cl.PollFetches(ctx)
		if err := fetches.Err0(); err != nil {
			t.Fatalf("read %d of %d different records: %v", len(got), n, err)
		}
		fetches.EachRecord(func(r *kgo.Record) { got[string(r.Value)]++ })
	}
	return got
}

// TestKillDuringOutage kills the process that acknowledged, and starts another one over the same
// directory.
func TestKillDuringOutage(t *testing.T) {
	if dir := os.Getenv("TRIBUTARY_PUBLISH_CHILD"); dir != "" {
		p := start(t, spooling(dir, "127.0.0.1:1"))
		for i := 0; ; i++ {
			if err := put(t.Context(), p, record(fmt.Sprint("click ", i))); err != nil {
				t.Fatal(err)
			}
			fmt.Println("stored", i)
		}
	}
	dir := t.TempDir()
	cmd := exec.Command(os.Args[0], "-test.run=^TestKillDuringOutage$")
	cmd.Env = append(os.Environ(), "TRIBUTARY_PUBLISH_CHILD="+dir)
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	promised := 0
	for lines := bufio.NewScanner(out); lines.Scan(); promised++ {
		if promised == 100 {
			_ = cmd.Process.Kill()
		}
	}
	_ = cmd.Wait()
	if promised < 100 {
		t.Fatalf("the child stored %d records only", promised)
	}

	c := cluster(t)
	p := start(t, spooling(dir, c.ListenAddrs()...))
	waitDrained(t, p)
	got := storedAtLeast(t, c.ListenAddrs()[0], promised)
	for i := range promised {
		if got[fmt.Sprint("click ", i)] == 0 {
			t.Fatalf("click %d was acknowledged and is lost", i)
		}
	}
}

// A dead leader's records go to the spool; the others' are acknowledged by Kafka, and none is
// refused.
func TestDeadLeader(t *testing.T) {
	c, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.SeedTopics(6, topic))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(c.Close)
	dead, other := c.LeaderFor(topic, 0), 0
	for i := range int32(6) {
		if c.LeaderFor(topic, i) != dead {
			other++
		}
	}
	if other == 0 {
		t.Fatal("one broker leads all partitions")
	}
	fault := c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Nodes: []int32{dead},
		Err: kerr.NotEnoughReplicas, Count: -1})
	cfg := spooling(t.TempDir(), c.ListenAddrs()...)
	cfg.AnyPartition = true
	cfg.SpoolAfter = Default().SpoolAfter
	p := start(t, cfg)
	const records = 500
	sent, few, some := 0, false, false
	// On a loaded machine the live leaders may answer late, too: then another wave is sent.
	eventually(t, "some records go to the spool, and in one wave fewer than half", func() bool {
		before := testutil.ToFloat64(p.metrics.spooled)
		var wg sync.WaitGroup
		for range records {
			value := fmt.Sprint(sent)
			sent++
			wg.Go(func() {
				if err := put(t.Context(), p, record(value)); err != nil {
					t.Errorf("Publish: %v", err)
				}
			})
			time.Sleep(time.Millisecond)
		}
		wg.Wait()
		n := testutil.ToFloat64(p.metrics.spooled) - before
		few, some = few || n < records/2, some || n > 0
		return few && some
	})
	waitDrained(t, p)
	fault.Remove()
	storedAtLeast(t, c.ListenAddrs()[0], sent)
}

// Kafka goes away again and again, in the middle of what it is given: nothing is lost, nobody is
// refused, and the spool is empty in the end.
func TestDrainWhileKafkaFlaps(t *testing.T) {
	o := newOutage(t)
	p := start(t, spooling(t.TempDir(), o.addr))
	direct(t, p, "before")
	const rounds, each = 6, 300
	for round := range rounds {
		o.end()
		var wg sync.WaitGroup
		for i := range each {
			wg.Go(func() {
				if err := put(t.Context(), p, record(fmt.Sprint(round*each+i))); err != nil {
					t.Errorf("Publish: %v", err)
				}
			})
		}
		wg.Wait()
		drained := testutil.ToFloat64(p.metrics.spoolDrained)
		o.again()
		if round < rounds-1 { // and gone with the first chunk that it has acknowledged
			eventually(t, "a chunk is drained", func() bool {
				return testutil.ToFloat64(p.metrics.spoolDrained) > drained
			})
		}
	}
	waitDrained(t, p)
	got := storedAtLeast(t, o.addr, 1+rounds*each)
	for i := range rounds * each {
		if got[fmt.Sprint(i)] == 0 {
			t.Fatalf("record %d is lost", i)
		}
	}
}

// A spool that is full, or whose disk is dead, refuses as if there were none, and readiness says
// so.
func TestSpoolIsFull(t *testing.T) {
	c := spooling(t.TempDir(), "127.0.0.1:1")
	c.SpoolMaxBytes = 8 << 20
	p := start(t, c)
	big := strings.Repeat("x", 1<<19)
	var err error
	for range 100 {
		if err = put(t.Context(), p, &kgo.Record{Topic: topic, Value: []byte(big)}); err != nil {
			break
		}
	}
	if !errors.Is(err, ErrUnavailable) || !errors.Is(err, spool.ErrFull) {
		t.Fatalf("Publish: %v, want ErrUnavailable for a full spool", err)
	}
	if n := testutil.ToFloat64(p.metrics.spoolRefused); n != 1 {
		t.Errorf("ingest_spool_refused_total is %v, want 1", n)
	}
	if err := p.Ready(t.Context()); err == nil || !errors.Is(err, spool.ErrFull) {
		t.Errorf("Ready: %v, want that the spool is full", err)
	}
}

// A record that Kafka will never take does not stop those behind it, and is not lost.
func TestUndeliverable(t *testing.T) {
	dir := t.TempDir()
	s, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	huge := &kgo.Record{Topic: topic, Value: make([]byte, 1<<20)} // above MaxBatchBytes
	if err := s.Append(t.Context(), appendEntry(nil, record("first")), appendEntry(nil, huge), []byte("no record"),
		appendEntry(nil, record("last"))); err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	c := cluster(t)
	p := start(t, spooling(dir, c.ListenAddrs()...))
	waitDrained(t, p)
	storedAtLeast(t, c.ListenAddrs()[0], 2) // first and last
	if n := testutil.ToFloat64(p.metrics.spoolUndeliverable); n != 2 {
		t.Errorf("%v undeliverable, want 2", n)
	}
	if kept, _ := filepath.Glob(filepath.Join(dir, "*.kept")); len(kept) != 1 {
		t.Errorf("kept files: %q", kept)
	}
}

// What Kafka refuses for a reason that an operator can mend goes to the spool, and from there to
// Kafka when it is mended.
func TestRefusedIsSpooled(t *testing.T) {
	c := cluster(t)
	c.Fault(kfake.Fault{Keys: []kmsg.Key{kmsg.Produce}, Err: kerr.TopicAuthorizationFailed, Count: 2})
	p := start(t, spooling(t.TempDir(), c.ListenAddrs()...))
	if err := put(t.Context(), p, record("x")); err != nil {
		t.Fatalf("Publish: %v", err)
	}
	waitDrained(t, p)
	storedAtLeast(t, c.ListenAddrs()[0], 1)
}

// Under the fast promise Publish does not wait, the caller's memory is free at once, and a stop
// without Kafka loses nothing where there is a spool.
func TestEnqueue(t *testing.T) {
	c := cluster(t)
	cfg := patiently(c.ListenAddrs()...)
	cfg.Ack = AckEnqueue
	p := start(t, cfg)
	r := record("fast")
	if retained, err := p.Publish(t.Context(), r); err != nil || retained {
		t.Fatalf("Publish: %v, retained %v", err, retained)
	}
	copy(r.Value, "gone")
	if got := stored(t, c.ListenAddrs()[0], 1); got["fast"] != 1 {
		t.Errorf("stored %v", got)
	}
	for i := range 2000 { // more than are in flight at once, so that their copies are used again
		r.Value = fmt.Appendf(r.Value[:0], "%d", i)
		if err := put(t.Context(), p, r); err != nil {
			t.Fatal(err)
		}
	}
	if got := stored(t, c.ListenAddrs()[0], 2001); len(got) != 2001 {
		t.Errorf("%d different records stored, want 2001", len(got))
	}

	dir := t.TempDir()
	cfg = spooling(dir, "127.0.0.1:1")
	cfg.Ack = AckEnqueue
	p, err := New(cfg)
	if err != nil {
		t.Fatal(err)
	}
	if err := put(t.Context(), p, record("unsent")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
	defer cancel()
	_ = p.Close(ctx)
	s, err := spool.Open(spool.Config{Dir: dir, MaxBytes: 64 << 20})
	if err != nil {
		t.Fatal(err)
	}
	defer s.Close()
	seg, _, err := s.Next(0, nil)
	if err != nil || seg == nil || len(seg.Entries) != 1 {
		t.Fatalf("the spool after the stop: %+v, %v", seg, err)
	}
	if n := testutil.ToFloat64(p.metrics.lost); n != 0 {
		t.Errorf("%v lost", n)
	}
}

// A record comes out of the spool as it went in.
func TestEntry(t *testing.T) {
	in := &kgo.Record{Topic: topic, Key: []byte("key"), Value: []byte("value"), Timestamp: time.UnixMilli(1764000000123),
		Headers: []kgo.RecordHeader{{Key: "v", Value: []byte("1")}, {Key: "empty"}}}
	for _, r := range []*kgo.Record{in, {Topic: "t", Timestamp: time.UnixMilli(0)}} {
		got, err := parseEntry(appendEntry(nil, r))
		if err != nil || fmt.Sprint(got) != fmt.Sprint(r) {
			t.Errorf("%+v became %+v, %v", r, got, err)
		}
	}
}

// FuzzEntry reads arbitrary entries: no panic, and what it can read it can write and read again.
func FuzzEntry(f *testing.F) {
	f.Add([]byte{})
	f.Add(appendEntry(nil, &kgo.Record{Topic: topic, Key: []byte("k"), Value: []byte("v"),
		Headers: []kgo.RecordHeader{{Key: "h"}}}))
	f.Add([]byte{1, 't', 0, 0, 0, 0, 0, 0, 0xff, 0xff, 0xff, 0xff, 0x0f}) // a header count beyond all bounds
	f.Fuzz(func(t *testing.T, b []byte) {
		r, err := parseEntry(b)
		if err != nil {
			return
		}
		again, err := parseEntry(appendEntry(nil, r))
		if err != nil || again.Topic != r.Topic || !bytes.Equal(again.Key, r.Key) || !bytes.Equal(again.Value, r.Value) ||
			len(again.Headers) != len(r.Headers) {
			t.Fatalf("%+v became %+v, %v", r, again, err)
		}
	})
}
