package sql_test

import (
	"cmp"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// happening is a click, a lead or an entry, as a person who counts sees it.
type happening struct {
	what, kind, who, sale, currency string
	at                              time.Time
	names                           map[string]string // by dimension
	amount, tax                     int64
	usd                             *decimal.Decimal // net
	counts, first                   bool
	credited                        int // of an entry: which event is the click that its sale is credited to; 0: none

	products []product // of an entry; together they are its net
}

// product is what a product has of an entry, minor units without tax.
type product struct {
	name string
	net  int64
}

// world is what happened in 90 days with two changes of the clocks in most of the zones below.
type world struct {
	begin  time.Time
	events []happening
	rates  map[string]map[string]map[string]decimal.Decimal // by currency, day and source
}

var dimensions = []string{"program", "affiliate", "link", "source", "medium", "campaign", "channel",
	"country", "device"}

func randomWorld(r *rand.Rand) *world {
	w := &world{begin: time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)}
	within := func() time.Time { return w.begin.Add(time.Duration(r.Int64N(90*24*3600*1000)) * time.Millisecond) }
	names := func() map[string]string {
		m := make(map[string]string)
		for _, d := range dimensions {
			m[d] = [...]string{"", d + "1", d + "2", "O'Neil\\" + d, "Zoë,\t\"" + d + "\"\n東京"}[r.IntN(5)]
		}
		return m
	}
	for i := range 300 {
		c := happening{what: "click", at: within(), who: fmt.Sprint("v", r.IntN(80)), names: names(), counts: true}
		c.names["landing_page"] = fmt.Sprint("shop.example/", r.IntN(5))
		c.names["referrer"] = [...]string{"", "search.example", "forum.example"}[r.IntN(3)]
		c.names["browser"] = [...]string{"", "Firefox", "O'Neil\\browser"}[r.IntN(3)]
		w.events = append(w.events, c)
		if i%3 == 0 { // the same link again: within the hour it is the same click
			again := c
			again.at = c.at.Add(time.Duration(1+r.Int64N(2*3600-1)) * time.Second)
			again.counts = again.at.After(c.at.Add(time.Hour))
			w.events = append(w.events, again)
		}
	}
	for i := range 80 {
		lead := happening{what: "lead", at: within(), who: fmt.Sprint("external:p", i), names: names(), counts: true}
		for _, d := range []string{"source", "medium", "channel", "device"} {
			lead.names[d] = ""
		}
		w.events = append(w.events, lead)
	}
	w.sell(r, within, names)
	w.quote(r)
	return w
}

// sell makes sales of buyers who buy again, with refunds and disputes, in currencies of different
// minor units; some money has no rate.
func (w *world) sell(r *rand.Rand, within func() time.Time, names func() map[string]string) {
	firsts := make(map[string]int) // by buyer: which event is the earliest payment
	for i := range 250 {
		s := happening{
			what: "entry", kind: "payment", at: within(), who: fmt.Sprint("b", r.IntN(120)), sale: fmt.Sprintf("in_%04d", i),
			names: names(), currency: [...]string{"usd", "eur", "jpy", "kwd"}[r.IntN(4)],
			amount: 1 + r.Int64N(1e6), counts: true,
		}
		switch i % 50 { // long before, and still to come
		case 1:
			s.at = time.Unix(int64(i), 0).UTC()
		case 2:
			s.at = w.begin.AddDate(30, 0, i)
		}
		if i%4 > 0 { // credited to one of few clicks, also to one that repeats another
			s.credited = 1 + r.IntN(100)
		}
		s.tax = r.Int64N(s.amount/4 + 1)
		if i%25 == 3 { // of which products have parts that add up to nothing
			s.tax = s.amount
		}
		s.usd = netUSD(r, s.currency, s.amount-s.tax)
		s.products = randomProducts(r, s.amount-s.tax)
		earlier := func(than happening) bool { return cmp.Or(s.at.Compare(than.at), cmp.Compare(s.sale, than.sale)) < 0 }
		if at, ok := firsts[s.who]; !ok || earlier(w.events[at]) {
			firsts[s.who] = len(w.events)
		}
		w.events = append(w.events, s)
		if r.IntN(3) == 0 {
			back := s
			back.kind = [...]string{"refund", "dispute", "refund_reversal"}[r.IntN(3)]
			back.at = s.at.Add(time.Duration(r.Int64N(20*24*3600)) * time.Second)
			back.amount, back.tax = -1-r.Int64N(s.amount), 0
			back.usd = netUSD(r, back.currency, back.amount)
			if r.IntN(4) == 0 { // another name of the buyer became known, or there is none
				back.who = [...]string{"", "a name"}[r.IntN(2)]
			}
			back.products = randomProducts(r, back.amount)
			w.events = append(w.events, back)
		}
	}
	first := make(map[string]bool) // sales
	for _, at := range firsts {
		first[w.events[at].sale] = true
	}
	for i := range w.events {
		w.events[i].first = first[w.events[i].sale]
	}
}

// randomProducts divides an amount: among none, one or several, of which some are given back while
// others are sold.
func randomProducts(r *rand.Rand, net int64) []product {
	var list []product
	for i := range r.IntN(4) {
		part := product{[...]string{"", "product1", "product2", "O'Neil\\product"}[i], r.Int64N(2e6) - 5e5}
		list, net = append(list, part), net-part.net
	}
	if len(list) > 0 {
		list = append(list, product{"Zoë,\t\"product\"\n東京", net})
	}
	return list
}

// netUSD is what a rate makes of minor units; some have none, but for USD.
func netUSD(r *rand.Rand, currency string, minor int64) *decimal.Decimal {
	if currency == "usd" {
		usd := decimal.New(minor, -2)
		return &usd
	}
	if r.IntN(10) == 0 {
		return nil
	}
	usd := decimal.New(minor, -2).Mul(decimal.New(1+r.Int64N(2_000_000), -6)).RoundBank(6)
	return &usd
}

// quote makes rates of two sources, with days and weeks that have none.
func (w *world) quote(r *rand.Rand) {
	w.rates = make(map[string]map[string]map[string]decimal.Decimal)
	for _, currency := range []string{"eur", "jpy"} {
		w.rates[currency] = make(map[string]map[string]decimal.Decimal)
		for day := range 100 {
			date := w.begin.AddDate(0, 0, day-5).Format(time.DateOnly)
			of := make(map[string]decimal.Decimal)
			for _, source := range []string{"ecb", "oxr"} {
				if r.IntN(3) > 0 && (day < 30 || day > 45) {
					of[source] = decimal.New(1+r.Int64N(2e9), -9)
				}
			}
			if len(of) > 0 {
				w.rates[currency][date] = of
			}
		}
	}
}

func quoted(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

func (w *world) insert(t *testing.T, dsn string) {
	t.Helper()
	rows := make(map[string][]string) // by table
	for i, e := range w.events {
		table := map[string]string{"click": "clicks", "lead": "leads", "entry": "ledger"}[e.what]
		rows[table] = append(rows[table], w.row(i, e.names["affiliate"], 2))
		switch {
		case e.what == "entry" && i%2 == 0: // it was credited to somebody else before
			rows[table] = append(rows[table], w.row(i, "stale", 1))
		case e.what == "click" && i%5 == 0: // delivered twice
			rows[table] = append(rows[table], w.row(i, e.names["affiliate"], 2))
		}
	}
	for currency, days := range w.rates {
		for day, of := range days {
			for source, usd := range of {
				rate := fmt.Sprintf("('%s', '%s', '%s', %s, now64())", currency, day, source, usd)
				rows["fx_rates"] = append(rows["fx_rates"], rate)
			}
		}
	}
	for table, columns := range map[string]string{
		"clicks": "workspace, click_id, clicked_at, received_at, visitor_id, version, host, path, referrer_domain, browser" +
			columnsOf(dimensions),
		"leads":    "workspace, lead_id, received_at, person, mode, quantity, version" + columnsOf(leadDimensions),
		"fx_rates": "currency, date, source, usd, fetched_at",
		"ledger": "workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, " +
			"external_customer_id, currency, " +
			"amount, tax, net_usd, match_rule, status, version, products, product_net, click_id, clicked_at" + columnsOf(dimensions),
	} {
		for part := range slices.Chunk(rows[table], 100) { // several parts, which nobody merges
			ask(t, dsn, "INSERT INTO "+table+" ("+columns+") VALUES "+strings.Join(part, ","), nil)
		}
	}
	for _, statement := range apart {
		ask(t, dsn, statement, nil)
	}
}

// apart makes of everything a copy that no figure may have in it: bots, test mode, held money, and
// another workspace.
var apart = []string{
	"INSERT INTO clicks SELECT * REPLACE (substring(concat('bot', reverse(click_id)), 1, 16) AS click_id, true AS is_bot) " +
		"FROM clicks FINAL SETTINGS max_partitions_per_insert_block = 0",
	"INSERT INTO clicks SELECT * REPLACE ('other' AS workspace) FROM clicks FINAL SETTINGS " +
		"max_partitions_per_insert_block = 0",
	"INSERT INTO leads SELECT * REPLACE (concat('t', substring(lead_id, 1, 15)) AS lead_id, false AS livemode) " +
		"FROM leads FINAL",
	"INSERT INTO leads SELECT * REPLACE ('other' AS workspace, concat(person, ' there') AS person) " +
		"FROM leads FINAL WHERE livemode",
	"INSERT INTO ledger SELECT * REPLACE (concat('t', substring(entry_id, 1, 15)) AS entry_id, false AS livemode) " +
		"FROM ledger FINAL",
	"INSERT INTO ledger SELECT * REPLACE (concat('h', substring(entry_id, 1, 15)) AS entry_id, 'held' AS status) " +
		"FROM ledger FINAL WHERE livemode",
	"INSERT INTO ledger SELECT * REPLACE ('other' AS workspace) FROM ledger FINAL WHERE livemode AND status = 'booked'",
}

// leadDimensions are those that leads have.
var leadDimensions = []string{"program", "affiliate", "link", "campaign", "country"}

// columnsOf are the columns of dimensions, each behind a comma.
func columnsOf(dimensions []string) string {
	var columns strings.Builder
	for _, d := range dimensions {
		columns.WriteString(", " + map[string]string{
			"program": "program_id", "affiliate": "affiliate_id", "link": "link_id", "source": "utm_source",
			"medium":   "utm_medium",
			"campaign": "utm_campaign", "channel": "channel", "country": "country", "device": "device",
		}[d])
	}
	return columns.String()
}

// row is the ith happening as a row of its table, credited to an affiliate in a version.
func (w *world) row(i int, affiliate string, version int) string {
	e := w.events[i]
	at := quoted(e.at.Format("2006-01-02 15:04:05.000"))
	row, of := "", dimensions
	switch e.what {
	case "click":
		host, path, _ := strings.Cut(e.names["landing_page"], "/")
		row = fmt.Sprintf("'w', %s, %s, %[2]s, '%[3]s', %[4]d, '%[5]s', '/%[6]s', '%[7]s', %[8]s", w.clickID(i), at, e.who,
			version, host, path, e.names["referrer"], quoted(e.names["browser"]))
	case "lead":
		row, of = fmt.Sprintf("'w', 'lead%d', %s, '%s', 'async', 1, %d", i, at, e.who, version), leadDimensions
	case "entry":
		net, click, clickedAt := "NULL", "''", "NULL"
		if e.credited > 0 {
			credited := e.credited + 100*(2-version) // to another click before
			click, clickedAt = w.clickID(credited), quoted(w.events[credited].at.Format("2006-01-02 15:04:05.000"))
		}
		if e.usd != nil {
			net = e.usd.String()
		}
		var names, nets []string
		for _, p := range e.products {
			names, nets = append(names, quoted(p.name)), append(nets, fmt.Sprint(p.net))
		}
		row = fmt.Sprintf("'w', '%06d', true, toDate(%[2]s), '%[3]s', '%[4]s', '%[4]s', %[2]s, '%[5]s', "+
			"'%[6]s', %[7]d, %[8]d, "+
			"%[9]s, 'click_id', 'booked', %[10]d, [%[11]s], [%[12]s], %[13]s, %[14]s", i, at, e.kind, e.sale, e.who, e.currency, e.amount, e.tax,
			net, version, strings.Join(names, ","), strings.Join(nets, ","), click, clickedAt)
	}
	for _, d := range of {
		name := e.names[d]
		if d == "affiliate" {
			name = affiliate
		}
		row += ", " + quoted(name)
	}
	return "(" + row + ")"
}

// clickID is the expression for the id of the ith happening, a click.
func (w *world) clickID(i int) string {
	return fmt.Sprintf("unhex('%012x7000%016x')", w.events[i].at.UnixMilli(), 1<<62+i)
}
