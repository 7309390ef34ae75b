//go:build unix && proof

package chaos

import (
	"context"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"sync"
	"time"

	"tributary/schemas"
)

// chaos does harm, a fault at a time or several at once. A target that a fault has in hand is left
// alone by the others.
type chaos struct {
	*site
	story *story
	watch *watch

	mu   sync.Mutex
	held map[string]bool // targets in hand
}

// fault is one kind of harm.
type fault struct {
	name    string
	cards   int      // how often it lies in the deck
	targets []string // one of them is taken at random, and held until it is over; all of them with every
	every   bool
	do      func(ctx context.Context, r *rand.Rand, target string) error
}

// The brokers are one target: two of three must be there, but where their loss is the fault.
const kafka = "kafka"

func (c *chaos) faults() []fault {
	processors := []string{"processor-1", "processor-2"}
	return []fault{
		{"kill a leader", 4, []string{kafka}, false, c.killLeader},
		{"kill a processor", 6, processors, false, c.killProcessor},
		{"kill the edge", 4, []string{"edge"}, false, c.killAndStart(c.edge, 1500)},
		{"kill the webhook", 4, []string{"webhook"}, false, c.killAndStart(c.webhook, 1500)},
		{"kill the engine", 4, []string{"engine"}, false, c.killAndStart(c.engine, 4000)},
		{"freeze a processor", 2, processors, false, c.zombie},
		{"freeze the engine", 1, []string{"engine"}, false, c.freezeEngine},
		{"lose a broker", 2, []string{kafka}, false, c.loseBroker},
		{"kill two brokers", 1, []string{kafka}, false, c.killTwo},
		{"restart brokers in turn", 1, []string{kafka}, false, c.rollingRestart},
		{"restart a processor", 1, processors, false, c.restartProcessor},
		{"add partitions", 1, []string{kafka}, false, c.addPartitions},
		{"a processor joins and leaves", 2, []string{"processor-3"}, false, c.joinAndLeave},
		{"kill all processors", 1, []string{"processor-1", "processor-2", "processor-3"}, true, c.killProcessors},
	}
}

// alone does the faults of processors one after the other, and waits each time until everything
// goes on: with nothing else broken it must, and how long it takes is what an operator sees.
func (c *chaos) alone(ctx context.Context, r *rand.Rand, until time.Time) {
	c.watch.mu.Lock()
	c.watch.alone = true
	c.watch.mu.Unlock()
	for i := 0; time.Now().Before(until) && ctx.Err() == nil; i++ {
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		var err error
		switch i % 7 {
		case 0:
			err = c.killProcessor(ctx, own, "processor-1")
		case 1:
			err = c.killProcessor(ctx, own, "processor-2")
		case 2:
			err = c.killProcessors(ctx, own, "")
		case 3:
			err = c.restartProcessor(ctx, own, "processor-1")
		case 4:
			err = c.restartProcessor(ctx, own, "processor-2")
		case 5:
			err = c.joinAndLeave(ctx, own, "processor-3")
		case 6:
			err = c.zombie(ctx, own, []string{"processor-1", "processor-2"}[own.IntN(2)])
		}
		if err == nil {
			err = c.watch.waitProgress(ctx, goesOn)
		}
		if err != nil {
			c.story.fail("one fault at a time: %v", err)
		}
	}
	c.watch.mu.Lock()
	c.watch.alone = false
	c.watch.mu.Unlock()
}

// goesOn is how long everything may stand still after one fault that is over: a session timeout of
// 10 s, a rebalance, and a machine that has other things to do.
const goesOn = 90 * time.Second

// atOnce bounds the faults that are under way together, so that something is still running.
const atOnce = 5

// run does harm until the time is over, and mends what it broke. Every fault comes up before one
// comes up too often: they are cards of a deck, which is shuffled, dealt and shuffled again.
func (c *chaos) run(ctx context.Context, r *rand.Rand, until time.Time) {
	faults := c.faults()
	var deck []int
	var doing sync.WaitGroup
	slots := make(chan struct{}, atOnce)
	for ctx.Err() == nil && time.Now().Before(until) {
		if len(deck) == 0 {
			for i, f := range faults {
				for range f.cards {
					deck = append(deck, i)
				}
			}
			r.Shuffle(len(deck), func(i, j int) { deck[i], deck[j] = deck[j], deck[i] })
		}
		slots <- struct{}{}
		// The first card whose target is free. The seed draws for it, so that waiting changes no
		// other fault.
		dealt := -1
		var took []string
		for i, card := range deck {
			if took = c.take(r, faults[card]); took != nil {
				dealt = i
				break
			}
		}
		if dealt < 0 {
			<-slots
			time.Sleep(50 * time.Millisecond)
			continue
		}
		f := faults[deck[dealt]]
		deck = slices.Delete(deck, dealt, dealt+1)
		own := rand.New(rand.NewPCG(r.Uint64(), r.Uint64()))
		pause := between(r, 200, 2000)
		doing.Go(func() {
			defer func() { <-slots }()
			defer c.release(took)
			if err := f.do(ctx, own, took[0]); err != nil && ctx.Err() == nil {
				c.story.fail("%s (%s): %v", f.name, strings.Join(took, ", "), err)
			}
		})
		time.Sleep(min(pause, time.Until(until)))
	}
	doing.Wait()
}

// take holds the targets of a fault, or none.
func (c *chaos) take(r *rand.Rand, f fault) []string {
	c.mu.Lock()
	defer c.mu.Unlock()
	free := slices.DeleteFunc(slices.Clone(f.targets), func(t string) bool { return c.held[t] })
	switch {
	case len(free) == 0 || f.every && len(free) < len(f.targets):
		return nil
	case !f.every:
		free = []string{free[r.IntN(len(free))]}
	}
	for _, t := range free {
		c.held[t] = true
	}
	return free
}

func (c *chaos) release(targets []string) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, t := range targets {
		delete(c.held, t)
	}
}

func sleep(ctx context.Context, d time.Duration) {
	select {
	case <-ctx.Done():
	case <-time.After(d):
	}
}

// between returns a duration from low to high milliseconds.
func between(r *rand.Rand, low, high int) time.Duration {
	return time.Duration(low+r.IntN(high-low+1)) * time.Millisecond
}

func (c *chaos) processor(name string) *program {
	for _, p := range c.processors {
		if p.name == name {
			return p
		}
	}
	panic("no processor " + name)
}

// settle waits for a program that was started; most are killed while they work, some while they
// start.
func settle(ctx context.Context, r *rand.Rand, p *program) {
	if r.IntN(4) == 0 {
		return
	}
	ctx, cancel := context.WithTimeout(ctx, 8*time.Second)
	defer cancel()
	_ = p.waitReady(ctx) // while the others are being killed it may be long; the end asks again
}

func (c *chaos) killAndStart(p *program, atMost int) func(context.Context, *rand.Rand, string) error {
	return func(ctx context.Context, r *rand.Rand, target string) error {
		p.kill()
		c.story.killed(target, "killed %s", target)
		sleep(ctx, between(r, 0, atMost))
		if err := p.start(); err != nil {
			return err
		}
		c.story.note("started %s", target)
		settle(ctx, r, p)
		return nil
	}
}

func (c *chaos) killProcessor(ctx context.Context, r *rand.Rand, target string) error {
	p := c.processor(target)
	p.kill()
	c.watch.mark("kill -9 of " + target)
	c.story.killed("processor", "killed %s", target)
	down := between(r, 0, 3000)
	if r.IntN(4) == 0 {
		down = between(r, 11_000, 15_000) // until it is evicted
	}
	sleep(ctx, down)
	if err := p.start(); err != nil {
		return err
	}
	c.story.note("started %s after %s", target, round(down))
	settle(ctx, r, p)
	return nil
}

// killProcessors leaves nobody to take over.
func (c *chaos) killProcessors(ctx context.Context, r *rand.Rand, _ string) error {
	for _, p := range c.processors[:2] {
		p.kill()
		c.story.killed("processor", "killed %s", p.name)
	}
	c.watch.mark("kill -9 of both processors")
	sleep(ctx, between(r, 0, 3000))
	for _, p := range c.processors[:2] {
		if err := p.start(); err != nil {
			return err
		}
		c.story.note("started %s", p.name)
	}
	settle(ctx, r, c.processors[0])
	return nil
}

// zombie freezes a processor until the group has given its partitions away, and lets it go on in
// the middle of whatever it was doing: its inserts and its commit come after those of the new
// owner. The session timeout is 10 s.
func (c *chaos) zombie(ctx context.Context, r *rand.Rand, target string) error {
	p := c.processor(target)
	if err := p.suspend(); err != nil {
		return err
	}
	c.watch.mark("zombie " + target)
	frozen := between(r, 12_000, 20_000)
	c.story.note("suspended %s", target)
	time.Sleep(frozen) // also when the test ends: nobody is left frozen
	if err := p.resume(); err != nil {
		return err
	}
	c.story.note("resumed %s after %s", target, round(frozen))
	sleep(ctx, between(r, 1000, 4000))
	return nil
}

func (c *chaos) restartProcessor(ctx context.Context, r *rand.Rand, target string) error {
	p := c.processor(target)
	c.watch.mark("orderly restart of " + target)
	c.story.note("stopping %s", target)
	if err := p.stop(40 * time.Second); err != nil {
		return err
	}
	if err := p.start(); err != nil {
		return err
	}
	c.story.note("restarted %s", target)
	settle(ctx, r, p)
	return nil
}

func (c *chaos) joinAndLeave(ctx context.Context, r *rand.Rand, target string) error {
	p := c.processor(target)
	if err := p.start(); err != nil {
		return err
	}
	c.watch.mark("a third processor joins")
	c.story.note("%s joins", target)
	sleep(ctx, between(r, 2000, 15_000))
	if r.IntN(2) == 0 {
		p.kill()
		c.watch.mark("the third is killed")
		c.story.killed("processor", "killed %s", target)
		return nil
	}
	c.watch.mark("the third leaves")
	c.story.note("%s leaves", target)
	return p.stop(40 * time.Second)
}

// freezeEngine lets statements hang, and then go on as if nothing had been.
func (c *chaos) freezeEngine(_ context.Context, r *rand.Rand, _ string) error {
	if err := c.engine.suspend(); err != nil {
		return err
	}
	frozen := between(r, 2000, 12_000)
	c.story.note("suspended engine")
	time.Sleep(frozen)
	if err := c.engine.resume(); err != nil {
		return err
	}
	c.story.note("resumed engine after %s", round(frozen))
	return nil
}

// leader of some partition that matters; some broker while it has none.
func (c *chaos) leader(ctx context.Context, r *rand.Rand) (int, string) {
	topic := []string{schemas.TopicClicks, schemas.TopicStripe, schemas.TopicStripe, schemas.TopicLeads,
		"__consumer_offsets"}[r.IntN(5)]
	partition := int32(r.IntN(6))
	some := 1 + r.IntN(len(c.cluster.Brokers()))
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	id, err := c.cluster.Leader(ctx, topic, partition)
	if err != nil {
		return some, "of nothing"
	}
	return id, fmt.Sprintf("of %s/%d", topic, partition)
}

func (c *chaos) killLeader(ctx context.Context, r *rand.Rand, _ string) error {
	id, what := c.leader(ctx, r)
	c.cluster.Kill(id)
	c.story.killed("broker", "killed broker %d, leader %s", id, what)
	sleep(ctx, between(r, 0, 8000))
	return c.back(id)
}

// back starts a broker again and waits for it, also when the time is over.
func (c *chaos) back(ids ...int) error {
	for _, id := range ids {
		if err := c.cluster.Begin(id); err != nil {
			return err
		}
	}
	for _, id := range ids {
		if err := c.cluster.WaitJoined(context.Background(), id); err != nil {
			return err
		}
		c.story.note("broker %d is back", id)
	}
	return nil
}

// loseBroker takes a broker away without a kill: stopped in order, or frozen until the others have
// given it up.
func (c *chaos) loseBroker(ctx context.Context, r *rand.Rand, _ string) error {
	id, what := c.leader(ctx, r)
	away := between(r, 5000, 12_000)
	if r.IntN(2) == 0 {
		if err := c.cluster.Suspend(id); err != nil {
			return err
		}
		c.story.note("suspended broker %d, leader %s", id, what)
		time.Sleep(away)
		if err := c.cluster.Resume(id); err != nil {
			return err
		}
		c.story.note("resumed broker %d after %s", id, round(away))
		return c.cluster.WaitJoined(context.Background(), id)
	}
	c.story.note("stopping broker %d, leader %s", id, what)
	c.stopBroker(id)
	sleep(ctx, away)
	return c.back(id)
}

func (c *chaos) stopBroker(id int) {
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	if err := c.cluster.Stop(ctx, id); err != nil {
		c.story.killed("broker", "%v", err) // it waits for others that are being killed themselves
	}
}

// killTwo takes the majority away: nothing is acknowledged, nobody is elected, until one is back.
func (c *chaos) killTwo(ctx context.Context, r *rand.Rand, _ string) error {
	ids := c.cluster.Brokers()
	r.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	for _, id := range ids[:2] {
		c.cluster.Kill(id)
		c.story.killed("broker", "killed broker %d, one of two", id)
	}
	sleep(ctx, between(r, 0, 5000))
	return c.back(ids[:2]...)
}

func (c *chaos) rollingRestart(_ context.Context, _ *rand.Rand, _ string) error {
	for _, id := range c.cluster.Brokers() {
		c.story.note("stopping broker %d in its turn", id)
		c.stopBroker(id)
		if err := c.back(id); err != nil {
			return err
		}
	}
	return nil
}

// mostPartitions of one topic: each costs three brokers files.
const mostPartitions = 30

// addPartitions moves keys: what is said of a customer from now on may lie in another partition
// than what was said before.
func (c *chaos) addPartitions(ctx context.Context, r *rand.Rand, _ string) error {
	topic := []string{schemas.TopicClicks, schemas.TopicStripe}[r.IntN(2)]
	add := 1 + r.IntN(3)
	ctx, cancel := context.WithTimeout(ctx, 15*time.Second)
	defer cancel()
	listed, err := c.cluster.Admin().ListTopics(ctx, topic)
	if err != nil {
		return err
	}
	if len(listed[topic].Partitions)+add > mostPartitions {
		return nil
	}
	answers, err := c.cluster.Admin().CreatePartitions(ctx, add, topic)
	if err != nil {
		return err
	}
	if err := answers[topic].Err; err != nil {
		return fmt.Errorf("add partitions to %s: %w", topic, err)
	}
	c.story.note("added %d partitions to %s, which had %d", add, topic, len(listed[topic].Partitions))
	return nil
}
