package sql_test

import (
	"cmp"
	"fmt"
	"log/slog"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"

	clickhousestore "tributary/processor/clickhouse"
	"tributary/processor/rollup"
	"tributary/sql"
	"tributary/sql/sqltest"
)

// entry is one of the ledger, as a person who counts buyers sees it.
type entry struct {
	kind, object, sale, external, customer string
	at                                     time.Time
	clicked                                *time.Time
	usd                                    *decimal.Decimal
	names                                  map[string]string // by dimension
	booked                                 bool
}

func (e entry) payment() bool { return e.kind == "payment" && e.booked }

func (e entry) buyer() string { return cmp.Or(e.external, e.customer, e.sale) }

// TestBuyersAgree asks the questions about buyers with random times and filters, and counts the same
// in Go: of the query file, and of what the dashboard asks of a small and of a large workspace, while
// lists of first sales are computed and payments are written after them. Sales are paid in parts, some
// by several buyers, some in one millisecond.
func TestBuyersAgree(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhousestore.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	r := rand.New(rand.NewPCG(11, 11))
	l := &buyersLedger{begin: time.Date(2025, 2, 1, 0, 0, 0, 0, time.UTC)}
	rows, lists := 0, 0
	for round := range 12 {
		l.write(t, dsn, r, []int{40, 2, 6}[round%3])
		if round%3 == 0 {
			ledger := rollup.Ledger{Workspace: "buyers", Livemode: true}
			if err := rollup.ComputeFirstSales(t.Context(), store, ledger); err != nil {
				t.Fatal(err)
			}
			ask(t, dsn, "TRUNCATE TABLE payments_written", nil)
		}
		for _, name := range []string{"lifetime_value", "time_to_purchase", "cohorts"} {
			compared, listed := l.compare(t, dsn, question(t, name), l.values(r, question(t, name)), round > 0)
			rows, lists = rows+compared, lists+listed
		}
	}
	if rows < 200 || lists < 12 {
		t.Errorf("%d rows and %d answers by lists are compared: too few", rows, lists)
	}
}

// compare asks a question in both ways, and counts by hand. It returns how many rows it has, and 1 if
// lists told first sales.
func (l *buyersLedger) compare(t *testing.T, dsn string, q sql.Question, values map[string]string, large bool,
) (rows, lists int) {
	t.Helper()
	known := sql.Known{Large: large}
	if large {
		first, ok, err := lookUpFirstSales(t, dsn, values)
		if err != nil {
			t.Fatal(err)
		}
		if ok {
			known.FirstSales, lists = &first, 1
		}
	}
	statement, err := q.Statement(values, known)
	if err != nil {
		t.Fatal(err)
	}
	want := map[string]func(map[string]string) map[string]string{"lifetime_value": l.lifetimeValue,
		"time_to_purchase": l.timeToPurchase, "cohorts": l.cohorts}[q.Name](values)
	for _, text := range []string{q.Text, statement} {
		got := make(map[string]string)
		for line := range strings.Lines(ask(t, dsn, text+"\nFORMAT TSV", values)) {
			key, figures := figuresOf(q.Name, strings.Split(strings.TrimSuffix(line, "\n"), "\t"))
			got[key] = figures
		}
		if !maps.Equal(got, want) {
			t.Errorf("%s by lists: %t, of %v:\n%s", q.Name, lists > 0, values, difference(got, want))
		}
	}
	return len(want), lists
}

// A sale of before the time is another buyer's since somebody was found to have paid it first. Whoever
// had it was won by the next sale, in the time, though the lists have the earlier payment.
func TestBuyerWhoseFirstSaleIsAnothers(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhousestore.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	pay := func(object, sale, buyer string, month time.Month) entry {
		return entry{kind: "payment", object: object, sale: sale, external: buyer, names: map[string]string{},
			at: time.Date(2025, month, 10, 0, 0, 0, 0, time.UTC), usd: &decimal.Decimal{}, booked: true}
	}
	l := &buyersLedger{entries: []entry{pay("pi_2", "in_1", "bob", 2), pay("pi_3", "in_2", "bob", 3)}}
	l.insert(t, dsn, 0, 2)
	ledger := rollup.Ledger{Workspace: "buyers", Livemode: true}
	if err := rollup.ComputeFirstSales(t.Context(), store, ledger); err != nil {
		t.Fatal(err)
	}
	ask(t, dsn, "TRUNCATE TABLE payments_written", nil)
	l.entries = append(l.entries, pay("pi_1", "in_1", "ann", 1))
	l.insert(t, dsn, 2, 3)
	q := question(t, "lifetime_value")
	values := parameters(q)
	maps.Copy(values, map[string]string{"workspace": "buyers", "livemode": "true", "from": "2025-03-01 00:00:00",
		"to": "2025-04-01 00:00:00"})
	if rows, lists := l.compare(t, dsn, q, values, true); rows != 1 || lists != 1 {
		t.Errorf("%d rows, lists %d; want bob's by lists", rows, lists)
	}
}

// A refund may be dated before the buyer's first booked sale: its own payment is held. It counts in
// the unit of that first sale, because there is none before.
func TestCohortsOfEarlierRefunds(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	of := func(kind, sale string, month time.Month, usd int64) entry {
		net := decimal.New(usd, 0)
		return entry{kind: kind, object: kind, sale: sale, external: "ann", names: map[string]string{},
			at: time.Date(2025, month, 10, 0, 0, 0, 0, time.UTC), usd: &net, booked: true}
	}
	l := &buyersLedger{entries: []entry{of("refund", "in_1", 1, -5), of("payment", "in_2", 3, 20)}}
	l.insert(t, dsn, 0, 2)
	q := question(t, "cohorts")
	values := parameters(q)
	maps.Copy(values, map[string]string{"workspace": "buyers", "livemode": "true", "from": "2025-03-01 00:00:00",
		"to": "2025-04-01 00:00:00", "unit": "month", "dimension": ""})
	if rows, _ := l.compare(t, dsn, q, values, false); rows != 1 {
		t.Errorf("%d rows; want one, of March", rows)
	}
}

// figuresOf returns what names a row, and the figures of it that are compared.
func figuresOf(question string, row []string) (key, figures string) {
	switch question {
	case "lifetime_value":
		return row[0], strings.Join([]string{row[1], row[2], row[3], row[5]}, " ")
	case "time_to_purchase":
		return row[0], strings.Join(row[1:], " ")
	}
	return strings.Join(row[:3], " "), strings.Join([]string{row[3], row[4], row[6]}, " ")
}

type buyersLedger struct {
	begin   time.Time
	entries []entry
}

// write writes so many sales, and now and then another part of one that is there.
func (l *buyersLedger) write(t *testing.T, dsn string, r *rand.Rand, sales int) {
	known := len(l.entries)
	names := func() map[string]string {
		m := make(map[string]string)
		for _, d := range dimensions {
			m[d] = [...]string{"", d + "1", d + "2"}[r.IntN(3)]
		}
		return m
	}
	for i := range sales {
		e := entry{kind: "payment", object: fmt.Sprintf("pi_%05d", r.IntN(1e5)), sale: fmt.Sprintf("in_%d_%d", known, i),
			at: l.begin.Add(time.Duration(r.Int64N(60*24*3600*1000)) * time.Millisecond), booked: r.IntN(10) > 0}
		l.name(r, &e)
		if known > 0 && r.IntN(3) == 0 { // of a sale that is there
			other := l.entries[r.IntN(known)]
			e.sale = other.sale
			if r.IntN(2) == 0 {
				e.at = other.at
			}
		} else if len(l.entries) > 0 && r.IntN(4) == 0 { // in one millisecond with another sale of the buyer
			last := l.entries[len(l.entries)-1]
			e.at, e.external, e.customer = last.at, last.external, last.customer
		}
		for part := range 1 + r.IntN(5)/3 {
			if part > 0 {
				e.object = fmt.Sprintf("pi_%05d", r.IntN(1e5))
				if r.IntN(2) == 0 {
					e.at = e.at.Add(time.Duration(r.Int64N(40*24*3600)) * time.Second)
				}
				if r.IntN(3) == 0 {
					l.name(r, &e)
				}
			}
			e.names, e.usd, e.clicked = names(), nil, nil
			if r.IntN(12) > 0 {
				usd := decimal.New(r.Int64N(1e6), -2)
				e.usd = &usd
			}
			if r.IntN(4) > 0 {
				clicked := e.at.Add(-time.Duration(r.Int64N(30*24*3600*1000)) * time.Millisecond)
				e.clicked = &clicked
			}
			l.entries = append(l.entries, e)
		}
		if r.IntN(3) == 0 {
			back := e
			back.kind, back.object, back.booked, back.clicked = "refund", "re"+e.object, true, nil
			back.at, back.names = e.at.Add(time.Duration(r.Int64N(40*24*3600))*time.Second), names()
			if r.IntN(3) == 0 {
				back.external, back.customer = "", "cus_of_nobody_else"
			}
			usd := decimal.New(-r.Int64N(1e5), -2)
			back.usd = &usd
			l.entries = append(l.entries, back)
		}
	}
	l.insert(t, dsn, known, len(l.entries))
}

// insert writes these entries; each second one was another buyer's before, in rows that nobody merges.
func (l *buyersLedger) insert(t *testing.T, dsn string, from, to int) {
	for version := 1; version <= 2; version++ {
		var rows []string
		for i := from; i < to; i++ {
			if version == 2 || i%2 == 1 {
				rows = append(rows, l.row(i, version))
			}
		}
		ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, "+
			"customer_id, external_customer_id, currency, amount, net_usd, clicked_at, status, version"+
			columnsOf(dimensions)+") VALUES "+strings.Join(rows, ","), nil)
	}
}

// name makes the entry one of few buyers', or a guest's.
func (l *buyersLedger) name(r *rand.Rand, e *entry) {
	e.external, e.customer = "", ""
	switch r.IntN(8) {
	case 0:
	case 1, 2:
		e.customer = fmt.Sprint("cus_", r.IntN(20))
	default:
		e.external, e.customer = fmt.Sprint("b", r.IntN(40)), "cus_also"
	}
}

func (l *buyersLedger) row(i, version int) string {
	const clock = "2006-01-02 15:04:05.000"
	e := l.entries[i]
	if version == 1 {
		e.external = fmt.Sprint("b", i%40)
	}
	net, clicked, status := "NULL", "NULL", "held"
	if e.usd != nil {
		net = e.usd.String()
	}
	if e.clicked != nil {
		clicked = quoted(e.clicked.Format(clock))
	}
	if e.booked {
		status = "booked"
	}
	row := fmt.Sprintf("'buyers', '%06d', true, toDate(%[2]s), '%[3]s', '%[4]s', '%[5]s', %[2]s, '%[6]s', '%[7]s', "+
		"'usd', 100, %[8]s, %[9]s, '%[10]s', %[11]d", i, quoted(e.at.Format(clock)), e.kind, e.object, e.sale, e.customer,
		e.external, net, clicked, status, version)
	for _, d := range dimensions {
		row += ", " + quoted(e.names[d])
	}
	return "(" + row + ")"
}

// values returns random ones of what the question takes.
func (l *buyersLedger) values(r *rand.Rand, q sql.Question) map[string]string {
	values := parameters(q)
	from := l.begin.Add(time.Duration(r.Int64N(40*24*3600)) * time.Second)
	values["workspace"], values["livemode"], values["limit"] = "buyers", "true", "1000"
	values["from"] = from.Format(time.DateTime)
	values["to"] = from.Add(time.Duration(1+r.Int64N(40*24*3600)) * time.Second).Format(time.DateTime)
	if r.IntN(4) == 0 { // a longer one than is narrowed
		values["from"] = l.begin.AddDate(-1, 0, 0).Format(time.DateTime)
	}
	filters := []string{"program", "affiliate", "link", "source", "campaign", "channel", "country"}
	if q.Name == "cohorts" {
		values["unit"] = [...]string{"day", "week", "month"}[r.IntN(3)]
		values["dimension"] = [...]string{"", "affiliate", "channel", "campaign", "program"}[r.IntN(5)]
	} else {
		values["dimension"] = filters[r.IntN(len(filters))]
	}
	for _, name := range []string{"only", "without"} {
		if d := filters[r.IntN(len(filters))]; r.IntN(3) == 0 {
			values[name] = fmt.Sprintf("{'%s':['%[1]s%d']}", d, 1+r.IntN(2))
		}
	}
	return values
}

// fits reports whether the filters leave the names in.
func fits(names, values map[string]string) bool {
	given := func(name string) (dimension, value string, ok bool) {
		parts := strings.Split(values[name], "'")
		if len(parts) < 5 {
			return "", "", false
		}
		return parts[1], parts[3], true
	}
	if d, value, ok := given("only"); ok && names[d] != value {
		return false
	}
	d, value, ok := given("without")
	return !ok || names[d] != value
}

func within(at time.Time, values map[string]string) bool {
	from, _ := time.Parse(time.DateTime, values["from"])
	to, _ := time.Parse(time.DateTime, values["to"])
	return !at.Before(from) && at.Before(to)
}

// least returns the payment of least time; of those that of least sale and object.
func least(entries []entry) entry {
	return slices.MinFunc(entries, func(a, b entry) int {
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(a.sale, b.sale), cmp.Compare(a.object, b.object))
	})
}

// sold is what a buyer bought: the first payment of each sale, and all entries of all of them.
type sold struct{ firsts, entries []entry }

// byBuyer returns what each buyer bought. A sale is the buyer's who made its first payment.
func (l *buyersLedger) byBuyer() map[string]sold {
	payments, entries := make(map[string][]entry), make(map[string][]entry)
	for _, e := range l.entries {
		if e.payment() {
			payments[e.sale] = append(payments[e.sale], e)
		}
		if e.booked {
			entries[e.sale] = append(entries[e.sale], e)
		}
	}
	buyers := make(map[string]sold)
	for sale, list := range payments {
		first := least(list)
		of := buyers[first.buyer()]
		buyers[first.buyer()] = sold{append(of.firsts, first), append(of.entries, entries[sale]...)}
	}
	return buyers
}

func (l *buyersLedger) lifetimeValue(values map[string]string) map[string]string {
	type row struct {
		customers, orders, withoutRate int
		net                            decimal.Decimal
	}
	rows := make(map[string]row)
	for _, of := range l.byBuyer() {
		first := least(of.firsts)
		if !within(first.at, values) || !fits(first.names, values) {
			continue
		}
		name := first.names[values["dimension"]]
		row := rows[name]
		row.customers++
		row.orders += len(of.firsts)
		if slices.ContainsFunc(of.entries, func(e entry) bool { return e.usd == nil }) {
			row.withoutRate++
		} else {
			for _, e := range of.entries {
				row.net = row.net.Add(*e.usd)
			}
		}
		rows[name] = row
	}
	figures := make(map[string]string)
	for name, row := range rows {
		figures[name] = fmt.Sprint(row.customers, row.orders, row.net, row.withoutRate)
	}
	return figures
}

func (l *buyersLedger) timeToPurchase(values map[string]string) map[string]string {
	seconds := make(map[string][]float64)
	for _, of := range l.byBuyer() {
		first := least(of.firsts)
		if name := first.names[values["dimension"]]; first.clicked != nil && within(first.at, values) &&
			fits(first.names, values) {
			seconds[name] = append(seconds[name], float64(first.at.Unix()-first.clicked.Unix()))
		}
	}
	figures := make(map[string]string)
	for name, list := range seconds {
		slices.Sort(list)
		figures[name] = strconv.Itoa(len(list))
		for _, share := range []float64{0.25, 0.5, 0.75, 0.9} {
			place := share * float64(len(list)-1)
			low := list[int(place)]
			high := list[min(int(place)+1, len(list)-1)]
			value := low + (place-math.Floor(place))*(high-low)
			figures[name] += " " + strconv.FormatFloat(math.RoundToEven(value/36)/100, 'f', -1, 64)
		}
	}
	return figures
}

func (l *buyersLedger) cohorts(values map[string]string) map[string]string {
	payments := make(map[string][]entry)
	for _, e := range l.entries {
		if e.payment() {
			payments[e.buyer()] = append(payments[e.buyer()], e)
		}
	}
	unit := func(at time.Time) time.Time {
		day := at.Truncate(24 * time.Hour)
		switch values["unit"] {
		case "week":
			return day.AddDate(0, 0, -(int(day.Weekday())+6)%7)
		case "month":
			return day.AddDate(0, 0, 1-day.Day())
		}
		return day
	}
	type cell struct {
		active map[string]bool
		net    decimal.Decimal
	}
	buyers, cells := make(map[string]map[string]bool), make(map[string]cell)
	for _, e := range l.entries {
		of := payments[e.buyer()]
		if !e.booked || len(of) == 0 {
			continue
		}
		first := least(of)
		if !within(first.at, values) || !fits(first.names, values) {
			continue
		}
		begin := unit(first.at)
		next := func(at time.Time, n int) time.Time {
			return map[string]time.Time{"day": at.AddDate(0, 0, n), "week": at.AddDate(0, 0, 7*n),
				"month": at.AddDate(0, n, 0)}[values["unit"]]
		}
		age := 0
		for ; next(begin, age).Before(unit(e.at)); age++ {
		}
		cohort := begin.Format(time.DateOnly) + " " + first.names[values["dimension"]]
		if buyers[cohort] == nil {
			buyers[cohort] = make(map[string]bool)
		}
		buyers[cohort][e.buyer()] = true
		key := fmt.Sprint(cohort, " ", age)
		c, ok := cells[key]
		if !ok {
			c.active = make(map[string]bool)
		}
		if e.payment() {
			c.active[e.buyer()] = true
		}
		if e.usd != nil {
			c.net = c.net.Add(*e.usd)
		}
		cells[key] = c
	}
	figures := make(map[string]string)
	for key, c := range cells {
		cohort := key[:strings.LastIndex(key, " ")]
		figures[key] = fmt.Sprint(len(buyers[cohort]), len(c.active), c.net)
	}
	return figures
}
