package ledger_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"math/rand"
	"os"
	"slices"
	"strconv"
	"testing"
	"time"

	"tributary/deploy/race"
	"tributary/processor/fx"
	"tributary/processor/ledger"
)

// buyer is one customer's life as Stripe reports it, and what truly moved.
type buyer struct {
	r      *rand.Rand
	old    bool // shapes up to API 2025-02: payment intents, charges and invoices name each other
	n      int
	clock  time.Time
	events []reported
	moved  []payment
}

// reported is one event.
type reported struct {
	typ    string
	at     time.Time
	object map[string]any
	// intent, invoice and paid are what the event says of which payment.
	intent, invoice string
	paid            int64
}

// payment that truly happened; outside Stripe it has no intent.
type payment struct {
	intent, invoice string
	amount          int64
}

type j = map[string]any

func (b *buyer) id(prefix string) string { b.n++; return fmt.Sprintf("%s_%d", prefix, b.n) }

func (b *buyer) wait(seconds ...int) {
	b.clock = b.clock.Add(time.Duration(seconds[b.r.Intn(len(seconds))]) * time.Second)
}

func (b *buyer) report(typ string, e reported, object j) {
	b.wait(0, 1, 5)
	e.typ, e.at, e.object = typ, b.clock, object
	b.events = append(b.events, e)
}

func orNull(s string) any {
	if s == "" {
		return nil
	}
	return s
}

// shaped adds what only older versions say.
func (b *buyer) shaped(object j, key string, value any) j {
	if b.old {
		object[key] = value
	}
	return object
}

func (b *buyer) pay(amount int64, invoice, customer string, meta j) string {
	intent, charge := b.id("pi"), b.id("ch")
	said := reported{intent: intent, invoice: invoice, paid: amount}
	b.report(
		"payment_intent.succeeded",
		said,
		b.shaped(
			j{
				"id":              intent,
				"amount_received": amount,
				"currency":        "usd",
				"customer":        orNull(customer),
				"metadata":        meta,
			},
			"invoice",
			orNull(invoice),
		),
	)
	b.report(
		"charge.succeeded",
		said,
		b.shaped(
			j{
				"id":             charge,
				"amount":         amount,
				"captured":       true,
				"currency":       "usd",
				"customer":       orNull(customer),
				"payment_intent": intent,
			},
			"invoice",
			orNull(invoice),
		),
	)
	if invoice != "" {
		b.report(
			"invoice_payment.paid",
			said,
			j{
				"id":          b.id("inpay"),
				"invoice":     invoice,
				"amount_paid": amount,
				"currency":    "usd",
				"status":      "paid",
				"payment":     j{"type": "payment_intent", "payment_intent": intent},
			},
		)
	}
	b.moved = append(b.moved, payment{intent, invoice, amount})
	return intent
}

func (b *buyer) invoice(id string, amount int64, customer, intent string, outside bool) {
	object := b.shaped(
		j{
			"id":          id,
			"amount_due":  amount,
			"amount_paid": amount,
			"total":       amount,
			"currency":    "usd",
			"customer":    customer,
		},
		"payment_intent",
		orNull(intent),
	)
	switch {
	case outside && b.old:
		object["paid_out_of_band"] = true
	case outside:
		object["payments"] = j{
			"data": []j{
				{
					"id":          b.id("inpay"),
					"amount_paid": amount,
					"currency":    "usd",
					"status":      "paid",
					"payment":     j{"type": "payment_record"},
				},
			},
		}
	}
	b.report("invoice.paid", reported{invoice: id, paid: amount}, object)
}

func (b *buyer) session(intent, invoice string, amount int64, customer, mode string, creates bool) {
	b.report(
		"checkout.session.completed",
		reported{intent: intent, invoice: invoice, paid: amount},
		j{"id": b.id("cs"), "mode": mode, "payment_status": "paid", "currency": "usd",
			"amount_total": amount, "customer": customer, "payment_intent": orNull(intent), "invoice": orNull(invoice),
			"invoice_creation": j{"enabled": creates}},
	)
}

// live lets the buyer pay one to four times: by sessions with and without an invoice, by renewals,
// by payments of the seller's own at the prices of the invoices, in parts that may never be
// complete, and outside Stripe.
func (b *buyer) live() {
	r, customer := b.r, b.id("cus")
	price := []int64{1000, 4900}[r.Intn(2)]
	for range 1 + r.Intn(4) {
		b.wait(60, 1200, 90000)
		amount := price * []int64{1, 1, 2}[r.Intn(3)]
		switch kind := r.Intn(8); {
		case kind == 0:
			b.session(b.pay(amount, "", []string{customer, ""}[r.Intn(2)], nil), "", amount, customer, "payment", false)
		case kind == 1:
			in := b.id("in")
			intent, named := b.pay(amount, in, customer, nil), in
			if r.Float64() > .7 {
				named = ""
			}
			b.session(intent, named, amount, customer, "payment", true)
			b.invoice(in, amount, customer, intent, false)
		case kind == 2 || kind == 3:
			in := b.id("in")
			intent := b.pay(amount, in, customer, nil)
			if kind == 2 {
				b.session("", in, amount, customer, "subscription", false)
			}
			b.invoice(in, amount, customer, intent, false)
		case kind == 4:
			b.pay(amount, "", customer, nil)
		case kind == 5:
			b.pay(amount, "", customer, j{"tributaryAffiliateId": "ann"})
		case kind == 6 && !b.old:
			b.instalments(amount, customer)
		case kind == 7:
			in := b.id("in")
			b.invoice(in, amount, customer, "", true)
			b.moved = append(b.moved, payment{"", in, amount})
		}
	}
}

func (b *buyer) instalments(amount int64, customer string) {
	in := b.id("in")
	parts := [][]int64{{amount / 2, amount - amount/2}, {amount / 5, amount / 5, amount - 2*(amount/5)}}[b.r.Intn(2)]
	complete := b.r.Float64() < .7
	if !complete {
		parts = parts[:len(parts)-1]
	}
	intent := ""
	for _, part := range parts {
		intent = b.pay(part, in, customer, nil)
		b.wait(10, 900)
	}
	if complete {
		b.invoice(in, amount, customer, intent, false)
	}
}

// known is what moved as far as these events can say: every payment that one of them names, and
// what of an invoice those do not explain.
func (b *buyer) known(events []reported) int64 {
	named, paid := map[string]bool{}, map[string]int64{}
	for _, e := range events {
		if e.intent != "" {
			named[e.intent] = true
		} else {
			paid[e.invoice] = max(paid[e.invoice], e.paid)
		}
	}
	var total int64
	for _, p := range b.moved {
		if p.intent != "" && named[p.intent] {
			total += p.amount
			paid[p.invoice] -= p.amount
		}
	}
	for in, rest := range paid {
		if in != "" {
			total += max(0, rest)
		}
	}
	return total
}

// subscriptions are sets of events that real endpoints subscribe to. linked: some event ties every
// payment to its invoice, also where payments and invoices do not name each other.
var subscriptions = []struct {
	name   string
	types  []string // none: all
	linked bool
}{
	{"all", nil, true},
	{"session, invoice", []string{"checkout.session.completed", "invoice.paid"}, true},
	{
		"session, invoice, invoice payment",
		[]string{"checkout.session.completed", "invoice.paid", "invoice_payment.paid"},
		true,
	},
	{
		"session, invoice, intent",
		[]string{"checkout.session.completed", "invoice.paid", "payment_intent.succeeded"},
		false,
	},
	{"invoice, intent", []string{"invoice.paid", "payment_intent.succeeded"}, false},
	{"invoice, charge", []string{"invoice.paid", "charge.succeeded"}, false},
	{"intent", []string{"payment_intent.succeeded"}, true},
	{
		"all but invoice payment",
		[]string{"checkout.session.completed", "invoice.paid", "payment_intent.succeeded", "charge.succeeded"},
		false,
	},
}

// Whatever types of event an endpoint gets, the ledger sums what they can say, without anything
// being held. Where no event ties payments to invoices, and a purchase at an invoice's own price
// lies near it, nothing could say so: that is rare.
//
//	TRIBUTARY_LIVES=2000 go test ./processor/ledger -run EverySubscription -v
func TestEverySubscription(t *testing.T) {
	lives := 150
	if race.Enabled {
		lives = 5
	}
	if text := os.Getenv("TRIBUTARY_LIVES"); text != "" {
		lives, _ = strconv.Atoi(text)
	}
	table := fx.NewTable(nil, fx.Options{})
	for _, old := range []bool{true, false} {
		for _, set := range subscriptions {
			t.Run(fmt.Sprintf("old=%v/%s", old, set.name), func(t *testing.T) {
				t.Parallel()
				off := 0
				for seed := range lives {
					b := &buyer{
						r:     rand.New(rand.NewSource(int64(seed))),
						old:   old,
						clock: time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC),
					}
					b.live()
					events := slices.DeleteFunc(
						slices.Clone(b.events),
						func(e reported) bool { return len(set.types) > 0 && !slices.Contains(set.types, e.typ) },
					)
					if got, want := sumOf(t, b, events, table), b.known(events); got != want {
						off++
						if old || set.linked {
							t.Errorf("seed %d: booked %d, moved %d", seed, got, want)
						}
					}
				}
				t.Logf("%d of %d lives off", off, lives)
				if off > 1+lives/200 {
					t.Errorf("%d of %d lives are off", off, lives)
				}
			})
		}
	}
}

// sumOf gives a processor the events in some order, and adds up what it booked.
func sumOf(t *testing.T, b *buyer, events []reported, table *fx.Table) int64 {
	s := &script{t: t, api: "2026-09-30.endive"}
	if b.old {
		s.api = "2023-10-16"
	}
	for _, e := range events {
		object, err := json.Marshal(e.object)
		if err != nil {
			t.Fatal(err)
		}
		s.event(e.typ, e.at, string(object), true)
	}
	order := b.r.Perm(len(s.steps))
	var sum int64
	for _, e := range s.play(table, order).Ledger() {
		sum += e.Amount
		if e.Status != ledger.Booked && e.Amount != 0 {
			t.Errorf("%s of %s is %s and sums %d", e.Kind, e.ObjectID, cmp.Or(e.Status, "nothing"), e.Amount)
		}
	}
	return sum
}

// Where more payments lie near an invoice than are compared, nothing is assumed: the invoice stands
// beside them. It does so in any order, also for those payments that were reported while there were
// few.
func TestCrowdedHours(t *testing.T) {
	table := fx.NewTable(nil, fx.Options{})
	for _, payments := range []int{ledger.MostNear - 2, ledger.MostNear + 5} {
		s := &script{t: t, api: "2026-09-30.endive"}
		at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
		s.event(
			"invoice.paid",
			at,
			`{"id":"in_1","object":"invoice","amount_due":5,"amount_paid":5,"total":5,"currency":"usd","customer":"cus_1"}`,
			true,
		)
		for i := range payments {
			s.event(
				"payment_intent.succeeded",
				at,
				fmt.Sprintf(
					`{"id":"pi_%d","object":"payment_intent","amount_received":%d,"currency":"usd","customer":"cus_1"}`,
					i,
					i+1,
				),
				true,
			)
		}
		want, sum := "", int64(0)
		r := rand.New(rand.NewSource(1))
		for range 4 {
			m := s.play(table, r.Perm(len(s.steps)))
			if got := m.Table(); want == "" {
				want = got
			} else if got != want {
				t.Fatalf("%d payments: another order gives other rows", payments)
			}
			sum = 0
			for _, e := range m.Ledger() {
				sum += e.Amount
			}
		}
		moved := int64(payments * (payments + 1) / 2)
		if payments > ledger.MostNear {
			moved += 5
		}
		if sum != moved {
			t.Errorf("%d payments: booked %d, want %d", payments, sum, moved)
		}
	}
}
