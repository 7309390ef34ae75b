package publish

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/ingest/publish/spool"
)

func spooling(dir string, seeds ...string) Config {
	c := quickly(seeds...)
	c.Timeout, c.SpoolAfter, c.SpoolDir = 5*time.Second, 100*time.Millisecond, dir
	return c
}

func valueOf(t *testing.T, c prometheus.Counter) float64 {
	t.Helper()
	var m dto.Metric
	if err := c.Write(&m); err != nil {
		t.Fatal(err)
	}
	return m.GetCounter().GetValue()
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
	o := &outage{t: t, dir: t.TempDir()}
	o.start()
	o.addr = o.c.ListenAddrs()[0]
	t.Cleanup(o.end)
	return o
}

func (o *outage) start(opts ...kfake.Opt) {
	o.t.Helper()
	opts = append(opts, kfake.NumBrokers(1), kfake.SeedTopics(3, topic), kfake.DataDir(o.dir))
	c, err := kfake.NewCluster(opts...)
	if err != nil {
		o.t.Fatal(err)
	}
	o.c = c
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
	o.start(kfake.Ports(n))
}

// waitDrained waits until p's spool is empty.
func waitDrained(t *testing.T, p *Publisher) {
	t.Helper()
	for deadline := time.Now().Add(time.Minute); ; time.Sleep(10 * time.Millisecond) {
		u, err := p.spool.Usage()
		if err != nil {
			t.Fatal(err)
		}
		if u.Segments == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("the spool still holds %+v", u)
		}
	}
}

// An outage under load: nobody is refused, almost nobody waits, memory is bounded, and nothing is
// lost.
func TestOutageWithSpool(t *testing.T) {
	o := newOutage(t)
	p := start(t, spooling(t.TempDir(), o.addr))
	if err := put(t.Context(), p, record("before")); err != nil {
		t.Fatal(err)
	}
	o.end()

	const rate, seconds = 2000, 5
	var (
		mu    sync.Mutex
		waits []time.Duration
		wg    sync.WaitGroup
	)
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for batch := range seconds * 100 {
		<-tick.C
		for k := range rate / 100 {
			wg.Go(func() {
				begin := time.Now()
				if err := put(t.Context(), p, record(fmt.Sprintf("%d.%d", batch, k))); err != nil {
					t.Errorf("Publish: %v", err)
				}
				d := time.Since(begin)
				mu.Lock()
				waits = append(waits, d)
				mu.Unlock()
			})
		}
		if batch == 100 {
			if err := p.Ready(t.Context()); err != nil {
				t.Errorf("Ready with a spool that has room: %v", err)
			}
			if w := p.Warnings(t.Context()); len(w) != 1 || !strings.Contains(w[0], "spool") {
				t.Errorf("Warnings: %q", w)
			}
		}
	}
	wg.Wait()
	slices.Sort(waits)
	// Most answers come from the spool and not after Kafka's deadline of 5 s. How fast they are, make
	// outages measures.
	if p50 := waits[len(waits)/2]; p50 > time.Second {
		t.Errorf("half of the answers took %s", p50)
	}
	t.Logf("answers: p50 %s, p90 %s, p99 %s", waits[len(waits)/2], waits[len(waits)*9/10], waits[len(waits)*99/100])
	if n := p.inDoubt.Load(); n > rate/2+drainTries*drainFirst {
		t.Errorf("%d records in doubt: the breaker should have opened after %s", n, p.cfg.SpoolAfter)
	}

	begin := time.Now()
	o.again()
	waitDrained(t, p)
	t.Logf("drained %d records in %s", len(waits), time.Since(begin))
	total := 1 + len(waits)
	got := storedAtLeast(t, o.addr, total)
	for batch := range seconds * 100 {
		for k := range rate / 100 {
			if v := fmt.Sprintf("%d.%d", batch, k); got[v] == 0 {
				t.Fatalf("%s is lost", v)
			}
		}
	}
	if n := valueOf(t, p.metrics.spoolDrained); n != valueOf(t, p.metrics.spooled) {
		t.Errorf("%v records drained of %v", n, valueOf(t, p.metrics.spooled))
	}
	for deadline := time.Now().Add(5 * time.Second); p.stalled.Load(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("the breaker stays open")
		}
	}
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
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
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
	var out bytes.Buffer
	cmd.Stdout = &out
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(1500 * time.Millisecond)
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	promised := strings.Count(out.String(), "\n")
	if promised < 10 {
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
	cfg.SpoolAfter = Default().SpoolAfter // on a busy machine the live leaders take 100 ms too
	p := start(t, cfg)
	const records = 1000
	var wg sync.WaitGroup
	for k := range records {
		wg.Go(func() {
			if err := put(t.Context(), p, record(fmt.Sprint(k))); err != nil {
				t.Errorf("Publish: %v", err)
			}
		})
		time.Sleep(time.Millisecond)
	}
	wg.Wait()
	if n := valueOf(t, p.metrics.spooled); n == 0 || n > records/2 {
		t.Errorf("%v of %d records went to the spool; only the dead leader's should", n, records)
	}
	waitDrained(t, p)
	fault.Remove()
	storedAtLeast(t, c.ListenAddrs()[0], records)
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
	if n := valueOf(t, p.metrics.spoolRefused); n != 1 {
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
	if got := stored(t, c.ListenAddrs()[0], 2); got["first"] != 1 || got["last"] != 1 {
		t.Errorf("stored %v", got)
	}
	if n := valueOf(t, p.metrics.spoolUndeliverable); n != 2 {
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
	if got := stored(t, c.ListenAddrs()[0], 1); got["x"] != 1 {
		t.Errorf("stored %v", got)
	}
}

// Under the fast promise Publish does not wait, the caller's memory is free at once, and a stop
// without Kafka loses nothing where there is a spool.
func TestEnqueue(t *testing.T) {
	c := cluster(t)
	cfg := quickly(c.ListenAddrs()...)
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
	if n := valueOf(t, p.metrics.lost); n != 0 {
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
