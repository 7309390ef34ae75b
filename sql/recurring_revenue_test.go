package sql_test

import (
	"fmt"
	"slices"
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
	var stored paidInvoices
	wants := make(map[string][5]string) // by subscription
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
			subscription := name + " " + shape
			var paid []paidInvoice
			for _, in := range tt.invoices {
				p := paidInvoice{reason: in.reason, at: in.at, net: in.net, unknown: in.lines == nil}
				for _, l := range in.lines {
					if l.kind == "unseen" {
						p.more = true
						continue
					}
					p.lines = append(p.lines, write(l.kind, l.amount, start, l.until))
				}
				paid = append(paid, p)
			}
			stored.add(subscription, paid, write("regular", 99, start, month))
			wants[subscription] = tt.want
		}
	}
	got := stored.mrr(t, dsn)
	for subscription, want := range wants {
		rows := got[subscription]
		if rows := [5]string{rows[0], rows[1], rows[2], rows[11], rows[12]}; rows != want {
			t.Errorf("%s: MRR %v, want %v", subscription, rows, want)
		}
	}
}

// A plan of days or weeks is not one of months: by the interval of its price where the line has it,
// else by the calendar, and in February by the subscription's other invoices. What an event leaves
// out of an invoice, and shipping, is known from the invoice's own sum.
func TestRecurringRevenueOfPlans(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	day := func(month time.Month, day int) time.Time { return time.Date(2050, month, day, 12, 0, 0, 0, time.UTC) }
	const create, cycle = "subscription_create", "subscription_cycle"
	regular := func(from, to time.Time) []string { return []string{basil("regular", 1200, from, to)} }
	priced := func(interval string, from, to time.Time) []string {
		return []string{`{"price":{"recurring":{"interval":"` + interval + `"}},` + before("regular", 1200, from, to)[1:]}
	}
	// Without discount and tax a line of 3000 has 2100 here, and one of 1000 has 700.
	month := basil("regular", 3000, day(1, 10), day(2, 10))
	fee := basil("once", 1000, day(1, 10), day(1, 10))
	var stored paidInvoices
	wants := make(map[string][4]string) // by subscription
	for name, tt := range map[string]struct {
		invoices []paidInvoice
		want     [4]string // the MRR at the ends of January to April 2050
	}{
		"four weeks": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "12", lines: regular(day(1, 10), day(2, 7))},
			{reason: cycle, at: day(2, 7), net: "12", lines: regular(day(2, 7), day(3, 7))},
			{reason: cycle, at: day(3, 7), net: "12", lines: regular(day(3, 7), day(4, 4))},
		}, [4]string{"13", "13", "13", "0"}},
		"28 days from February on": {[]paidInvoice{
			{reason: create, at: day(2, 7), net: "12", lines: regular(day(2, 7), day(3, 7))},
		}, [4]string{"0", "12", "0", "0"}},
		"a price of weeks": {[]paidInvoice{
			{reason: create, at: day(2, 7), net: "12", lines: priced("week", day(2, 7), day(3, 7))},
		}, [4]string{"0", "13", "0", "0"}},
		"a price of months beside days that are none": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "12", lines: priced("month", day(1, 10), day(2, 7))},
		}, [4]string{"12", "0", "0", "0"}},
		"thirty days": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "30", lines: regular(day(1, 10), day(2, 9))},
		}, [4]string{"30.333333", "0", "0", "0"}},
		"months from the 31st": {[]paidInvoice{
			{reason: create, at: day(1, 31), net: "30", lines: regular(day(1, 31), day(2, 28))},
			{reason: cycle, at: day(2, 28), net: "30", lines: regular(day(2, 28), day(3, 31))},
			{reason: cycle, at: day(3, 31), net: "30", lines: regular(day(3, 31), day(4, 30))},
		}, [4]string{"30", "30", "30", "30"}},
		"summer time begins": {[]paidInvoice{
			{reason: create, at: day(3, 10), net: "30",
				lines: regular(day(3, 10).Add(-11*time.Hour-30*time.Minute), day(4, 9).Add(11*time.Hour+30*time.Minute))},
		}, [4]string{"0", "0", "30", "0"}},
		"28 days that are prorated, then months": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "27", lines: []string{basil("proration", 2700, day(1, 10), day(2, 7))}},
			{reason: cycle, at: day(2, 7), net: "30", lines: regular(day(2, 7), day(3, 7))},
		}, [4]string{"27", "30", "0", "0"}},
		"shipping": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "31", lines: []string{month},
				whole: `,"shipping_cost":{"amount_subtotal":1000,"amount_tax":190,"amount_total":1190}`},
		}, [4]string{"21", "0", "0", "0"}},
		"some lines are left out": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "49", lines: []string{fee, month}, more: true, whole: `,"total_excluding_tax":4900`},
		}, [4]string{"42", "0", "0", "0"}},
		"some lines are left out, beside shipping": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "59", lines: []string{fee, month}, more: true,
				whole: `,"total":6600,"total_taxes":[{"amount":600},{"amount":100}],"shipping_cost":{"amount_tax":0,"amount_total":1000}`},
		}, [4]string{"42", "0", "0", "0"}},
		"some lines are left out, up to API 2025-02": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "49", lines: []string{fee, month}, more: true,
				whole: `,"total":5600,"tax":700,"total_excluding_tax":null,"total_tax_amounts":[{"amount":700}],"shipping_cost":null`},
		}, [4]string{"42", "0", "0", "0"}},
		"some lines are left out, and the invoice does not say its sum": {[]paidInvoice{
			{reason: create, at: day(1, 10), net: "28", lines: []string{fee, month}, more: true},
		}, [4]string{"21", "0", "0", "0"}},
	} {
		stored.add(name, tt.invoices, month)
		wants[name] = tt.want
	}
	got := stored.mrr(t, dsn)
	for name, want := range wants {
		if rows := [4]string(got[name][:4]); rows != want {
			t.Errorf("%s: MRR %v, want %v", name, rows, want)
		}
	}
}

// What the customer's balance pays of an invoice recurs as what a payment pays does; what was owed from
// before, or is paid too much, does not.
func TestRecurringRevenueOfBalances(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	ask(t, dsn, "INSERT INTO day_rates (currency, day, usd, source) VALUES ('eur', '2050-02-08', 1.1, 'ecb'), "+
		"('eur', '2050-02-20', 9, 'ecb'), ('jpy', '2050-02-10', 0.01, 'ecb'), ('gbp', '2050-02-01', 1.3, 'ecb')", nil)
	day := func(month time.Month) time.Time { return time.Date(2050, month, 10, 12, 0, 0, 0, time.UTC) }
	const create, cycle, update = "subscription_create", "subscription_cycle", "subscription_update"
	// Of the sums of an invoice what is used; without tax and discount a line of 3000 has 2100.
	sums := func(at time.Time, currency string, total, due, starting, ending int64) string {
		return fmt.Sprintf(`,"currency":%q,"total":%d,"amount_due":%d,"starting_balance":%d,"ending_balance":%d,`+
			`"status_transitions":{"paid_at":%d},"parent":{"subscription_details":{"subscription":"sub_1"}}`,
			currency, total, due, starting, ending, at.Unix())
	}
	month := func(from time.Month) []string { return []string{basil("regular", 3000, day(from), day(from+1))} }
	january := paidInvoice{reason: create, at: day(1), net: "21", lines: month(1),
		whole: sums(day(1), "usd", 2700, 2700, 0, 0)}
	february := func(currency string, total, due, starting, ending int64) paidInvoice {
		return paidInvoice{reason: cycle, at: day(2), lines: month(2),
			whole: sums(day(2), currency, total, due, starting, ending)}
	}
	paid := func(in paidInvoice, net string, amount int64) paidInvoice {
		in.net, in.amount = net, amount
		return in
	}
	var stored paidInvoices
	wants := make(map[string][4]string)
	for name, tt := range map[string]struct {
		invoices []paidInvoice
		want     [4]string // the MRR at the ends of January to April 2050
	}{
		"the balance pays all": {[]paidInvoice{january, february("usd", 2700, 0, -5000, -2300)},
			[4]string{"21", "21", "0", "0"}},
		"and no payment is known": {[]paidInvoice{february("usd", 2700, 0, -2700, 0)}, [4]string{"0", "21", "0", "0"}},
		"the balance pays a part": {[]paidInvoice{january, paid(february("usd", 2700, 900, -1800, 0), "7", 900)},
			[4]string{"21", "21", "0", "0"}},
		"an amount is owed from before": {[]paidInvoice{january, paid(february("usd", 2700, 5400, 2700, 0), "42", 5400)},
			[4]string{"21", "21", "0", "0"}},
		"too small to be collected": {[]paidInvoice{january, february("usd", 27, 0, 0, 27)}, [4]string{"21", "21", "0", "0"}},
		"too much is paid": {[]paidInvoice{january, paid(february("usd", 2700, 2700, 0, 0), "42", 5400)},
			[4]string{"21", "21", "0", "0"}},
		"in another currency":        {[]paidInvoice{february("eur", 2700, 0, -2700, 0)}, [4]string{"0", "23.1", "0", "0"}},
		"in one without a hundredth": {[]paidInvoice{february("jpy", 2700, 0, -2700, 0)}, [4]string{"0", "21", "0", "0"}},
		"at no rate":                 {[]paidInvoice{february("gbp", 2700, 0, -2700, 0)}, [4]string{"0", "0", "0", "0"}},
		"credited before it was paid": {[]paidInvoice{january, february("usd", 2700, 0, 0, 0)},
			[4]string{"21", "0", "0", "0"}},
		"credited in part, and the balance pays the rest": {[]paidInvoice{january, february("usd", 2700, 0, -900, 0)},
			[4]string{"21", "7", "0", "0"}},
		"a free month": {[]paidInvoice{january, {reason: cycle, at: day(2), lines: []string{basil("regular", 0, day(2), day(3))},
			whole: sums(day(2), "usd", 0, 0, 0, 0)}}, [4]string{"21", "0", "0", "0"}},
		"from a year to months, which its credit pays": {[]paidInvoice{
			{reason: create, at: day(1), net: "840", lines: []string{basil("regular", 120000, day(1), day(13))},
				whole: sums(day(1), "usd", 108000, 108000, 0, 0)},
			{reason: update, at: day(2), lines: append(month(2), basil("proration", -110000, day(2), day(13))),
				whole: sums(day(2), "usd", -96300, 0, 0, -96300)},
			{reason: cycle, at: day(3), lines: month(3), whole: sums(day(3), "usd", 2700, 0, -96300, -93600)},
		}, [4]string{"70", "21", "21", "0"}},
		"a change of the same price": {[]paidInvoice{january,
			{reason: update, at: day(2), lines: append(month(2), basil("proration", -3000, day(2), day(3))),
				whole: sums(day(2), "usd", 0, 0, 0, 0)},
		}, [4]string{"21", "21", "0", "0"}},
	} {
		stored.add(name, tt.invoices, basil("regular", 99, day(1), day(2)))
		wants[name] = tt.want
	}
	got := stored.mrr(t, dsn)
	for name, want := range wants {
		if rows := [4]string(got[name][:4]); rows != want {
			t.Errorf("%s: MRR %v, want %v", name, rows, want)
		}
	}
}

// paidInvoice is an invoice of a subscription that was paid, and what an event says of it.
type paidInvoice struct {
	reason  string
	at      time.Time
	net     string // USD; empty: no payment is booked
	amount  int64  // of payments, minor units; 0: 1
	lines   []string
	more    bool   // the invoice has lines that the event does not have
	whole   string // what the event has beside the lines
	unknown bool   // no event is stored
}

// paidInvoices are rows that are inserted together, and whose MRR is asked together: each statement
// has its price.
type paidInvoices struct {
	entries, events []string
	names           []string // of the subscriptions
	unpaid          []string // those without a payment, each in a workspace of its own
}

// add takes the paid invoices of one subscription, which the affiliate of its name brought. other
// is the line of events that do not count.
func (p *paidInvoices) add(name string, invoices []paidInvoice, other string) {
	p.names = append(p.names, name)
	workspace, subscription := "paid", fmt.Sprint("sub_", len(p.names))
	if !slices.ContainsFunc(invoices, func(in paidInvoice) bool { return in.net != "" }) {
		workspace, p.unpaid = name, append(p.unpaid, name)
	}
	for i, in := range invoices {
		number := fmt.Sprintf("%d_%d", len(p.names), i)
		id := "in_" + number
		if in.net != "" {
			p.entries = append(p.entries, fmt.Sprintf("('%s', '%s', true, '%s', 'payment', 'pi_%[2]s', '%[4]s', "+
				"'%[5]s', '%[6]s', '%[7]s', '%[8]s', 'usd', %[9]d, %[10]s, 'booked', 1)",
				workspace, number, in.at.Format(time.DateOnly), id, in.at.Format(time.DateTime), subscription, name,
				in.reason, max(in.amount, 1), in.net))
		}
		event := func(event string, live bool, status, lines string) string {
			text := fmt.Sprintf(`('%s', '%s_%s', 'invoice.updated', %v, '2050-02-01 00:00:00', '{"data":{"object":`+
				`{"object":"invoice","id":%q,"status":%q,"billing_reason":%q,"lines":`+
				`{"object":"list","data":[%s],"has_more":%v}%s}}}')`,
				workspace, event, number, live, id, status, in.reason, lines, in.more, in.whole)
			return strings.ReplaceAll(text, `"sub_1"`, `"`+subscription+`"`)
		}
		if !in.unknown {
			p.events = append(p.events, event("evt_paid", true, "paid", strings.Join(in.lines, ",")),
				event("evt_draft", true, "draft", other), event("evt_test", false, "paid", other))
		}
	}
}

func (p *paidInvoices) insert(t *testing.T, dsn string) {
	t.Helper()
	ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, "+
		"subscription_id, affiliate_id, billing_reason, currency, amount, net_usd, status, version) VALUES "+
		strings.Join(p.entries, ", "), nil)
	ask(t, dsn, "INSERT INTO stripe_events (workspace, event_id, type, livemode, created, body) VALUES "+
		strings.Join(p.events, ", "), nil)
}

// A month begins at the first moment that is called so, also where clocks are put forward at the
// midnight of its first day, and after such a month.
func TestRecurringRevenueWithoutMidnight(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	for zone, begins := range map[string][4]string{ // of the month before, of that without midnight, and of two after it
		"America/Asuncion": {"2023-09-01 04:00:00", "2023-10-01 04:00:00", "2023-11-01 03:00:00", "2023-12-01 03:00:00"},
		"Africa/Cairo":     {"2014-06-30 22:00:00", "2014-07-31 22:00:00", "2014-08-31 21:00:00", "2014-09-30 22:00:00"},
	} {
		// Around each begin but the first, one subscription is paid a minute before and another a minute after.
		var entries []string
		for _, begin := range begins[1:] {
			at, err := time.Parse(time.DateTime, begin)
			if err != nil {
				t.Fatal(err)
			}
			for _, at := range []time.Time{at.Add(-time.Minute), at.Add(time.Minute)} {
				id := len(entries)
				entries = append(entries, fmt.Sprintf("('%s', '%d', true, '%s', 'payment', 'pi_%d', 'in_%d', '%s', 'sub_%d', "+
					"'subscription_create', 'usd', 1, 1, 'booked', 1)",
					zone, id, at.Format(time.DateOnly), id, id, at.Format(time.DateTime), id))
			}
		}
		ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, "+
			"subscription_id, billing_reason, currency, amount, net_usd, status, version) VALUES "+
			strings.Join(entries, ", "), nil)
		var want []string
		for i, sold := range []int{1, 2, 2} {
			month, err := time.Parse(time.DateTime, begins[i])
			if err != nil {
				t.Fatal(err)
			}
			want = append(want, fmt.Sprintf("%s\t%d", month.AddDate(0, 0, 1).Format("2006-01"), sold))
		}
		for i, from := range begins[:2] {
			got := strings.Split(strings.TrimSpace(ask(t, dsn,
				"SELECT month, new_usd FROM ("+question(t, "recurring_revenue").Text+") FORMAT TSV",
				map[string]string{"workspace": zone, "livemode": "true", "from": from, "to": begins[3], "timezone": zone,
					"dimension": ""})), "\n")
			if !slices.Equal(got, want[i:]) {
				t.Errorf("%s, from %s: new MRR %q, want %q", zone, from, got, want[i:])
			}
		}
	}
}

// mrr inserts the rows, and returns the MRR of each subscription at the ends of January 2050 to
// January 2051.
func (p *paidInvoices) mrr(t *testing.T, dsn string) map[string][]string {
	t.Helper()
	p.insert(t, dsn)
	mrr := recurringRevenue(t, dsn, "paid", "affiliate")
	for _, workspace := range p.unpaid {
		mrr[workspace] = recurringRevenue(t, dsn, workspace, "")[""]
	}
	for _, name := range p.names {
		if len(mrr[name]) != 13 {
			t.Fatalf("%s has the MRR of %d months", name, len(mrr[name]))
		}
	}
	return mrr
}

// recurringRevenue returns the MRR at the ends of the months by the name of the dimension.
func recurringRevenue(t *testing.T, dsn, workspace, dimension string) map[string][]string {
	t.Helper()
	got := ask(t, dsn, question(t, "recurring_revenue").Text+" FORMAT TSV", map[string]string{"workspace": workspace,
		"livemode": "true", "from": "2050-01-01 00:00:00", "to": "2051-02-01 00:00:00", "timezone": "UTC",
		"dimension": dimension})
	mrr := make(map[string][]string)
	for row := range strings.Lines(got) {
		cells := strings.Split(row, "\t")
		mrr[cells[1]] = append(mrr[cells[1]], cells[2])
	}
	return mrr
}
