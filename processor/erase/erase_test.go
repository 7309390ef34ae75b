package erase_test

import (
	"context"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"time"

	clickhousego "github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
	"tributary/sql"
)

const (
	foreign = "Ab3dEf6hIj9kLm2n"
	address = "anna@example.com"
)

var (
	epoch = time.Date(2026, 3, 1, 10, 0, 0, 0, time.UTC)
	hash  = schemas.EmailHash([]byte("key"), "default", address)
)

// world is a database in which one person clicked, signed up and paid, as a customer and as an
// account, and somebody else did too.
type world struct {
	*testing.T
	store *clickhouse.Store
	own   schemas.ClickID // of the person, as ours; another has the site's own id
}

func newWorld(t *testing.T) *world {
	t.Helper()
	dsn := chdbtest.Start(t)
	options, err := clickhousego.ParseDSN(dsn)
	if err != nil {
		t.Fatal(err)
	}
	db := clickhousego.OpenDB(options)
	defer db.Close()
	if err := sql.Migrate(t.Context(), db, func(string) {}); err != nil {
		t.Fatal(err)
	}
	w := &world{T: t, own: schemas.NewClickID(epoch)}
	if w.store, err = clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry()); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { w.store.Close() })
	w.tell(new(erase.List))
	return w
}

// tell handles all records, as a processor that knows the list does.
func (w *world) tell(list *erase.List) { w.tellIn(list, "default", true) }

// tellIn is tell where Stripe's events are of another workspace.
func (w *world) tellIn(list *erase.List, workspace string, listed bool) {
	w.Helper()
	r := recompute.New(recompute.Config{Store: w.store, Rates: clickhousetest.FixedRates{"usd": "1"}, Log: slog.New(slog.DiscardHandler)})
	keys, err := stripe.NewKeys(nil, nil)
	if err != nil {
		w.Fatal(err)
	}
	keys.HashEmail = func(string) []byte { return hash }
	clicks := &consume.Clicks{Store: w.store, Recomputer: r, Erased: list}
	money := &consume.Payments{
		Store: w.store, Recomputer: r, Erased: list, Workspace: func(*schemas.StripeEvent) (string, bool) { return workspace, listed },
		Keys: func(string) *stripe.Keys { return keys }, Events: consume.NewEventsMetric(),
	}
	click := func(id schemas.ClickID, visitor, foreign string) *kgo.Record {
		record, err := schemas.ClickRecord(&schemas.Click{
			Workspace: "default", ClickId: id[:], ClickedAt: id.Time().UnixMilli(), ReceivedAt: id.Time().UnixMilli(), VisitorId: visitor,
			ForeignId: foreign, AffiliateId: "ann", Url: "https://shop.example/private?email=anna", UserAgent: "Phone of " + visitor,
		}, nil)
		if err != nil {
			w.Fatal(err)
		}
		return record
	}
	at := func(minutes int, name string) schemas.ClickID { // the same, told again
		id := schemas.NewClickID(epoch.Add(time.Duration(minutes) * time.Minute))
		id[6], id[7], id[8] = 0x70, 0, 0x80
		copy(id[9:], name)
		return id
	}
	other, site := at(1, "other.."), at(2, "site...")
	must := func(err error) {
		w.Helper()
		if err != nil {
			w.Fatal(err)
		}
	}
	must(clicks.Handle(w.Context(), []*kgo.Record{click(w.own, "v_anna", ""), click(site, "v_anna", foreign), click(other, "v_bert", "")}, nil))
	lead := func(external, ref string, hash []byte) *kgo.Record {
		record, err := schemas.LeadRecord(&schemas.Lead{
			Workspace: "default", LeadId: schemas.EmailHash(nil, "lead", external), ReceivedAt: epoch.Add(time.Hour).UnixMilli(), ClickRef: ref,
			ExternalId: external, EventName: "Sign up", EmailHash: hash, Mode: "async", Quantity: 1, Vouched: new(true), Metadata: map[string]string{"name": external},
		})
		must(err)
		return record
	}
	event := func(n int, typ, object string) *kgo.Record {
		id := fmt.Sprintf("evt_%d", n)
		body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":%s}}`, id, typ, epoch.Add(2*time.Hour).Unix()+int64(n), object)
		return schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: true, ReceivedAt: epoch.Add(2*time.Hour + time.Duration(n)*time.Second), Body: []byte(body)}, id)
	}
	letter := func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error { return cause }
	must(money.Handle(w.Context(), []*kgo.Record{
		lead("user_anna", w.own.String(), hash), lead("user_bert", other.String(), nil),
		event(1, "customer.created", `{"id":"cus_anna","object":"customer","email":"`+address+`","metadata":{"pimmsCustomerId":"user_anna","pimmsClickId":"`+foreign+`"}}`),
		event(2, "checkout.session.completed", `{"id":"cs_1","object":"checkout.session","mode":"payment","client_reference_id":" user_anna","payment_status":"paid","currency":"usd","amount_total":2900,"payment_intent":"pi_1","customer":"cus_anna","metadata":{"pimmsCustomerId":"user_anna"}}`),
		event(3, "checkout.session.completed", `{"id":"cs_2","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd","amount_total":3900,"payment_intent":"pi_2","customer":"cus_bert","metadata":{"pimmsCustomerId":"user_bert"}}`),
		event(4, "charge.dispute.created", `{"id":"du_1","object":"dispute","amount":2900,"currency":"usd","charge":"ch_1","payment_intent":"pi_1","balance_transactions":[],"evidence":{"customer_email_address":"`+address+`","customer_name":"Anna Field"}}`),
		event(5, "checkout.session.completed", `{"id":"cs_3","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd","amount_total":1900,"payment_intent":"pi_3","customer":null,"customer_details":{"email":"`+address+`","name":"Anna Field"}}`),
	}, letter))
}

// mentions counts the values of all tables that contain a text.
func (w *world) mentions(text string) (n uint64) {
	w.Helper()
	for _, table := range w.tables() {
		err := w.store.Each(w.Context(), func(rows driver.Rows) error {
			var count uint64
			if err := rows.Scan(&count); err != nil {
				return err
			}
			n += count
			if count > 0 && testing.Verbose() {
				w.Logf("%q is in %d rows of %s", text, count, table)
			}
			return nil
		}, "SELECT countIf(position(toString(tuple(*)), ?) > 0) FROM "+table+" FINAL", text)
		if err != nil && strings.Contains(err.Error(), "FINAL") {
			continue
		}
		if err != nil {
			w.Fatalf("%s: %v", table, err)
		}
	}
	return n
}

// tables returns every table that stores rows.
func (w *world) tables() (list []string) {
	w.Helper()
	err := w.store.Each(w.Context(), func(rows driver.Rows) error {
		var name string
		err := rows.Scan(&name)
		list = append(list, name)
		return err
	}, "SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree%'")
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func (w *world) number(query string) (n uint64) {
	w.Helper()
	if err := w.store.Each(w.Context(), func(rows driver.Rows) error { return rows.Scan(&n) }, query); err != nil {
		w.Fatal(err)
	}
	return n
}

// Whoever is named by any kind of name, alone or together with others, is nowhere any more;
// everybody else is, and so is the money.
func TestEveryKindOfName(t *testing.T) {
	email := erase.EmailNode(hash)
	customer, external := identity.New(identity.Customer, "cus_anna"), identity.New(identity.External, "user_anna")
	reference := identity.New(identity.Reference, foreign)
	all := []string{"cus_anna", "user_anna", "v_anna", "Phone of v_anna", address}
	browser := []string{"v_anna", "Phone of v_anna"}
	for name, c := range map[string]struct {
		from     []identity.Node
		visitors []string
		gone     []string
	}{
		"customer":      {from: []identity.Node{customer}, gone: all},
		"external id":   {from: []identity.Node{external}, gone: all},
		"email":         {from: []identity.Node{email}, gone: all},
		"visitor":       {visitors: []string{"v_anna"}, gone: browser},
		"click":         {gone: browser},
		"foreign click": {from: []identity.Node{reference}, gone: browser},
		"all together":  {from: []identity.Node{customer, external, email, reference}, visitors: []string{"v_anna"}, gone: all},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			if name == "click" {
				c.from = []identity.Node{identity.New(identity.Click, w.own.String())}
			}
			const money = "SELECT sum(cityHash64(object_id, amount, affiliate_id, toString(match_rule), version)) FROM ledger FINAL"
			before := w.number(money)
			for _, text := range c.gone {
				if w.mentions(text) == 0 {
					t.Fatalf("%q was nowhere before", text)
				}
			}
			person, err := erase.Find(t.Context(), w.store, "default", c.from, c.visitors)
			if err != nil {
				t.Fatal(err)
			}
			list := new(erase.List)
			if err := erase.Run(t.Context(), w.store, list, person, time.Now()); err != nil {
				t.Fatal(err)
			}
			gone := func(when string) {
				t.Helper()
				for _, text := range c.gone {
					if n := w.mentions(text); n > 0 {
						t.Errorf("%s %q is in %d rows", when, text, n)
					}
				}
				for _, text := range []string{"cus_bert", "user_bert", "v_bert"} {
					if w.mentions(text) == 0 {
						t.Errorf("%s %q is nowhere any more", when, text)
					}
				}
				if after := w.number(money); after != before {
					t.Errorf("%s the money is not what it was", when)
				}
			}
			gone("after the erasure")
			w.tell(list)
			gone("read again")
		})
	}
}

// A buyer may be an account: Accounts v2, customer_account.
func TestAccountCustomer(t *testing.T) {
	list := new(erase.List)
	w := newWorld(t)
	account := identity.New(identity.Customer, "acct_anna")
	person := &erase.Person{Workspace: "default", Names: []identity.Node{account}}
	if err := erase.Run(t.Context(), w.store, list, person, time.Now()); err != nil {
		t.Fatal(err)
	}
	e := &schemas.StripeEvent{Body: []byte(`{"id":"evt_9","object":"event","data":{"object":{"id":"pi_9","customer":null,"customer_account":"acct_anna"}}}`)}
	redacted, changed := list.Event("default", e)
	if !changed || strings.Contains(string(redacted.Body), "acct_anna") {
		t.Errorf("the account is still in %s", redacted.Body)
	}
}

// What was held of the person until a workspace listed the account is erased with the rest, unless it
// is still to be booked.
func TestHeldCopies(t *testing.T) {
	w := newWorld(t)
	held := schemas.HeldWorkspace("", "")
	w.tellIn(nil, held, false)
	waiting := &schemas.StripeEvent{ID: "evt_8", Type: "customer.created", ReceivedAt: epoch,
		Body: []byte(`{"id":"evt_8","object":"event","data":{"object":{"id":"cus_anna","object":"customer"}}}`)}
	err := w.store.InsertEvents(t.Context(), []clickhouse.EventRow{{Workspace: held, StripeEvent: waiting, Created: epoch}})
	if err != nil {
		t.Fatal(err)
	}
	person, err := erase.Find(t.Context(), w.store, "default", []identity.Node{identity.New(identity.Customer, "cus_anna")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := erase.Run(t.Context(), w.store, new(erase.List), person, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := w.mentions("cus_anna"); n != 1 {
		t.Errorf("cus_anna is in %d rows, want the one event that is not booked yet", n)
	}
	if n := w.number("SELECT count() FROM stripe_events FINAL WHERE startsWith(workspace, 'unlisted/')"); n != 2 {
		t.Errorf("%d events are held, want the one that is not booked yet and that of somebody else", n)
	}
	if n := w.number("SELECT count() FROM facts FINAL WHERE startsWith(workspace, 'unlisted/')"); n != 1 {
		t.Errorf("%d facts are held, want that of somebody else", n)
	}
}
