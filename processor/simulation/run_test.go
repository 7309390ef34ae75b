package simulation

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

const (
	sweep = 15 * time.Second
	// dayEnd is when the day ends on which everything happens: the final rates of a day are read
	// when it is over.
	dayEnd = 6 * time.Minute
	// drainTimeout is how long it may take, after the faults, until everything is handled and
	// committed.
	drainTimeout = 15 * time.Minute
	// healing is how long the second looks may take that are due twice the lag after their batches.
	healing = 5 * time.Second
)

// run is one schedule: a seed's traffic, its faults, and what came of it.
type run struct {
	tb      testing.TB
	seed    uint64
	broken  broken
	epoch   time.Time
	traffic *traffic
	faults  []fault
	rates   *rates
	clocks  clocks

	decisions []decision
	older     atomic.Bool // processors that start book by older rules

	network  kfake.VirtualNetwork
	cluster  *kfake.Cluster
	server   *server
	topicIDs map[[16]byte]string
	static   bool // processors are static members
	members  int
	rewind   time.Duration
	shared   uint64 // so many sales under a name are left to Background; 0: identity.Most
	// background is how often a processor books what is left under shared names: at once, or when the
	// records that asked for it are settled.
	background time.Duration
	ongoing    sync.WaitGroup // faults that are not over
	edge       edge
	past       []*kgo.Record // of topics that were made again
	expired    []expired
	remade     bool
	history    []operation

	mu         sync.Mutex
	notes      []string
	violations []string
	commits    []commit
	processors map[string]*processor
	dead       []*processor // those that others follow under their names
	stopping   bool
	absent     bool                 // no processor may start for now
	failed     time.Time            // when a processor or ClickHouse last failed
	answers    []*kfake.FaultHandle // Kafka's faulty ones
}

// commit is an offset that was committed to Kafka.
type commit struct {
	at        time.Time
	topic     string
	partition int32
	offset    int64
}

// observer is what the model complains to: a goroutine of a processor is not the test's, and must
// not end it.
type observer struct {
	testing.TB
	run *run
}

func (o *observer) Fatalf(format string, args ...any) { o.run.violated(format, args...) }

// simulate runs the schedule of one seed and returns what was violated, and a log.
func simulate(t *testing.T, seed uint64, b broken) (violations []string, log string) {
	violations, log, _ = simulated(t, seed, b)
	return violations, log
}

// simulated returns also a hash of the tables at the end.
func simulated(t *testing.T, seed uint64, b broken) (violations []string, log string, hash uint64) {
	synctest.Test(t, func(t *testing.T) {
		// Versions hold seconds since 2020, and the bubble's clock begins in 2000.
		epoch := time.Date(2026, 3, 2, 24, 0, 0, 0, time.UTC).Add(-dayEnd)
		time.Sleep(time.Until(epoch))
		r := &run{seed: seed, broken: b, epoch: epoch, processors: map[string]*processor{}}
		r.tb = &observer{t, r}
		stream := func(n uint64) *rand.Rand { return rand.New(rand.NewPCG(seed, n)) }
		r.clocks = newClocks(stream(5))
		operator := stream(10)
		r.traffic = newTraffic(stream(1), epoch, r.clocks.edge, operator.IntN(3) == 0)
		r.decisions = r.traffic.decide(operator)
		draw := stream(2)
		r.members, r.static = 1+draw.IntN(3), draw.IntN(3) == 0
		// The shorter is less than a replica's lag, and than what ClickHouse loses in a crash.
		r.rewind = []time.Duration{2 * time.Minute, 3 * time.Second}[stream(9).IntN(2)]
		faults := drawFaults(draw, r.members, b.harder)
		r.background = 5 * time.Second
		if shared := stream(14); shared.IntN(6) == 0 {
			r.shared = shared.Uint64N(4) + 1
			if shared.IntN(2) == 0 {
				r.background = 70 * time.Second
			}
		}
		r.rates = newRates(stream(3), epoch)
		l := drawLayout(stream(6))
		chain := r.drawOrphaned(stream(17), l)
		if chain == nil {
			chain = r.drawUnasked(stream(20), l)
		}
		if chain == nil {
			chain = r.drawNameLost(stream(19), l)
		}
		r.server = newServer(r, stream(4), l)
		r.faults = drawCommandFaults(operator, r.decisions)
		switch {
		case chain != nil: // and nothing else that could have it all booked again
			r.faults = append(r.faults, *chain)
		default:
			r.faults = slices.Concat(r.faults, faults, drawClusterFaults(stream(7), l), drawThereAndBack(stream(11), l),
				drawOutlived(stream(13), r.members), drawVanishing(stream(15), l))
			if f := drawTopicFault(stream(8)); f != nil {
				r.faults = append(r.faults, *f)
			}
			if at := drawUpgrade(stream(12)); at > 0 {
				r.older.Store(true)
				r.faults = append(r.faults, fault{at, "processors of older rules are replaced", (*run).upgrade})
			}
		}
		r.run()
		r.writeHistory()
		violations, log, hash = r.violations, r.transcript(), end(r.server.model)
	})
	return violations, log, hash
}

func (r *run) since() time.Duration { return time.Since(r.epoch) }

// note writes down what happens.
func (r *run) note(format string, args ...any) {
	r.mu.Lock()
	defer r.mu.Unlock()
	line := fmt.Sprintf("%9.3f  ", r.since().Seconds()) + fmt.Sprintf(format, args...)
	r.notes = append(r.notes, line)
	if *aloud {
		fmt.Println(line)
	}
}

func (r *run) violated(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	r.note("VIOLATED: %s", text)
	r.mu.Lock()
	defer r.mu.Unlock()
	r.violations = append(r.violations, text)
}

// transcript returns the whole schedule, to find out why it failed.
func (r *run) transcript() string {
	var b strings.Builder
	fmt.Fprintf(&b, "seed %d: %d processors (static members: %v), rewind %s, %d sales share a "+
		"name (booked every %s), %s, %d records, rates: %s\n%s\nfaults, by seconds of virtual time since %s:\n",
		r.seed, r.members, r.static, r.rewind, r.shared, r.background, r.server.layout, len(r.traffic.sends), r.rates,
		r.clocks,
		r.epoch.Format(time.RFC3339))
	for _, f := range r.faults {
		fmt.Fprintf(&b, "%9.3f  %s\n", f.at.Seconds(), f.text)
	}
	fmt.Fprintf(&b, "what happened:\n%s\n", strings.Join(r.notes, "\n"))
	return b.String()
}

var topics = []string{schemas.TopicClicks, schemas.TopicStripe, schemas.TopicLeads, schemas.TopicDeadLetters}

func (r *run) run() {
	cluster, err := kfake.NewCluster(kfake.Ports(9092, 9093), kfake.ListenFn(r.network.Listen),
		kfake.SeedTopics(2, topics...), kfake.GroupMinSessionTimeout(time.Second))
	if err != nil {
		r.tb.Fatal(err)
	}
	r.cluster = cluster
	defer cluster.Close()
	r.topicIDs = r.ids()
	cluster.ControlKey(int16(kmsg.OffsetCommit), r.observe)

	for i := range r.members {
		r.start(fmt.Sprintf("p%d", i+1))
	}
	r.edge.client.Store(r.newEdge())
	defer func() { r.edge.client.Load().Close() }() // another one once a topic was made again
	r.ongoing.Go(r.send)
	for _, f := range r.faults {
		r.ongoing.Go(func() {
			time.Sleep(f.at - r.since())
			r.note("fault: %s", f.text)
			r.record(operation{Process: "harness", Type: "fault", Text: f.text})
			f.do(r)
		})
	}
	r.ongoing.Wait()
	r.calm()
	r.settle()
	r.stop()
	r.check(false)
	r.bury()
}

// observe notes which offsets are committed.
func (r *run) observe(req kmsg.Request) (kmsg.Response, error, bool) {
	c := req.(*kmsg.OffsetCommitRequest)
	for _, t := range c.Topics {
		for _, p := range t.Partitions {
			text := fmt.Sprintf("%s/%d is committed up to %d by %s", r.topicOf(t), p.Partition, p.Offset, c.MemberID)
			r.note("%s", text)
			r.record(operation{Process: "harness", Type: "commit", Text: text})
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, t := range c.Topics {
		for _, p := range t.Partitions {
			r.commits = append(r.commits, commit{time.Now(), r.topicOf(t), p.Partition, p.Offset})
		}
	}
	return nil, nil, false
}

// topicOf names a commit's topic: newer requests say its id.
func (r *run) topicOf(t kmsg.OffsetCommitRequestTopic) string {
	return cmp.Or(t.Topic, r.topicIDs[t.TopicID])
}

// kafka opens a client that meets Kafka's faults, but no network's.
func (r *run) kafka(opts ...kgo.Opt) *kgo.Client {
	client, err := kgo.NewClient(append([]kgo.Opt{kgo.SeedBrokers("localhost:9092", "localhost:9093"),
		kgo.Dialer(r.network.DialContext), kgo.DisableClientMetrics()}, opts...)...)
	if err != nil {
		r.tb.Fatal(err)
	}
	return client
}

func (r *run) newEdge() *kgo.Client {
	return r.kafka(kgo.RequiredAcks(kgo.AllISRAcks()), kgo.ProducerLinger(0))
}

// send is the edge: it tries until Kafka has taken a record.
func (r *run) send() {
	var sent sync.WaitGroup
	for _, s := range r.traffic.sends {
		time.Sleep(s.at - r.since())
		sent.Go(func() {
			for {
				again := *s.record
				err := r.edge.produce(&again)
				if err == nil {
					return
				}
				r.note("the edge tries again: %v", err)
				time.Sleep(time.Second)
			}
		})
	}
	sent.Wait()
}

// stop ends the processors as a supervisor does.
func (r *run) stop() {
	r.mu.Lock()
	r.stopping = true
	r.mu.Unlock()
	for _, p := range r.all() {
		p.cancel()
	}
	for _, p := range r.all() {
		if !p.life.over() {
			<-p.ended
		}
	}
}

// bury waits for those that were killed.
func (r *run) bury() {
	for _, p := range slices.Concat(r.dead, r.all()) {
		<-p.ended
	}
}

// over reports whether the processor was killed.
func (l *lifetime) over() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.killed
}
