package simulation

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/schemas"
)

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

	heard    [3]bool              // which replicas have said who they are
	answered map[string]time.Time // which replicas answered statements since it was asked for, and when
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
	if !r.broken.unnamed {
		servers.Answered = (&client{r.server, p}).Answered
	}
	recomputer := recompute.New(recompute.Config{
		Store: store, Rates: &ownRates{r.rates, p.name}, Log: log,
		// Outside, the times that a processor compares have a monotonic reading too. Here a wrong
		// clock delays by as much as it was wrong.
		Now:        func() time.Time { return time.Now().Add(r.clocks.processors.off(r.since())) },
		ReplicaLag: r.broken.replicaLag(r.server.layout.lag),
		Kept:       r.broken.kept(servers),
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
			Name: name, Topics: topics, MaxRecords: 20, AtOnce: 3, MaxBytes: 1 << 20,
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
	// As in production, by whole fetches. Few of these polls are more than one batch.
	consumers[1].Gather = 250 * time.Millisecond
	var changed time.Time
	servers.Changed = func() {
		soon := time.Since(changed) < 2*time.Minute
		changed = time.Now()
		if r.broken.blind || r.broken.once && soon {
			return
		}
		clicks.Forget()
		recomputer.Forget()
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
	if !r.broken.hurried {
		group.Go(func() error { return recomputer.Mark(ctx) })
	}
	group.Go(func() error { return recomputer.Sweep(ctx, sweep) })
	group.Go(func() error {
		return recomputer.Background(context.WithValue(ctx, inBackground{}, true), r.background)
	})
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
