package backfill

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
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
	"tributary/processor/recompute"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

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
	issued := func(id string, created, paid int64) string {
		return fmt.Sprintf(`{"id":%q,"object":"invoice","created":%d,"livemode":true,"status":"paid","currency":"usd","amount_paid":4900,"total":4900,"tax":900,
"customer":"cus_7","subscription":"sub_7","status_transitions":{"paid_at":%d}}`, id, created, paid)
	}
	invoice := func(id string, paid int64) string { return issued(id, paid, paid) }
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
		"/v1/invoices": {
			invoice("in_renewal", renewal), invoice("in_first", first),
			issued("in_year", time.Date(2025, 6, 5, 10, 0, 0, 0, time.UTC).Unix(), renewal),
		},
		"/v1/payment_intents": {intent("pi_slow", slow, moved), intent("pi_old", old, old)},
	}
	m := new(memory)
	if _, err := m.backfill(api(t, lists, nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "payment in_renewal 2026-04-05 4900 900 a7; payment in_year 2026-04-05 4900 900 a7; " +
		"payment pi_slow 2026-03-04 4900 900 a7"
	if got := book(t, m.records); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
	all := m.backfill(api(t, lists, nil))
	all.Since = time.Unix(unix(1, 1, 0), 0)
	if _, err := all.Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const whole = "payment in_first 2026-01-05 4900 900 a7; payment in_renewal 2026-04-05 4900 900 a7; " +
		"payment in_year 2026-04-05 4900 900 a7; payment pi_old 2026-01-07 4900 900 a7; " +
		"payment pi_slow 2026-03-04 4900 900 a7"
	if got := book(t, m.records); got != whole {
		t.Errorf("then the whole year: %s\nwant %s", got, whole)
	}
}

// A refund of a charge that is older than everything that is read is the buyer's, and credited like
// what they bought; one of what a platform passed on to a connected account is none.
func TestRefundsOfOldCharges(t *testing.T) {
	made := unix(4, 3, 10)
	refund := func(id, charge, more string) string {
		return fmt.Sprintf(`{"id":%q,"object":"refund","created":%d,"status":"succeeded","amount":1000,"currency":"usd",
"payment_intent":null,"charge":{"id":%q,"object":"charge","created":1700000000,"livemode":true,"captured":true,"amount":4900,
"amount_captured":4900,"amount_refunded":1000,"currency":"usd","status":"succeeded",%s}}`, id, made, charge, more)
	}
	m := new(memory)
	if _, err := m.backfill(api(t, map[string][]string{
		"/v1/customers": {`{"id":"cus_1","object":"customer","created":1700000000,"livemode":true,"metadata":{"tributaryAffiliateId":"a1"}}`},
		"/v1/refunds": {
			refund("pyr_2", "py_2", `"customer":null,"invoice":null,"source_transfer":"tr_1"`),
			refund("re_3", "ch_3", `"customer":null,"invoice":null,"source_transfer":null`),
			refund("re_1", "ch_1", `"customer":"cus_1","invoice":null,"source_transfer":null`),
		},
	}, nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "refund re_1 2026-04-03 -1000 0 a1; refund re_3 2026-04-03 -1000 0 "
	if got := book(t, m.records); got != want {
		t.Errorf("%s\nwant %s", got, want)
	}
}

// What goes back in a period of a payment from before it is the buyer's, and takes back the tax that
// was paid, as the session or invoice says: neither payment is in the ledger.
func TestWhatGoesBackOfOldPayments(t *testing.T) {
	made, before := unix(4, 3, 10), unix(2, 3, 10)
	charge := func(id, more string) string {
		return fmt.Sprintf(`{"id":"ch_%s","object":"charge","created":%d,"livemode":true,"captured":true,"amount":4900,"amount_captured":4900,
"amount_refunded":1000,"currency":"usd","status":"succeeded","payment_intent":"pi_%s",%s}`, id, before, id, more)
	}
	const invoice = `"customer":"cus_1","invoice":{"id":"in_%s","object":"invoice","created":1700000000,"livemode":true,
"status":"paid","currency":"usd","amount_due":4900,"amount_paid":4900,"total":4900,"tax":900,"customer":"cus_1",
"status_transitions":{"paid_at":1770112800}}`
	refund := func(id, charge string) string {
		return fmt.Sprintf(`{"id":%q,"object":"refund","created":%d,"status":"succeeded","amount":1000,"currency":"usd",
"payment_intent":null,"charge":%s}`, id, made, charge)
	}
	dispute := func(id, charge string) string {
		return fmt.Sprintf(`{"id":%q,"object":"dispute","created":%d,"livemode":true,"status":"lost","amount":4900,"currency":"usd",
"payment_intent":null,"balance_transactions":[{"id":"txn_d%s","amount":-4900,"currency":"usd","created":%d}],"charge":%s}`,
			id, made, id, made, charge)
	}
	of := func(id string) string { return fmt.Sprintf(invoice, id) }
	guest := `"customer":null,"invoice":null`
	m := new(memory)
	if _, err := m.backfill(api(t, map[string][]string{
		"/v1/customers": {`{"id":"cus_1","object":"customer","created":1700000000,"livemode":true,"metadata":{"tributaryAffiliateId":"a1"}}`},
		"/v1/checkout/sessions": {
			fmt.Sprintf(`{"id":"cs_4","object":"checkout.session","created":%d,"livemode":true,"status":"complete","payment_status":"paid",
"mode":"payment","amount_total":4900,"currency":"usd","total_details":{"amount_tax":900},
"metadata":{"tributaryAffiliateId":"a4"},"invoice":null,"payment_intent":{"id":"pi_4","object":"payment_intent","latest_charge":%s}}`, before, charge("4", guest)),
		},
		"/v1/refunds": {
			refund("re_1", charge("1", of("1"))), refund("re_2", charge("1", of("1"))),
			refund("re_3", charge("3", `"customer":"cus_1","invoice":null`)), refund("re_4", charge("4", guest)),
		},
		"/v1/disputes": {
			dispute("du_5", charge("5", of("5"))), dispute("du_6", charge("6", `"customer":"cus_1","invoice":null`)),
		},
		"/v1/credit_notes": {
			fmt.Sprintf(`{"id":"cn_7","object":"credit_note","created":%d,"livemode":true,"status":"issued","currency":"usd","amount":1000,
"invoice":"in_7","customer":"cus_1","out_of_band_amount":1000,"tax_amounts":[{"amount":184}]}`, made),
		},
	}, nil)).Run(t.Context()); err != nil {
		t.Fatal(err)
	}
	const want = "dispute du_5 2026-04-03 -4900 -900 a1; dispute du_6 2026-04-03 -4900 0 a1; " +
		"refund cn_7 2026-04-03 -1000 -184 a1; refund re_1 2026-04-03 -1000 -184 a1; " +
		"refund re_2 2026-04-03 -1000 -183 a1; refund re_3 2026-04-03 -1000 0 a1; refund re_4 2026-04-03 -1000 -184 a4"
	if got := book(t, m.records); got != want {
		t.Errorf("%s\nwant %s", got, want)
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
