package simulation

import (
	"context"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"time"

	"tributary/processor/catalogue"
	corrections "tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
)

// decision is what an operator's command says, and no record contains.
type decision struct {
	at   time.Duration // since the epoch, also when the command has to be repeated
	text string
	do   func(ctx context.Context, store recompute.Store, r *recompute.Recomputer, now time.Time) error
}

// decide draws what an operator decides, and changes what is true by it.
func (t *traffic) decide(rng *rand.Rand) []decision {
	at := func() time.Duration {
		return time.Duration(rng.Int64N(int64(span + 50*time.Second))).Truncate(time.Millisecond)
	}
	var list []decision
	if t.catalogued {
		list = append(list, decision{at(), "processor catalogue", loadCatalogue})
	}
	if rng.IntN(3) == 0 {
		keys := slices.Sorted(maps.Keys(t.movements))
		c := corrections.Correction{Sale: t.movements[keys[rng.IntN(len(keys))]].sale, Reason: "they asked",
			Decision: identity.New(identity.Affiliate, "ann")}
		t.correct(c)
		list = append(list, decision{at(), "processor credit " + c.Sale,
			func(ctx context.Context, store recompute.Store, r *recompute.Recomputer, now time.Time) error {
				return corrections.Apply(ctx, store, r, "default", c, now)
			}})
	}
	return list
}

// correct credits a sale, and what went back of it, with whom a correction names.
func (t *traffic) correct(c corrections.Correction) {
	for key, m := range t.movements {
		if m.sale != c.Sale {
			continue
		}
		m.credit = credit{rule: join.RuleSale, affiliate: c.Decision.Value()}
		if m.kind == stripe.Payment {
			m.credit.rule = join.RuleManual
		}
		t.movements[key] = m
	}
}

// loadCatalogue gives the affiliates their links: bob's clicks say nothing else of him.
func loadCatalogue(ctx context.Context, _ recompute.Store, r *recompute.Recomputer, now time.Time) error {
	file, err := catalogue.Read(strings.NewReader("affiliate_id,program_id,link_id\nann,partners,link_ann\n"+
		"bob,partners,link_bob\n"), now)
	if err != nil {
		return err
	}
	return r.Catalogue(ctx, "default", append(file.Edges, catalogue.InForce(now)))
}

// drawCommandFaults makes what happens to an operator's commands: each may be killed once, and may
// lose the ClickHouse that it has written to.
func drawCommandFaults(rng *rand.Rand, decisions []decision) []fault {
	var list []fault
	for _, d := range decisions {
		lives := time.Duration(1+rng.IntN(300)) * 10 * time.Millisecond
		text := fmt.Sprintf("%s is killed after %s, and repeated", d.text, lives)
		if rng.IntN(2) == 0 {
			lives, text = time.Hour, d.text
		}
		var lost *statementFault
		if rng.IntN(2) == 0 {
			lost = &statementFault{who: commandName, verb: "insert", trouble: strands, skip: rng.IntN(2), hits: 1,
				delay: time.Duration(1+rng.IntN(600)) * 100 * time.Millisecond}
			text += ", with " + lost.String()
		}
		list = append(list, fault{d.at, text, func(r *run) {
			if lost != nil {
				again := *lost
				r.server.add(&again)
			}
			r.command(d, lives)
		}})
	}
	return list
}

// command runs an operator's command until it succeeds. The first one is killed after lives.
func (r *run) command(d decision, lives time.Duration) {
	kafka := r.kafka()
	defer kafka.Close()
	for range 60 {
		life := &lifetime{dead: make(chan struct{})}
		ctx, cancel := context.WithCancel(context.Background())
		p := &processor{name: commandName, life: life, cancel: cancel,
			wire: &wire{network: &r.network, life: life, conns: map[*conn]bool{}}}
		killed := time.AfterFunc(lives, func() { r.kill(p, 0) })
		store, lag := r.broken.store(&client{r.server, p}), r.broken.replicaLag(r.server.layout.lag)
		err := d.do(ctx, store, recompute.New(recompute.Config{Store: store, Rates: &ownRates{r.rates, p.name},
			Log: r.logger(p.name), ReplicaLag: lag}), r.epoch.Add(d.at))
		killed.Stop()
		cancel()
		if err == nil {
			r.note("%s has succeeded", d.text)
			return
		}
		r.note("%s: %v", d.text, err)
		lives = time.Hour
		time.Sleep(10 * time.Second)
		r.busy(kafka, false) // evicts dead members, whose partitions may have what the command waits for
	}
	r.violated("an operator's command succeeds in the end: %s", d.text)
}
