package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"tributary/processor/join"
	"tributary/processor/stripe"
)

// regular adds a buyer with several sales, whose click is named so much later than the last. It
// returns when.
func (t *traffic) regular(later time.Duration) (named time.Duration) {
	l := &life{traffic: t, old: true, clock: 2 * time.Second, customer: t.id("cus"), currency: "usd", amount: 4900}
	c := credit{join.RuleStripeCustomer, l.click(l.clock, "ann", ""), "ann"}
	l.named.customerMeta = object{"pimmsClickId": c.click.String()}
	l.rules.lead = c
	for range 3 {
		l.clock += time.Second
		intent, _ := l.pay("")
		l.move(movement{object: intent, sale: intent, kind: stripe.Payment, amount: l.amount, credit: c})
	}
	named = l.clock + later
	l.late = later
	l.customerUpdated()
	t.sort()
	return named
}

// drawOrphaned makes the sales of a regular buyer be booked in the background so late that the record
// which names their click is settled, and lost with the replica that took them, after the request was
// noted as done on another one. The processor that booked them dies before it can know. The other ones
// are busy with other names meanwhile, until they see the note.
func (r *run) drawOrphaned(rng *rand.Rand, l layout) *fault {
	const mostLag = 15 * time.Second // the rates of the day's end would come before it is healed
	if l.replicas == 1 || l.lag > mostLag || rng.IntN(6) > 0 {
		return nil
	}
	r.shared, r.rewind, r.background = 2, 3*time.Second, 5*time.Second
	upTo := func(d time.Duration) time.Duration {
		return time.Duration(rng.Int64N(int64(d))).Truncate(time.Millisecond)
	}
	named := r.traffic.regular(10*time.Second + 2*l.lag + upTo(10*time.Second)) // when its second looks are over
	booked := named + 2*l.lag + 80*time.Second + upTo(20*time.Second)
	victim := fmt.Sprintf("p%d", 1+rng.IntN(r.members))
	vanishing := statementFault{who: victim, verb: "insert", table: "ledger", background: true,
		trouble: vanishes, hits: 1, delay: 80*time.Second + upTo(40*time.Second), lost: 59 * time.Second,
		death: 300*time.Millisecond + upTo(2*time.Second), restart: l.lag + time.Second + upTo(20*time.Second)}
	return &fault{0, fmt.Sprintf("nothing is booked in the background until %s; %s", booked, &vanishing), func(r *run) {
		busy := &statementFault{verb: "lookup", table: "deferred_names", trouble: refused, hits: math.MaxInt}
		others := *busy
		others.except = victim
		r.server.add(busy)
		time.Sleep(booked - r.since())
		r.server.add(&others)
		r.server.add(&vanishing)
		r.server.end(busy)
		time.Sleep(15*time.Second + l.lag)
		r.server.end(&others)
	}}
}

// drawUnasked makes one of two replicas that a balancer chooses from silent for longer than a
// minute, with what it had not passed on, when a processor that has just begun wrote to it and has
// heard only from the other one who it is. Nothing else goes wrong, for whatever makes the
// processor read again within a minute stores the rows once more: also a third replica that it
// hears from. Nor may the lag be long, for the second looks hold the rewind.
func (r *run) drawUnasked(rng *rand.Rand, l layout) *fault {
	const mostLag = 10 * time.Second
	if l.replicas != 2 || l.pins != balanced || l.lag > mostLag || rng.IntN(2) > 0 {
		return nil
	}
	r.rewind = 3 * time.Second
	upTo := func(d time.Duration) time.Duration {
		return time.Duration(rng.Int64N(int64(d))).Truncate(time.Millisecond)
	}
	at, stopped, away := upTo(span/4), time.Second+upTo(15*time.Second), 90*time.Second+upTo(40*time.Second)
	vanishing := statementFault{verb: "insert", table: []string{"stripe_events", "facts"}[rng.IntN(2)],
		trouble: vanishes, unasked: true, hits: 1, delay: away, lost: 59 * time.Second}
	return &fault{at, fmt.Sprintf("all processors stop for %s; %s", stopped, &vanishing), func(r *run) {
		for _, p := range r.all() {
			p.cancel()
			<-p.ended
		}
		time.Sleep(stopped)
		r.server.add(&vanishing)
		r.startAll()
		time.Sleep(away + 10*time.Second) // or the faults are over before
	}}
}

// drawNameLost makes the batch that names a regular buyer's click pause while ClickHouse restarts,
// which loses the name: the sales are booked without it, and are so old that no rewind reaches
// them. Only their name, which is read again, can have them booked again. Nothing else goes wrong,
// for a processor that dies forgets what it was going to do with the name.
func (r *run) drawNameLost(rng *rand.Rand, l layout) *fault {
	if l.replicas > 1 || rng.IntN(4) > 0 {
		return nil
	}
	r.shared, r.rewind, r.background = 0, 3*time.Second, 5*time.Second
	upTo := func(d time.Duration) time.Duration {
		return time.Duration(rng.Int64N(int64(d))).Truncate(time.Millisecond)
	}
	named := r.traffic.regular(80*time.Second + upTo(20*time.Second))
	f := statement(&statementFault{verb: "insert", table: []string{"stripe_events", "leads"}[rng.IntN(2)],
		trouble: outlives, hits: 1, delay: 2*time.Second + upTo(20*time.Second), lost: time.Second + upTo(5*time.Second)})
	f.at = named
	return &f
}
