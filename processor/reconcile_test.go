package main

import (
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"tributary/processor/fx"
)

// page is a page of the API's balance transactions, the newest first.
func page(newest, oldest string, more bool) string {
	item := func(day string) string {
		at, err := time.Parse(time.DateOnly, day)
		if err != nil {
			panic(err)
		}
		return fmt.Sprintf(`{"id":"txn_%[1]s","object":"balance_transaction","amount":4900,"currency":"usd","created":%[2]d,`+
			`"reporting_category":"charge","source":"ch_%[1]s"}`, day, at.Unix())
	}
	return fmt.Sprintf(`{"object":"list","data":[%s,%s],"has_more":%t}`, item(newest), item(oldest), more)
}

// A report that says nothing of the days that are asked for proves nothing about them.
func TestReportOfAnotherPeriod(t *testing.T) {
	const header = "balance_transaction_id,created_utc,currency,gross,reporting_category,source_id\n"
	const row = "txn_1,2026-03-15 10:00:00,usd,49.00,charge,ch_1\n"
	for name, c := range map[string]struct{ text, from, to, want string }{
		"its own":                {text: header + row},
		"a part of it":           {text: header + row, from: "2026-03-15", to: "2026-04-30"},
		"another month":          {text: header + row, from: "2026-04-01", to: "2026-04-30", want: "another month"},
		"the day before it":      {text: header + row, to: "2026-03-14", from: "2026-03-01", want: "another month"},
		"a month without sales":  {text: header, from: "2026-03-01", to: "2026-03-31"},
		"nothing, and no period": {text: header, want: "--from and --to"},
		"an empty list":          {text: `{"object":"list","data":[]}`, want: "--from and --to"},
		"backwards":              {text: header + row, from: "2026-03-16", want: "before it begins"},
		"the first page of two":  {text: page("2026-03-15", "2026-03-02", true), want: "has_more is true"},
		"of it the later part":   {text: page("2026-03-15", "2026-03-02", true), from: "2026-03-03"},
		"both pages":             {text: page("2026-03-15", "2026-03-02", true) + page("2026-03-02", "2026-03-01", false)},
		"both, the last first":   {text: page("2026-03-02", "2026-03-01", false) + page("2026-03-15", "2026-03-02", true)},
		"one moment, two pages":  {text: page("2026-03-02", "2026-03-01", true) + page("2026-03-01", "2026-03-01", false)},
		"one moment, a page":     {text: page("2026-03-01", "2026-03-01", true), want: "has_more is true"},
		"a page of nothing":      {text: `{"object":"list","data":[],"has_more":true}`, want: "there is more"},
		"a summary":              {text: "reporting_category,currency,count,gross\ncharge,usd,1,49.00\n", want: "itemised"},
	} {
		path := filepath.Join(t.TempDir(), "export.csv")
		if err := os.WriteFile(path, []byte(c.text), 0o600); err != nil {
			t.Fatal(err)
		}
		command := reconcileCommand{Export: []string{path}, From: c.from, To: c.to}
		_, _, err := command.read(t.Context(), slog.New(slog.DiscardHandler), fx.StripeExponents())
		if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %v, want %q", name, err, c.want)
		}
	}
}

// A key of the other mode is refused before Stripe is asked, which would answer with that mode's
// money.
func TestKeyOfTheOtherMode(t *testing.T) {
	for _, c := range []struct {
		key  string
		test bool
		want string
	}{
		{"rk_live_1", false, ""}, {"sk_test_1", true, ""}, {"rk_live_1 rk_test_1", true, ""},
		{"rk_test_1", false, "is of test mode"}, {"sk_live_1", true, "is of live mode"},
	} {
		const base = "http://127.0.0.1:1"
		reconcile := reconcileCommand{API: true, StripeKey: c.key, APIBase: base, Test: c.test}
		_, asked := reconcile.validate()
		backfill := backfillCommand{Test: c.test}
		backfill.StripeAPIKey, backfill.StripeAPIBase = c.key, base
		_, filled := backfill.validate(time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC))
		for name, err := range map[string]error{"reconcile": asked, "backfill": filled} {
			if (err != nil) != (c.want != "") || err != nil && !strings.Contains(err.Error(), c.want) {
				t.Errorf("%s with %s, test mode %t: %v", name, c.key, c.test, err)
			}
		}
	}
}
