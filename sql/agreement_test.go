package sql_test

import (
	"cmp"
	"flag"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"
	_ "time/tzdata" // zones are the same on every machine

	"github.com/shopspring/decimal"

	"tributary/sql/sqltest"
)

var asks = flag.Int("asks", 40, "how many random questions TestQuestionsAgree asks")

// TestQuestionsAgree asks trend and breakdown with random ranges, filters, time zones and
// currencies, and counts the same in Go from what was put into the tables: while days are read from
// clicks, and, from half of the questions on, from clicks_by_day.
func TestQuestionsAgree(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	r := rand.New(rand.NewPCG(7, 7))
	w := randomWorld(r)
	w.insert(t, dsn)
	figures := 0
	for i := range *asks {
		if i == *asks/2 {
			refresh(t, dsn)
		}
		a := w.randomAsk(r)
		name := "trend"
		if i%2 == 0 {
			name = "breakdown"
		}
		q := question(t, name)
		given := parameters(q)
		maps.Copy(given, a.parameters())
		got := make(map[string]string)
		answer := ask(t, dsn, q.Text+"FORMAT TSVWithNames", given)
		single := ask(t, dsn, strings.Replace(q.Text, "stored = true", "stored = false", 1)+"FORMAT TSVWithNames", given)
		if single != answer {
			t.Fatalf("%s %v: from single clicks\n%sand else\n%s", name, given, single, answer)
		}
		for line := range strings.Lines(answer) {
			cells := strings.Split(strings.TrimSuffix(line, "\n"), "\t")
			if name == "trend" { // local; start_utc, next_start, open; figures
				got[cells[0]+" "+cells[1]] = strings.Join(append(cells[4:9:9], cells[9], cells[10]), " ")
			} else { // name; clicks to customers; paid, refunded, disputed; net; ratios; without_rate
				got[cells[0]] = strings.Join(append(cells[1:6:6], cells[9], cells[14]), " ")
			}
		}
		delete(got, "local start_utc")
		delete(got, "name")
		want := w.count(a, name == "trend")
		if !maps.Equal(got, want) {
			t.Fatalf("%s %v:\n%s", name, given, difference(got, want))
		}
		for _, line := range got {
			if !strings.HasPrefix(line, "0 0 0 0 0 ") {
				figures++
			}
		}
	}
	if figures < *asks {
		t.Errorf("%d questions have %d rows with figures: that compares too little", *asks, figures)
	}
}

// The totals of the page are those of breakdown, and of trend's rows together.
func TestTotalsAgree(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	column := func(name string, columns string, more map[string]string) string {
		q := question(t, name)
		given := parameters(q)
		maps.Copy(given, map[string]string{
			"workspace": "shop", "from": "2050-06-10 00:00:00", "to": "2050-06-12 00:00:00",
		})
		maps.Copy(given, more)
		const settings = "SETTINGS optimize_move_to_prewhere_if_final = 0\n"
		text := strings.TrimSuffix(q.Text, settings)
		return ask(t, dsn, "SELECT "+columns+" FROM ("+text+") "+settings+"FORMAT TSV", given)
	}
	totals := column("totals", "clicks, leads, sales, toDecimal64(net_usd, 2)", nil)
	breakdown := column("breakdown", "clicks, leads, sales, round(net, 2)", map[string]string{"dimension": ""})
	trend := column("trend", "sum(clicks), sum(leads), sum(sales), round(sum(net), 2)",
		map[string]string{"unit": "year", "timezone": "UTC", "currency": "usd"})
	if totals != breakdown || totals != trend {
		t.Errorf("totals says %q, breakdown %q, trend %q", totals, breakdown, trend)
	}
}

func difference(got, want map[string]string) string {
	var lines []string
	for key := range got {
		if got[key] != want[key] {
			lines = append(lines, fmt.Sprintf("%q is %q, counted %q", key, got[key], want[key]))
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok {
			lines = append(lines, fmt.Sprintf("%q is missing, counted %q", key, want[key]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}

// happening is a click, a lead or an entry, as a person who counts sees it.
type happening struct {
	what, kind, who, sale, currency string
	at                              time.Time
	names                           map[string]string // by dimension
	amount, tax                     int64
	usd                             *decimal.Decimal // net
	counts, first                   bool
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
			m[d] = [...]string{"", d + "1", d + "2", "O'Neil\\" + d, "Zoë, \"" + d + "\" 東京"}[r.IntN(5)]
		}
		return m
	}
	for i := range 300 {
		c := happening{what: "click", at: within(), who: fmt.Sprint("v", r.IntN(80)), names: names(), counts: true}
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
		s.tax = r.Int64N(s.amount/4 + 1)
		s.usd = netUSD(r, s.amount-s.tax)
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
			back.usd = netUSD(r, back.amount)
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

func netUSD(r *rand.Rand, minor int64) *decimal.Decimal {
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
		rows[table] = append(rows[table], e.row(i, e.names["affiliate"], 2))
		switch {
		case e.what == "entry" && i%2 == 0: // it was credited to somebody else before
			rows[table] = append(rows[table], e.row(i, "stale", 1))
		case e.what == "click" && i%5 == 0: // delivered twice
			rows[table] = append(rows[table], e.row(i, e.names["affiliate"], 2))
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
		"clicks":   "workspace, click_id, clicked_at, received_at, visitor_id, version" + columnsOf(dimensions),
		"leads":    "workspace, lead_id, received_at, person, mode, quantity, version" + columnsOf(leadDimensions),
		"fx_rates": "currency, date, source, usd, fetched_at",
		"ledger": "workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, " +
			"external_customer_id, currency, " +
			"amount, tax, net_usd, match_rule, status, version" + columnsOf(dimensions),
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

// row is the happening as a row of its table: the ith, credited to an affiliate in a version.
func (e happening) row(i int, affiliate string, version int) string {
	at := quoted(e.at.Format("2006-01-02 15:04:05.000"))
	row, of := "", dimensions
	switch e.what {
	case "click":
		row = fmt.Sprintf("'w', unhex('%012x7000%016x'), %s, %[3]s, '%[4]s', %[5]d", e.at.UnixMilli(), 1<<62+i, at, e.who,
			version)
	case "lead":
		row, of = fmt.Sprintf("'w', 'lead%d', %s, '%s', 'async', 1, %d", i, at, e.who, version), leadDimensions
	case "entry":
		net := "NULL"
		if e.usd != nil {
			net = e.usd.String()
		}
		row = fmt.Sprintf("'w', '%06d', true, toDate(%[2]s), '%[3]s', '%[4]s', '%[4]s', %[2]s, '%[5]s', "+
			"'%[6]s', %[7]d, %[8]d, "+
			"%[9]s, 'click_id', 'booked', %[10]d", i, at, e.kind, e.sale, e.who, e.currency, e.amount, e.tax, net, version)
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

// asked are the parameters of one question.
type asked struct {
	from, to        time.Time
	unit, dimension string
	zone            *time.Location
	only, without   map[string][]string
	currency, rates string
}

var zones = []string{
	"UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "America/New_York", "Pacific/Auckland",
	"Pacific/Marquesas",
}

func (w *world) randomAsk(r *rand.Rand) asked {
	a := asked{
		from:      w.begin.Add(time.Duration(r.Int64N(80*24*3600)) * time.Second),
		unit:      [...]string{"hour", "day", "week", "month", "quarter"}[r.IntN(5)],
		dimension: dimensions[r.IntN(len(dimensions))], only: make(map[string][]string), without: make(map[string][]string),
		currency: [...]string{"usd", "eur", "jpy", "kwd", "gbp"}[r.IntN(5)], rates: [...]string{"", "ecb", "oxr"}[r.IntN(3)],
	}
	days := 60
	if a.unit == "hour" {
		days = 3
	}
	a.to = a.from.Add(time.Duration(1+r.Int64N(int64(days)*24*3600)) * time.Second)
	a.zone, _ = time.LoadLocation(zones[r.IntN(len(zones))])
	for _, filter := range []map[string][]string{a.only, a.without} {
		for range r.IntN(3) {
			d := dimensions[r.IntN(len(dimensions))]
			filter[d] = [][]string{{""}, {d + "1"}, {d + "1", ""}, {"O'Neil\\" + d, "Zoë, \"" + d + "\" 東京"},
				{"nobody"}}[r.IntN(5)]
		}
	}
	return a
}

func (a asked) parameters() map[string]string {
	literal := func(filter map[string][]string) string {
		var entries []string
		for d, names := range filter {
			list := make([]string, len(names))
			for i, name := range names {
				list[i] = quoted(name)
			}
			entries = append(entries, quoted(d)+":["+strings.Join(list, ",")+"]")
		}
		return "{" + strings.Join(entries, ",") + "}"
	}
	return map[string]string{
		"workspace": "w", "from": a.from.Format(time.DateTime), "to": a.to.Format(time.DateTime), "unit": a.unit,
		"timezone": a.zone.String(), "dimension": a.dimension, "only": literal(a.only), "without": literal(a.without),
		"currency": a.currency, "rates": a.rates, "limit": "1000",
	}
}

// fits reports whether the question is about what happened.
func (a asked) fits(e happening) bool {
	if !e.counts || e.at.Before(a.from) || !e.at.Before(a.to) {
		return false
	}
	for d, names := range a.only {
		if !slices.Contains(names, e.names[d]) {
			return false
		}
	}
	for d, names := range a.without {
		if slices.Contains(names, e.names[d]) {
			return false
		}
	}
	return true
}

// truncate returns the begin of the unit that a time is in.
func (a asked) truncate(at time.Time) time.Time {
	local := at.In(a.zone)
	year, month, day := local.Date()
	switch a.unit {
	case "hour":
		return local.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second)
	case "week":
		day -= (int(local.Weekday()) + 6) % 7
	case "month":
		day = 1
	case "quarter":
		month, day = (month-1)/3*3+1, 1
	}
	return time.Date(year, month, day, 0, 0, 0, 0, a.zone)
}

// shown returns an entry's net amount in the reporting currency, and whether there is a rate.
func (w *world) shown(e happening, currency, source string) (decimal.Decimal, bool) {
	if e.currency == currency {
		exponent := map[string]int32{"usd": -2, "eur": -2, "jpy": 0, "kwd": -3}[currency]
		return decimal.New(e.amount-e.tax, exponent), true
	}
	if e.usd == nil {
		return decimal.Zero, false
	}
	if currency == "usd" {
		return *e.usd, true
	}
	for back := range 8 {
		of := w.rates[currency][e.at.AddDate(0, 0, -back).Format(time.DateOnly)]
		for _, s := range []string{source, "ecb", "oxr"} {
			if rate, ok := of[s]; ok {
				return e.usd.DivRound(rate, 30).RoundBank(6), true
			}
		}
	}
	return decimal.Zero, false
}

// figures are counted of one name or unit.
type figures struct {
	clicks, leads, withoutRate int
	visitors, sales, customers map[string]bool
	net                        decimal.Decimal
}

func (f *figures) String() string {
	return fmt.Sprintf("%d %d %d %d %d %s %d", f.clicks, len(f.visitors), f.leads, len(f.sales), len(f.customers), f.net,
		f.withoutRate)
}

// count returns clicks, visitors, leads, sales, customers, net and without_rate, by unit of time or
// by name.
func (w *world) count(a asked, byTime bool) map[string]string {
	counted := make(map[string]*figures)
	of := func(key string) *figures {
		if counted[key] == nil {
			counted[key] = &figures{
				visitors: make(map[string]bool), sales: make(map[string]bool), customers: make(map[string]bool),
			}
		}
		return counted[key]
	}
	bucket := func(at time.Time) string {
		start := a.truncate(at)
		return start.Format(time.DateTime) + " " + start.UTC().Format(time.DateTime)
	}
	if byTime {
		for at := a.from; at.Before(a.to); at = at.Add(15 * time.Minute) {
			of(bucket(at))
		}
		of(bucket(a.to.Add(-time.Second)))
	}
	for _, e := range w.events {
		if !a.fits(e) {
			continue
		}
		key := e.names[a.dimension]
		if byTime {
			key = bucket(e.at)
		} else {
			key = strings.ReplaceAll(strings.ReplaceAll(key, `\`, `\\`), `'`, `\'`) // as TSV escapes it
		}
		f := of(key)
		switch e.what {
		case "click":
			f.clicks++
			f.visitors[e.who] = true
		case "lead":
			f.leads++
		case "entry":
			if e.kind == "payment" {
				f.sales[e.sale] = true
				if e.first {
					f.customers[e.sale] = true
				}
			}
			net, ok := w.shown(e, a.currency, a.rates)
			f.net = f.net.Add(net)
			if !ok {
				f.withoutRate++
			}
		}
	}
	lines := make(map[string]string, len(counted))
	for key, f := range counted {
		lines[key] = f.String()
	}
	return lines
}
