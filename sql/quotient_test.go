package sql_test

import (
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// A quotient over money is not known where there is such money and none of it has a rate. That is not
// 0, which it is where there is none, and where it adds up to nothing.
func TestQuotientsWithoutRate(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	ask(t, dsn, `INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, affiliate_id, host, path, version)
		SELECT 'unrated', UUIDStringToNum(concat('019d5a1e-7800-7000-8000-00000000000', toString(number))),
			toDateTime64(1775037421568 / 1000, 3, 'UTC'), toDateTime64(1775037421568 / 1000, 3, 'UTC'), toString(number),
			concat('a', toString(number)), 'shop', concat('/', toString(number)), 1
		FROM numbers(4)`, nil)
	// a0 and a1 have a payment and a refund, those of a1 without a rate and a day later; of a2 the refund
	// has none; a3 has nothing.
	ask(t, dsn, `INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at,
			received_at, customer_id, currency, amount, net_usd, affiliate_id, products, product_net, match_rule, click_id,
			clicked_at, status, version)
		SELECT 'unrated', concat('entry of a sale', toString(number)), true, toDate(at), if(number < 3, 'payment', 'refund'),
			toString(number), toString(number % 3),
			toDateTime64(if(number % 3 = 1, '2026-04-03 10:00:00', '2026-04-02 10:00:00'), 3, 'UTC') AS at, at,
			concat('cus_', toString(number % 3)), 'usd', if(number < 3, 1000, -1000),
			if(number IN (1, 4, 5), NULL, if(number < 3, 10, -10)), concat('a', toString(number % 3)),
			[concat('prod_', toString(number % 3))], [if(number < 3, 1000, -1000)], 'click_id',
			UUIDStringToNum(concat('019d5a1e-7800-7000-8000-00000000000', toString(number % 3))),
			toDateTime64(1775037421568 / 1000, 3, 'UTC'), 'booked', 1
		FROM numbers(6)`, nil)
	for name, tt := range map[string]struct{ columns, want string }{
		"breakdown": {"name, epc, average_order, refund_rate",
			`a0 0 10 1, a1 \N \N \N, a2 10 10 \N, a3 0 \N \N`},
		"products":      {"product, refund_rate", `prod_0 1, prod_1 \N, prod_2 \N`},
		"landing_pages": {"name, epc", `shop/0 0, shop/1 \N, shop/2 10, shop/3 0`},
		"cohorts":       {"name, per_buyer", `a0 0, a1 \N, a2 10`},
		"top":           {"name, epc", `a0 0, a1 \N, a2 10, a3 0`},
		"totals":        {"epc", `\N`},
	} {
		q := question(t, name)
		values := parameters(q)
		for _, p := range q.Parameters {
			if p.Optional {
				values[p.Name] = p.Default
			}
		}
		values["workspace"], values["livemode"] = "unrated", "true"
		values["from"], values["to"] = "2026-04-01 00:00:00", "2026-05-01 00:00:00"
		if name == "cohorts" || name == "breakdown" {
			values["dimension"] = "affiliate"
		}
		if name == "landing_pages" {
			values["dimension"] = "landing_page"
		}
		if name == "totals" { // only what a1 has
			values["from"] = "2026-04-03 00:00:00"
		}
		for _, large := range []bool{false, true} {
			text, err := q.Statement(values, sql.Known{Large: large})
			if err != nil {
				t.Fatal(err)
			}
			got := ask(t, dsn, "SELECT "+tt.columns+" FROM (\n"+text+"\n) ORDER BY 1 FORMAT TSV", values)
			got = strings.NewReplacer("\t", " ", "\n", ", ").Replace(strings.TrimSpace(got))
			if got != tt.want {
				t.Errorf("%s, large %t: %s, not %s", name, large, got, tt.want)
			}
		}
	}
}
