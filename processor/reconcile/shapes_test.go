package reconcile_test

import (
	"cmp"
	"encoding/json"
	"fmt"
	"log/slog"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/race"
	"tributary/processor/clickhouse"
	"tributary/processor/fx"
	"tributary/processor/reconcile"
	"tributary/sql/sqltest"
)

// shape writes balance transactions as one of Stripe's exports has them.
type shape struct {
	name  string
	named bool // it says which charge and payment intent each belongs to
	write func([]reconcile.Transaction) string
}

var shapes = []shape{
	{"itemised report", true, func(list []reconcile.Transaction) string {
		return report(list, "balance_transaction_id,created_utc,created,currency,gross,fee,net,reporting_category,"+
			"source_id,customer_facing_amount,customer_facing_currency,customer_id,charge_id,payment_intent_id")
	}},
	{"payout reconciliation, columns in another order", true, func(list []reconcile.Transaction) string {
		return "\ufeff" + report(list, "automatic_payout_id,payment_intent_id,charge_id,customer_id,"+
			"customer_facing_currency,customer_facing_amount,source_id,reporting_category,net,fee,"+
			"gross,currency,created_utc,balance_transaction_id")
	}},
	{"itemised report, with the columns of its default", false, func(list []reconcile.Transaction) string {
		return report(list, "balance_transaction_id,created_utc,currency,gross,fee,net,reporting_category,source_id,"+
			"customer_facing_amount,customer_facing_currency")
	}},
	{"balance history", false, func(list []reconcile.Transaction) string {
		return strings.ReplaceAll(report(list, "balance_transaction_id,type,source_id,gross,fee,net,currency,created (utc)"),
			":01\n", "\n")
	}},
	{"pages of the API", true, func(list []reconcile.Transaction) string { return pages(list, true) }},
	{"pages of the API, sources not expanded", false, func(list []reconcile.Transaction) string {
		return pages(list, false)
	}},
}

// typeOf is the older field of a category.
func typeOf(t reconcile.Transaction) string {
	switch t.Category {
	case "dispute", "dispute_reversal":
		return "adjustment"
	case "partial_capture_reversal":
		return "refund"
	case "charge_failure":
		return "payment_failure_refund"
	}
	return t.Category
}

func major(amount int64) string {
	sign := ""
	if amount < 0 {
		sign, amount = "-", -amount
	}
	return fmt.Sprintf("%s%d.%02d", sign, amount/100, amount%100)
}

func report(list []reconcile.Transaction, header string) string {
	var b strings.Builder
	b.WriteString(header + "\n")
	for _, t := range list {
		shown := ""
		if t.Presented != "" {
			shown = major(t.PresentedAmount)
		}
		values := map[string]string{
			"balance_transaction_id": t.ID, "created_utc": t.Created.Format("2006-01-02 15:04:05"),
			"created (utc)": t.Created.Format("2006-01-02 15:04"), "currency": t.Currency, "gross": major(t.Amount),
			"fee": "0.00", "net": major(t.Amount), "reporting_category": t.Category, "type": typeOf(t), "source_id": t.Source,
			"customer_facing_amount": shown, "customer_facing_currency": t.Presented, "customer_id": t.CustomerID,
			"charge_id": t.ChargeID, "payment_intent_id": t.IntentID, "automatic_payout_id": "po_1",
		}
		var row []string
		for _, column := range strings.Split(header, ",") {
			row = append(row, values[column])
		}
		b.WriteString(strings.Join(row, ",") + "\n")
	}
	return b.String()
}

// pages are lists of twenty, the newest first.
func pages(list []reconcile.Transaction, expanded bool) string {
	list = slices.Clone(list)
	slices.SortStableFunc(list, func(x, y reconcile.Transaction) int { return y.Created.Compare(x.Created) })
	var b strings.Builder
	for at, page := range slices.Collect(slices.Chunk(list, 20)) {
		items := []any{}
		for _, t := range page {
			var source any = t.Source
			if expanded {
				object := map[string]any{"id": t.Source, "charge": t.ChargeID, "payment_intent": t.IntentID,
					"customer": t.CustomerID}
				if t.Presented != "" {
					object["amount"], object["currency"] = t.PresentedAmount, t.Presented
				}
				source = object
			}
			items = append(items, map[string]any{"id": t.ID, "object": "balance_transaction", "amount": t.Amount,
				"currency": t.Currency, "created": t.Created.Unix(), "reporting_category": t.Category, "type": typeOf(t),
				"source": source})
		}
		text, err := json.Marshal(map[string]any{"object": "list", "data": items, "has_more": (at+1)*20 < len(list)})
		if err != nil {
			panic(err)
		}
		b.Write(text)
	}
	return b.String()
}

// Faults are found in every shape of export, one at a time and all together: the same ones where
// the export names what a movement belongs to, and never none.
func TestPlantedFaultsInShapes(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	worlds := map[string]*world{"all": {}}
	for _, f := range faults {
		w := &world{}
		f.plant(w)
		if slices.ContainsFunc(w.transactions, func(x reconcile.Transaction) bool { return x.Unnamed || x.Zoneless }) {
			continue // these faults are a shape's own
		}
		f.plant(worlds["all"])
		switch f.name {
		case "nothing", "a payment booked twice", "a payment missing", "an unsubscribed event", "a day off", "a wrong sign",
			"a partial win", "a released hold", "a double, and a missing payment of its amount":
			worlds[f.name] = w
		}
	}
	insert(t, store, worlds)
	for i, name := range slices.Sorted(maps.Keys(worlds)) {
		w := worlds[name]
		want := findingsOf(compare(t, store, name, w.transactions))
		for j, s := range shapes {
			if race.Enabled && name != "all" && name != "nothing" && j != i%len(shapes) {
				continue // each shape has all faults together, and each fault alone is in one shape
			}
			t.Run(name+"/"+s.name, func(t *testing.T) {
				var read []reconcile.Transaction
				if err := reconcile.ReadExport(strings.NewReader(s.write(w.transactions)), fx.StripeExponents(),
					func(x reconcile.Transaction) error { read = append(read, x); return nil }); err != nil {
					t.Fatal(err)
				}
				got := compare(t, store, name, read)
				if (got.Err() == nil) != (name == "nothing") && s.named || name != "nothing" && got.Err() == nil {
					t.Errorf("error %v", got.Err())
				}
				if equal := strings.Contains(got.Verdict, "qual to the cent"); equal != (got.Err() == nil) {
					t.Errorf("%v: %s", got.Err(), got.Verdict)
				}
				if findings := findingsOf(got); s.named && !slices.Equal(findings, want) {
					t.Errorf("found\n%s\ninstead of\n%s", strings.Join(findings, "\n"), strings.Join(want, "\n"))
				}
			})
		}
	}
}

// findingsOf lists what a report found.
func findingsOf(r *reconcile.Report) (list []string) {
	for _, d := range r.Differences {
		list = append(list, fmt.Sprintf("%s %s %s %s: %d and %d", d.Day, d.Finding, d.Kind, d.Object, d.Expected, d.Booked))
	}
	slices.SortFunc(list, cmp.Compare[string])
	return list
}
