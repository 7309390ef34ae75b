package sql_test

import (
	"strings"
	"testing"

	"tributary/sql/sqltest"
)

// Of two payments of a sale in one millisecond the one with the lesser id is the first, whichever
// the engine reads first, and all who ask for it agree. A sale's amounts are in its currency.
func TestFirstPayment(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	const at = "2050-06-01 10:00:00"
	row := func(entry, kind, object, affiliate, visitor, currency string, amount, net string) string {
		return "('moment', '" + entry + "', true, '2050-06-01', '" + kind + "', '" + object + "', 'in_1', '" + at +
			"', 'sub_1', 'subscription_create', '" + currency + "', " + amount + ", " + net + ", '" + affiliate +
			"', '" + visitor +
			"', 'affiliate', 'click_id', UUIDStringToNum('024d5a1e-7800-7000-8000-00000000000" + entry + "'), '" + at + "', 'booked', 1)"
	}
	ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, subscription_id, "+
		"billing_reason, currency, amount, net_usd, affiliate_id, visitor_id, channel, match_rule, click_id, clicked_at, status, "+
		"version) VALUES "+strings.Join([]string{
		row("1", "payment", "pi_3", "ann", "v1", "eur", "1000", "11"),
		row("2", "payment", "pi_1", "bob", "v2", "gbp", "3000", "39"),
		row("3", "payment", "pi_2", "cat", "v3", "eur", "1000", "11"),
		row("4", "dispute", "dp_1", "bob", "v2", "gbp", "-700", "-9"),
		row("5", "dispute", "dp_2", "bob", "v2", "usd", "-500", "-5"),
	}, ", "), nil)
	values := map[string]string{"workspace": "moment", "livemode": "true", "from": "2050-06-01 00:00:00",
		"to": "2050-07-01 00:00:00", "dimension": "affiliate", "lookback_days": "30"}
	for query, want := range map[string]string{
		"SELECT affiliate_id, currency, paid, refunded, disputed, net_usd FROM sales WHERE workspace = 'moment'": "bob\tgbp\t3000\t0\t-700\t47",
		"SELECT credited, credited_channel, UUIDNumToString(credited_click) FROM sale_touches(workspace = {workspace:String}, " +
			"livemode = {livemode:Bool}, from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, " +
			"lookback_days = {lookback_days:UInt16}, dimension = {dimension:String})": "bob\taffiliate\t024d5a1e-7800-7000-8000-000000000002",
	} {
		if got := strings.TrimSpace(ask(t, dsn, query+" FORMAT TSV", values)); got != want {
			t.Errorf("%s: %s, want %s", query, got, want)
		}
	}
	for _, name := range []string{"recurring_revenue", "cohorts"} {
		given := map[string]string{"unit": "month", "timezone": "UTC", "only": "{}", "without": "{}"}
		for k, v := range values {
			given[k] = v
		}
		if got := ask(t, dsn, question(t, name).Text+" FORMAT TSV", given); strings.Split(got, "\t")[1] != "bob" {
			t.Errorf("%s: %s, want bob's", name, got)
		}
	}
	// A buyer of whom only a refund is known was won at no time, not in 1970.
	ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, "+
		"external_customer_id, amount, net_usd, status, version) VALUES ('moment', '6', true, '2050-06-02', 'refund', 're_1', "+
		"'in_2', '2050-06-02 10:00:00', 'another name', -100, -1, 'booked', 1)", nil)
	values["from"], values["unit"], values["timezone"], values["only"] = "1970-01-01 00:00:00", "month", "UTC", "{}"
	values["without"] = "{}"
	if got := ask(t, dsn, question(t, "cohorts").Text+" FORMAT TSV", values); strings.Count(got, "\n") != 1 {
		t.Errorf("cohorts since 1970: %s, want bob's alone", got)
	}
}
