package consume

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/processor/stripeapi"
	"tributary/processor/stripeapi/stripemock"
	"tributary/schemas"
)

// thinRecord is a thin event as the webhook stores it.
func thinRecord(id, typ, object, url, snapshot string, after int) *kgo.Record {
	at := epoch.Add(time.Duration(after) * time.Second)
	body, _ := json.Marshal(j{
		"id": id, "object": stripe.ThinObject, "type": "v1." + typ, "created": at.Format("2006-01-02T15:04:05.000Z"),
		"livemode":       true,
		"related_object": j{"id": object, "url": url}, "snapshot_event": snapshot,
	})
	return schemas.StripeRecord(&schemas.StripeEvent{
		ID: id, Type: "v1." + typ, Livemode: true, Thin: true, ReceivedAt: at.Add(time.Second), Body: body,
	}, object)
}

// stripeServer answers as Stripe's API does: by path, the body and its status. What it does not
// have is 404. The first question is refused for going too fast.
func stripeServer(t *testing.T, answers map[string]string) *stripeapi.Client {
	t.Helper()
	var first sync.Once
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		tooFast := false
		first.Do(func() { tooFast = true })
		body, found := answers[r.URL.Path]
		switch {
		case tooFast:
			w.Header().Set("Retry-After", "0")
			w.WriteHeader(http.StatusTooManyRequests)
		case r.Header.Get("Authorization") != "Bearer rk_live_sesame":
			w.WriteHeader(http.StatusUnauthorized)
		case !found:
			w.WriteHeader(http.StatusNotFound)
		case body == "":
			w.WriteHeader(http.StatusForbidden)
		default:
			fmt.Fprint(w, body)
		}
	}))
	t.Cleanup(server.Close)
	return apiClient(t, server.URL, "rk_live_sesame")
}

func apiClient(t *testing.T, base, key string) *stripeapi.Client {
	t.Helper()
	keys, err := stripeapi.ParseKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	return &stripeapi.Client{Base: base, Keys: keys, HTTP: http.DefaultClient, Log: slog.New(slog.DiscardHandler)}
}

// Thin and snapshot in both orders, and either alone, are one ledger. What Stripe no longer has as
// an event is made of the object. What it refuses is set aside, and the event behind it goes on.
func TestThinEventsAreBooked(t *testing.T) {
	payment := event(t, "evt_2", "payment_intent.succeeded", 0, 2, j{"id": "pi_1", "object": "payment_intent",
		"amount": 4200, "amount_received": 4200, "currency": "usd", "invoice": nil})
	thin := thinRecord("evt_1", "payment_intent.succeeded", "pi_1", "/v1/payment_intents/pi_1", "evt_2", 0)
	old := thinRecord("evt_3", "payment_intent.succeeded", "pi_3", "/v1/payment_intents/pi_3", "evt_gone", 5)
	refused := thinRecord("evt_5", "payment_intent.succeeded", "pi_5", "/v1/payment_intents/pi_5", "evt_secret", 6)
	answers := map[string]string{
		"/v1/events/evt_2":         string(payment.Value),
		"/v1/payment_intents/pi_3": `{"id":"pi_3","object":"payment_intent","amount":700,"amount_received":700,"currency":"usd","invoice":null}`,
		"/v1/events/evt_secret":    "",
	}
	var ledgers []uint64
	for _, records := range [][]*kgo.Record{
		{payment, old, refused}, {thin, old, refused}, {thin, payment, old, refused}, {payment, refused, old, thin},
	} {
		r := newPipeline(t)
		stop := r.start(0)
		stopThin := r.fetchThin(t, stripeServer(t, answers))
		r.send(records...)
		r.until(2, "SELECT count() FROM revenue FINAL WHERE status = 'booked' AND amount > 0")
		r.until(1, "SELECT count() FROM dead_letters FINAL WHERE reason = 'thin_event' AND step = 'fetch' AND "+
			"position(error, '403') > 0")
		r.until(1, "SELECT count() FROM stripe_events FINAL WHERE event_id = 'evt_3_object' AND position(body, "+
			"'fetched_from') > 0")
		stopThin()
		stop()
		ledgers = append(ledgers, r.count(
			"SELECT groupBitXor(cityHash64(object_id, kind, amount, currency, occurred_at, livemode, account, status)) "+
				"FROM ledger FINAL"))
	}
	for _, l := range ledgers[1:] {
		if l != ledgers[0] {
			t.Errorf("the ledgers differ: %v", ledgers)
		}
	}
}

// fetchThin runs the consumer of thin events beside the others.
func (r *pipeline) fetchThin(t *testing.T, api *stripeapi.Client) (stop func()) {
	metrics := NewMetrics(prometheus.NewRegistry())
	log := slog.New(slog.DiscardHandler)
	l := &Consumer{
		Name: "thin", Group: ThinGroup, Topics: []string{schemas.TopicStripe}, MaxRecords: 10, Seeds: r.cluster.ListenAddrs(),
		Deadline: 10 * time.Second, Log: log, Metrics: metrics,
	}
	l.Handle = (&Thin{API: api, Produce: l.Produce, Log: log}).Handle
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- l.Run(ctx) }()
	return func() {
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

// The record of a snapshot is the webhook's own, but for the time of receipt, which is the thin
// event's. Answers that are something else are refused.
func TestThinSnapshot(t *testing.T) {
	snapshot := `{"id":"evt_2","object":"event","type":"invoice.paid","api_version":"2026-09-30.endive","livemode":true}`
	thin := &Thin{API: stripeServer(t, map[string]string{
		"/v1/events/evt_2": snapshot, "/v1/events/evt_other": strings.Replace(snapshot, "invoice.paid", "invoice.voided", 1),
		"/v1/events/evt_page": "<html>", "/v1/invoices/in_2": `{"object":"charge"}`,
	})}
	get := func(r *kgo.Record) (*schemas.StripeEvent, error) {
		record, err := thin.Snapshot(t.Context(), r)
		if err != nil || record == nil {
			return nil, err
		}
		return schemas.DecodeStripe(record)
	}
	e, err := get(thinRecord("evt_1", "invoice.paid", "in_1", "/v1/invoices/in_1", "evt_2", 0))
	if err != nil || e.ID != "evt_2" || e.Type != "invoice.paid" || !e.Livemode || e.Thin ||
		e.APIVersion != "2026-09-30.endive" ||
		string(e.Body) != snapshot || !e.ReceivedAt.Equal(epoch.Add(time.Second)) {
		t.Errorf("%+v, %v", e, err)
	}
	for _, id := range []string{"evt_other", "evt_page"} {
		if _, err := get(thinRecord("evt_1", "invoice.paid", "in_1", "/v1/invoices/in_1", id, 0)); !errors.Is(err,
			errSnapshot) {
			t.Errorf("%s: %v", id, err)
		}
	}
	for _, url := range []string{"https://evil.example/", "/v1/../admin", "/v1/invoices/in_1?expand[]=x",
		"//evil.example/v1/", ""} {
		if _, err := get(thinRecord("evt_1", "invoice.paid", "in_1", url, "", 0)); !errors.Is(err, errSnapshot) {
			t.Errorf("%q: %v", url, err)
		}
	}
	if _, err := get(thinRecord("evt_1", "invoice.paid", "in_2", "/v1/invoices/in_2", "", 0)); !errors.Is(err,
		stripe.ErrNoObject) {
		t.Errorf("%v", err)
	}
	// Stripe has invoice payments since a later version than that in which all else is read.
	asked := ""
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = r.Header.Get("Stripe-Version")
		fmt.Fprint(w, `{"id":"inpay_1","object":"invoice_payment"}`)
	}))
	defer server.Close()
	thin.API = apiClient(t, server.URL, "rk_live_sesame")
	e, err = get(thinRecord("evt_1", "invoice_payment.paid", "inpay_1", "/v1/invoice_payments/inpay_1", "", 0))
	if err != nil || asked != stripeapi.InvoicePaymentsVersion || e.APIVersion != asked {
		t.Errorf("asked for %s: %+v, %v", asked, e, err)
	}
	if e, err := get(thinRecord("evt_1", "payout.paid", "po_1", "/v1/payouts/po_1", "evt_9", 0)); e != nil || err != nil {
		t.Errorf("a type that says nothing is fetched: %+v %v", e, err)
	}
}

// A key that Stripe does not know keeps the events waiting, with a warning, until it is right.
func TestThinWaitsForTheKey(t *testing.T) {
	defer func(before time.Duration) { keyPause = before }(keyPause)
	keyPause = 10 * time.Millisecond
	snapshot := `{"id":"evt_2","object":"event","type":"invoice.paid","livemode":true}`
	good := stripeServer(t, map[string]string{"/v1/events/evt_2": snapshot})
	thin := &Thin{API: apiClient(t, good.Base, "rk_live_wrong"), Log: slog.New(slog.DiscardHandler)}
	warned := make(chan string, 1)
	produced := 0
	thin.Produce = func(context.Context, *kgo.Record) error { produced++; return nil }
	go func() {
		for thin.Warning() == "" {
			time.Sleep(time.Millisecond)
		}
		warned <- thin.Warning()
	}()
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error, 1)
	records := []*kgo.Record{thinRecord("evt_1", "invoice.paid", "in_1", "/v1/invoices/in_1", "evt_2", 0)}
	noLetter := func(context.Context, *kgo.Record, string, string, error) error { return errors.New("set aside") }
	go func() { done <- thin.Handle(ctx, records, noLetter) }()
	if w := <-warned; !strings.Contains(w, "401") || strings.Contains(w, "rk_live_wrong") {
		t.Error(w)
	}
	cancel()
	if err := <-done; err == nil || produced > 0 {
		t.Errorf("%v, %d produced", err, produced)
	}
	thin.API = good
	if err := thin.Handle(t.Context(), records, noLetter); err != nil || produced != 1 || thin.Warning() != "" {
		t.Errorf("%v, %d produced, %q", err, produced, thin.Warning())
	}
}

// Without a key a thin event that would say something is a dead letter with the remedy; one that
// would say nothing is kept and that is all.
func TestThinWithoutKey(t *testing.T) {
	for _, test := range []struct {
		typ     string
		fetched bool
		letters int
	}{{"invoice.paid", false, 1}, {"invoice.paid", true, 0}, {"payout.paid", false, 0}} {
		m := &Payments{
			Workspace: func(*schemas.StripeEvent) (string, bool) { return "default", true }, Events: NewEventsMetric(),
			ThinFetched: test.fetched,
		}
		b := &paymentBatch{changes: make(map[string]*recompute.Changes)}
		_, reason, err := m.event(b, thinRecord("evt_1", test.typ, "in_1", "/v1/invoices/in_1", "evt_2", 0))
		if (err != nil) != (test.letters > 0) || err != nil &&
			(reason != ThinReason || !strings.Contains(err.Error(), "--stripe-api-key-file")) {
			t.Errorf("%+v: %s %v", test, reason, err)
		}
		if (m.Warning() != "") != (test.letters > 0) || len(b.events) != 1 || !b.events[0].Created.Equal(epoch) {
			t.Errorf("%+v: %q, %+v", test, m.Warning(), b.events)
		}
	}
}

// Events and objects are asked for as Stripe's own description of its API has them.
func TestThinAgainstStripeMock(t *testing.T) {
	api := apiClient(t, stripemock.Start(t), stripemock.Key)
	body, err := api.Get(t.Context(), stripeapi.Request{Path: "/v1/events/evt_1", Version: stripeapi.Version})
	var e struct{ ID, Object, Type string }
	if err == nil {
		err = json.Unmarshal(body, &e)
	}
	if err != nil || e.Object != "event" || e.ID == "" || e.Type == "" {
		t.Errorf("%+v, %v", e, err)
	}
	thin := &Thin{API: api}
	record, err := thin.Snapshot(t.Context(), thinRecord("evt_1", "invoice.paid", "in_1", "/v1/invoices/in_1", "", 0))
	if err != nil {
		t.Fatal(err)
	}
	made, err := schemas.DecodeStripe(record)
	if err != nil || made.ID != "evt_1_object" || !strings.Contains(string(made.Body), `"object": "invoice"`) &&
		!strings.Contains(string(made.Body), `"object":"invoice"`) {
		t.Errorf("%+v, %v", made, err)
	}
}
