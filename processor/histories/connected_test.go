package histories

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/deploy/loadgen/traffic"
)

// connected adds to a World what a Connect endpoint delivers of its payments, if the seller is a
// platform: what it passed on of each to one or two accounts, by destination charges or transfers,
// and what it took back of that when it refunded the buyer, or what the account gave back itself.
// None of it is a sale, so the World's truth stays as it is.
func connected(seed uint64, w *traffic.World) *traffic.World {
	p := &passedOn{world: *w, r: rand.New(rand.NewPCG(seed, 0x636f6e6e65637465)),
		live: strings.Contains(string(w.Deliveries[0].Body), `"livemode":true`)}
	p.world.Deliveries = slices.Clone(w.Deliveries)
	for _, m := range w.Movements {
		if m.Kind == traffic.Payment && m.Amount > 0 && p.r.IntN(5) > 0 {
			for range 1 + p.r.IntN(2) {
				p.pass(m, w.Movements)
			}
		}
	}
	return &p.world
}

type passedOn struct {
	world   traffic.World
	r       *rand.Rand
	live    bool
	charges int
	events  int
}

// pass delivers one transfer's charge, and what goes back of it with each refund of its payment.
func (p *passedOn) pass(m traffic.Movement, all []traffic.Movement) {
	p.charges++
	charge, account := fmt.Sprintf("py_%d", p.charges), fmt.Sprintf("acct_passed_%d", p.r.IntN(2))
	amount, back := m.Amount-m.Amount/10, int64(0)
	object := func() string {
		return fmt.Sprintf(`{"id":%q,"object":"charge","amount":%d,"amount_captured":%[2]d,"amount_refunded":%d,`+
			`"captured":true,"paid":true,"status":"succeeded","currency":%q,"customer":null,"payment_intent":null,`+
			`"source_transfer":"tr_%d","balance_transaction":"txn_%[5]d","created":%d}`,
			charge, amount, back, m.Currency, p.charges, m.OccurredAt.Unix())
	}
	p.deliver(account, "charge.succeeded", charge, m.OccurredAt, object())
	p.deliver(account, "payment.created", charge, m.OccurredAt, object())
	p.deliver(account, "charge.updated", charge, m.OccurredAt.Add(time.Second), object())
	for _, out := range all {
		if out.Kind != traffic.Refund || out.Charge != m.Charge || p.r.IntN(3) == 0 {
			continue
		}
		part := min(amount-back, -out.Amount)
		if part <= 0 {
			continue
		}
		back += part
		p.events++
		id, reversal := fmt.Sprintf("pyr_%d", p.events), `"trr_1"`
		if p.r.IntN(3) == 0 {
			reversal = "null" // the account gave it back itself
		}
		p.deliver(account, "refund.created", id, out.OccurredAt, fmt.Sprintf(
			`{"id":%q,"object":"refund","amount":%d,"currency":%q,"charge":%q,"payment_intent":null,"status":"succeeded",`+
				`"created":%d,"source_transfer_reversal":%s}`,
			id, part, m.Currency, charge, out.OccurredAt.Unix(), reversal))
		p.deliver(account, "charge.refunded", charge, out.OccurredAt, object())
	}
}

func (p *passedOn) deliver(account, typ, object string, at time.Time, body string) {
	p.events++
	id := fmt.Sprintf("evt_passed_%d", p.events)
	const version = "2026-09-30.endive"
	p.world.Deliveries = append(p.world.Deliveries, traffic.Delivery{
		SendAt: at.Add(time.Duration(p.r.IntN(10_000)) * time.Millisecond), EventID: id, Type: typ, Object: object,
		Created: at, APIVersion: version,
		Body: fmt.Appendf(nil, `{"id":%q,"object":"event","type":%q,"account":%q,"api_version":%q,"created":%d,`+
			`"livemode":%t,"data":{"object":%s}}`, id, typ, account, version, at.Unix(), p.live, body),
	})
}

// A platform's sales are its truth, whatever its connected accounts report of what it passed on to
// them, in whichever order: nothing that an account was passed on is booked.
func TestPassedOnIsNoSale(t *testing.T) {
	first, last := uint64(1), uint64(max(1, worlds(t)/30))
	if *onlySeed != 0 {
		first, last = *onlySeed, *onlySeed
	}
	for seed := first; seed <= last; seed++ {
		t.Run(fmt.Sprintf("seed=%d", seed), func(t *testing.T) {
			t.Parallel()
			opts := options(seed)
			w := traffic.New(seed, opts)
			truth, whole := truthOf(w, opts), connected(seed, w)
			if len(whole.Deliveries) == len(w.Deliveries) {
				t.Fatal("nothing was passed on")
			}
			for _, o := range orders {
				run := history(t, seed, whole, o)
				entries := run.processor.Ledger()
				judge(t, seed, o, run, truth.differences(entries))
				judge(t, seed, o, run, truth.reconcile(entries))
			}
		})
	}
}
