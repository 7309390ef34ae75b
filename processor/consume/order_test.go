package consume

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"math/rand"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/race"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// epoch is when the tests' world begins.
var epoch = time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)

// processor runs without Kafka: both consumers' handlers over the model.
type processor struct {
	*clickhousetest.Model
	tb     testing.TB
	now    time.Time
	money  *Payments
	clicks *Clicks
}

func newProcessor(tb testing.TB) *processor {
	h := &processor{Model: clickhousetest.New(tb), tb: tb, now: epoch.AddDate(1, 0, 0)}
	r := recompute.New(recompute.Config{Store: h, Rates: testRates,
		Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return h.now }})
	h.clicks = &Clicks{Store: h, Recomputer: r}
	h.money = &Payments{Store: h, Recomputer: r, Events: NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	return h
}

func (h *processor) feed(records ...*kgo.Record) {
	h.tb.Helper()
	for _, r := range records {
		handle := h.money.Handle
		if r.Topic == schemas.TopicClicks {
			handle = h.clicks.Handle
		}
		err := handle(context.Background(), []*kgo.Record{r}, func(_ context.Context, r *kgo.Record, step,
			reason string, cause error) error {
			h.tb.Fatalf("dead letter: %s %s %v\n%s", step, reason, cause, r.Value)
			return nil
		})
		if err != nil {
			h.tb.Fatal(err)
		}
	}
}

var testRates = clickhousetest.FixedRates{"usd": "1", "eur": "1.1", "jpy": "0.0067"}

type j = map[string]any

// event makes a webhook's record. delay is how long after its creation it reached the edge.
func event(tb testing.TB, id, typ string, created, delay int, object j) *kgo.Record {
	tb.Helper()
	at := epoch.Add(time.Duration(created) * time.Second)
	body, err := json.Marshal(j{"id": id, "object": "event", "type": typ, "created": at.Unix(), "livemode": true,
		"api_version": "2023-10-16", "data": j{"object": object}})
	if err != nil {
		tb.Fatal(err)
	}
	return schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: true,
		ReceivedAt: at.Add(time.Duration(delay) * time.Second), Body: body}, id)
}

func click(tb testing.TB, at int, c *schemas.Click) *kgo.Record {
	tb.Helper()
	moment := epoch.Add(time.Duration(at) * time.Second)
	c.Workspace, c.ClickedAt, c.ReceivedAt = "default", moment.UnixMilli(), moment.UnixMilli()+20
	if c.ClickId == nil {
		id := clickID(at)
		c.ClickId = id[:]
	}
	r, err := schemas.ClickRecord(c, nil)
	if err != nil {
		tb.Fatal(err)
	}
	return r
}

// clickID is the same for the same second, whoever asks.
func clickID(at int) schemas.ClickID {
	id := schemas.NewClickID(epoch.Add(time.Duration(at) * time.Second))
	for i := 9; i < 16; i++ {
		id[i] = byte(at)
	}
	id[6], id[7], id[8] = 0x70, 0, 0x80
	return id
}

// permutations calls f with every order of n things.
func permutations(n int, f func([]int)) {
	order := make([]int, n)
	for i := range order {
		order[i] = i
	}
	var walk func(int)
	walk = func(k int) {
		if k == n {
			f(order)
			return
		}
		for i := k; i < n; i++ {
			order[k], order[i] = order[i], order[k]
			walk(k + 1)
			order[k], order[i] = order[i], order[k]
		}
	}
	walk(0)
}

// A customer clicks, becomes a customer, subscribes, pays, and gets some of it back. Handled in
// every order, each event three times, the rows are the same to the last byte.
func TestEveryOrderGivesTheSameRows(t *testing.T) {
	records := []*kgo.Record{
		click(t, -60, &schemas.Click{LinkId: "launch", AffiliateId: "ann"}),
		event(t, "evt_cus", "customer.created", 0, 1, j{"id": "cus_1", "object": "customer",
			"metadata": j{"pimmsCustomerId": "user_1", "pimmsClickId": clickID(-60).String()}}),
		event(t, "evt_cs", "checkout.session.completed", 5, 1, j{"id": "cs_1", "object": "checkout.session",
			"mode": "subscription", "payment_status": "paid", "currency": "eur", "amount_total": 4900,
			"total_details": j{"amount_tax": 782, "amount_discount": 0}, "customer": "cus_1", "invoice": "in_1",
			"subscription": "sub_1", "payment_intent": nil, "client_reference_id": "project_123",
			"metadata": j{"pimmsCustomerId": "user_1"}}),
		event(t, "evt_in", "invoice.paid", 4, 1, j{"id": "in_1", "object": "invoice", "currency": "eur",
			"amount_paid": 4900, "total": 4900, "tax": 782, "customer": "cus_1", "subscription": "sub_1",
			"payment_intent": "pi_1", "charge": "ch_1", "billing_reason": "subscription_create",
			"status_transitions": j{"paid_at": epoch.Unix() + 3}}),
		event(t, "evt_re", "refund.created", 90, 1, j{"id": "re_1", "object": "refund", "amount": 1000,
			"currency": "eur", "charge": "ch_1", "payment_intent": "pi_1", "status": "succeeded",
			"created": epoch.Unix() + 89}),
		event(t, "evt_chr", "charge.refunded", 91, 1, j{"id": "ch_1", "object": "charge", "amount": 4900,
			"amount_refunded": 1000, "currency": "eur", "payment_intent": "pi_1", "invoice": "in_1",
			"customer": "cus_1"}),
	}
	want, rng := "", rand.New(rand.NewSource(1))
	every, n := 1, 0
	if race.Enabled {
		every = 29
	}
	permutations(len(records), func(order []int) {
		if n++; n%every != 0 {
			return
		}
		h := newProcessor(t)
		for _, i := range order {
			h.feed(records[i])
		}
		for range 2 {
			again := slices.Clone(records)
			rng.Shuffle(len(again), func(i, k int) { again[i], again[k] = again[k], again[i] })
			h.feed(again...)
		}
		got := h.Table()
		if want == "" {
			want = got
			t.Log("\n" + want)
		}
		if got != want {
			t.Fatalf("order %v gives other rows:\n%s\nwant:\n%s", order, got, want)
		}
	})
	if !strings.Contains(want, "4900 eur tax 782 usd 53.9  external_customer external:user_1 click "+
		clickID(-60).String()) {
		t.Errorf("49.00 EUR at 1.1 are not 53.90 USD, or not credited to the buyer's click:\n%s", want)
	}
}

// life is one buyer's story in one API shape, with what truly moved.
type life struct {
	tb     testing.TB
	rng    *rand.Rand
	old    bool // shapes up to 2025-02: charges, payment intents and invoices name each other
	n      int
	clock  int
	events []delivered
	moved  []movement
}

type delivered struct {
	typ    string
	at     int // seconds since epoch
	record *kgo.Record
	names  []string // the movements that this event reveals
}

type movement struct {
	names  []string
	amount int64
}

func (l *life) id(prefix string) string { l.n++; return fmt.Sprintf("%s_%d", prefix, l.n) }

func (l *life) deliver(typ string, object j, reveals ...string) {
	l.clock += []int{0, 1, 1, 5}[l.rng.Intn(4)]
	l.events = append(l.events, delivered{typ, l.clock, event(l.tb, l.id("evt"), typ, l.clock, l.rng.Intn(30), object),
		reveals})
}

// shaped leaves out what newer API versions no longer say.
func (l *life) shaped(object j, oldOnly j) j {
	if l.old {
		for k, v := range oldOnly {
			object[k] = v
		}
	}
	return object
}

func null(s string) any {
	if s == "" {
		return nil
	}
	return s
}

func (l *life) pay(amount int64, currency, invoice, customer string, meta j) (intent, charge string) {
	intent, charge = l.id("pi"), l.id("ch")
	l.deliver("payment_intent.succeeded", l.shaped(j{"id": intent, "amount_received": amount, "currency": currency,
		"customer": null(customer), "latest_charge": charge, "metadata": meta}, j{"invoice": null(invoice)}),
		"pay "+intent)
	l.deliver("charge.succeeded", l.shaped(j{"id": charge, "amount": amount, "captured": true, "currency": currency,
		"customer": null(customer), "payment_intent": intent}, j{"invoice": null(invoice)}), "pay "+intent)
	if invoice != "" {
		l.deliver("invoice_payment.paid", j{"id": l.id("inpay"), "invoice": invoice, "amount_paid": amount,
			"currency": currency, "payment": j{"type": "payment_intent", "payment_intent": intent}}, "pay "+intent)
	}
	return intent, charge
}

func (l *life) session(paid bool, intent, invoice string, amount int64, currency, customer, mode string,
	creates bool,
) j {
	status := "unpaid"
	if paid {
		status = "paid"
	}
	return j{"id": l.id("cs"), "payment_status": status, "payment_intent": null(intent), "invoice": null(invoice),
		"amount_total": amount, "currency": currency,
		"customer": null(customer), "mode": mode, "invoice_creation": j{"enabled": creates},
		"client_reference_id": clickID(-30).String()}
}

func (l *life) live() {
	r := l.rng
	amount := []int64{500, 1000, 4900, 4900}[r.Intn(4)]
	currency := []string{"usd", "eur"}[r.Intn(2)]
	customer := l.id("cus")
	var intent, charge string
	kind := r.Intn(9)
	switch kind {
	case 0, 1: // one-time checkout, guest or not
		if kind == 0 {
			customer = ""
		}
		intent, charge = l.pay(amount, currency, "", customer, nil)
		l.deliver("checkout.session.completed", l.session(true, intent, "", amount, currency, customer, "payment", false),
			"pay "+intent)
	case 2: // one-time with an invoice
		invoice := l.id("in")
		intent, charge = l.pay(amount, currency, invoice, customer, nil)
		l.invoice(invoice, amount, currency, customer, "", intent, charge)
		known := invoice
		if r.Float64() > .8 {
			known = ""
		}
		var reveals []string
		if known != "" {
			reveals = []string{"pay " + intent, "inv " + invoice}
		}
		l.deliver("checkout.session.completed", l.session(true, intent, known, amount, currency, customer, "payment",
			true), reveals...)
		l.moved = append(l.moved, movement{[]string{"pay " + intent, "inv " + invoice}, amount})
	case 3, 4: // subscription with renewals
		subscription := l.id("sub")
		for i := range 1 + r.Intn(4) {
			invoice := l.id("in")
			if i > 0 {
				l.clock += 2000
			}
			intent, charge = l.pay(amount, currency, invoice, customer, nil)
			l.invoice(invoice, amount, currency, customer, subscription, intent, charge)
			if i == 0 {
				s := l.session(true, "", invoice, amount, currency, customer, "subscription", false)
				s["subscription"] = subscription
				l.deliver("checkout.session.completed", s, "inv "+invoice)
			}
			l.moved = append(l.moved, movement{[]string{"pay " + intent, "inv " + invoice}, amount})
		}
	case 5: // bare payment intent with our metadata
		intent, charge = l.pay(amount, currency, "", customer, j{"pimmsClickId": clickID(-30).String()})
	case 6: // bare payment intent
		intent, charge = l.pay(amount, currency, "", customer, nil)
	case 7: // asynchronous method
		intent, charge = l.id("pi"), l.id("ch")
		s := l.session(false, intent, "", amount, currency, customer, "payment", false)
		l.deliver("checkout.session.completed", s)
		if r.Float64() > .7 {
			l.deliver("checkout.session.async_payment_failed", s)
			return
		}
		l.deliver("payment_intent.succeeded", l.shaped(j{"id": intent, "amount_received": amount, "currency": currency,
			"customer": customer, "latest_charge": charge}, j{"invoice": nil}), "pay "+intent)
		l.deliver("charge.succeeded", l.shaped(j{"id": charge, "amount": amount, "captured": true, "currency": currency,
			"customer": customer, "payment_intent": intent}, j{"invoice": nil}), "pay "+intent)
		paid := j{}
		for k, v := range s {
			paid[k] = v
		}
		paid["payment_status"] = "paid"
		l.deliver("checkout.session.async_payment_succeeded", paid, "pay "+intent)
	case 8: // invoice paid outside Stripe
		invoice := l.id("in")
		l.invoice(invoice, amount, currency, customer, "", "", "")
		l.moved = append(l.moved, movement{[]string{"inv " + invoice}, amount})
		return
	}
	if kind == 0 || kind == 1 || kind >= 5 {
		l.moved = append(l.moved, movement{[]string{"pay " + intent}, amount})
	}
	l.refunds(amount, currency, intent, charge)
}

func (l *life) invoice(id string, amount int64, currency, customer, subscription, intent, charge string) {
	l.deliver("invoice.paid", l.shaped(j{"id": id, "amount_paid": amount, "total": amount, "currency": currency,
		"customer": customer,
		"parent": j{"type": "subscription_details",
			"subscription_details": j{"subscription": null(subscription)}},
		"status_transitions": j{"paid_at": epoch.Unix() + int64(l.clock)}},
		j{"payment_intent": null(intent), "charge": null(charge), "subscription": null(subscription)}), "inv "+id)
}

func (l *life) refunds(amount int64, currency, intent, charge string) {
	r, cumulative := l.rng, int64(0)
	for range []int{0, 0, 0, 1, 2, 3}[r.Intn(6)] {
		x := []int64{amount / 4, amount - cumulative}[r.Intn(2)]
		if x <= 0 || cumulative+x > amount {
			break
		}
		refund := j{"id": l.id("re"), "charge": charge, "payment_intent": intent, "amount": x, "currency": currency,
			"status": "succeeded", "created": epoch.Unix() + int64(l.clock)}
		name := "ref " + refund["id"].(string)
		l.deliver("refund.created", refund, name)
		l.deliver("charge.refunded", j{"id": charge, "payment_intent": intent, "amount_refunded": cumulative + x,
			"currency": currency}, fmt.Sprintf("cum %d", cumulative+x))
		if r.Float64() < .15 {
			failed := j{}
			for k, v := range refund {
				failed[k] = v
			}
			failed["status"] = "failed"
			l.deliver("refund.failed", failed)
		} else {
			cumulative += x
			l.moved = append(l.moved, movement{[]string{name}, -x})
		}
	}
	if r.Float64() < .15 {
		dispute := j{"id": l.id("dp"), "charge": charge, "payment_intent": intent, "amount": amount - cumulative,
			"currency": currency}
		name := dispute["id"].(string)
		l.deliver("charge.dispute.created", dispute)
		l.deliver("charge.dispute.funds_withdrawn", dispute, "withdrawn "+name)
		l.moved = append(l.moved, movement{[]string{"withdrawn " + name}, -(amount - cumulative)})
		if r.Float64() < .5 {
			l.deliver("charge.dispute.funds_reinstated", dispute, "reinstated "+name)
			l.moved = append(l.moved, movement{[]string{"reinstated " + name}, amount - cumulative})
		}
	}
}

// knowable is what an endpoint that received these events can know of the truth.
func (l *life) knowable(events []delivered) int64 {
	revealed := make(map[string]bool)
	refunds, last, at := false, int64(0), -1
	for _, e := range events {
		for _, n := range e.names {
			revealed[n] = true
			var c int64
			if _, err := fmt.Sscanf(n, "cum %d", &c); err == nil && (e.at > at || e.at == at && c > last) {
				last, at = c, e.at // the charge's latest figure; of one second the larger, for nothing says which came first
			}
		}
		refunds = refunds || strings.HasPrefix(e.typ, "refund.")
	}
	var sum int64
	for _, m := range l.moved {
		if slices.ContainsFunc(m.names, func(n string) bool { return revealed[n] }) {
			sum += m.amount
		}
	}
	if !refunds {
		sum -= last // only the cumulative figure is known
	}
	return sum
}

// endpoints are the sets of events that real webhook endpoints subscribe to.
var endpoints = map[string]func(typ string) bool{
	"all":   func(string) bool { return true },
	"guide": only("checkout.session.completed", "invoice.paid", "charge.refunded"),
	"guide and async": only("checkout.session.completed", "checkout.session.async_payment_succeeded", "invoice.paid",
		"charge.refunded"),
	"no invoice_payment": func(t string) bool { return t != "invoice_payment.paid" },
	"no refund objects":  func(t string) bool { return !strings.HasPrefix(t, "refund.") },
	"no charge.refunded": func(t string) bool { return t != "charge.refunded" },
	"intents only":       only("payment_intent.succeeded", "charge.refunded"),
	"charges only":       only("charge.succeeded", "charge.refunded"),
	"invoice and intent": only("invoice.paid", "payment_intent.succeeded", "refund.created", "refund.failed"),
}

func only(types ...string) func(string) bool {
	return func(t string) bool { return slices.Contains(types, t) }
}

// Random lives, two API shapes, nine endpoints, several orders with duplicates each: no order
// differs, and none is a cent off what the endpoint can know.
func TestLivesConverge(t *testing.T) {
	lives, orders := 60, 6
	if testing.Short() || race.Enabled {
		lives = 3
	}
	for _, old := range []bool{true, false} {
		for name, subscribed := range endpoints {
			t.Run(fmt.Sprintf("%s/old=%v", name, old), func(t *testing.T) {
				t.Parallel()
				for seed := range lives {
					rng := rand.New(rand.NewSource(int64(seed)))
					l := &life{tb: t, rng: rng, old: old}
					l.live()
					var events []delivered
					for _, e := range l.events {
						if subscribed(e.typ) {
							events = append(events, e)
						}
					}
					truth, rows := l.knowable(events), ""
					for range orders {
						h := newProcessor(t)
						sent := append(slices.Clone(events), events[:len(events)/2]...)
						rng.Shuffle(len(sent), func(i, k int) { sent[i], sent[k] = sent[k], sent[i] })
						at := rng.Intn(len(sent) + 1)
						for i, e := range sent {
							if i == at {
								h.feed(click(t, -30, &schemas.Click{LinkId: "l", AffiliateId: "ann"}))
							}
							h.feed(e.record)
						}
						if at == len(sent) {
							h.feed(click(t, -30, &schemas.Click{LinkId: "l", AffiliateId: "ann"}))
						}
						h.now = h.now.Add(time.Minute) // the consumer is idle: the clock says how late it is
						if _, err := h.money.Recomputer.SweepOnce(context.Background(), time.Time{}); err != nil {
							t.Fatal(err)
						}
						var sum int64
						for _, e := range h.Ledger() {
							if e.Status == ledger.Booked {
								sum += e.Amount
							}
						}
						if sum != truth {
							t.Fatalf("seed %d: booked %d, moved %d\n%s\n%v", seed, sum, truth, h.Table(), types(sent))
						}
						if rows == "" {
							rows = h.Table()
						} else if got := h.Table(); got != rows {
							t.Fatalf("seed %d: the order changes rows:\n%s\nfirst:\n%s", seed, got, rows)
						}
					}
				}
			})
		}
	}
}

func types(events []delivered) (out []string) {
	for _, e := range events {
		out = append(out, e.typ)
	}
	return out
}
