package sql_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"tributary/sql/sqltest"
)

// before and basil are a line of an invoice as Stripe's API shows it up to 2025-02, and since
// 2025-03-31. kind is regular, proration or once.
func before(kind string, amount int64, from, to time.Time) string {
	typ := "subscription"
	if kind == "once" {
		typ = "invoiceitem"
	}
	return fmt.Sprintf(`{"object":"line_item","amount":%d,"type":%q,"proration":%v,"period":{"start":%d,"end":%d},`+
		`"discount_amounts":[{"amount":%d,"discount":"di_1"}],"tax_amounts":[{"amount":%d,"inclusive":true},`+
		`{"amount":7,"inclusive":false}]}`, amount, typ, kind == "proration", from.Unix(), to.Unix(), amount/10, amount/5)
}

func basil(kind string, amount int64, from, to time.Time) string {
	parent := fmt.Sprintf(`{"invoice_item_details":null,"type":"subscription_item_details","subscription_item_details":`+
		`{"proration":%v,"subscription":"sub_1"}}`, kind == "proration")
	if kind == "once" {
		parent = `{"invoice_item_details":{"proration":false},"type":"invoice_item_details","subscription_item_details":null}`
	}
	return fmt.Sprintf(`{"object":"line_item","amount":%d,"period":{"start":%d,"end":%d},"parent":%s,`+
		`"discount_amounts":[],"pretax_credit_amounts":[{"amount":%d,"type":"credit_balance_transaction"},`+
		`{"amount":3,"type":"discount"}],"taxes":[{"amount":%d,"tax_behavior":"inclusive"},`+
		`{"amount":7,"tax_behavior":"exclusive"}]}`, amount, from.Unix(), to.Unix(), parent, amount/10, amount/5)
}

// An invoice's lines say how much of it recurs and how often; without them it is guessed from the
// times between invoices.
func TestRecurringRevenueOfLines(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	start := time.Date(2050, 1, 10, 12, 0, 0, 0, time.UTC)
	month, year := start.AddDate(0, 1, 0), start.AddDate(1, 0, 0)
	type line struct {
		kind   string // also unseen: a line that the event does not have
		amount int64  // minor units before the discount of a tenth and the inclusive tax of a fifth
		until  time.Time
	}
	type invoice struct {
		reason string
		at     time.Time
		net    string // USD
		lines  []line // none: no event is stored
	}
	const create, cycle, update = "subscription_create", "subscription_cycle", "subscription_update"
	monthly, yearly := []line{{"regular", 3000, month}}, []line{{"regular", 120000, year}}
	all := [5]string{"100", "100", "100", "100", "0"} // of a year
	// The MRR at the ends of January, February, March and December 2050, and of January 2051.
	for name, tt := range map[string]struct {
		invoices []invoice
		want     [5]string
	}{
		"a month": {[]invoice{{create, start, "21", monthly}}, [5]string{"21", "0", "0", "0", "0"}},
		"a year":  {[]invoice{{create, start, "1200", yearly}}, all},
		"a quarter": {[]invoice{{create, start, "90", []line{{"regular", 9000, start.AddDate(0, 3, 0)}}}},
			[5]string{"30", "30", "30", "0", "0"}},
		"a week": {[]invoice{{create, start.AddDate(0, 0, 15), "12", []line{{"regular", 1200, start.AddDate(0, 0, 7)}}}},
			[5]string{"52", "0", "0", "0", "0"}},
		"a fee on top": {[]invoice{{create, start, "1300",
			[]line{{"once", 10000, start}, {"regular", 120000, year}}}}, all},
		"a month, then a year": {[]invoice{{create, start, "21", monthly},
			{update, month.AddDate(0, 0, -20), "1180",
				[]line{{"proration", -2000, month}, {"regular", 120000, year}}}},
			all},
		"more of the same, prorated": {[]invoice{{create, start, "1200", yearly},
			{update, start.AddDate(0, 0, 5), "50", []line{{"proration", -5000, year}, {"proration", 10000, year}}}},
			all},
		"begun in the middle of a month": {[]invoice{{create, start.AddDate(0, 0, 11), "10",
			[]line{{"proration", 1000, start.AddDate(0, 0, 13)}}}}, [5]string{"23.333333", "0", "0", "0", "0"}},
		"a trial with a fee": {[]invoice{{create, start, "50",
			[]line{{"regular", 0, month}, {"once", 5000, start}}},
			{cycle, month, "30", monthly}}, [5]string{"0", "30", "0", "0", "0"}},
		"six weeks": {[]invoice{{create, start.AddDate(0, 0, 6), "45", []line{{"regular", 4500, start.AddDate(0, 0, 42)}}}},
			[5]string{"32.5", "32.5", "0", "0", "0"}},
		"forty days of a year": {[]invoice{{create, start, "132", []line{{"proration", 13200, start.AddDate(0, 0, 40)}}}},
			[5]string{"100.1", "0", "0", "0", "0"}},
		"more lines than an event has": {[]invoice{{create, start, "21", monthly},
			{cycle, month, "500", []line{{"once", 1000, month}, {"proration", 1000, month}, {"unseen", 0, month}}}},
			[5]string{"21", "500", "0", "0", "0"}},
		"lines not known": {[]invoice{{create, start, "1200", nil}}, [5]string{"1200", "0", "0", "0", "0"}},
		"a change, lines not known": {[]invoice{{create, start, "30", nil},
			{update, start.AddDate(0, 0, 5), "1200", nil}}, [5]string{"30", "0", "0", "0", "0"}},
	} {
		for shape, write := range map[string]func(string, int64, time.Time, time.Time) string{
			"before": before, "basil": basil,
		} {
			workspace := name + " " + shape
			entries, events := []string{}, []string{}
			for i, in := range tt.invoices {
				id := fmt.Sprintf("in_%d", i)
				entries = append(entries, fmt.Sprintf("('%s', '%d', true, '%s', 'payment', 'pi_%d', '%s', '%s', "+
					"'sub_1', '%s', 'usd', 1, %s, 'booked', 1)",
					workspace, i, in.at.Format(time.DateOnly), i, id, in.at.Format(time.DateTime), in.reason, in.net))
				var lines []string
				more := false
				for _, l := range in.lines {
					if l.kind == "unseen" {
						more = true
						continue
					}
					lines = append(lines, write(l.kind, l.amount, start, l.until))
				}
				event := func(event string, live bool, status, lines string) string {
					return fmt.Sprintf(`('%s', '%s_%d', 'invoice.updated', %v, '2050-02-01 00:00:00', '{"data":{"object":{"object":`+
						`"invoice","id":%q,"status":%q,"billing_reason":%q,"lines":{"object":"list","data":[%s],"has_more":%v}}}}')`,
						workspace, event, i, live, id, status, in.reason, lines, more)
				}
				if in.lines != nil {
					other := write("regular", 99, start, month)
					events = append(events, event("evt_paid", true, "paid", strings.Join(lines, ",")),
						event("evt_draft", true, "draft", other), event("evt_test", false, "paid", other))
				}
			}
			ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, "+
				"subscription_id, billing_reason, currency, amount, net_usd, status, version) VALUES "+
				strings.Join(entries, ", "), nil)
			if len(events) > 0 {
				ask(t, dsn, "INSERT INTO stripe_events (workspace, event_id, type, livemode, created, body) VALUES "+
					strings.Join(events, ", "), nil)
			}
			got := ask(t, dsn, question(t, "recurring_revenue").Text+" FORMAT TSV", map[string]string{"workspace": workspace,
				"livemode": "true", "from": "2050-01-01 00:00:00", "to": "2051-02-01 00:00:00", "timezone": "UTC", "dimension": ""})
			rows := strings.Split(strings.TrimSpace(got), "\n")
			for i, n := range []int{0, 1, 2, 11, 12} {
				mrr := strings.Split(rows[n], "\t")[2]
				if mrr != tt.want[i] {
					t.Errorf("%s: MRR of month %d is %s, want %s", workspace, n+1, mrr, tt.want[i])
				}
			}
		}
	}
}
