package credit_test

import (
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

var epoch = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)

// books is a workspace with a sale of live mode (pi_1, with a refund and a session), one of test
// mode (pi_test), and a click; another workspace has a click too.
type books struct {
	*testing.T
	model            *clickhousetest.Model
	recomputer       *recompute.Recomputer
	click, elsewhere schemas.ClickID
}

func newBooks(t *testing.T) *books {
	t.Helper()
	b := &books{T: t, model: clickhousetest.New(t), click: schemas.NewClickID(epoch), elsewhere: schemas.NewClickID(epoch)}
	b.recomputer = recompute.New(recompute.Config{Store: b.model, Rates: clickhousetest.FixedRates{"usd": "1"},
		Log: slog.New(slog.DiscardHandler)})
	clicks := &consume.Clicks{Store: b.model, Recomputer: b.recomputer}
	money := &consume.Payments{Store: b.model, Recomputer: b.recomputer, Events: consume.NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }}
	click := func(workspace string, id schemas.ClickID) *kgo.Record {
		r, err := schemas.ClickRecord(&schemas.Click{Workspace: workspace, ClickId: id[:], ClickedAt: epoch.UnixMilli(),
			ReceivedAt: epoch.UnixMilli(), AffiliateId: "ann", Vouched: true}, nil)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	if err := clicks.Handle(t.Context(), []*kgo.Record{click("default", b.click), click("other", b.elsewhere)},
		nil); err != nil {
		t.Fatal(err)
	}
	event := func(id, typ string, live bool, object string) *kgo.Record {
		body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":%t,"data":{"object":%s}}`, id, typ,
			epoch.Add(time.Hour).Unix(), live, object)
		return schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: live, ReceivedAt: epoch.Add(time.Hour),
			Body: []byte(body)}, id)
	}
	const session = `{"id":%q,"object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd",
		"amount_total":2900,"payment_intent":%q,"customer":"cus_1"}`
	if err := money.Handle(t.Context(), []*kgo.Record{
		event("evt_1", "checkout.session.completed", true, fmt.Sprintf(session, "cs_1", "pi_1")),
		event("evt_2", "checkout.session.completed", false, fmt.Sprintf(session, "cs_test", "pi_test")),
		event("evt_3", "refund.created", true, `{"id":"re_1","object":"refund","amount":900,"currency":"usd","status":"succeeded",
			"payment_intent":"pi_1","charge":"ch_1","created":1772362800}`),
	}, nil); err != nil {
		t.Fatal(err)
	}
	return b
}

// apply takes a decision some minutes after the epoch.
func (b *books) apply(minutes int, workspace string, c credit.Correction) error {
	at := epoch.AddDate(0, 0, 1).Add(time.Duration(minutes) * time.Minute)
	return credit.Decide(b.Context(), b.model, b.recomputer, workspace, c, at)
}

// credited returns who is credited with an entry.
func (b *books) credited(kind, object string) string {
	for _, e := range b.model.Ledger() {
		if e.Kind == kind && e.ObjectID == object && e.Status == ledger.Booked {
			return e.Click.AffiliateID
		}
	}
	b.Fatalf("%s %s is not booked", kind, object)
	return ""
}

// What cannot be meant is refused, says why, and changes nothing.
func TestRefused(t *testing.T) {
	b := newBooks(t)
	bob := identity.New(identity.Affiliate, "bob")
	inForce := identity.Edge{A: identity.Catalogue, B: identity.CatalogueIsInForce, Source: "catalogue", At: epoch}
	inCatalogue := identity.Edge{A: bob, B: identity.New(identity.Program, ""), Source: "catalogue", At: epoch}
	if err := b.recomputer.Catalogue(t.Context(), "default", []identity.Edge{inForce, inCatalogue}); err != nil {
		t.Fatal(err)
	}
	before := b.model.Table()
	for name, c := range map[string]struct {
		sale      string
		decision  identity.Node
		workspace string
		reason    string
		want      string
	}{
		"a customer":               {sale: "cus_1", want: "is a customer"},
		"a subscription":           {sale: "sub_1", want: "is a subscription"},
		"an event":                 {sale: "evt_1", want: "is an event"},
		"an entry's id":            {sale: strings.Repeat("0f", 16), want: "nothing is known"},
		"an id that nobody knows":  {sale: "pi_2", want: "nothing is known"},
		"another workspace's sale": {workspace: "other", want: "nothing is known"},
		"another workspace's click": {decision: identity.New(identity.Click, b.elsewhere.String()),
			want: "must be stored"},
		"an account nobody lists":      {workspace: schemas.HeldWorkspace("acct_1", ""), want: "list the account"},
		"an affiliate of no catalogue": {decision: identity.New(identity.Affiliate, "Bob"), want: "catalogue"},
		"an affiliate without an id":   {decision: identity.New(identity.Affiliate, " "), want: "--nobody"},
		"no reason":                    {reason: " \n\x1b", want: "reason is empty"},
		"a very long reason":           {reason: strings.Repeat("é", 501), want: "500"},
		"nothing to undo":              {decision: identity.Undone, want: "no correction"},
	} {
		t.Run(name, func(t *testing.T) {
			given := credit.Correction{Sale: "pi_1", Decision: bob, Reason: "asked for", Author: "zoe"}
			if c.sale != "" {
				given.Sale = c.sale
			}
			if c.decision != "" {
				given.Decision = c.decision
			}
			if c.reason != "" {
				given.Reason = c.reason
			}
			workspace := "default"
			if c.workspace != "" {
				workspace = c.workspace
			}
			text := fmt.Sprint(b.apply(0, workspace, given))
			if !strings.Contains(text, c.want) || !strings.Contains(text, "(hint: ") {
				t.Errorf("%s; want an error with %q and a hint", text, c.want)
			}
		})
	}
	if b.model.Table() != before {
		t.Error("what was refused changed the ledger")
	}
}

// Any id of the sale names it, in both modes; the last of several decisions stands, and can be
// taken back.
func TestDecided(t *testing.T) {
	b := newBooks(t)
	bob, cyd := identity.New(identity.Affiliate, "bob"), identity.New(identity.Affiliate, "cyd")
	for i, id := range []string{"cs_1", "pi_1", "re_1", " pi_1 "} {
		decision := []identity.Node{bob, cyd}[i%2]
		c := credit.Correction{Sale: id, Decision: decision, Reason: "asked for", Author: "zoe"}
		if err := b.apply(i, "default", c); err != nil {
			t.Fatalf("%s: %v", id, err)
		}
		payment, refund := b.credited("payment", "pi_1"), b.credited("refund", "re_1")
		if payment != decision.Value() || refund != payment {
			t.Errorf("by %s the sale is %s's and its refund %s's, want %s's", id, payment, refund, decision.Value())
		}
	}
	undo := credit.Correction{Sale: "cs_1", Decision: identity.Undone, Reason: "in error", Author: "zoe"}
	for minutes := range 2 { // again, as after a crash
		if err := b.apply(10+minutes, "default", undo); err != nil {
			t.Fatal(err)
		}
		if got := b.credited("payment", "pi_1"); got != "" {
			t.Errorf("undone, the sale is %s's", got)
		}
	}
	// The last decision stands, also of one moment, or by a clock that is behind the one before.
	for i, decision := range []identity.Node{cyd, bob, cyd, bob} {
		if err := b.apply(12-i/2, "default", credit.Correction{Sale: "pi_test", Decision: decision,
			Reason: "x"}); err != nil {
			t.Fatal(err)
		}
		if got := b.credited("payment", "pi_test"); got != decision.Value() {
			t.Errorf("after decision %d the sale is %s's, want %s's", i, got, decision.Value())
		}
	}
}
