package traffic

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"testing"
	"time"

	"github.com/stripe/stripe-go/v76"
	"github.com/stripe/stripe-go/v76/webhook"
)

var monday = time.Date(2026, 3, 2, 0, 0, 0, 0, time.UTC)

// busy is a month in which every sort of scenario occurs several times.
func busy(seed uint64) *World {
	return New(seed, Options{Start: monday, Span: 14 * 24 * time.Hour, Until: monday.AddDate(0, 2, 0),
		Clicks: 2000, Buyers: .15})
}

// Same seed, same bytes; another seed or another start, no shared identifier.
func TestDeterminism(t *testing.T) {
	text := func(w *World) []byte {
		b, err := json.Marshal([]any{w.Clicks, w.Leads, w.Deliveries, w.Movements})
		if err != nil {
			t.Fatal(err)
		}
		return b
	}
	world := func(seed uint64, start time.Time) *World {
		return New(seed, Options{Start: start, Clicks: 500, Buyers: .2})
	}
	one := world(1, monday)
	if !bytes.Equal(text(one), text(world(1, monday))) {
		t.Fatal("one seed gave two different worlds")
	}
	seen := map[string]bool{}
	for _, d := range one.Deliveries {
		seen[d.EventID], seen[d.Object] = true, true
	}
	for _, other := range []*World{world(2, monday), world(1, monday.AddDate(0, 0, 1))} {
		for _, d := range other.Deliveries {
			if seen[d.EventID] || seen[d.Object] {
				t.Fatalf("%s or %s appears in two worlds", d.EventID, d.Object)
			}
		}
	}
}

// Each click is its own, and its id carries its time.
func TestClicks(t *testing.T) {
	w := busy(3)
	ids, bots, later := map[string]bool{}, 0, 0
	for _, c := range w.Clicks {
		if ids[c.ID.String()] {
			t.Fatalf("click %s twice", c.ID)
		}
		ids[c.ID.String()] = true
		if !c.ID.Time().Equal(c.EventTime) {
			t.Fatalf("click id says %s, event_time %s", c.ID.Time(), c.EventTime)
		}
		if c.EventTime.Before(monday) {
			t.Fatalf("click at %s is before the span", c.EventTime)
		}
		if !c.EventTime.Before(monday.AddDate(0, 0, 14)) {
			later++ // somebody who came back
		}
		if c.Bot {
			bots++
		}
	}
	if later > 20 || len(ids) < 2000 || len(ids) > 2040 || bots < 25 || bots > 110 {
		t.Fatalf("%d clicks, %d of them later, %d bots", len(ids), later, bots)
	}
	var body map[string]any
	b, _ := json.Marshal(w.Clicks[0])
	if err := json.Unmarshal(b, &body); err != nil || body["click_id"] == nil || body["event_time"] == nil ||
		body["user_agent"] == nil {
		t.Fatalf("click body %s: %v", b, err)
	}
	for _, l := range w.Leads {
		if !ids[l.ClickID.String()] {
			t.Fatalf("lead of a click that nobody made: %s", l.ClickID)
		}
	}
}

// Every body passes stripe-go's own verification, and has the type and id of its Delivery.
func TestDeliveriesAreStripeEvents(t *testing.T) {
	w := busy(4)
	reference := regexp.MustCompile(`^[A-Za-z0-9_-]{1,200}$`)
	kinds, copies := map[string]int{}, 0
	for i, d := range w.Deliveries {
		if i > 0 && d.SendAt.Before(w.Deliveries[i-1].SendAt) {
			t.Fatal("deliveries are not sorted")
		}
		if d.SendAt.Before(d.Created) {
			t.Fatalf("%s was sent before it happened", d.EventID)
		}
		copies += d.Copy
		signed := webhook.GenerateTestSignedPayload(&webhook.UnsignedPayload{Payload: d.Body, Secret: "whsec_test"})
		e, err := webhook.ConstructEventWithOptions(d.Body, signed.Header, "whsec_test",
			webhook.ConstructEventOptions{IgnoreAPIVersionMismatch: true})
		if err != nil {
			t.Fatalf("%s: %v", d.EventID, err)
		}
		if e.ID != d.EventID || string(e.Type) != d.Type || e.Created != d.Created.Unix() ||
			e.Data.Object["id"] != d.Object || !e.Livemode {
			t.Fatalf("%s %s: the body says otherwise", d.EventID, d.Type)
		}
		kinds[d.Type]++
		if d.Type != "checkout.session.completed" {
			continue
		}
		var s stripe.CheckoutSession
		if err := json.Unmarshal(e.Data.Raw, &s); err != nil {
			t.Fatalf("%s: %v", d.EventID, err)
		}
		if s.ClientReferenceID != "" && !reference.MatchString(s.ClientReferenceID) {
			t.Fatalf("Stripe would refuse client_reference_id %q", s.ClientReferenceID)
		}
		if p := s.TotalDetails; s.AmountTotal > s.AmountSubtotal-p.AmountDiscount+p.AmountShipping+p.AmountTax {
			t.Fatalf("%s: the total is more than its parts", s.ID)
		}
	}
	for _, want := range []string{
		"checkout.session.completed", "checkout.session.async_payment_succeeded", "payment_intent.succeeded",
		"charge.succeeded",
		"invoice.paid", "invoice_payment.paid", "customer.created", "customer.subscription.created",
		"charge.refunded", "refund.created",
		"refund.failed", "charge.dispute.created", "charge.dispute.funds_withdrawn",
	} {
		if kinds[want] == 0 {
			t.Errorf("no %s among %d deliveries", want, len(w.Deliveries))
		}
	}
	if share := float64(copies) / float64(len(w.Deliveries)); share < .03 || share > .1 {
		t.Errorf("%.1f %% duplicates", 100*share)
	}
}

// The truth agrees with what the events say: each payment once, refunds and disputes out of it and
// never more than it.
func TestMovementsAddUp(t *testing.T) {
	w := busy(5)
	reported := map[string]int64{} // canonical object and kind → amount by the events themselves
	seen := map[string]bool{}
	intents := map[string]int64{}
	for _, d := range w.Deliveries {
		if seen[d.EventID] {
			continue
		}
		seen[d.EventID] = true
		var e struct {
			Data struct {
				Object struct {
					ID            string
					Amount        int64
					AmountPaid    int64  `json:"amount_paid"`
					PaymentIntent string `json:"payment_intent"`
					Status        string
					LatestCharge  string `json:"latest_charge"`
				}
			}
		}
		if err := json.Unmarshal(d.Body, &e); err != nil {
			t.Fatalf("%s: %v", d.Body, err)
		}
		o := e.Data.Object
		switch d.Type {
		case "payment_intent.succeeded":
			intents[o.ID] = o.Amount
		case "invoice.paid":
			if o.AmountPaid > 0 {
				reported[o.ID+" "+Payment] = o.AmountPaid
			}
		case "refund.created":
			reported[o.ID+" "+Refund] = -o.Amount
		case "refund.failed":
			reported[o.ID+" "+RefundReversal] = o.Amount
		case "charge.dispute.funds_withdrawn":
			reported[o.ID+" "+Dispute] = -o.Amount
		case "charge.dispute.funds_reinstated":
			reported[o.ID+" "+DisputeReversal] = o.Amount
		}
	}
	bySale, kinds, currencies := map[string]int64{}, map[string]int{}, map[string]int64{}
	for _, m := range w.Movements {
		kinds[m.Kind]++
		currencies[m.Currency] += m.Amount
		bySale[m.Sale] += m.Amount
		key := m.Object + " " + m.Kind
		want, ok := reported[key]
		if !ok && m.Kind == Payment { // its payment intent says it
			want, ok = intents[m.Object]
			delete(intents, m.Object)
			delete(reported, m.Sale+" "+Payment)
		}
		if !ok || want != m.Amount {
			t.Fatalf("%s: the truth is %d, the events say %d (%v)", key, m.Amount, want, ok)
		}
		delete(reported, key)
		if m.Attributed != (!m.ClickID.IsZero() || m.AffiliateID != "") {
			t.Fatalf("%s (%s): attributed %v, click %s, affiliate %q", m.Object, m.Channel, m.Attributed,
				m.ClickID, m.AffiliateID)
		}
	}
	if len(reported) > 0 || len(intents) > 0 {
		t.Errorf("money that the truth does not know: %v %v", reported, intents)
	}
	for sale, sum := range bySale {
		if sum < 0 {
			t.Errorf("%s: %d more went back than came", sale, -sum)
		}
	}
	for c, sum := range Totals(w.Movements) {
		if sum != currencies[c] || sum <= 0 {
			t.Errorf("%s: %d, added up %d", c, sum, currencies[c])
		}
	}
	if len(currencies) != 3 || len(kinds) != 5 {
		t.Errorf("currencies %v, kinds %v", currencies, kinds)
	}
}

// Every scenario in every shape: what Stripe's balance, its payment intents and its invoices say
// moved is what the truth says moved, and nothing else.
func TestScenariosAddUp(t *testing.T) {
	kinds := map[string]int{}
	for _, version := range APIVersions {
		w := New(8, Options{
			Start: monday, Span: 3 * 24 * time.Hour, Until: monday.AddDate(0, 6, 0), Clicks: 60, Buyers: 1, Bots: -1,
			Refunds: .6, Rare: true, Hostile: .2,
			Scenarios: slices.Concat(Scenarios, Billing), APIVersions: []string{version}, Declines: .2,
			AccountCustomers: version >= "2026",
		})
		balance := map[string]int64{}
		for _, b := range w.Balance {
			balance[b.ID] = b.Amount
		}
		intents, sales := map[string]int64{}, map[string]int64{}
		for _, m := range w.Movements {
			kinds[m.Kind]++
			if m.Balance != "" && balance[m.Balance] != m.Amount {
				t.Errorf("%s %s: %d moved, Stripe's balance says %d", m.Kind, m.Object, m.Amount, balance[m.Balance])
			}
			delete(balance, m.Balance)
			if m.Kind == Payment {
				intents[m.Object] = m.Amount
				sales[m.Sale] += m.Amount
			}
			if m.AffiliateID == "aff_mallory" {
				t.Errorf("%s: the stranger's click is credited", m.Object)
			}
		}
		if len(balance) > 0 {
			t.Errorf("%s: balance transactions of nothing: %v", version, balance)
		}
		for _, d := range w.Deliveries {
			checkPaid(t, d, intents, sales)
		}
	}
	if len(kinds) != 5 {
		t.Errorf("kinds of movement: %v", kinds)
	}
}

// checkPaid compares what an event says was paid with the truth, by payment intent and by invoice.
func checkPaid(t *testing.T, d Delivery, intents, sales map[string]int64) {
	t.Helper()
	var e struct {
		Data struct {
			Object struct {
				ID       string
				Received int64  `json:"amount_received"`
				Paid     int64  `json:"amount_paid"`
				Overpaid *int64 `json:"amount_overpaid"`
			}
		}
	}
	if err := json.Unmarshal(d.Body, &e); err != nil {
		t.Fatalf("%s: %v", d.Body, err)
	}
	o := e.Data.Object
	switch d.Type {
	case "payment_intent.succeeded":
		if o.Received != intents[o.ID] && !bytes.Contains(d.Body, []byte(`"presentment_details"`)) {
			t.Errorf("%s: %d was received, in truth %d", o.ID, o.Received, intents[o.ID])
		}
	case "payment_intent.canceled":
		if _, moved := intents[o.ID]; moved {
			t.Errorf("%s was canceled and moved money", o.ID)
		}
	case "invoice.paid":
		if sum, known := sales[o.ID]; known && o.Overpaid != nil && o.Paid+*o.Overpaid > sum {
			t.Errorf("%s: %d was paid, in truth %d", o.ID, o.Paid+*o.Overpaid, sum)
		}
	}
}

// A Checkout made by hand names its click and leaves the World as it was.
func TestCheckout(t *testing.T) {
	w := New(6, Options{Clicks: -1})
	c := w.NextClick(monday)
	d, m := w.Checkout(c, monday)
	if len(w.Clicks)+len(w.Movements)+len(w.Deliveries) != 0 {
		t.Fatal("the World took them")
	}
	if m.ClickID != c.ID || !bytes.Contains(d.Body, []byte(c.ID.String())) || !bytes.Contains(d.Body, []byte(m.Object)) {
		t.Fatalf("movement %+v, body %s", m, d.Body)
	}
}

// Options narrow what happens.
func TestOptions(t *testing.T) {
	w := New(7, Options{Start: monday, Clicks: 500, Buyers: 1, Bots: -1, Duplicates: -1, LateClicks: -1, TestMode: true,
		Account: "acct_1", Scenarios: []Scenario{Guest}, Channels: []Channel{Unrelated}, APIVersions: []string{APINew}})
	if len(w.Movements) == 0 {
		t.Fatal("nobody bought")
	}
	for _, m := range w.Movements {
		if m.Attributed || m.Livemode || m.Customer != "" {
			t.Fatalf("%+v", m)
		}
	}
	for _, d := range w.Deliveries {
		if d.Copy != 0 || !bytes.Contains(d.Body, []byte(APINew)) || !bytes.Contains(d.Body, []byte("acct_1")) {
			t.Fatalf("copy %d: %s", d.Copy, d.Body)
		}
	}
	if w.End().Before(w.Deliveries[len(w.Deliveries)-1].SendAt) {
		t.Fatal("the end comes before the last delivery")
	}
}

func BenchmarkNew(b *testing.B) {
	for b.Loop() {
		New(1, Options{Clicks: 1000, Buyers: .1})
	}
}
