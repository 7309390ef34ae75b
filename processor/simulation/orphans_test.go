package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"time"

	"tributary/processor/join"
	"tributary/processor/stripe"
)

// regular adds a buyer with several sales, whose click is named twice the lag later. It returns when.
func (t *traffic) regular(rng *rand.Rand, lag time.Duration) (named time.Duration) {
	l := &life{traffic: t, old: true, clock: 2 * time.Second, customer: t.id("cus"), currency: "usd", amount: 4900}
	c := credit{join.RuleStripeCustomer, l.click(l.clock, "ann", ""), "ann"}
	l.named.customerMeta = object{"pimmsClickId": c.click.String()}
	l.rules.lead = c
	for range 3 {
		l.clock += time.Second
		intent, _ := l.pay("")
		l.move(movement{object: intent, sale: intent, kind: stripe.Payment, amount: l.amount, credit: c})
	}
	later := time.Duration(rng.Int64N(int64(10 * time.Second))).Truncate(time.Millisecond)
	named = l.clock + 10*time.Second + 2*lag + later
	l.late = named - l.clock
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
	booked := r.traffic.regular(rng, l.lag) + 2*l.lag + 80*time.Second + upTo(20*time.Second)
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
