package recompute_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/catalogue"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/reconcile"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// killed is the store of a command that is killed when it books.
type killed struct{ *clickhousetest.Model }

var errKilled = errors.New("killed")

func (killed) InsertLedger(context.Context, []ledger.Entry) error { return errKilled }

// bought handles a click by a link and a sale in euros with a refund, which names the click, a
// promotion code or a bare reference.
func bought(t *testing.T, model *clickhousetest.Model, r *recompute.Recomputer, names func(schemas.ClickID) string) {
	t.Helper()
	at := time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	id := schemas.NewClickID(at)
	click, err := schemas.ClickRecord(&schemas.Click{Workspace: "default", ClickId: id[:], ClickedAt: at.UnixMilli(),
		ReceivedAt: at.UnixMilli(), LinkId: "spring", Vouched: true}, nil)
	if err != nil {
		t.Fatal(err)
	}
	event := func(typ, object string) *kgo.Record {
		body := fmt.Sprintf(`{"id":"evt_%s","object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":%s}}`,
			typ, typ, at.Add(time.Hour).Unix(), object)
		return schemas.StripeRecord(&schemas.StripeEvent{ID: "evt_" + typ, Type: typ, Livemode: true,
			ReceivedAt: at.Add(time.Hour), Body: []byte(body)}, typ)
	}
	clicks := &consume.Clicks{Store: model, Recomputer: r}
	payments := &consume.Payments{Store: model, Recomputer: r, Events: consume.NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	err = errors.Join(clicks.Handle(t.Context(), []*kgo.Record{click}, nil),
		payments.Handle(t.Context(), []*kgo.Record{
			event("checkout.session.completed", `{"id":"cs_1","object":"checkout.session","mode":"payment",
				"payment_status":"paid","currency":"eur","amount_total":2900,"payment_intent":"pi_1",`+names(id)+`}`),
			event("refund.created", `{"id":"re_1","object":"refund","amount":900,"currency":"eur","status":"succeeded",
				"payment_intent":"pi_1","charge":"ch_1","created":1772362800}`),
		}, nil))
	if err != nil {
		t.Fatal(err)
	}
}

// What a command has stored when it is killed is booked by the processor, without another record of
// the sale.
func TestKilledBeforeBooking(t *testing.T) {
	load := func(rows string) func(*clickhousetest.Model, *recompute.Recomputer) error {
		return func(_ *clickhousetest.Model, r *recompute.Recomputer) error {
			now := time.Now()
			c, err := catalogue.Read(strings.NewReader("affiliate_id,link_id,promotion_code,coupon\n"+rows), now)
			if err != nil {
				return err
			}
			return r.Catalogue(t.Context(), "default", append(c.Edges, catalogue.InForce(now)))
		}
	}
	byClick := func(id schemas.ClickID) string { return fmt.Sprintf(`"client_reference_id":%q`, id) }
	by := func(fields string) func(schemas.ClickID) string {
		return func(schemas.ClickID) string { return fields }
	}
	for name, c := range map[string]struct {
		names   func(schemas.ClickID) string
		command func(*clickhousetest.Model, *recompute.Recomputer) error
		want    string
	}{
		"a correction": {byClick, func(m *clickhousetest.Model, r *recompute.Recomputer) error {
			return credit.Decide(t.Context(), m, r, "default", credit.Correction{Sale: "cs_1",
				Decision: identity.New(identity.Affiliate, "bob"), Reason: "asked for"}, time.Now())
		}, "bob usd"},
		"a link":      {byClick, load("bob,spring,,\n"), "bob usd"},
		"a promotion": {by(`"discounts":[{"coupon":null,"promotion_code":"promo_1"}]`), load("bob,,promo_1,\n"), "bob usd"},
		"a coupon":    {by(`"discounts":[{"coupon":"c_1","promotion_code":null}]`), load("bob,,,c_1\n"), "bob usd"},
		"a reference": {by(`"client_reference_id":"bob"`), load("bob,,,\n"), "bob usd"},
		"a settlement": {by(`"customer":"cus_1"`), func(_ *clickhousetest.Model, r *recompute.Recomputer) error {
			var facts []stripe.Fact
			for source, amount := range map[string]int64{"pi_1": 2900, "re_1": -900} {
				kind := map[bool]string{true: "charge", false: "refund"}[amount > 0]
				facts = append(facts, (&reconcile.Transaction{ID: "txn_" + source, Category: kind, Source: source,
					Currency: "usd", Amount: amount * 12 / 10, Presented: "eur", PresentedAmount: amount}).Settlement("", true))
			}
			return r.Settlements(t.Context(), "default", facts)
		}, " stripe"},
	} {
		// By a clock that is wrong, a command would ask for it too early, when not everything is
		// stored, or much too late.
		for _, wrong := range []time.Duration{0, 10 * time.Minute, -10 * time.Minute} {
			t.Run(fmt.Sprintf("%s, clock wrong by %s", name, wrong), func(t *testing.T) {
				model := clickhousetest.New(t)
				config := recompute.Config{Store: model, Rates: clickhousetest.FixedRates{"usd": "1", "eur": "1.1"},
					Log: slog.New(slog.DiscardHandler), BatchTime: time.Millisecond,
					Now: func() time.Time { return time.Now().Add(wrong) }}
				processor := recompute.New(config)
				bought(t, model, processor, c.names)
				before := model.Table()
				config.Store = killed{model}
				if err := c.command(model, recompute.New(config)); !errors.Is(err, errKilled) {
					t.Fatal(err)
				}
				if err := processor.Finish(t.Context()); err != nil || model.Table() != before {
					t.Errorf("at once: %v\n%s", err, model.Table())
				}
				model.Now = func() time.Time { return time.Now().Add(5 * time.Minute) }
				if err := processor.Finish(t.Context()); err != nil {
					t.Fatal(err)
				}
				booked := 0
				for _, e := range model.Ledger() {
					if e.Status != ledger.Booked {
						continue
					}
					booked++
					source := "usd"
					if e.FXSource == "stripe" {
						source = e.FXSource
					}
					if got := e.Click.AffiliateID + " " + source; got != c.want {
						t.Errorf("%s %s is %q, want %q", e.Kind, e.ObjectID, got, c.want)
					}
				}
				if open, err := model.Deferred(t.Context()); booked != 2 || err != nil || len(open) > 0 {
					t.Errorf("%d entries are booked; still to be booked: %v %v", booked, open, err)
				}
			})
		}
	}
}
