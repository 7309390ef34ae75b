package simulation

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
	"golang.org/x/sync/errgroup"

	"tributary/processor/consume"
	"tributary/processor/fx"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
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
	ongoing  sync.WaitGroup // faults that are not over
	edge     edge
	past     []*kgo.Record // of topics that were made again
	expired  []expired
	remade   bool
	history  []operation

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
		r.faults = drawFaults(draw, r.members, b.harder)
		r.rates = newRates(stream(3), epoch)
		r.server = newServer(r, stream(4), stream(6))
		r.faults = append(r.faults, drawClusterFaults(stream(7), r.server.layout)...)
		r.faults = append(r.faults, drawCommandFaults(operator, r.decisions)...)
		if f := drawTopicFault(stream(8)); f != nil {
			r.faults = append(r.faults, *f)
		}
		if at := drawUpgrade(stream(12)); at > 0 {
			r.older.Store(true)
			r.faults = append(r.faults, fault{at, "processors of older rules are replaced", (*run).upgrade})
		}
		r.faults = append(r.faults, drawThereAndBack(stream(11), r.server.layout)...)
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
	fmt.Fprintf(&b, "seed %d: %d processors (static members: %v), rewind %s, %s, %d records, rates: "+
		"%s\n%s\nfaults, by seconds of "+
		"virtual time since %s:\n", r.seed, r.members, r.static, r.rewind, r.server.layout, len(r.traffic.sends), r.rates,
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

// processor is one process, with everything that it knows beside Kafka and ClickHouse.
type processor struct {
	client   string // its name for Kafka
	name     string
	life     *lifetime
	wire     *wire
	cancel   context.CancelFunc
	ended    chan struct{}
	handling atomic.Int32 // batches
	older    bool         // it books by older rules
	looks    atomic.Pointer[recompute.Recomputer]

	replica int // that statements go to
	routed  bool
}

// settledUntil is recompute.Recomputer's.
func (p *processor) settledUntil() time.Time {
	if r := p.looks.Load(); r != nil {
		return r.SettledUntil()
	}
	return time.Time{}
}

// start begins a processor under a name, unless it runs.
func (r *run) start(name string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if p := r.processors[name]; r.stopping || r.absent || p != nil && !p.life.over() {
		return
	}
	if p := r.processors[name]; p != nil {
		r.dead = append(r.dead, p)
	}
	life := &lifetime{dead: make(chan struct{})}
	r.failed = time.Now()
	p := &processor{name: name, client: fmt.Sprintf("%s.%d", name, len(r.dead)), life: life,
		wire: &wire{network: &r.network, life: life, conns: map[*conn]bool{}}, ended: make(chan struct{})}
	ctx, cancel := context.WithCancel(context.Background())
	p.cancel, p.older = cancel, r.older.Load()
	r.processors[name] = p
	go func() {
		defer close(p.ended)
		r.process(ctx, p)
	}()
}

// process does what `processor run` does.
func (r *run) process(ctx context.Context, p *processor) {
	r.note("%s starts", p.name)
	log := r.logger(p.name)
	metrics := consume.NewMetrics(prometheus.NewRegistry())
	store := r.broken.store(&client{r.server, p})
	if p.older {
		store = &olderRules{store, r.broken.unmarked}
	}
	var consumers []*consume.Consumer
	servers := &consume.Servers{Ask: (&client{r.server, p}).Server, Log: log}
	recomputer := recompute.New(recompute.Config{
		Store: store, Rates: &ownRates{r.rates, p.name}, Log: log,
		// Outside, the times that a processor compares have a monotonic reading too. Here a wrong
		// clock delays by as much as it was wrong.
		Now:        func() time.Time { return time.Now().Add(r.clocks.processors.off(r.since())) },
		ReplicaLag: r.broken.replicaLag(r.server.layout.lag),
		Elected:    func() bool { return consumers[0].Owns(schemas.TopicStripe, 0) },
	})
	p.looks.Store(recomputer)
	money := &consume.Payments{Store: store, Recomputer: recomputer, Workspace: func(*schemas.StripeEvent) (string,
		bool) {
		return "default", true
	}, Events: consume.NewEventsMetric()}
	clicks := &consume.Clicks{Store: store, Recomputer: recomputer}
	consumer := func(name string, topics []string, handle consume.Handler) *consume.Consumer {
		l := &consume.Consumer{
			Name: name, Topics: topics, MaxRecords: 20, MaxBytes: 1 << 20,
			Handle: r.counted(p, r.broken.handler(p, handle)), Seeds: []string{"localhost:9092", "localhost:9093"},
			Rewind: r.rewind, SettledUntil: r.broken.settledUntil(recomputer, servers), Deadline: 5 * time.Second,
			Log: log, Metrics: metrics,
			// Fewer requests than in production, to save the simulation's time.
			Options: []kgo.Opt{kgo.ClientID(p.client), kgo.Dialer(p.wire.dial), kgo.FetchMaxWait(3 * time.Second),
				kgo.HeartbeatInterval(2 * time.Second), kgo.MetadataMinAge(time.Second), kgo.DisableClientMetrics(),
				// kfake begins to wait for all members anew with every one that joins: members that
				// give up before it has waited would keep each other from ever joining.
				kgo.RequestTimeoutOverhead(2 * time.Minute)},
		}
		if r.broken.noRewind {
			l.Rewind = 0
		}
		if r.static {
			l.Instance = p.name
		}
		return l
	}
	consumers = []*consume.Consumer{consumer("payments", consume.PaymentTopics, money.Handle),
		consumer("clicks", consume.ClickTopics, clicks.Handle)}
	servers.Changed = func() {
		if r.broken.blind {
			return
		}
		clicks.Forget()
		for _, c := range consumers {
			c.RewindNow()
		}
	}
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error {
		_ = servers.Begin(ctx) // fails only when ctx ends
		group.Go(func() error { return servers.Run(ctx) })
		for _, c := range consumers {
			group.Go(func() error { return c.Run(ctx) })
		}
		return nil
	})
	group.Go(func() error { return recomputer.LookAgain(ctx) })
	group.Go(func() error { return recomputer.Sweep(ctx, sweep) })
	err := group.Wait()
	switch {
	case err != nil && !errors.Is(err, errKilled):
		r.violated("a processor never gives up by itself: %s: %v", p.name, err)
	case err != nil:
		r.note("%s is dead", p.name)
	default:
		r.note("%s stopped", p.name)
	}
	p.life.kill()
}

// counted counts the batches that are being handled.
func (r *run) counted(p *processor, handle consume.Handler) consume.Handler {
	return func(ctx context.Context, records []*kgo.Record, aside consume.DeadLetter) error {
		p.handling.Add(1)
		defer p.handling.Add(-1)
		return handle(ctx, records, aside)
	}
}

func (r *run) logger(name string) *slog.Logger {
	return slog.New(slog.NewTextHandler(&logbook{r, name}, &slog.HandlerOptions{Level: slog.LevelWarn}))
}

// logbook is where a processor's log goes.
type logbook struct {
	run  *run
	name string
}

func (l *logbook) Write(line []byte) (int, error) {
	_, text, _ := strings.Cut(strings.TrimSpace(string(line)), "level=")
	l.run.note("%s: %s", l.name, text)
	return len(line), nil
}

// kill ends a processor where it is: nothing that it does from now on reaches anybody. It is back
// after restart.
func (r *run) kill(p *processor, restart time.Duration) {
	if !p.life.kill() {
		return
	}
	r.note("%s is killed", p.name)
	p.wire.cut(time.Hour)
	p.cancel()
	if p.name == commandName {
		return
	}
	go func() {
		time.Sleep(restart)
		r.start(p.name)
	}()
}

// get returns a running processor, or nil.
func (r *run) get(name string) *processor {
	r.mu.Lock()
	defer r.mu.Unlock()
	p := r.processors[name]
	if p == nil || p.life.over() {
		return nil
	}
	return p
}

func (r *run) all() []*processor {
	r.mu.Lock()
	defer r.mu.Unlock()
	var list []*processor
	for _, p := range r.processors {
		list = append(list, p)
	}
	slices.SortFunc(list, func(a, b *processor) int { return strings.Compare(a.name, b.name) })
	return list
}

// calm ends all faults, and sees to it that the processors run.
func (r *run) calm() {
	r.note("the faults are over")
	r.server.calm()
	for _, h := range r.answers {
		h.Remove()
	}
	r.startAll()
}

func (r *run) startAll() {
	for i := range r.members {
		r.start(fmt.Sprintf("p%d", i+1))
	}
}

// away lets no processor run until back.
func (r *run) away() {
	r.mu.Lock()
	r.absent = true
	r.mu.Unlock()
	for _, p := range r.all() {
		r.kill(p, 0)
	}
}

func (r *run) back() {
	r.mu.Lock()
	r.absent = false
	r.mu.Unlock()
	r.startAll()
}

// settle waits until everything is handled, and everything was looked at again.
func (r *run) settle() {
	client := r.kafka()
	defer client.Close()
	// A server that is gone may be missed only after a minute: see consume.Servers.
	time.Sleep(max(0, 75*time.Second-time.Since(r.lastFailure())))
	for calm, waited := time.Duration(0), time.Duration(0); calm < 15*time.Second; waited += 5 * time.Second {
		time.Sleep(5 * time.Second)
		busy := r.busy(client, calm >= 10*time.Second)
		if busy == "" {
			calm += 5 * time.Second
			continue
		}
		if calm = 0; waited > drainTimeout {
			r.violated("everything is handled in the end: %s after the faults %s", waited, busy)
			break
		}
	}
	r.note("everything is handled")
	time.Sleep(2*r.server.layout.lag + healing)
	r.check(true)
	time.Sleep(max(0, time.Until(r.rates.last()), time.Until(r.epoch.Add(dayEnd))) + 3*sweep)
}

// busy says what still goes on, or "". Committed offsets are no measure of it: a commit that fails
// is repeated with the next record of its partition, however long that takes.
func (r *run) busy(client *kgo.Client, thorough bool) string {
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	groups, err := admin.DescribeGroups(ctx, schemas.ConsumerGroup)
	if err != nil {
		return err.Error()
	}
	if n := r.evict(ctx, client, groups[schemas.ConsumerGroup].Members); n > 0 {
		return fmt.Sprintf("%d members are dead", n)
	}
	if state := groups[schemas.ConsumerGroup].State; state != "Stable" {
		return "the group is " + state
	}
	for _, p := range r.all() {
		if n := p.handling.Load(); n > 0 && !p.life.over() {
			return fmt.Sprintf("%d batches are being handled by %s", n, p.name)
		}
	}
	if !thorough {
		return ""
	}
	log := r.log()
	stored := rawRows(r.server.current())
	for _, rec := range log {
		if key := r.stored(rec); key != "" && !stored[key] {
			return fmt.Sprintf("%s/%d offset %d is not stored", rec.Topic, rec.Partition, rec.Offset)
		}
	}
	return ""
}

// evict ends the membership of processors that are no more, and says how many there were. A broker
// does so when their session has timed out; kfake keeps one that was killed while it joined for
// ever.
func (r *run) evict(ctx context.Context, client *kgo.Client, members []kadm.DescribedGroupMember) int {
	alive := make(map[string]bool)
	for _, p := range r.all() {
		alive[p.client] = !p.life.over()
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = schemas.ConsumerGroup
	for _, m := range members {
		if !alive[m.ClientID] {
			dead := kmsg.NewLeaveGroupRequestMember()
			dead.MemberID = m.MemberID
			leave.Members = append(leave.Members, dead)
		}
	}
	if len(leave.Members) == 0 {
		return 0
	}
	r.note("%d dead members are evicted", len(leave.Members))
	if _, err := leave.RequestWith(ctx, client); err != nil {
		r.note("evict: %v", err)
	}
	return len(leave.Members)
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

// rates arrive while the schedule is under way: none at first, then a provisional one, then the
// day's own.
type rates struct {
	usd     map[string]decimal.Decimal
	any     map[string]time.Time // from when on there is one at all
	final   map[string]time.Time
	lagging map[string]time.Duration // by processor: each reads its sources on its own
}

func newRates(rng *rand.Rand, epoch time.Time) *rates {
	r := &rates{usd: map[string]decimal.Decimal{}, any: map[string]time.Time{}, final: map[string]time.Time{},
		lagging: map[string]time.Duration{}}
	for _, c := range []struct{ currency, usd string }{{"usd", "1"}, {"eur", "1.1"}, {"jpy", "0.0067"}} {
		r.usd[c.currency] = decimal.RequireFromString(c.usd)
		r.any[c.currency], r.final[c.currency] = epoch, epoch
		if c.currency != "usd" && rng.IntN(2) == 0 {
			r.any[c.currency] = epoch.Add(time.Duration(rng.Int64N(int64(2 * span))))
			r.final[c.currency] = r.any[c.currency].Add(time.Duration(rng.Int64N(int64(span))))
		}
	}
	for i := range 4 {
		r.lagging[fmt.Sprintf("p%d", i+1)] = time.Duration(rng.Int64N(int64(30 * time.Second)))
	}
	return r
}

// last is when every processor knows every rate.
func (r *rates) last() time.Time {
	var last time.Time
	for _, at := range r.final {
		if at.After(last) {
			last = at
		}
	}
	return last.Add(30 * time.Second)
}

func (r *rates) String() string {
	var list []string
	for _, c := range []string{"eur", "jpy"} {
		list = append(list, fmt.Sprintf("%s from %s on, final from %s on", c, r.any[c].Format(time.TimeOnly),
			r.final[c].Format(time.TimeOnly)))
	}
	return strings.Join(list, "; ")
}

// known returns a rate as it is known at a moment. A provisional one is another day's, and differs.
func (r *rates) known(currency string, at, now time.Time) (fx.Quote, int, bool) {
	exponent, _ := fx.Exponent(currency)
	usd, ok := r.usd[currency]
	if !ok || now.Before(r.any[currency]) {
		return fx.Quote{}, exponent, false
	}
	quote := fx.Quote{Rate: fx.Rate{Currency: currency, Date: fx.DateOf(at), USD: usd, Source: "test"}, Final: true}
	if now.Before(r.final[currency]) {
		quote.USD, quote.Date, quote.Final = usd.Mul(decimal.New(101, -2)), fx.DateOf(at.AddDate(0, 0, -1)), false
	}
	return quote, exponent, true
}

// ownRates are one processor's.
type ownRates struct {
	*rates
	processor string
}

var _ ledger.Rates = (*ownRates)(nil)

func (r *ownRates) Convert(currency string, at time.Time) (fx.Quote, int, bool) {
	return r.known(currency, at, time.Now().Add(-r.lagging[r.processor]))
}
