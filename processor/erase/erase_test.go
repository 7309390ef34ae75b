package erase_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/url"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/erase"
	"tributary/processor/identity"
	"tributary/processor/recompute"
	"tributary/processor/rollup"
	"tributary/processor/stripe"
	"tributary/schemas"
	"tributary/sql/sqltest"
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
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	w := &world{T: t, store: store, own: schemas.NewClickID(epoch)}
	w.handle(new(erase.List))
	return w
}

// ownKeys are the workspace's: it writes buyers' ids behind a prefix, too.
func ownKeys(t *testing.T) *stripe.Keys {
	t.Helper()
	keys, err := stripe.NewKeys(nil, map[string]string{"u-": identity.External})
	if err != nil {
		t.Fatal(err)
	}
	return keys
}

// handle handles all records, as a processor that knows the list does.
func (w *world) handle(list *erase.List) { w.handleIn(list, "default", true) }

// handleIn is handle where Stripe's events are of another workspace.
func (w *world) handleIn(list *erase.List, workspace string, listed bool) {
	w.Helper()
	r := recompute.New(recompute.Config{Store: w.store, Rates: clickhousetest.FixedRates{"usd": "1"},
		Log: slog.New(slog.DiscardHandler)})
	keys := ownKeys(w.T)
	keys.HashEmail = func(string) []byte { return hash }
	clicks := &consume.Clicks{Store: w.store, Recomputer: r, Erased: list}
	money := &consume.Payments{
		Store: w.store, Recomputer: r, Erased: list, Workspace: func(*schemas.StripeEvent) (string,
			bool) {
			return workspace, listed
		},
		Keys: func(string) *stripe.Keys { return keys }, Events: consume.NewEventsMetric(), ThinFetched: true,
	}
	trigger := ""
	click := func(id schemas.ClickID, visitor, foreign string) *kgo.Record {
		record, err := schemas.ClickRecord(&schemas.Click{
			Workspace: "default", ClickId: id[:], ClickedAt: id.Time().UnixMilli(), ReceivedAt: id.Time().UnixMilli(),
			VisitorId: visitor,
			ForeignId: foreign, AffiliateId: "ann", Url: "https://shop.example/of/" + visitor + "?email=anna",
			UserAgent: "Phone of " + visitor,
			Referrer:  "https://mail.example/" + visitor, Properties: map[string]string{"who": visitor},
			Trigger: trigger,
		}, nil)
		if err != nil {
			w.Fatal(err)
		}
		return record
	}
	at := func(minutes int, name string) schemas.ClickID { // the same, sent again
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
	must(clicks.Handle(w.Context(), []*kgo.Record{click(w.own, "v_anna", ""), click(site, "v_anna", foreign),
		click(other, "v_bert", "")}, nil))
	trigger = "pageview"
	must(clicks.Handle(w.Context(), []*kgo.Record{click(at(3, "page..."), "v_anna", "")}, nil))
	lead := func(external, ref string, hash []byte) *kgo.Record {
		record, err := schemas.LeadRecord(&schemas.Lead{
			Workspace: "default", LeadId: schemas.EmailHash(nil, "lead", external), ReceivedAt: epoch.Add(time.Hour).UnixMilli(),
			ClickRef:   ref,
			ExternalId: external, EventName: "Sign up", EmailHash: hash, Mode: "async", Quantity: 1, Vouched: new(true),
			Metadata: map[string]string{"name": external},
		})
		must(err)
		return record
	}
	id := ""
	event := func(n int, typ, object string) *kgo.Record {
		if id = fmt.Sprintf("evt_%d", n); n == 6 {
			id = "evt_backfill_cus_anna_created_6"
		}
		body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"data":{"object":%s}}`, id, typ,
			epoch.Add(2*time.Hour).Unix()+int64(n), object)
		return schemas.StripeRecord(&schemas.StripeEvent{ID: id, Type: typ, Livemode: true,
			ReceivedAt: epoch.Add(2*time.Hour + time.Duration(n)*time.Second), Body: []byte(body)}, id)
	}
	letter := func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error { return cause }
	records := []*kgo.Record{
		lead("user_anna", w.own.String(), hash), lead("user_bert", other.String(), nil),
		event(1, "customer.created", `{"id":"cus_anna","object":"customer","email":"`+address+
			`","metadata":{"pimmsCustomerId":"user_anna","pimmsClickId":"`+foreign+`"}}`),
		event(2, "checkout.session.completed",
			`{"id":"cs_1","object":"checkout.session","mode":"payment","client_reference_id":" user_anna","payment_status":"paid","currency":"usd","amount_total":2900,"payment_intent":"pi_1","customer":"cus_anna","metadata":{"pimmsCustomerId":"user_anna"}}`),
		event(3, "checkout.session.completed",
			`{"id":"cs_2","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd","amount_total":3900,"payment_intent":"pi_2","customer":"cus_bert","metadata":{"pimmsCustomerId":"user_bert"}}`),
		event(4, "charge.dispute.created",
			`{"id":"du_1","object":"dispute","amount":2900,"currency":"usd","charge":"ch_1","payment_intent":"pi_1","balance_transactions":[],"evidence":{"customer_email_address":"`+address+`","customer_name":"Anna Field"}}`),
		event(5, "checkout.session.completed",
			`{"id":"cs_3","object":"checkout.session","mode":"payment","payment_status":"paid","currency":"usd","amount_total":1900,"payment_intent":"pi_3","customer":null,"customer_details":{"email":"`+address+`","name":"Anna Field"}}`),
		event(6, "customer.created", `{"id":"cus_anna","object":"customer","metadata":{}}`),
		event(7, "checkout.session.completed",
			`{"id":"cs_7","object":"checkout.session","mode":"payment","client_reference_id":"u-user_anna","payment_status":"paid","currency":"usd","amount_total":900,"payment_intent":"pi_7","customer":null,"success_url":"https://shop.example/Anna Field","metadata":{}}`),
		schemas.StripeRecord(&schemas.StripeEvent{
			ID: "evt_8", Type: "v1.customer.updated", Livemode: true, ReceivedAt: epoch.Add(3 * time.Hour),
			Body: []byte(`{"id":"evt_8","object":"v2.core.event","type":"v1.customer.updated","created":"2026-03-01T12:00:00.000Z","livemode":true,
				"related_object":{"id":"cus_anna","type":"customer","url":"/v1/customers/cus_anna"}}`),
		}, "evt_8"),
		schemas.StripeRecord(&schemas.StripeEvent{
			ID: "evt_8_object", Type: "customer.updated", Livemode: true, ReceivedAt: epoch.Add(3 * time.Hour),
			Body: []byte(`{"id":"evt_8_object","object":"event","type":"customer.updated","created":1772366400,"livemode":true,
				"fetched_from":"/v1/customers/cus_anna","data":{"object":{"id":"cus_anna","object":"customer","individual_name":"Anna Field"}}}`),
		}, "evt_8_object"),
	}
	for n, m := range []schemas.Movement{
		{Kind: "payment", ID: "1001", Tax: 100, ExternalID: "user_anna", CustomerID: "anna-7", Email: address},
		{Kind: "refund", ID: "1001", Parent: "1001", CustomerID: "anna-7"},
		{Kind: "payment", ID: "order@3", Email: address},
		{Kind: "payment", ID: "1002", ExternalID: "user_bert"},
	} {
		if !listed {
			break // no account of Stripe's
		}
		m.Amount, m.Currency, m.At = 4900, "usd", epoch.Add(time.Duration(3+n)*time.Hour)
		record, err := schemas.MovementRecord(&m, workspace, m.At)
		must(err)
		records = append(records, record)
	}
	must(money.Handle(w.Context(), records, letter)) // at once: each row has the version of all that is said
}

// mentions returns in how many rows of all tables each of the texts stands.
func (w *world) mentions(texts ...string) map[string]uint64 {
	w.Helper()
	total := make(map[string]uint64)
	for _, text := range texts {
		total[text] = 0
	}
	var ofTables []string
	var args []any
	for _, table := range w.tables() {
		ofTables = append(ofTables, "SELECT '"+table+"', sumForEach(arrayMap(x -> "+
			"toUInt64(position(toString(tuple(*)), x) > 0), ?)) FROM "+table)
		args = append(args, clickhouse.Strings(texts))
	}
	err := w.store.Each(w.Context(), func(rows driver.Rows) error {
		var table string
		var counts []uint64
		if err := rows.Scan(&table, &counts); err != nil {
			return err
		}
		for i, n := range counts { // none if the table has no rows
			total[texts[i]] += n
			if n > 0 && testing.Verbose() {
				w.Logf("%q is in %d rows of %s", texts[i], n, table)
			}
		}
		return nil
	}, strings.Join(ofTables, " UNION ALL "), args...)
	if err != nil {
		w.Fatal(err)
	}
	return total
}

// tables returns every table that stores rows, with FINAL where rows are replaced.
func (w *world) tables() (list []string) {
	w.Helper()
	err := w.store.Each(w.Context(), func(rows driver.Rows) error {
		var name string
		err := rows.Scan(&name)
		list = append(list, name)
		return err
	}, "SELECT name || if(engine = 'MergeTree', '', ' FINAL') FROM system.tables "+
		"WHERE database = currentDatabase() AND engine LIKE '%MergeTree%'")
	if err != nil {
		w.Fatal(err)
	}
	return list
}

func (w *world) number(query string) uint64 { w.Helper(); return w.numberOf(query) }

func (w *world) numberOf(query string, args ...any) (n uint64) {
	w.Helper()
	if err := w.store.Each(w.Context(), func(rows driver.Rows) error { return rows.Scan(&n) }, query,
		args...); err != nil {
		w.Fatalf("%s: %v", query, err)
	}
	return n
}

// given is what a person is looked up by.
type given struct {
	from     []identity.Node
	visitors []string
}

// Whoever is named by any kind of name, alone or together with others, is the same person, and is
// nowhere any more once erased; everybody else is, and so is the money.
func TestEveryKindOfName(t *testing.T) {
	customer, external := identity.New(identity.Customer, "cus_anna"), identity.New(identity.External, "user_anna")
	email, reference := erase.EmailNode(hash), identity.New(identity.Reference, foreign)
	others := []string{"cus_bert", "user_bert", "v_bert"}
	for name, c := range map[string]struct {
		by   func(own identity.Node) []given // the person is erased by the last
		gone []string
	}{
		"buyer": {func(identity.Node) []given {
			return []given{
				{from: []identity.Node{customer}}, {from: []identity.Node{external}}, {from: []identity.Node{email}},
				{[]identity.Node{customer, external, email, reference}, []string{"v_anna"}},
			}
		}, []string{"cus_anna", "user_anna", "anna-7", "v_anna", "Phone of v_anna", address,
			"Anna Field"}},
		"browser": {func(own identity.Node) []given {
			return []given{
				{visitors: []string{"v_anna"}}, {from: []identity.Node{own}}, {from: []identity.Node{reference}},
			}
		}, []string{"v_anna", "Phone of v_anna"}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			const money = "SELECT sum(cityHash64(object_id, amount, affiliate_id, toString(match_rule), version)) " +
				"FROM ledger FINAL"
			before := w.number(money)
			for text, n := range w.mentions(c.gone...) {
				if n == 0 {
					t.Fatalf("%q was nowhere before", text)
				}
			}
			if name == "buyer" {
				w.knows()
			}
			person := w.find(c.by(identity.New(identity.Click, w.own.String())))
			list := &erase.List{Keys: func(string) *stripe.Keys { return ownKeys(t) }}
			if err := erase.Run(t.Context(), w.store, list, person, time.Now()); err != nil {
				t.Fatal(err)
			}
			gone := func(when string) {
				t.Helper()
				for text, n := range w.mentions(slices.Concat(others, c.gone)...) {
					if stays := slices.Contains(others, text); (n > 0) != stays {
						t.Errorf("%s %q is in %d rows, want that it stays: %t", when, text, n, stays)
					}
				}
				if after := w.number(money); after != before {
					t.Errorf("%s the money is not what it was", when)
				}
				const hashed = "SELECT countIf(buyer != sipHash64(multiIf(external_customer_id != '', external_customer_id, " +
					"customer_id != '', customer_id, sale_id))) FROM revenue FINAL"
				if n := w.number(hashed); n != 0 {
					t.Errorf("%s %d rows of revenue have the hash of another buyer", when, n)
				}
			}
			gone("after the erasure")
			w.handle(list)
			gone("read again")
			// The command may be repeated; a name of nobody's is a mistake.
			w.known(c.by(identity.New(identity.Click, w.own.String()))[0], "default", true)
			w.known(c.by(identity.New(identity.Click, w.own.String()))[0], "other", false)
		})
	}
}

// knows checks that names are somebody's if any record has them, also one that gave no edge.
func (w *world) knows() {
	w.Helper()
	err := w.store.InsertDeadLetters(w.Context(), []clickhouse.DeadLetterRow{{
		At: epoch, Reason: "unreadable", Step: "decode", Topic: schemas.TopicLeads, Body: "no lead of user_unread",
	}})
	if err != nil {
		w.Fatal(err)
	}
	for node, known := range map[identity.Node]bool{
		identity.New(identity.Customer, "cus_anna"):                                        true,
		identity.New(identity.Customer, "cus_Anna"):                                        false,
		identity.New(identity.Customer, address):                                           true, // of an event alone
		identity.New(identity.External, "user_unread"):                                     true, // of a dead letter alone
		identity.New(identity.Click, w.own.String()):                                       true,
		identity.New(identity.Click, schemas.NewClickID(epoch).String()):                   false,
		erase.EmailNode(hash):                                                              true,
		erase.EmailNode(schemas.EmailHash([]byte("key"), "default", "nobody@example.com")): false,
	} {
		w.known(given{from: []identity.Node{node}}, "default", known)
	}
	w.known(given{visitors: []string{"v_anna"}}, "default", true)
	w.known(given{visitors: []string{"v_nobody"}}, "default", false)
}

// known checks whether something is stored under names.
func (w *world) known(g given, workspace string, want bool) {
	w.Helper()
	person, err := erase.Find(w.Context(), w.store, workspace, g.from, g.visitors)
	if err != nil {
		w.Fatal(err)
	}
	if person.Known != want {
		w.Errorf("%v is known in %s: %t, want %t", g, workspace, person.Known, want)
	}
}

// find returns the person who is found by the last of what is given. All the others must find the
// same, but for the ids that the site itself gave clicks: they are known if they are given.
func (w *world) find(by []given) (person *erase.Person) {
	w.Helper()
	var want string
	for i, g := range by {
		var err error
		if person, err = erase.Find(w.Context(), w.store, "default", g.from, g.visitors); err != nil {
			w.Fatal(err)
		}
		slices.Sort(person.Names)
		slices.Sort(person.Visitors)
		slices.Sort(person.Clicks)
		slices.Sort(person.Leads)
		slices.Sort(person.Objects)
		same := *person
		same.Foreign = nil
		got := fmt.Sprintf("%+v", same)
		if i == 0 {
			want = got
		} else if got != want {
			w.Errorf("by %v is found\n%s\nby %v\n%s", g, got, by[0], want)
		}
	}
	return person
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
	e := &schemas.StripeEvent{Body: []byte(
		`{"id":"evt_9","object":"event","data":{"object":{"id":"pi_9","customer":null,"customer_account":"acct_anna"}}}`)}
	redacted, changed := list.Event("default", e)
	if !changed || strings.Contains(string(redacted.Body), "acct_anna") {
		t.Errorf("the account is still in %s", redacted.Body)
	}
}

// On several servers an erasure first waits until the one that is asked has what others took: it
// would not find the latest names. So does the look for what arrived late.
func TestErasureWaitsForReplicas(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	replicas := clickhousetest.NewReplicas(t, dsn)
	store, err := clickhouse.Open(replicas.URL+u.Path, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	person := &erase.Person{Workspace: "default", Names: []identity.Node{identity.New(identity.Customer, "cus_anna")}}
	if err := erase.RedactLateArrivals(t.Context(), store, new(erase.List), person); err != nil {
		t.Fatal(err)
	}
	waited := make(map[string]bool)
	for _, s := range replicas.Statements() {
		if table, ok := strings.CutPrefix(s, "SYSTEM SYNC REPLICA "); ok {
			waited[strings.TrimSuffix(table[strings.LastIndexByte(table, '.')+1:], " LIGHTWEIGHT")] = true
			continue
		}
		for _, table := range []string{"identities", "first_names", "stripe_events", "deferred_names", "dead_letters"} {
			if regexp.MustCompile(`(?:FROM|ALTER TABLE) `+table+`\b`).MatchString(s) && !waited[table] {
				t.Errorf("%s is read or altered, and was not waited for: %s", table, s)
			}
		}
	}
	if len(waited) == 0 {
		t.Error("nothing is waited for")
	}
}

// What was held of the person until a workspace listed the account is erased with the rest, unless
// it is still to be booked.
func TestHeldCopies(t *testing.T) {
	w := newWorld(t)
	held := schemas.HeldWorkspace("", "")
	w.handleIn(nil, held, false)
	waiting := &schemas.StripeEvent{ID: "evt_8", Type: "customer.created", ReceivedAt: epoch,
		Body: []byte(`{"id":"evt_8","object":"event","data":{"object":{"id":"cus_anna","object":"customer"}}}`)}
	err := w.store.InsertEvents(t.Context(),
		[]clickhouse.EventRow{{Workspace: held, StripeEvent: waiting, Created: epoch}})
	if err != nil {
		t.Fatal(err)
	}
	person, err := erase.Find(t.Context(), w.store, "default",
		[]identity.Node{identity.New(identity.Customer, "cus_anna")}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if err := erase.Run(t.Context(), w.store, new(erase.List), person, time.Now()); err != nil {
		t.Fatal(err)
	}
	if n := w.mentions("cus_anna")["cus_anna"]; n != 1 {
		t.Errorf("cus_anna is in %d rows, want the one event that is not booked yet", n)
	}
	if n := w.number("SELECT count() FROM stripe_events FINAL WHERE startsWith(workspace, 'unlisted/')"); n != 2 {
		t.Errorf("%d events are held, want the one that is not booked yet and that of somebody else", n)
	}
	if n := w.number("SELECT count() FROM facts FINAL WHERE startsWith(workspace, 'unlisted/')"); n != 1 {
		t.Errorf("%d facts are held, want that of somebody else", n)
	}
}

// nameless are the columns of text that hold no name of a person: what many share, ids of things,
// and words of this program. Clicks and links are things too.
var nameless = strings.Fields(`workspace click_id foreign_id program_id affiliate_id link_id identity_hash host referrer_domain
	utm_source utm_medium utm_campaign utm_term utm_content ad_network ad_click_id channel country region city continent
	browser
	browser_version os os_version device trigger bot_reason consent dimension clicks_at page_views_at counted
	first_click last_click first_page_view last_page_view
	reason step topic
	request closing line entry_id sale_id object_id kind rule rules name alias source event_id account parent_id invoice_id
	line_ids line_products products lines
	transaction_id currency subscription_id billing_reason fault lead_id event_name mode email_hash match_rule
	match_candidates
	fx_source superseded_by status page_view_id type api_version target what subject verdict
	detail`)

// named are those of nameless that hold a person's name in one table.
var named = strings.Fields(`deferred_names.name first_names.name identities.source identities.target
	stripe_events.event_id`)

// Every column of text that may hold a name does here, and none does after the erasure. A new
// column must be in nameless, or hold a name here.
func TestEveryColumn(t *testing.T) {
	w := newWorld(t)
	must := func(err error) {
		t.Helper()
		if err != nil {
			t.Fatal(err)
		}
	}
	customer, external := identity.New(identity.Customer, "cus_anna"), identity.New(identity.External, "user_anna")
	must(w.store.InsertDeferred(t.Context(), []clickhouse.Deferred{{Workspace: "default", Name: customer,
		Request: "r"}}))
	must(w.store.InsertFirstNames(t.Context(), []clickhouse.EdgeRow{{Workspace: "default", Edge: identity.Edge{
		A: identity.PublicName(external), B: identity.New(identity.Click, w.own.String()),
		Source: "lead.public", At: epoch}}}))
	must(w.store.InsertEdges(t.Context(), []clickhouse.EdgeRow{{Workspace: "default", Edge: identity.Edge{
		A: identity.New(identity.Object, "pi_1"), B: identity.NewCorrection(epoch, identity.Nobody),
		Source: "credit.zoe: user_anna asked for it", At: epoch}}}))
	must(w.store.InsertDeadLetters(t.Context(), []clickhouse.DeadLetterRow{
		{At: epoch, Topic: schemas.TopicStripe, Offset: 1, Step: "facts", Body: `{"customer":"cus_anna"}`},
		{At: epoch, Topic: schemas.TopicLeads, Offset: 2, Step: "decode", Key: "user_anna", Body: "\x01user_anna\x02",
			Headers: map[string]string{"id": "user_anna"}, Error: "no lead: user_anna"},
		{At: epoch, Topic: schemas.TopicLeads, Offset: 3, Step: "decode", Body: "user_bert"},
	}))
	must(rollup.Compute(t.Context(), w.store, rollup.Range{Workspace: "default", First: epoch, Last: epoch}, true))

	marks := []string{"cus_anna", "user_anna", "v_anna", address, "Anna Field", fmt.Sprintf("%x", hash)}
	for column, marked := range w.marked(marks) {
		_, name, _ := strings.Cut(column, ".")
		switch listed := slices.Contains(nameless, name) && !slices.Contains(named, column); {
		case marked && listed:
			t.Errorf("%s holds a name, and is listed as one that does not", column)
		case !marked && !listed:
			t.Errorf("%s may hold a name: list it, or store one in it here", column)
		}
	}
	person, err := erase.Find(t.Context(), w.store, "default", []identity.Node{customer}, nil)
	must(err)
	list := &erase.List{Keys: func(string) *stripe.Keys { return ownKeys(t) }}
	must(erase.Run(t.Context(), w.store, list, person, time.Now()))
	for column, marked := range w.marked(marks) {
		if marked {
			t.Errorf("%s still holds a name", column)
		}
	}
	for query, want := range map[string]uint64{
		"SELECT count() FROM deferred_names FINAL WHERE startsWith(name, 'customer:cus_erased_') AND NOT done": 1,
		"SELECT count() FROM dead_letters FINAL WHERE body = 'user_bert'":                                      1,
		"SELECT count() FROM identities FINAL WHERE source = 'credit.zoe: erased with the buyer'":              2,
	} {
		if n := w.number(query); n != want {
			t.Errorf("%s: %d, want %d", query, n, want)
		}
	}
}

// marked returns the columns of text, as table.column, and whether each holds one of the marks.
func (w *world) marked(marks []string) map[string]bool {
	w.Helper()
	columns := make(map[string][]string) // by table
	err := w.store.Each(w.Context(), func(rows driver.Rows) error {
		var table, name string
		err := rows.Scan(&table, &name)
		columns[table] = append(columns[table], name)
		return err
	}, `SELECT table, name FROM system.columns WHERE database = currentDatabase() AND match(type, 'String')
AND default_kind != 'ALIAS' AND NOT startsWith(type, 'AggregateFunction')
AND table IN (SELECT name FROM system.tables WHERE database = currentDatabase() AND engine LIKE '%MergeTree%')`)
	if err != nil {
		w.Fatal(err)
	}
	marked := make(map[string]bool)
	for table, names := range columns {
		holds := "arrayMap(text -> toUInt64(arrayExists(x -> position(text, x) > 0, ?)), [toString(" +
			strings.Join(names, "), toString(") + ")])"
		err := w.store.Each(w.Context(), func(rows driver.Rows) error {
			var counts []uint64
			err := rows.Scan(&counts)
			for i, name := range names { // no counts if the table has no rows
				marked[table+"."+name] = i < len(counts) && counts[i] > 0
			}
			return err
		}, "SELECT sumForEach("+holds+") FROM "+table, clickhouse.Strings(marks))
		if err != nil {
			w.Fatalf("%s: %v", table, err)
		}
	}
	return marked
}
