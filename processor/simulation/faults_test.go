package simulation

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// fault is one thing that goes wrong at a moment.
type fault struct {
	at   time.Duration // since the epoch
	text string
	do   func(*run)
}

// kafkaErrors are answers that real brokers give while leaders and coordinators move.
var kafkaErrors = []struct {
	key kmsg.Key
	err *kerr.Error
}{
	{kmsg.Fetch, kerr.NotLeaderForPartition},
	{kmsg.Fetch, kerr.UnknownLeaderEpoch},
	{kmsg.Produce, kerr.NotLeaderForPartition},
	{kmsg.Produce, kerr.NotEnoughReplicasAfterAppend}, // appended, and an error
	{kmsg.Produce, kerr.RequestTimedOut},              // the same
	{kmsg.OffsetCommit, kerr.NotCoordinator},
	{kmsg.OffsetCommit, kerr.CoordinatorLoadInProgress},
	{kmsg.OffsetCommit, kerr.RequestTimedOut}, // committed, and an error
	{kmsg.OffsetCommit, kerr.RebalanceInProgress},
	{kmsg.OffsetCommit, kerr.IllegalGeneration},
	{kmsg.OffsetFetch, kerr.CoordinatorLoadInProgress},
	{kmsg.OffsetFetch, kerr.NotCoordinator},
	{kmsg.ListOffsets, kerr.NotLeaderForPartition},
	{kmsg.ListOffsets, kerr.LeaderNotAvailable},
	{kmsg.Heartbeat, kerr.UnknownMemberID}, // evicted
	{kmsg.Heartbeat, kerr.NotCoordinator},
	{kmsg.JoinGroup, kerr.CoordinatorNotAvailable},
	{kmsg.SyncGroup, kerr.RebalanceInProgress},
	{kmsg.FindCoordinator, kerr.CoordinatorNotAvailable},
	{kmsg.Metadata, kerr.LeaderNotAvailable},
}

// drawFaults makes the faults of a schedule with some processors, by time. often, if not nil,
// happens some times more.
func drawFaults(rng *rand.Rand, members int, often *statementFault) []fault {
	var list []fault
	for range 3 + rng.IntN(10) {
		list = append(list, drawFault(rng, members))
	}
	for range 6 {
		if often != nil {
			list = append(list, statement(often))
		}
	}
	for i := range list {
		f := &list[i]
		f.at = time.Duration(rng.Int64N(int64(span + 50*time.Second))).Truncate(time.Millisecond)
	}
	slices.SortStableFunc(list, func(a, b fault) int { return int(a.at - b.at) })
	return list
}

// drawClusterFaults makes the faults of ClickHouse's servers, while the processors live.
func drawClusterFaults(rng *rand.Rand, l layout) []fault {
	var list []fault
	for range rng.IntN(3) {
		i := rng.IntN(l.replicas)
		lost, off := time.Duration(1+rng.IntN(80))*100*time.Millisecond, time.Duration(1+rng.IntN(200))*100*time.Millisecond
		var f fault
		switch n := rng.IntN(4); {
		case n == 0 && l.replicas > 1:
			lost *= 8
			fallthrough
		case n < 3:
			f.text = fmt.Sprintf("replica %d loses its power and what reached it in the last %s, and is back after %s", i+1,
				lost, off)
			f.do = func(r *run) { r.server.crash(r.server.replicas[i], lost, off) }
		default:
			f.text = fmt.Sprintf("replica %d cannot be reached for %s", i+1, off)
			f.do = func(r *run) { r.server.unreachable(r.server.replicas[i], off) }
		}
		f.at = time.Duration(rng.Int64N(int64(span + 50*time.Second))).Truncate(time.Millisecond)
		list = append(list, f)
	}
	return list
}

// drawThereAndBack makes a replica unreachable for a while, and lets another crash that was written
// to instead, soon after.
func drawThereAndBack(rng *rand.Rand, l layout) []fault {
	if l.replicas == 1 || rng.IntN(3) > 0 {
		return nil
	}
	at := 5*time.Second + time.Duration(rng.Int64N(int64(span/3))).Truncate(time.Millisecond)
	first := rng.IntN(l.replicas)
	second := (first + 1) % l.replicas
	off, later := time.Duration(60+rng.IntN(140))*100*time.Millisecond, time.Duration(rng.IntN(10))*time.Second
	return []fault{{at, fmt.Sprintf("replica %d cannot be reached for %s", first+1, off),
		func(r *run) { r.server.unreachable(r.server.replicas[first], off) }},
		{at + off + later, fmt.Sprintf("replica %d loses its power and what reached it in the last minute, and is "+
			"back after 20s", second+1),
			func(r *run) { r.server.crash(r.server.replicas[second], 59*time.Second, 20*time.Second) }}}
}

// drawOutlived makes a replica restart, and lose rows, while a processor pauses within a batch: what
// the batch stores next reaches a server that lacks what it stored before.
func drawOutlived(rng *rand.Rand, members int) []fault {
	if rng.IntN(4) > 0 {
		return nil
	}
	f := statement(&statementFault{who: fmt.Sprintf("p%d", 1+rng.IntN(members)), verb: "insert",
		table:   []string{"identities", "facts", "ledger", "leads", "deferred_names"}[rng.IntN(5)],
		trouble: outlives, skip: rng.IntN(12), hits: 1, delay: time.Duration(4+rng.IntN(40)) * 500 * time.Millisecond,
		lost: time.Duration(1+rng.IntN(50)) * 100 * time.Millisecond})
	f.at = time.Duration(rng.Int64N(int64(span))).Truncate(time.Millisecond)
	return []fault{f}
}

// drawVanishing makes a replica that has just been written to silent for longer than a minute, with
// everything that it had not passed on: often soon after the processors began, when no other one may
// have answered yet who it is. The processor that wrote to it may die before it can know.
func drawVanishing(rng *rand.Rand, l layout) []fault {
	if l.replicas == 1 || rng.IntN(3) > 0 {
		return nil
	}
	at := time.Duration(rng.Int64N(int64(span))).Truncate(time.Millisecond)
	if rng.IntN(2) == 0 {
		at = at / 8
	}
	away := 80*time.Second + time.Duration(rng.IntN(400))*100*time.Millisecond
	s := &statementFault{verb: "insert", table: []string{"identities", "facts", "ledger", "clicks",
		"leads"}[rng.IntN(5)], trouble: vanishes, skip: rng.IntN(4), hits: 1, delay: away, lost: 59 * time.Second}
	if rng.IntN(2) == 0 {
		s.table, s.skip, s.restart = "ledger", rng.IntN(20), time.Duration(1+rng.IntN(300))*100*time.Millisecond
		s.death = s.restart / 4
	}
	f := statement(s)
	begin := f.do
	f.at, f.do = at, func(r *run) {
		begin(r)
		time.Sleep(away + 10*time.Second) // the other faults are not over before
	}
	return []fault{f}
}

func drawFault(rng *rand.Rand, members int) fault {
	seconds := func(most int) time.Duration { return time.Duration(1+rng.IntN(most*10)) * 100 * time.Millisecond }
	name := fmt.Sprintf("p%d", 1+rng.IntN(members))
	with := func(do func(*run, *processor)) func(*run) {
		return func(r *run) {
			if p := r.get(name); p != nil {
				do(r, p)
			}
		}
	}
	switch n := rng.IntN(20); {
	case n < 8:
		return statement(drawStatementFault(rng, name))
	case n < 10:
		restart := seconds(40)
		return fault{text: fmt.Sprintf("%s is killed, back after %s", name, restart),
			do: with(func(r *run, p *processor) { r.kill(p, restart) })}
	case n < 11:
		restart := seconds(10)
		return fault{text: fmt.Sprintf("%s is asked to stop, and restarts after %s", name, restart),
			do: with(func(r *run, p *processor) {
				p.cancel()
				<-p.ended
				time.Sleep(restart)
				r.start(name)
			})}
	case n < 13:
		pause := seconds(45)
		return fault{text: fmt.Sprintf("%s is paused for %s", name, pause),
			do: with(func(_ *run, p *processor) { p.life.pause(pause) })}
	case n < 14:
		offline := seconds(30)
		return fault{text: fmt.Sprintf("%s loses Kafka for %s, and whatever is on its way", name, offline),
			do: with(func(_ *run, p *processor) { p.wire.cut(offline) })}
	case n < 15:
		lost, off := seconds(8), seconds(10)
		return fault{text: fmt.Sprintf("ClickHouse crashes, loses what it acknowledged in the last %s, is back "+
			"after %s; all processors are started again", lost, off), do: func(r *run) {
			for _, replica := range r.server.replicas {
				r.server.crash(replica, lost, off)
			}
			for _, p := range r.all() {
				r.kill(p, off)
			}
		}}
	case n < 16:
		topic, partition, node := []string{schemas.TopicClicks, schemas.TopicStripe, schemas.TopicLeads,
			schemas.TopicDeadLetters}[rng.IntN(4)], int32(rng.IntN(2)), int32(rng.IntN(2))
		return fault{text: fmt.Sprintf("%s/%d is led by broker %d", topic, partition, node), do: func(r *run) {
			if err := r.cluster.MoveTopicPartition(topic, partition, node); err != nil {
				r.violated("move partition: %v", err)
			}
		}}
	case n < 17:
		return fault{text: "the group's coordinator moves", do: func(r *run) { r.cluster.RehashCoordinators() }}
	case n < 18 && members < 4:
		return fault{text: "another processor starts", do: func(r *run) { r.start(fmt.Sprintf("p%d", members+1)) }}
	default:
		e, count := kafkaErrors[rng.IntN(len(kafkaErrors))], 1+rng.IntN(4)
		return fault{text: fmt.Sprintf("%d × Kafka answers %s with %s", count, e.key.Name(), e.err.Message),
			do: func(r *run) {
				h := r.cluster.Fault(kfake.Fault{Keys: []kmsg.Key{e.key}, Err: e.err, Count: count})
				r.mu.Lock()
				defer r.mu.Unlock()
				r.answers = append(r.answers, h)
			}}
	}
}

func statement(f *statementFault) fault {
	return fault{text: f.String(), do: func(r *run) { again := *f; r.server.add(&again) }}
}

func drawStatementFault(rng *rand.Rand, name string) *statementFault {
	f := &statementFault{
		verb: "insert", table: []string{"stripe_events", "facts", "identities", "leads", "ledger", "clicks",
			"dead_letters", ""}[rng.IntN(8)],
		hits: 1 + rng.IntN(3), trouble: []trouble{refused, unanswered, slow, slowAnswer, hangs, dies, diesAfter,
			pauses}[rng.IntN(8)],
	}
	if rng.IntN(4) > 0 {
		f.who = name
	}
	switch f.trouble {
	case refused, slow, slowAnswer:
		if rng.IntN(2) == 0 {
			f.hits = 1 + rng.IntN(12)
			f.verb, f.table = "lookup", []string{"facts", "identities", "ledger", "clicks", ""}[rng.IntN(5)]
		}
	}
	switch f.trouble {
	case slow, slowAnswer:
		f.delay = time.Duration(1+rng.IntN(300)) * 100 * time.Millisecond
	case hangs:
		f.hits, f.delay, f.never = 1, time.Duration(rng.IntN(90))*time.Second, rng.IntN(3) == 0
	case pauses:
		f.hits, f.skip, f.delay = 1, rng.IntN(4), time.Duration(5+rng.IntN(40))*time.Second
	case dies, diesAfter:
		f.hits, f.skip, f.restart = 1, rng.IntN(6), time.Duration(1+rng.IntN(200))*100*time.Millisecond
	}
	return f
}
