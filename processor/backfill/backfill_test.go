package backfill

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/consume"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/processor/stripeapi"
	"tributary/processor/stripeapi/stripemock"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

var now = time.Date(2026, 6, 15, 12, 0, 0, 0, time.UTC)

func unix(month time.Month, day, hour int) int64 {
	return time.Date(2026, month, day, hour, 0, 0, 0, time.UTC).Unix()
}

// account is a Stripe account: its lists, and the events that it still has. Pages hold two objects.
func account() map[string][]string {
	paid := unix(3, 2, 10)
	intent := func(id, ch string, created, moved int64, more string) string {
		return fmt.Sprintf(`{"id":%q,"object":"payment_intent","created":%d,"livemode":true,"status":"succeeded","amount":4900,"amount_received":4900,
"currency":"usd","customer":"cus_1"%s,"latest_charge":{"id":%q,"object":"charge","status":"succeeded","amount":4900,
"amount_captured":4900,
"captured":true,"created":%d,"currency":"usd","balance_transaction":{"id":"txn_%s","created":%d,"amount":4900,"currency":"usd"}}}`, id, created, more, ch, created, ch, moved)
	}
	ch := func(id, pi string, created int64, more string) string {
		return fmt.Sprintf(`{"id":%q,"object":"charge","created":%d,"livemode":true,"status":"succeeded","amount":4900,
"amount_captured":4900,"captured":true,
"currency":"usd","customer":"cus_1","payment_intent":%q%s,"receipt_url":"https://pay.stripe.com/RANDOM","balance_transaction":{"id":"txn_%s","created":%d,"amount":4900,"currency":"usd"}}`,
			id, created, pi, more, id, created)
	}
	return map[string][]string{
		"/v1/customers": {`{"id":"cus_1","object":"customer","created":1700000000,"livemode":true,"metadata":{"tributaryAffiliateId":"a1"}}`},
		"/v1/invoices": {
			fmt.Sprintf(`{"id":"in_1","object":"invoice","created":%d,"livemode":true,"status":"paid","currency":"usd","amount_due":4900,"amount_paid":4900,"total":4900,"tax":900,
"customer":"cus_1","payment_intent":"pi_1","charge":"ch_1","status_transitions":{"paid_at":%d}}`, paid-3600, paid),
			fmt.Sprintf(`{"id":"in_old","object":"invoice","created":%d,"livemode":true,"status":"paid","currency":"usd","amount_paid":100,"total":100,
"customer":"cus_1","status_transitions":{"paid_at":%d}}`, unix(2, 1, 0), unix(2, 1, 1)),
			fmt.Sprintf(`{"id":"in_draft","object":"invoice","created":%d,"livemode":true,"status":"draft","currency":"usd","amount_paid":0}`, paid),
		},
		"/v1/payment_intents": {
			intent("pi_1", "ch_1", paid-10, paid, `,"invoice":"in_1"`),
			intent("pi_2", "ch_2", unix(4, 1, 10), unix(4, 1, 10), `,"invoice":null`),
			intent("pi_3", "ch_3", unix(4, 2, 10), unix(4, 2, 10), `,"invoice":null`),
			fmt.Sprintf(`{"id":"pi_4","object":"payment_intent","created":%d,"livemode":true,"status":"canceled","amount":100,"amount_received":0,"currency":"usd"}`, paid),
		},
		"/v1/charges": {ch("ch_1", "pi_1", paid, `,"invoice":"in_1"`), ch("ch_2", "pi_2", unix(4, 1, 10),
			`,"invoice":null,"amount_refunded":1000`),
			ch("ch_3", "pi_3", unix(4, 2, 10), `,"invoice":null`)},
		"/v1/refunds": {fmt.Sprintf(`{"id":"re_1","object":"refund","created":%d,"status":"succeeded","amount":1000,"currency":"usd","charge":"ch_2","payment_intent":"pi_2"}`, unix(4, 3, 10))},
		"/v1/disputes": {fmt.Sprintf(`{"id":"du_1","object":"dispute","created":%d,"livemode":true,"status":"won","amount":4900,"currency":"usd","charge":"ch_3","payment_intent":"pi_3",
"balance_transactions":[{"id":"txn_d1","amount":-4900,"currency":"usd","created":%d},{"id":"txn_d2","amount":4900,"currency":"usd","created":%d}]}`, unix(4, 5, 10), unix(4, 5, 10), unix(4, 9, 10))},
		"/v1/events": {fmt.Sprintf(`{"id":"evt_new","object":"event","type":"payment_intent.succeeded","created":%d,"livemode":true,"api_version":"2026-09-30.endive","data":{"object":
{"id":"pi_new","object":"payment_intent","amount":700,"amount_received":700,"currency":"usd","customer":"cus_1","metadata":{"tributaryAffiliateId":"a2"}}}}`, unix(6, 10, 10)),
			fmt.Sprintf(`{"id":"evt_payout","object":"event","type":"payout.paid","created":%d,"livemode":true,"data":{"object":{"id":"po_1","object":"payout"}}}`, unix(6, 10, 11))},
	}
}

// api serves an account as Stripe's lists do. fails is asked before each answer.
func api(t *testing.T, lists map[string][]string, fails func(path string) bool) *stripeapi.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if fails != nil && fails(r.URL.Path) {
			w.WriteHeader(http.StatusForbidden)
			return
		}
		var items []string
		after := r.URL.Query().Get("starting_after")
		for _, item := range lists[r.URL.Path] {
			var o struct {
				ID      string
				Created int64
			}
			if err := json.Unmarshal([]byte(item), &o); err != nil {
				t.Error(err)
			}
			bound := func(name string, otherwise int64) (n int64) {
				if n = otherwise; r.URL.Query().Has("created[" + name + "]") {
					fmt.Sscan(r.URL.Query().Get("created["+name+"]"), &n)
				}
				return n
			}
			switch {
			case o.Created < bound("gte", 0) || o.Created >= bound("lt", 1<<40):
			case after == "":
				items = append(items, strings.Replace(item, "RANDOM", time.Now().String(), 1))
			case after == o.ID:
				after = ""
			}
		}
		if after != "" {
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"code":"resource_missing","message":"No such object: %s","param":"starting_after"}}`,
				after)
			return
		}
		more := len(items) > 2
		fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":%t}`, strings.Join(items[:min(2, len(items))], ","), more)
	}))
	t.Cleanup(server.Close)
	return client(t, server.URL, "rk_live_sesame")
}

func client(t *testing.T, base, key string) *stripeapi.Client {
	t.Helper()
	keys, err := stripeapi.ParseKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	return &stripeapi.Client{Base: base, Keys: keys, HTTP: http.DefaultClient, Patience: time.Minute,
		Log: slog.New(slog.DiscardHandler)}
}

// memory is a Store and a topic.
type memory struct {
	saved   *Progress
	records []*kgo.Record
}

func (m *memory) Load(context.Context) (Progress, bool, error) {
	if m.saved == nil {
		return Progress{}, false, nil
	}
	return *m.saved, true, nil
}

func (m *memory) Save(_ context.Context, p Progress) error { m.saved = &p; return nil }

func (m *memory) produce(_ context.Context, records []*kgo.Record) error {
	m.records = append(m.records, records...)
	return nil
}

// ids of the events that were written, each once, sorted.
func (m *memory) ids(t *testing.T) []string {
	ids := make(map[string]bool)
	for _, r := range m.records {
		e, err := schemas.DecodeStripe(r)
		if err != nil {
			t.Fatal(err)
		}
		ids[e.ID] = true
	}
	return slices.Sorted(maps.Keys(ids))
}

func (m *memory) backfill(api *stripeapi.Client) *Backfill {
	return &Backfill{
		API: api, Livemode: true, Since: time.Unix(unix(3, 1, 0), 0), Until: time.Unix(unix(6, 15, 0), 0).AddDate(0, 0, 1),
		Produce: m.produce, Store: m, Log: slog.New(slog.DiscardHandler), Now: func() time.Time { return now },
	}
}

// Interrupted at any list and started again it writes what one run writes; done twice it writes the
// same events; what changed meanwhile is another event; what is outside the period, or says
// nothing, is left out.
func TestResume(t *testing.T) {
	whole := new(memory)
	if result, err := whole.backfill(api(t, account(), nil)).Run(t.Context()); err != nil || result.Resumed ||
		!whole.saved.Done {
		t.Fatalf("%+v, %v", result, err)
	}
	want := whole.ids(t)
	for _, id := range want {
		if strings.Contains(id, "_old_") || strings.Contains(id, "draft") || strings.Contains(id, "pi_4") ||
			id == "evt_payout" {
			t.Errorf("%s is written", id)
		}
	}
	if len(want) != 12 {
		t.Errorf("%d events: %v", len(want), want)
	}
	for _, path := range Paths() {
		m, asked := new(memory), 0
		stops := func(p string) bool {
			if p == path {
				asked++
			}
			return p == path && (asked == 2 || asked == 1 && len(account()[path]) <= 2)
		}
		if _, err := m.backfill(api(t, account(), stops)).Run(t.Context()); err == nil ||
			!strings.Contains(err.Error(), "read access") {
			t.Errorf("%s: %v", path, err)
		}
		before := len(m.records)
		result, err := m.backfill(api(t, account(), nil)).Run(t.Context())
		if got := m.ids(t); err != nil || !slices.Equal(got, want) || before > 0 && !result.Resumed {
			t.Errorf("%s: %v, resumed %t, %v, want %v", path, err, result.Resumed, got, want)
		}
		if before+len(m.records) > 2*len(want)+6 { // a page, and no more, may be written twice
			t.Errorf("%s: %d records before and %d after", path, before, len(m.records))
		}
	}
	if _, err := whole.backfill(api(t, account(), nil)).Run(t.Context()); err != nil || !slices.Equal(whole.ids(t), want) {
		t.Errorf("twice: %v, %v", err, whole.ids(t))
	}
	changed := account()
	changed["/v1/refunds"][0] = strings.Replace(changed["/v1/refunds"][0], "succeeded", "failed", 1)
	if _, err := whole.backfill(api(t, changed, nil)).Run(t.Context()); err != nil || len(whole.ids(t)) != len(want)+1 {
		t.Errorf("changed: %v, %v", err, whole.ids(t))
	}
	failed := account() // one that Stripe's balance had counted, and one that it had not
	for i, failure := range []string{`{"id":"txn_f","created":1775300000}`, "null"} {
		failed["/v1/charges"][i] = strings.Replace(failed["/v1/charges"][i], `"succeeded"`,
			`"failed","failure_balance_transaction":`+failure, 1)
	}
	fresh := new(memory)
	if _, err := fresh.backfill(api(t, failed, nil)).Run(t.Context()); err != nil || len(fresh.ids(t)) != len(want)-1 {
		t.Errorf("failed: %v, %v", err, fresh.ids(t))
	}
}

// The object after which the next page begins is deleted, in a run and between two: the list is
// read again from its beginning, and nothing is left out.
func TestDeletedBetweenPages(t *testing.T) {
	customers := func(ids ...string) map[string][]string {
		lists := account()
		lists["/v1/customers"] = nil
		for _, id := range ids {
			lists["/v1/customers"] = append(lists["/v1/customers"],
				fmt.Sprintf(`{"id":%q,"object":"customer","created":1700000000,"livemode":true}`, id))
		}
		return lists
	}
	whole := new(memory)
	if _, err := whole.backfill(api(t, customers("cus_1", "cus_2", "cus_3", "cus_4"), nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	for _, stops := range []bool{false, true} {
		m, lists, asked := new(memory), customers("cus_1", "cus_2", "cus_3", "cus_4"), 0
		deletes := func(path string) bool {
			if path != "/v1/customers" {
				return false
			}
			if asked++; asked == 2 {
				lists[path] = slices.Delete(lists[path], 1, 2)
			}
			return stops && asked == 2
		}
		_, err := m.backfill(api(t, lists, deletes)).Run(t.Context())
		if (err != nil) != stops {
			t.Errorf("stops %t: %v", stops, err)
		}
		if stops {
			if _, err := m.backfill(api(t, lists, nil)).Run(t.Context()); err != nil {
				t.Error(err)
			}
		}
		if got, want := m.ids(t), whole.ids(t); !slices.Equal(got, want) {
			t.Errorf("stops %t: %v, want %v", stops, got, want)
		}
	}
}

// A dry run writes nothing; progress of another period, or from before Stripe forgot its events, is
// not taken up; the other mode is refused.
func TestBegin(t *testing.T) {
	m := new(memory)
	b := m.backfill(api(t, account(), nil))
	b.Produce, b.Store = nil, nil
	if result, err := b.Run(t.Context()); err != nil || result.Written["/v1/charges"] != 3 || len(m.records) > 0 {
		t.Errorf("%+v, %v", result, err)
	}
	for what, p := range map[string]Progress{
		"another period": {Since: 1, Until: 2, Events: now.Unix(), Step: 9},
		"long ago":       {Since: unix(3, 1, 0), Until: unix(6, 16, 0), Events: now.Add(-kept).Unix(), Step: 9},
		"done": {Since: unix(3, 1, 0), Until: unix(6, 16, 0), Events: now.Add(spare - kept).Unix(),
			Step: 9, Done: true},
	} {
		m := &memory{saved: &p}
		if result, err := m.backfill(api(t, account(), nil)).Run(t.Context()); err != nil || result.Resumed ||
			len(m.ids(t)) != 12 {
			t.Errorf("%s: %+v, %v", what, result, err)
		}
	}
	b = m.backfill(api(t, account(), nil))
	b.Livemode = false
	if _, err := b.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "--test") {
		t.Errorf("%v", err)
	}
}

// answers is Stripe's API where a list of one path is answered as given, and all others are empty.
func answers(t *testing.T, path string, answer http.HandlerFunc) *stripeapi.Client {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == path {
			answer(w, r)
			return
		}
		fmt.Fprint(w, `{"object":"list","data":[],"has_more":false}`)
	}))
	t.Cleanup(server.Close)
	return client(t, server.URL, "rk_live_sesame")
}

// A list of any length is read to its end; what is deleted is left out; references may be expanded.
func TestListsOfAnyLength(t *testing.T) {
	for _, n := range []int{0, 1, 99, 100, 101, 200, 201} {
		m, next := new(memory), 0
		api := answers(t, "/v1/refunds", func(w http.ResponseWriter, r *http.Request) {
			if after := r.URL.Query().Get("starting_after"); after != "" && after != fmt.Sprintf("re_%d", next-1) {
				t.Errorf("of %d: the page after %s is asked for", n, after)
			}
			var page []string
			for ; next < n && len(page) < 100; next++ {
				page = append(page, fmt.Sprintf(`{"id":"re_%d","object":"refund","created":%d,"amount":100,"currency":"usd",
					"charge":{"id":"ch_1","object":"charge"},"customer":{"id":"cus_1","object":"customer","deleted":true}}`,
					next, unix(4, 1, 0)))
			}
			fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":%t}`, strings.Join(page, ","), next < n)
		})
		if _, err := m.backfill(api).Run(t.Context()); err != nil || len(m.ids(t)) != n || !m.saved.Done {
			t.Errorf("of %d refunds %d are written: %v", n, len(m.ids(t)), err)
		}
		for _, r := range m.records {
			if string(r.Key) != "cus_1" {
				t.Fatalf("the key is %s", r.Key)
			}
		}
	}
	m := new(memory)
	api := answers(t, "/v1/customers", func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[{"id":"cus_1","object":"customer","deleted":true}],"has_more":false}`)
	})
	if _, err := m.backfill(api).Run(t.Context()); err != nil || len(m.records) > 0 {
		t.Errorf("a deleted customer: %d records, %v", len(m.records), err)
	}
}

// Whatever Stripe answers instead of a page, the backfill is not done, says why, and goes on later.
func TestNotDone(t *testing.T) {
	for what, c := range map[string]struct {
		answer http.HandlerFunc
		want   string
	}{
		"more, and nothing": {func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprint(w, `{"object":"list","data":[],"has_more":true}`)
		}, "empty page"},
		"a key that was revoked": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"message":"Expired API Key provided"}}`)
		}, "revoked"},
		"a right that the key lacks": {func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusForbidden)
		}, "read access to /v1/refunds"},
		"a clock that is behind": {func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Date", time.Now().Add(210*time.Minute).UTC().Format(http.TimeFormat))
			fmt.Fprint(w, `{"object":"list","data":[],"has_more":false}`)
		}, "differ by 3h"},
	} {
		m := new(memory)
		_, err := m.backfill(answers(t, "/v1/refunds", c.answer)).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), c.want) || !strings.Contains(err.Error(), "(hint: ") ||
			m.saved.Done || lists[m.saved.Step].path != "/v1/refunds" {
			t.Errorf("%s: %v, %+v", what, err, m.saved)
		}
	}
}

// What is no event is named, with why it is none only where JSON says so.
func TestNotAnEvent(t *testing.T) {
	for body, want := range map[string]string{
		`{"id":"cus_1","object":"customer"}`:      `read an event: object "customer", id "cus_1"`,
		`{"object":"event","type":"charge.paid"}`: `read an event: object "event", id ""`,
		`{"id":5,"object":"event"}`:               `read an event: json: cannot unmarshal number`,
	} {
		api := answers(t, "/v1/events", func(w http.ResponseWriter, _ *http.Request) {
			fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":false}`, body)
		})
		_, err := new(memory).backfill(api).Run(t.Context())
		if err == nil || !strings.Contains(err.Error(), want) || strings.Contains(err.Error(), "%!") {
			t.Errorf("%s: %v", body, err)
		}
	}
}

// The key's own account is no connected one: its events name none.
func TestOwnAccount(t *testing.T) {
	for answer, refused := range map[string]bool{`{"id":"acct_own"}`: true, `{"id":"acct_platform"}`: false, "": false} {
		m := new(memory)
		b := m.backfill(answers(t, "/v1/account", func(w http.ResponseWriter, _ *http.Request) {
			if answer == "" {
				w.WriteHeader(http.StatusForbidden)
			}
			fmt.Fprint(w, answer)
		}))
		b.Account = "acct_own"
		if _, err := b.Run(t.Context()); (err != nil) != refused || refused && !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("the key's account is %q: %v", answer, err)
		}
	}
}

// What a movement's object and its event are dated by differs by seconds: one that lies between two
// periods is in one of them at least.
func TestPeriodsThatTouch(t *testing.T) {
	border := unix(4, 1, 0)
	for _, moved := range []int64{border - 2, border + 2} {
		m := new(memory)
		lists := map[string][]string{
			"/v1/refunds": {fmt.Sprintf(`{"id":"re_1","object":"refund","created":%d,"amount":1,"currency":"usd"}`, moved)},
		}
		for _, period := range [][2]int64{{unix(3, 1, 0), border}, {border, unix(5, 1, 0)}} {
			b := m.backfill(api(t, lists, nil))
			b.Since, b.Until = time.Unix(period[0], 0), time.Unix(period[1], 0)
			before := len(m.records)
			if _, err := b.Run(t.Context()); err != nil || len(m.records) == before {
				t.Errorf("moved %d s from the border of %v: %d records, %v", moved-border, period, len(m.records)-before, err)
			}
		}
		if ids := m.ids(t); len(ids) != 1 {
			t.Errorf("one refund is %v", ids)
		}
	}
}

// What moved money in the period is in it, also where it was taken back later.
func TestTakenBackAfterThePeriod(t *testing.T) {
	m := new(memory)
	created, later := unix(3, 30, 10), unix(4, 5, 10)
	b := m.backfill(api(t, map[string][]string{
		"/v1/refunds": {
			fmt.Sprintf(`{"id":"re_1","object":"refund","created":%d,"status":"failed","amount":100,"currency":"usd","charge":"ch_1",
				"failure_balance_transaction":{"id":"txn_1","created":%d}}`, created, later),
			fmt.Sprintf(`{"id":"re_2","object":"refund","created":%d,"status":"failed","amount":100,"currency":"usd","charge":"ch_1",
				"failure_balance_transaction":{"id":"txn_2","created":%d}}`, later, later),
		},
		"/v1/credit_notes": {fmt.Sprintf(`{"id":"cn_1","object":"credit_note","created":%d,"status":"void","voided_at":%d}`,
			created, later)},
	}, nil))
	b.Until = time.Unix(unix(4, 1, 0), 0)
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	ids := strings.Join(m.ids(t), " ")
	if len(m.records) != 2 || !strings.Contains(ids, "re_1") || !strings.Contains(ids, "cn_1") {
		t.Errorf("written are %s", ids)
	}
}

// Progress survives in Kafka.
func TestKafkaStore(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, schemas.TopicStripe))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	open := func() *KafkaStore {
		c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return &KafkaStore{Admin: kadm.NewClient(c), Group: Group("acct_1", true)}
	}
	if _, found, err := open().Load(t.Context()); found || err != nil {
		t.Errorf("%t, %v", found, err)
	}
	for _, want := range []Progress{{Since: 1, Until: 2, Events: 3, Step: 4, After: "ch_1"},
		{Since: 1, Until: 2, Events: 3, Step: 12, Done: true}} {
		if err := open().Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, found, err := open().Load(t.Context()); got != want || !found || err != nil {
			t.Errorf("%+v, %t, %v", got, found, err)
		}
	}
}

// Backfilled alone, twice, beside live webhooks, before or after them: one ledger.
func TestOneLedger(t *testing.T) {
	filled := new(memory)
	if _, err := filled.backfill(api(t, account(), nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	live := webhooks(t)
	var sums []string
	for _, records := range [][]*kgo.Record{
		filled.records, slices.Concat(filled.records, filled.records), slices.Concat(live, filled.records),
		slices.Concat(filled.records, live),
	} {
		sums = append(sums, book(t, records))
	}
	const want = "dispute du_1 2026-04-05 -4900 0 a1; dispute_reversal du_1 2026-04-09 4900 0 a1; " +
		"payment 4900 2026-03-02 900 a1; payment pi_2 2026-04-01 4900 0 a1; payment pi_3 2026-04-02 4900 0 a1; " +
		"payment pi_new 2026-06-10 700 0 a2; refund re_1 2026-04-03 -1000 0 a1"
	for i, got := range sums {
		if got != want {
			t.Errorf("%d: %s\nwant %s", i, got, want)
		}
	}
}

// What a buyer was named by before the period credits what they pay in it; money of before, and of
// after, is not booked.
func TestNamesOfAllTime(t *testing.T) {
	session := func(id, more string, created int64) string {
		return fmt.Sprintf(`{"id":%q,"object":"checkout.session","created":%d,"livemode":true,"status":"complete","payment_status":"paid",
"amount_total":4900,"currency":"usd","total_details":{"amount_tax":900},"metadata":{"tributaryAffiliateId":"a7"},%s}`, id, created, more)
	}
	invoice := func(id string, paid int64) string {
		return fmt.Sprintf(`{"id":%q,"object":"invoice","created":%d,"livemode":true,"status":"paid","currency":"usd","amount_paid":4900,"total":4900,"tax":900,
"customer":"cus_7","subscription":"sub_7","status_transitions":{"paid_at":%d}}`, id, paid, paid)
	}
	intent := func(id string, created, moved int64) string {
		return fmt.Sprintf(`{"id":%q,"object":"payment_intent","created":%d,"livemode":true,"status":"succeeded","amount":4900,"amount_received":4900,
"currency":"usd","invoice":null,"latest_charge":{"id":"ch_%s","object":"charge","created":%d,"captured":true,"amount":4900,"amount_captured":4900,
"currency":"usd","status":"succeeded","balance_transaction":{"id":"txn_%s","created":%d,"amount":4900,"currency":"usd"}}}`,
			id, created, id, created, id, moved)
	}
	first, renewal := unix(1, 5, 10), unix(4, 5, 10)
	slow, moved := unix(2, 20, 10), unix(3, 4, 10)
	old, late := unix(1, 7, 10), unix(5, 30, 10)
	lists := map[string][]string{
		"/v1/checkout/sessions": {
			session("cs_late", `"mode":"payment","invoice":null,"payment_intent":`+intent("pi_late", late, late), late),
			session("cs_slow", `"mode":"payment","invoice":null,"payment_intent":`+intent("pi_slow", slow, moved), slow),
			session("cs_old", `"mode":"payment","invoice":null,"payment_intent":`+intent("pi_old", old, old), old),
			session("cs_sub", `"mode":"subscription","customer":"cus_7","subscription":"sub_7","invoice":`+invoice("in_first", first), first),
		},
		"/v1/invoices":        {invoice("in_renewal", renewal), invoice("in_first", first)},
		"/v1/payment_intents": {intent("pi_slow", slow, moved), intent("pi_old", old, old)},
	}
	m := new(memory)
	if _, err := m.backfill(api(t, lists, nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "payment in_renewal 2026-04-05 4900 900 a7; payment pi_slow 2026-03-04 4900 900 a7"
	if got := book(t, m.records); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	all := m.backfill(api(t, lists, nil))
	all.Since = time.Unix(unix(1, 1, 0), 0)
	if _, err := all.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const whole = "payment in_first 2026-01-05 4900 900 a7; payment in_renewal 2026-04-05 4900 900 a7; " +
		"payment pi_old 2026-01-07 4900 900 a7; payment pi_slow 2026-03-04 4900 900 a7"
	if got := book(t, m.records); got != whole {
		t.Errorf("then the whole year: %s\nwant %s", got, whole)
	}
}

// A period of which Stripe still has all events is credited by names of before, too.
func TestNamesOfAllTimeForEventsAlone(t *testing.T) {
	m, lists := new(memory), account()
	lists["/v1/events"][0] = strings.Replace(lists["/v1/events"][0], `"metadata":{"tributaryAffiliateId":"a2"}`,
		`"metadata":{}`, 1)
	b := m.backfill(api(t, lists, nil))
	b.Since = time.Unix(unix(6, 9, 0), 0)
	if _, err := b.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "payment pi_new 2026-06-10 700 0 a1"
	if got := book(t, m.records); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// webhooks are the events of the account as they came when they happened.
func webhooks(t *testing.T) []*kgo.Record {
	t.Helper()
	var records []*kgo.Record
	lists := account()
	send := func(typ string, at int64, object string) {
		id := fmt.Sprintf("evt_live_%d", len(records))
		body := fmt.Sprintf(`{"id":%q,"object":"event","type":%q,"created":%d,"livemode":true,"api_version":"2023-10-16","data":{"object":%s}}`, id, typ, at, object)
		records = append(records, schemas.StripeRecord(&schemas.StripeEvent{
			ID: id, Type: typ, Livemode: true, ReceivedAt: time.Unix(at+1, 0), Body: []byte(body),
		}, id))
	}
	send("customer.created", 1700000000, lists["/v1/customers"][0])
	send("invoice.paid", unix(3, 2, 10), lists["/v1/invoices"][0])
	for i, at := range []int64{unix(3, 2, 10), unix(4, 1, 10), unix(4, 2, 10)} {
		send("payment_intent.succeeded", at, lists["/v1/payment_intents"][i])
		send("charge.succeeded", at, lists["/v1/charges"][i])
	}
	send("refund.created", unix(4, 3, 10), lists["/v1/refunds"][0])
	send("charge.dispute.funds_withdrawn", unix(4, 5, 10), lists["/v1/disputes"][0])
	send("charge.dispute.funds_reinstated", unix(4, 9, 10), lists["/v1/disputes"][0])
	return records
}

// book lets the processor's handler book records, and says what stands in the ledger. The object of
// an invoice's payment is left out: it is the invoice or the payment intent, as the ledger's rules
// have it.
func book(t *testing.T, records []*kgo.Record) string {
	t.Helper()
	dsn, _ := sqltest.Open(t)
	log := slog.New(slog.DiscardHandler)
	store, err := clickhouse.Open(dsn, log, prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	recomputer := recompute.New(recompute.Config{Store: store, Rates: clickhousetest.FixedRates{"usd": "1"}, Log: log})
	payments := &consume.Payments{
		Store: store, Recomputer: recomputer, Events: consume.NewEventsMetric(),
		Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true },
	}
	refuse := func(_ context.Context, _ *kgo.Record, _, reason string, err error) error {
		return errors.Join(errors.New(reason), err)
	}
	for part := range slices.Chunk(records, 3) {
		if err := payments.Handle(t.Context(), part, refuse); err != nil {
			t.Fatal(err)
		}
	}
	var lines []string
	err = store.Each(t.Context(), func(rows driver.Rows) error {
		var kind, object, day, affiliate string
		var amount, tax int64
		if err := rows.Scan(&kind, &object, &day, &amount, &tax, &affiliate); err != nil {
			return err
		}
		if object == "in_1" || object == "pi_1" {
			lines = append(lines, fmt.Sprintf("%s %d %s %d %s", kind, amount, day, tax, affiliate))
		} else {
			lines = append(lines, fmt.Sprintf("%s %s %s %d %d %s", kind, object, day, amount, tax, affiliate))
		}
		return nil
	}, "SELECT toString(kind), object_id, toString(day), amount, tax, affiliate_id FROM ledger FINAL WHERE status = "+
		"'booked' AND amount != 0")
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(lines)
	return strings.Join(lines, "; ")
}

// Every list takes the parameters that it is asked with, by Stripe's own description of its API,
// and gives objects that stand for events.
func TestAgainstStripeMock(t *testing.T) {
	c := client(t, stripemock.Start(t), stripemock.Key)
	b := &Backfill{Now: func() time.Time { return now }}
	for _, l := range lists {
		query := l.parameters(time.Unix(unix(3, 1, 0), 0), now)
		body, err := c.Get(t.Context(), stripeapi.Request{Path: l.path + "?limit=100&" + query.Encode(),
			Version: l.apiVersion()})
		if err != nil {
			t.Errorf("%s: %v", l.path, err)
			continue
		}
		var answer page
		var o object
		if err := json.Unmarshal(body, &answer); err != nil || len(answer.Data) == 0 ||
			json.Unmarshal(answer.Data[0], &o) != nil {
			t.Errorf("%s: %v\n%s", l.path, err, body)
			continue
		}
		for _, m := range l.events(&o) {
			r, err := b.record(&l, &o, answer.Data[0], m, false)
			if err != nil || !json.Valid(r.Value) || !stripe.Reads(m.typ) {
				t.Errorf("%s: %s %v", l.path, m.typ, err)
			}
		}
	}
	if _, err := c.Get(t.Context(), stripeapi.Request{Path: "/v1/events?limit=100&created[gte]=1&created[lt]=2",
		Version: stripeapi.Version}); err != nil {
		t.Error(err)
	}
	if _, err := c.Get(t.Context(), stripeapi.Request{Path: "/v1/charges?nonsense=1",
		Version: stripeapi.Version}); err == nil {
		t.Error("the description does not check parameters, so that this test proves nothing")
	}
}
