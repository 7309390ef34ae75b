package backfill

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"tributary/processor/stripe"
	"tributary/processor/stripeapi"
	"tributary/processor/stripeapi/stripemock"
)

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
