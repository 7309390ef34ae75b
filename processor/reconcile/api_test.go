package reconcile

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/processor/fx"
	"tributary/processor/stripeapi"
)

func client(t *testing.T, base, key string) *stripeapi.Client {
	t.Helper()
	keys, err := stripeapi.ParseKeys(key)
	if err != nil {
		t.Fatal(err)
	}
	return &stripeapi.Client{
		Base: base, Keys: keys, HTTP: http.DefaultClient, Patience: time.Minute, Log: slog.New(slog.DiscardHandler),
	}
}

// Two pages, a refusal for going too fast between them, and a key that is never said.
func TestAPI(t *testing.T) {
	var asked []string
	slow := true
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked = append(asked, r.URL.Query().Get("starting_after"))
		item := func(id string) string {
			return fmt.Sprintf(`{"id":%q,"object":"balance_transaction","amount":500,"currency":"usd","created":1772445600,"reporting_category":"charge","type":"charge","source":{"id":"ch_%s","object":"charge","amount":500,"amount_captured":500,"currency":"usd"}}`, id, id)
		}
		switch {
		case r.Header.Get("Authorization") != "Bearer rk_live_sesame":
			w.WriteHeader(http.StatusUnauthorized)
			fmt.Fprint(w, `{"error":{"message":"Invalid API Key provided: rk_*****"}}`)
		case r.Header.Get("Stripe-Account") != "acct_1" || r.URL.Query().Get("expand[]") != "data.source" ||
			r.URL.Query().Get("created[gte]") != "1772323200" || r.URL.Query().Get("created[lt]") != "1772582400":
			w.WriteHeader(http.StatusBadRequest)
			fmt.Fprintf(w, `{"error":{"message":"%s %s"}}`, r.Header.Get("Stripe-Account"), r.URL.RawQuery)
		case r.URL.Query().Get("starting_after") == "":
			fmt.Fprintf(w, `{"object":"list","data":[%s,%s],"has_more":true}`, item("txn_3"), item("txn_2"))
		case slow:
			slow = false
			w.WriteHeader(http.StatusTooManyRequests)
		default:
			fmt.Fprintf(w, `{"object":"list","data":[%s],"has_more":false}`, item("txn_1"))
		}
	}))
	defer server.Close()
	empty := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"object":"list","data":[],"has_more":true}`)
	}))
	defer empty.Close()
	period, err := NewPeriod("2026-03-01", "2026-03-03")
	if err != nil {
		t.Fatal(err)
	}
	api := &API{Client: client(t, server.URL, "rk_live_sesame"), Account: "acct_1", Livemode: true}
	var ids []string
	err = api.Transactions(t.Context(), period,
		func(x Transaction) error { ids = append(ids, x.ID+" of "+x.Source); return nil })
	if got := strings.Join(ids, ", "); err != nil || got != "txn_3 of ch_txn_3, txn_2 of ch_txn_2, txn_1 of ch_txn_1" ||
		strings.Join(asked, ",") != ",txn_2,txn_2" {
		t.Errorf("%s, asked %v, %v", got, asked, err)
	}
	api.Client = client(t, empty.URL, "rk_live_sesame")
	if err := api.Transactions(t.Context(), period, nil); !errors.Is(err, stripeapi.ErrNoMore) {
		t.Errorf("there is more, and nothing comes: %v", err)
	}
	api.Client = client(t, server.URL, "rk_live_wrong")
	if err := api.Transactions(t.Context(), period, nil); err == nil ||
		!strings.Contains(err.Error(), "Invalid API Key") || strings.Contains(err.Error(), "rk_live_wrong") {
		t.Errorf("%v", err)
	}
}

func TestExportRefused(t *testing.T) {
	const known = `{"object":"balance_transaction","id":"txn_1","created":1,"amount":5}`
	for text, want := range map[string]string{
		"":                                    "empty",
		"a,b\n1,2\n":                          "column currency is missing",
		"id,type,source,amount,currency\n":    "column created_utc or created is missing",
		"id,source,amount,currency,created\n": "reporting_category",
		"id,type,source,amount,currency,created\ntxn,charge,ch,4.905,usd,2026-03-01\n": "whole number",
		"id,type,source,amount,currency,created\ntxn,charge,ch,1,zzz,2026-03-01\n":     "zzz",
		"id,type,source,amount,currency,created\ntxn,charge,ch,1e3,usd,2026-03-01\n":   "1e3",
		"id,type,source,amount,currency,created\ntxn,charge,ch,1,usd,1 March\n":        "1 March",
		"id,type,source,amount,currency,created\n,charge,ch,1,usd,20260301\n": "line 2, column 1: balance_transaction_id: it is empty\n" +
			`line 2, column 18: created: "20260301" is no time`,
		"id,type,source_id,amount,currency,created,exchange_rate\ntxn,charge,ch,4900,usd,2026-03-01 10:00:00.000,\n": "minor units",
		`{"object":"charge","id":"ch_1"}`:                                               "number 1: read balance transaction: object is \"charge\", id \"ch_1\" (hint: ",
		`{"object":"balance_transaction","id":"txn_1","created":1,"amount":1.5}`:        "no integer",
		`{"object":"balance_transaction","id":"txn_1","created":1,"amount":5,"source":`: "behind byte 0 (hint: it is cut short",
		"\ufeff\n" + known + "\n" + `{"object":"balance_transaction",}`:                 fmt.Sprintf("byte %d: invalid character '}'", len(known)+38),
		"[" + known + `,{"id":"txn_2","created":"2026-03-01"}]`:                         "number 2: read balance transaction: json: cannot",
	} {
		err := ReadExport(strings.NewReader(text), fx.StripeExponents(), func(Transaction) error { return nil })
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q: %q is not said: %v", text, want, err)
		}
	}
}

// A report may have its columns in any order, under the names of either export and written by any
// program; a time is known to be UTC only where its column says so.
func TestExportSpellings(t *testing.T) {
	want := Transaction{ID: "txn_1", Category: "charge", Source: "ch_1", ChargeID: "ch_1", IntentID: "pi_1",
		CustomerID: "cus_1", Created: time.Date(2026, 3, 31, 23, 59, 59, 0, time.UTC), Currency: "jpy", Amount: 1234567}
	for name, c := range map[string]struct {
		text     string
		zoneless bool
	}{
		"in order": {text: "balance_transaction_id,created_utc,created,currency,gross,fee,reporting_category,source_id," +
			"charge_id,payment_intent_id,customer_id\n" +
			"txn_1,2026-03-31 23:59:59,2026-03-31 19:59:59,jpy,1234567,-30,charge,ch_1,ch_1,pi_1,cus_1\n"},
		"in another order, by a spreadsheet": {text: "\ufeff\"Customer ID\",\"Payment Intent " +
			"ID\",Gross,Currency,\"Source ID\"," +
			"\"Charge ID\",Type,\"Created (UTC)\",ID\r\n" +
			"cus_1,pi_1,\"1,234,567\",JPY,ch_1,ch_1,charge,2026-03-31 23:59:59,txn_1\r\n"},
		"in the time zone of the report": {text: "balance_transaction_id,created,currency,gross,type,source_id," +
			"charge_id,payment_intent_id,customer_id\n" +
			"txn_1,2026-03-31 23:59:59,jpy,1234567,charge,ch_1,ch_1,pi_1,cus_1\n", zoneless: true},
	} {
		var got []Transaction
		err := ReadExport(strings.NewReader(c.text), fx.StripeExponents(), func(x Transaction) error {
			got = append(got, x)
			return nil
		})
		want.Zoneless = c.zoneless
		if err != nil || !slices.Equal(got, []Transaction{want}) {
			t.Errorf("%s: %+v, %v", name, got, err)
		}
	}
}

// An amount in major units is exact, whatever the exponent.
func TestMinor(t *testing.T) {
	for _, test := range []struct {
		s, currency string
		want        int64
	}{{"49.00", "usd", 4900}, {"-0.01", "usd", -1}, {"5000", "jpy", 5000}, {"5.120", "kwd", 5120}, {"5.00", "isk", 500},
		{"1,234.50", "usd", 123450}, {"1,500.000", "kwd", 1500000}, {"-1,500", "jpy", -1500},
		{"92233720368547758.07", "usd", 9223372036854775807}, {"0.500", "usd", 50}, {"1500.00", "jpy", 1500},
		{"1,500.000", "usd", 150000}} {
		if got, err := minor(test.s, test.currency, fx.StripeExponents()); err != nil || got != test.want {
			t.Errorf("%s %s = %d, %v; want %d", test.s, test.currency, got, err, test.want)
		}
	}
	for _, s := range []string{"92233720368547758.08", "12,50", "1.234,50", "1,23,456", ",5", "5.", "1e3", "1/2", "(5.00)",
		"+5", "NaN", ""} {
		if got, err := minor(s, "usd", fx.StripeExponents()); err == nil {
			t.Errorf("%q is taken for %d", s, got)
		}
	}
	// With a report's decimal_separator comma it is one dinar and a half; of a spreadsheet, two thousand yen.
	for s, currency := range map[string]string{"1,500": "kwd", "2.000": "jpy", "-12.000": "huf", "1.230": "usd"} {
		if got, err := minor(s, currency, fx.StripeExponents()); !errors.Is(err, errSeparator) {
			t.Errorf("%s %s are %d, %v", s, currency, got, err)
		}
	}
}

// A report of a platform, or of an organisation, has the rows of several accounts: one is compared,
// and none is taken for another's.
func TestOfAccount(t *testing.T) {
	const export = "balance_transaction_id,created_utc,currency,gross,reporting_category,source_id,account\n" +
		"txn_1,2026-03-31 10:00:00,usd,1.00,charge,ch_1,acct_1\n" +
		"txn_2,2026-03-31 10:00:00,usd,2.00,charge,ch_2,acct_2\n"
	var all []Transaction
	err := ReadExport(strings.NewReader(export), fx.StripeExponents(), func(x Transaction) error {
		all = append(all, x)
		return nil
	})
	if err != nil || len(all) != 2 {
		t.Fatalf("%v, %v", all, err)
	}
	unsaid := all[0]
	unsaid.Account = ""
	for name, c := range map[string]struct {
		list    []Transaction
		account string
		want    string // ids, or words of the error
	}{
		"one of two":                   {all, "acct_2", "txn_2"},
		"neither of two":               {all, "acct_3", "of no transaction of acct_3"},
		"two, none asked for":          {all, "", "several accounts: acct_1, acct_2"},
		"one, none asked for":          {all[:1], "", "txn_1"},
		"one, another asked for":       {all[:1], "acct_2", "of no transaction of acct_2"},
		"an export without the column": {[]Transaction{unsaid}, "acct_2", "txn_1"},
	} {
		got, err := OfAccount(slices.Clone(c.list), c.account)
		text := fmt.Sprint(err)
		if err == nil {
			text = ""
			for _, x := range got {
				text += x.ID
			}
		}
		if err == nil && text != c.want || err != nil && !strings.Contains(text, c.want) {
			t.Errorf("%s: %s, want %s", name, text, c.want)
		}
	}
}

// Of a dispute that was won in part, and of a charge that was captured in parts, both exports have
// the whole beside the part that moved: the part counts.
func TestPartOfTheWhole(t *testing.T) {
	for name, export := range map[string]string{
		"report": "balance_transaction_id,created_utc,currency,gross,reporting_category,source_id,customer_facing_amount," +
			"customer_facing_currency\n" +
			"txn_1,2026-03-02 10:00,usd,40.00,dispute_reversal,du_1,100.00,usd\n" +
			"txn_2,2026-03-02 10:00,usd,40.00,dispute_reversal,du_1,100.00,eur\n",
		"API": `[{"id":"txn_1","object":"balance_transaction","amount":4000,"currency":"usd","created":1,"reporting_category":"dispute_reversal",
			"source":{"id":"du_1","object":"dispute","amount":10000,"currency":"usd"}},
			{"id":"txn_2","object":"balance_transaction","amount":4000,"currency":"usd","created":1,"reporting_category":"charge",
			"source":{"id":"ch_1","object":"charge","amount":12000,"amount_captured":10000,"currency":"eur"}}]`,
	} {
		var seen []string
		err := ReadExport(strings.NewReader(export), fx.StripeExponents(), func(x Transaction) error {
			seen = append(seen, fmt.Sprint(x.PresentedAmount, x.Presented))
			return nil
		})
		if got := strings.Join(seen, " "); err != nil || got != "4000usd 10000eur" {
			t.Errorf("%s: %s, %v", name, got, err)
		}
	}
}

// In an export with types alone, source and sign say what each is.
func TestCategoryOfType(t *testing.T) {
	for row, want := range map[string]string{
		"charge,ch_1,10.00":                         "charge",
		"payment,py_1,10.00":                        "charge",
		"refund,re_1,-10.00":                        "refund",
		"payment_refund,pyr_1,-10.00":               "refund",
		"payment_refund,pyr_1,10.00":                "refund_failure",
		"adjustment,re_1,10.00":                     "refund_failure",
		"refund_failure,re_1,10.00":                 "refund_failure",
		"payment_failure_refund,py_1,-10.00":        "charge_failure",
		"adjustment,dp_1,-10.00":                    "dispute",
		"adjustment,du_1,10.00":                     "dispute_reversal",
		"adjustment,fee_1,10.00":                    "adjustment",
		"stripe_balance_payment_debit,py_1,-10.00":  "stripe_balance_payment_debit",
		"something_that_nobody_has_seen,xx_1,10.00": "something_that_nobody_has_seen",
	} {
		export := "id,created,currency,type,source,gross\ntxn_1,2026-03-02 10:00,usd," + row + "\n"
		var got string
		err := ReadExport(strings.NewReader(export), fx.StripeExponents(), func(t Transaction) error {
			got = t.Category
			return nil
		})
		if err != nil || got != want {
			t.Errorf("%s is a %s (%v), want %s", row, got, err, want)
		}
	}
}

func TestDistinct(t *testing.T) {
	history := Transaction{ID: "txn_1", Currency: "usd", Amount: 4900, Unnamed: true}
	report := Transaction{ID: "txn_1", Currency: "usd", Amount: 4900, IntentID: "pi_1"}
	other := Transaction{ID: "txn_2", Currency: "usd", Amount: 4900}
	for _, list := range [][]Transaction{
		{history, other, report}, {report, other, history}, {report, other, report, other},
	} {
		if got, err := distinct(list); err != nil || !slices.Equal(got, []Transaction{report, other}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	// What only the poorer description says is kept, and the poorer never wins by coming later.
	report.Created, history.Created = time.Unix(59, 0), time.Unix(0, 0)
	history.Presented, history.PresentedAmount, history.Category = "eur", 4500, "payment"
	full := report
	full.Presented, full.PresentedAmount = "eur", 4500
	for _, list := range [][]Transaction{{history, report}, {report, history}, {history, report, history}} {
		if got, err := distinct(list); err != nil || !slices.Equal(got, []Transaction{full}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	// Of two times that which is said to be UTC counts.
	zoneless, history := report, Transaction{ID: "txn_1", Currency: "usd", Amount: 4900, Unnamed: true}
	zoneless.Created, zoneless.Zoneless, history.Created = time.Unix(7200, 0), true, time.Unix(0, 0)
	utc := report
	utc.Created = history.Created
	for _, list := range [][]Transaction{{history, zoneless}, {zoneless, history}} {
		if got, err := distinct(list); err != nil || !slices.Equal(got, []Transaction{utc}) {
			t.Errorf("%v, %v", got, err)
		}
	}
	changed := report
	changed.Amount = 49
	if _, err := distinct([]Transaction{report, changed}); err == nil || !strings.Contains(err.Error(), "txn_1") {
		t.Errorf("one transaction has two amounts: %v", err)
	}
}

// Of a day that an export has no transaction of, before its first one and after its last one, no
// verdict is given.
func TestVerdictNamesItsDays(t *testing.T) {
	period, err := NewPeriod("2026-03-01", "2026-03-10")
	if err != nil {
		t.Fatal(err)
	}
	for name, c := range map[string]struct {
		days     []int
		complete bool
		entries  int
		want     string
	}{
		"all":              {[]int{1, 10, 5}, false, 1, "Equal to the cent."},
		"some, of the API": {nil, true, 1, "Equal to the cent."},
		"some of them": {[]int{9, 2}, false, 1,
			"Equal to the cent from 2026-03-02 to 2026-03-09 (the export has no transaction of other days)."},
		"only payouts": {[]int{1, 10}, false, 0, "No sale's money moved, on either side."},
		"none": {nil, false, 0,
			"No sale's money moved, on either side (the export has no transaction of these days)."},
	} {
		r := newReport(Scope{Period: period, Complete: c.complete})
		r.Entries = c.entries
		for _, day := range c.days {
			r.covers(time.Date(2026, 3, day, 10, 0, 0, 0, time.UTC))
		}
		if got := r.verdict(); got != c.want {
			t.Errorf("%s: %s\nwant %s", name, got, c.want)
		}
	}
}
