package simulation

import (
	"context"
	"fmt"
	"math/rand/v2"
	"strings"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/replay"
	"tributary/schemas"
)

// remadeTopics are those that may be made again, and whose records may be deleted unread.
var remadeTopics = []string{schemas.TopicClicks, schemas.TopicStripe, schemas.TopicLeads}

// edge is what the edge writes with: another client once a topic was made again, as after a
// restart.
type edge struct {
	client  atomic.Pointer[kgo.Client]
	writing atomic.Int32
	closed  atomic.Bool // it waits
}

func (e *edge) produce(r *kgo.Record) error {
	for e.closed.Load() {
		time.Sleep(100 * time.Millisecond)
	}
	e.writing.Add(1)
	defer e.writing.Add(-1)
	ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
	defer cancel()
	return e.client.Load().ProduceSync(ctx, r).FirstErr()
}

// drawTopicFault makes what an operator does to Kafka or with a command; nil: nothing.
func drawTopicFault(rng *rand.Rand) *fault {
	topic := remadeTopics[rng.IntN(len(remadeTopics))]
	at := time.Duration(rng.Int64N(int64(span + 50*time.Second))).Truncate(time.Millisecond)
	switch rng.IntN(8) {
	case 0:
		return &fault{at, topic + " is made again once everything in it is stored", func(r *run) { r.remake(topic) }}
	case 1:
		repeated := 1 + rng.IntN(5)
		return &fault{at, fmt.Sprintf("retention deletes %d repeated records of %s while no processor runs", repeated, topic),
			func(r *run) { r.expire(topic, repeated) }}
	case 2:
		lives := time.Duration(1+rng.IntN(50)) * 10 * time.Millisecond
		return &fault{at, fmt.Sprintf("processor replay begins, and is killed after %s", lives),
			func(r *run) { r.replay(lives) }}
	}
	return nil
}

// settled reports whether everything is stored since a moment for so long that a topic may be
// deleted: what a processor has yet to look at again, or ClickHouse may still lose, is read again
// from the topic (deploy/README.md).
func (r *run) settled(since time.Time) bool {
	for _, p := range r.all() {
		if !p.life.over() && p.settledUntil().Before(since) {
			return false
		}
	}
	return time.Since(since) > 2*r.server.layout.lag+2*time.Minute
}

// failure notes that a processor or ClickHouse failed.
func (r *run) failure() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.failed = time.Now()
}

func (r *run) lastFailure() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.failed
}

// whileStored calls change when everything that the edge wrote has been stored for long enough and
// it writes nothing, if that comes soon.
func (r *run) whileStored(change func(*kgo.Client, *kadm.Client)) {
	client := r.kafka()
	defer client.Close()
	r.edge.closed.Store(true)
	defer r.edge.closed.Store(false)
	if r.broken.hasty {
		change(client, kadm.NewClient(client))
		return
	}
	calm := time.Now()
	for range 90 {
		time.Sleep(5 * time.Second)
		if r.edge.writing.Load() > 0 || r.busy(client, true) != "" || r.lastFailure().After(calm) {
			calm = time.Now()
		}
		if r.settled(calm) {
			change(client, kadm.NewClient(client))
			return
		}
	}
	r.note("it is not done: there is too much to do")
}

// remake deletes a topic and makes it again: its offsets begin anew.
func (r *run) remake(topic string) {
	r.whileStored(func(*kgo.Client, *kadm.Client) {
		r.keep(topic)
		if err := r.cluster.DeleteTopic(topic); err != nil {
			r.violated("delete %s: %v", topic, err)
		}
		if err := r.cluster.CreateTopic(topic, 2, nil); err != nil {
			r.violated("make %s again: %v", topic, err)
		}
		ids := r.ids()
		r.mu.Lock()
		r.topicIDs, r.remade = ids, true
		var commits []commit
		for _, c := range r.commits {
			if c.topic != topic {
				commits = append(commits, c)
			}
		}
		r.commits = commits
		r.mu.Unlock()
		r.edge.client.Swap(r.newEdge()).Close()
		r.note("%s is made again", topic)
	})
}

// keep remembers the records of a topic that are to be deleted.
func (r *run) keep(topic string) {
	for _, rec := range r.log() {
		if rec.Topic == topic && !r.isPast(rec) {
			r.past = append(r.past, rec)
		}
	}
}

// isPast reports whether a record is one of a topic that was deleted.
func (r *run) isPast(rec *kgo.Record) bool {
	for _, p := range r.past {
		if p == rec {
			return true
		}
	}
	return false
}

// expired is what was deleted of a partition: nobody can have read [begin, end), and what was read
// before may not have been committed.
type expired struct {
	topic      string
	partition  int32
	begin, end int64
	unread     bool // and the group has committed an offset, by which it notices
}

// expire kills the processors, repeats some records, which Stripe and the edge may do at any time,
// and deletes them before anybody reads them.
func (r *run) expire(topic string, repeated int) {
	r.whileStored(func(client *kgo.Client, admin *kadm.Client) {
		r.away() // also while Kafka refuses the repeated records for long
		defer r.back()
		ctx := context.Background()
		begin := listed(admin.ListEndOffsets, topic)
		r.keep(topic)
		for _, rec := range r.past {
			if rec.Topic != topic || repeated == 0 {
				continue
			}
			repeated--
			again := kgo.Record{Topic: topic, Key: rec.Key, Value: rec.Value, Headers: rec.Headers}
			if err := client.ProduceSync(ctx, &again).FirstErr(); err != nil {
				r.note("repeating a record: %v", err)
			}
		}
		committed := kadm.OffsetResponses{}
		for err := error(nil); ; time.Sleep(time.Second) {
			if committed, err = admin.FetchOffsets(ctx, schemas.ConsumerGroup); err == nil {
				break
			}
		}
		listed(admin.ListEndOffsets, topic).Each(func(end kadm.ListedOffset) {
			from, _ := begin.Lookup(topic, end.Partition)
			if err := r.cluster.DeleteRecords(topic, end.Partition, end.Offset); err != nil {
				r.violated("delete records: %v", err)
			}
			c, ok := committed.Lookup(topic, end.Partition)
			unread := end.Offset > from.Offset && ok && c.At >= 0 && c.At < end.Offset
			r.expired = append(r.expired, expired{topic, end.Partition, from.Offset, end.Offset, unread})
			r.note("%s/%d is empty up to %d, and was read up to %d", topic, end.Partition, end.Offset, from.Offset)
		})
	})
}

// missingIsNamed: offsets that Kafka deleted before they were read are named by a dead letter, and
// no others are.
func (r *run) missingIsNamed(_ []*kgo.Record, fault func(string, ...any)) {
	named := make(map[expired]bool)
	for _, l := range r.server.model.DeadLetters() {
		if l.Step != consume.LostStep {
			continue
		}
		found := false
		for _, e := range r.expired {
			if l.Topic == e.topic && l.Partition == e.partition && l.Offset <= e.begin &&
				strings.Contains(l.Error, fmt.Sprintf("to %d of", e.end-1)) {
				named[e], found = true, true
			}
		}
		if !found && !r.remade {
			fault("a dead letter says that %s, and nothing is", l.Error)
		}
	}
	for _, e := range r.expired {
		if e.unread && !named[e] {
			fault("offsets %d to %d of %s/%d were deleted unread, and no dead letter says so", e.begin, e.end-1,
				e.topic, e.partition)
		}
	}
}

// replay handles everything again, as processor replay topics does, and is killed in the middle.
func (r *run) replay(lives time.Duration) {
	life := &lifetime{dead: make(chan struct{})}
	p := &processor{name: commandName, life: life, cancel: func() {},
		wire: &wire{network: &r.network, life: life, conns: map[*conn]bool{}}}
	time.AfterFunc(lives, func() { life.kill() })
	store := &client{r.server, p}
	recomputer := recompute.New(recompute.Config{Store: store, Rates: &ownRates{r.rates, p.name}, Log: r.logger(p.name)})
	h := &replay.Handlers{
		Recomputer: recomputer, Clicks: &consume.Clicks{Store: store, Recomputer: recomputer},
		Payments: &consume.Payments{Store: store, Recomputer: recomputer, Events: consume.NewEventsMetric(),
			Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }},
	}
	aside := func(context.Context, *kgo.Record, string, string, error) error { return nil }
	for _, rec := range r.log() {
		if err := h.Handle(context.Background(), []*kgo.Record{rec}, aside, r.logger(p.name)); err != nil {
			r.note("processor replay ends: %v", err)
			return
		}
	}
}

// commandName is the name of a command beside the processors; it is not started again.
const commandName = "command"
