package earnings_test

import (
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"log/slog"
	"net/url"
	"os"
	"path/filepath"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse"
	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/earnings"
	"tributary/schemas"
	"tributary/sql"
	"tributary/sql/sqltest"
)

var shop = earnings.Book{Workspace: "shop", Livemode: true}

type books struct {
	*testing.T
	store   *clickhouse.Store
	db      *stdsql.DB
	loads   int
	entries []string                       // that are not in the ledger yet
	stated  map[string]map[string][]string // the last statements by month and affiliate
}

func open(t *testing.T) *books {
	t.Helper()
	dsn, db := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	return &books{T: t, store: store, db: db, stated: make(map[string]map[string][]string)}
}

// rules puts rules in force; each load is a second later than the one before.
func (b *books) rules(text string) {
	b.Helper()
	path := filepath.Join(b.TempDir(), "earnings.json")
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		b.Fatal(err)
	}
	list, err := schemas.ReadEarnings(path)
	if err != nil {
		b.Fatal(err)
	}
	b.loads++
	if err := earnings.Load(b.Context(), b.store, list[0], time.Date(2026, 1, 1, 0, 0, b.loads, 0, time.UTC)); err != nil {
		b.Fatal(err)
	}
}

// entry books one entry before the next question or closing: "id version kind sale customer time
// affiliate program net", and behind these what products have of it, such as "course=60 =40"; - is
// empty.
func (b *books) entry(line string) {
	b.Helper()
	f := strings.Fields(line)
	for i := range f {
		if f[i] == "-" {
			f[i] = ""
		}
	}
	rule := "click_id"
	if f[6] == "" {
		rule = "none"
	}
	at := strings.ReplaceAll(f[5], "T", " ")
	products, nets := []string{}, []string{}
	for _, part := range f[9:] {
		product, net, _ := strings.Cut(part, "=")
		products, nets = append(products, "'"+product+"'"), append(nets, net)
	}
	// What is earned is USD, whatever the currencies of an affiliate's sales and of the payments of one sale.
	currency := [...]string{"eur", "usd", "jpy"}[len(b.entries)%3]
	b.entries = append(b.entries, fmt.Sprintf(`('shop', '%s', %s, true, toDate('%s'), '%s', '%[1]s', '%[5]s', '%[6]s',
			'%[3]s', '%[7]s', '%[8]s', '%[9]s', '%[13]s', 1, %[10]s, [%[11]s], [%[12]s], 'booked')`, f[0], f[1], at, f[2],
		f[3], f[4], f[6], f[7], rule, f[8], strings.Join(products, ","), strings.Join(nets, ","), currency))
}

// book inserts the entries: many cost the engine as much as one.
func (b *books) book() {
	b.Helper()
	if len(b.entries) == 0 {
		return
	}
	if _, err := b.db.ExecContext(b.Context(), `INSERT INTO ledger (workspace, entry_id, version, livemode, day, kind,
			object_id, sale_id, customer_id, occurred_at, affiliate_id, program_id, match_rule, currency, amount, net_usd,
			products, product_net, status)
		VALUES `+strings.Join(b.entries, ", ")); err != nil {
		b.Fatal(err)
	}
	b.entries = nil
}

// states compares the statements of a month: affiliate carried earned returned restated payable
// carry_forward.
func (b *books) states(month string, want ...string) {
	b.Helper()
	b.book()
	m, err := earnings.ParseMonth(month)
	if err != nil {
		b.Fatal(err)
	}
	var got []string
	b.stated[m.Day()] = make(map[string][]string)
	err = earnings.Rows(b.Context(), b.store, "statements", shop, m, "", func(_, c []string) error {
		got = append(got, strings.Join([]string{c[0], c[3], c[4], c[5], c[6], c[8], c[9]}, " "))
		b.stated[m.Day()][c[0]] = c[1:]
		return nil
	})
	slices.Sort(got)
	if err != nil || !slices.Equal(got, want) {
		b.Errorf("%s states\n\t%s, %v; want\n\t%s", month, strings.Join(got, "\n\t"), err, strings.Join(want, "\n\t"))
	}
}

// shown compares what each affiliate itself is shown, while a month is open, with the last
// statements of each month.
func (b *books) shown(open string) {
	b.Helper()
	m, err := earnings.ParseMonth(open)
	if err != nil {
		b.Fatal(err)
	}
	affiliates := make(map[string]bool)
	for _, rows := range b.stated {
		for affiliate := range rows {
			affiliates[affiliate] = true
		}
	}
	own := make(map[string]map[string][]string)
	for affiliate := range affiliates {
		if err := earnings.Rows(b.Context(), b.store, "affiliate_statements", shop, m, affiliate, func(_, c []string) error {
			month, _, _ := strings.Cut(c[0], "T")
			if own[month] == nil {
				own[month] = make(map[string][]string)
			}
			own[month][affiliate] = c[1:]
			return nil
		}); err != nil {
			b.Errorf("what %s is shown: %v", affiliate, err)
		}
	}
	if !reflect.DeepEqual(own, b.stated) {
		b.Errorf("affiliates are shown\n\t%v; stated is\n\t%v", own, b.stated)
	}
}

// lists compares the lines of a statement: kind sale net rule products restates usd.
func (b *books) lists(month, affiliate string, want ...string) {
	b.Helper()
	b.book()
	m, err := earnings.ParseMonth(month)
	if err != nil {
		b.Fatal(err)
	}
	var got []string
	err = earnings.Rows(b.Context(), b.store, "statement_entries", shop, m, affiliate, func(_, c []string) error {
		got = append(got, strings.Join([]string{c[3], c[5], c[6], c[7], c[8], c[9], c[11]}, " "))
		return nil
	})
	slices.Sort(got)
	slices.Sort(want)
	if err != nil || !slices.Equal(got, want) {
		b.Errorf("%s's statement of %s is\n\t%s, %v; want\n\t%s", affiliate, month, strings.Join(got, "\n\t"), err,
			strings.Join(want, "\n\t"))
	}
}

func (b *books) close(month string) error {
	b.Helper()
	b.book()
	return closeIn(b.Context(), b.store, month)
}

func closeIn(ctx context.Context, store earnings.Store, month string) error {
	m, err := earnings.ParseMonth(month)
	if err != nil {
		return err
	}
	return earnings.Close(ctx, store, shop, m, time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC))
}

const someRules = `[{"workspace":"shop","minimum_usd":"10.00","rules":[
	{"name":"first","affiliates":["ann"],"percent":"30","first_sale_only":true},
	{"name":"renewals","affiliates":["ann"],"percent":"10","months":2},
	{"name":"flat","programs":["flat"],"flat_usd":"5.00"},
	{"name":"held","affiliates":["hal"],"percent":"20","hold_days":30},
	{"name":"old","until":"2025-01-31","percent":"15"},
	{"name":"standard","percent":"20"}]}]`

// TestMonths counts three months by hand, in USD.
func TestMonths(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 ann - 100.05") // 30 % is 30.015, to the even cent 30.02
	b.entry("e02 1 payment in_2 cus_2 2025-01-10T10:00:00 bob - 50")     // 15 % until January: 7.50
	b.entry("e03 1 payment in_3 cus_3 2025-01-20T10:00:00 hal - 40")     // 20 %: 8.00, payable on 19 February
	b.entry("e04 1 payment in_4 cus_4 2025-01-12T10:00:00 fay flat 30")  // 5.00 for the sale
	b.entry("e05 1 payment in_5 cus_5 2025-01-13T10:00:00 - - 1000")     // nobody's
	b.entry("e06 1 payment in_6 cus_6 2025-01-14T10:00:00 ann - NULL")   // no rate
	b.states("2025-01",
		"ann 0.00 30.02 0.00 0.00 30.02 0.00",
		"bob 0.00 7.50 0.00 0.00 0.00 7.50",
		"fay 0.00 5.00 0.00 0.00 0.00 5.00")
	if err := b.close("2025-01"); err != nil {
		t.Fatal(err)
	}

	b.entry("e07 1 refund in_1 cus_1 2025-02-10T10:00:00 ann - -100.05") // all of it: -30.02
	b.entry("e08 1 payment in_8 cus_1 2025-02-05T10:00:00 ann - 60")     // a renewal, 10 %: 6.00
	b.entry("e09 1 refund in_4 cus_4 2025-02-11T10:00:00 fay flat -15")  // half the sale: -2.50
	b.entry("e10 1 refund in_3 cus_3 2025-01-25T10:00:00 hal - -10")     // 20 %: -2.00, payable with what it takes back
	// credited to cat after all: 7.50 of bob's go, cat has them
	b.entry("e02 2 payment in_2 cus_2 2025-01-10T10:00:00 cat - 50")
	b.entry("e11 1 payment in_9 cus_9 2025-02-20T10:00:00 bob - 100") // 20 %: 20.00
	january := []string{
		"ann 0.00 30.02 0.00 0.00 30.02 0.00",
		"bob 0.00 7.50 0.00 0.00 0.00 7.50",
		"fay 0.00 5.00 0.00 0.00 0.00 5.00",
	}
	february := []string{
		"ann 0.00 6.00 -30.02 0.00 0.00 -24.02",
		"bob 7.50 20.00 0.00 -7.50 20.00 0.00",
		"cat 0.00 7.50 0.00 0.00 0.00 7.50",
		"fay 5.00 0.00 -2.50 0.00 0.00 2.50",
		"hal 0.00 8.00 -2.00 0.00 0.00 6.00",
	}
	b.states("2025-01", january...)
	b.states("2025-02", february...)
	if err := b.close("2025-02"); err != nil {
		t.Fatal(err)
	}

	// two months after the first sale: standard, 10.00
	b.entry("e12 1 payment in_12 cus_1 2025-03-06T10:00:00 ann - 50")
	b.entry("e13 1 dispute in_9 cus_9 2025-03-02T10:00:00 bob - -100")         // -20.00
	b.entry("e14 1 dispute_reversal in_9 cus_9 2025-03-28T10:00:00 bob - 100") // won: 20.00 again
	// a better rate: 15 % is 9.00, of which 7.50 are stated
	b.entry("e02 3 payment in_2 cus_2 2025-01-10T10:00:00 cat - 60")
	// came late: 15 % is 0.0075, to the even cent 0.01
	b.entry("e15 1 payment in_15 cus_15 2025-01-30T10:00:00 bob - 0.05")
	b.entry("e16 1 payment in_6 cus_6 2025-01-14T10:00:00 gus - 10") // a second payment of a sale: 15 %, 1.50
	// of a sale that is not booked: nothing was earned
	b.entry("e17 1 refund in_17 cus_17 2025-03-05T10:00:00 bob - -70")
	march := []string{
		"ann -24.02 10.00 0.00 0.00 0.00 -14.02",
		"bob 0.00 0.01 0.00 0.00 0.00 0.01",
		"cat 7.50 0.00 0.00 1.50 0.00 9.00",
		"fay 2.50 0.00 0.00 0.00 0.00 2.50",
		"gus 0.00 1.50 0.00 0.00 0.00 1.50",
		"hal 6.00 0.00 0.00 0.00 0.00 6.00",
	}
	b.states("2025-01", january...)
	b.states("2025-02", february...)
	b.states("2025-03", march...)
	if err := b.close("2025-03"); err != nil {
		t.Fatal(err)
	}

	// Other rules, for what was sold before, too: 30 % instead of 20 of ann's 50, of bob's 100 that
	// were disputed and won, and instead of 15 of the rest; no minimum.
	b.rules(`[{"workspace":"shop","rules":[
		{"name":"first","affiliates":["ann"],"percent":"30","first_sale_only":true},
		{"name":"renewals","affiliates":["ann"],"percent":"10","months":2},
		{"name":"flat","programs":["flat"],"flat_usd":"5.00"},
		{"name":"held","affiliates":["hal"],"percent":"20","hold_days":30},
		{"name":"better","percent":"30"}]}]`)
	b.states("2025-03", march...)
	b.states("2025-04",
		"ann -14.02 0.00 0.00 5.00 0.00 -9.02",
		"bob 0.01 0.00 0.00 10.01 10.02 0.00", // 30 % of 0.05 is 0.015, to the even cent 0.02
		"cat 9.00 0.00 0.00 9.00 18.00 0.00",
		"fay 2.50 0.00 0.00 0.00 2.50 0.00",
		"gus 1.50 0.00 0.00 1.50 3.00 0.00",
		"hal 6.00 0.00 0.00 0.00 6.00 0.00")
	b.shown("2025-04")
}

// The lines of a statement add up to it, down to the entries.
func TestEntries(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 ann - 100.05")
	b.entry("e02 1 refund in_1 cus_1 2025-01-06T10:00:00 ann - -50")
	b.book()
	month, _ := earnings.ParseMonth("2025-01")
	var got []string
	err := earnings.Rows(t.Context(), b.store, "statement_entries", shop, month, "ann", func(_, c []string) error {
		got = append(got, strings.Join(c, ","))
		return nil
	})
	want := []string{
		"ann,entry,2025-01-05T10:00:00Z,payment,e01,in_1,100.050000,first,,false,2025-01-05T10:00:00Z,30.02,false",
		"ann,entry,2025-01-06T10:00:00Z,refund,e02,in_1,-50.000000,first,,false,2025-01-06T10:00:00Z,-15.00,false",
	}
	if err != nil || !slices.Equal(got, want) {
		t.Errorf("the statement is\n%s, %v; want\n%s", strings.Join(got, "\n"), err, strings.Join(want, "\n"))
	}
	if n, err := earnings.Unconverted(t.Context(), b.store, shop, month); err != nil || n != 0 {
		t.Errorf("%d entries have no rate, %v", n, err)
	}
	b.entry("e03 1 payment in_3 cus_3 2025-01-31T23:59:59 ann - NULL")
	b.entry("e04 1 payment in_4 cus_4 2025-02-01T00:00:00 ann - NULL")
	b.book()
	if n, err := earnings.Unconverted(t.Context(), b.store, shop, month); err != nil || n != 1 {
		t.Errorf("%d entries have no rate, %v; want 1", n, err)
	}
}

// TestProducts counts by hand what rules give that name products: each part of an entry earns by
// the first rule that fits it.
func TestProducts(t *testing.T) {
	b := open(t)
	b.rules(`[{"workspace":"shop","rules":[
		{"name":"course","products":["course"],"percent":"50"},
		{"name":"book","products":["book","map"],"flat_usd":"5.00","hold_days":30},
		{"name":"bob's","affiliates":["bob"],"percent":"1"},
		{"name":"rest","affiliates":["ann"],"percent":"10"}]}]`)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 ann - 100 course=60 book=30 =10") // 30.00, held 5.00, 1.00
	b.entry("e02 1 payment in_2 cus_2 2025-01-06T10:00:00 bob - 50 course=100")             // 25.00
	b.entry("e03 1 payment in_3 cus_3 2025-01-07T10:00:00 bob - 50")                        // no product: 0.50
	b.entry("e04 1 payment in_4 cus_4 2025-01-08T10:00:00 cat - 30 course=1 pen=2")         // 5.00; no rule has pens
	b.entry("e05 1 payment in_5 cus_5 2025-01-09T10:00:00 cat - 30 pen=2")
	b.states("2025-01",
		"ann 0.00 31.00 0.00 0.00 31.00 0.00",
		"bob 0.00 25.50 0.00 0.00 25.50 0.00",
		"cat 0.00 5.00 0.00 0.00 5.00 0.00")
	b.lists("2025-01", "ann", "payment in_1 60.000000 course course false 30.00",
		"payment in_1 10.000000 rest none named false 1.00")
	if err := b.close("2025-01"); err != nil {
		t.Fatal(err)
	}
	b.lists("2025-01", "ann", "payment in_1 60.000000 course course false 30.00",
		"payment in_1 10.000000 rest none named false 1.00")

	// The hold of 5.00 ends on 4 February.
	b.entry("e06 1 refund in_1 cus_1 2025-02-10T10:00:00 ann - -30 book=-30")           // all of the book: -5.00
	b.entry("e07 1 refund in_1 cus_1 2025-02-11T10:00:00 ann - -20 course=-10 =-10")    // -5.00, -1.00
	b.entry("e08 1 payment in_8 cus_8 2025-01-20T10:00:00 dan - 10 book=2 map=2 pen=1") // a part of a sale in two payments:
	b.entry("e09 1 payment in_8 cus_8 2025-01-25T10:00:00 dan - 30 map=30")             // of 38 by the rule, 8 and 30
	// Not divided by hand: a third is 33.333333, what two thirds have more 33.333334, and the rest the
	// same.
	b.entry("e10 1 payment in_10 cus_10 2025-02-01T10:00:00 eve - 100.000001 course=1 pen=1 =1")
	february := []string{
		"ann 0.00 5.00 -11.00 0.00 0.00 -6.00",
		"dan 0.00 5.00 0.00 0.00 5.00 0.00",
		"eve 0.00 16.67 0.00 0.00 16.67 0.00",
	}
	b.states("2025-02", february...)
	b.lists("2025-02", "ann", "payment in_1 30.000000 book book false 5.00", "refund in_1 -30.000000 book  false -5.00",
		"refund in_1 -10.000000 course course false -5.00", "refund in_1 -10.000000 rest none named false -1.00")
	b.lists("2025-02", "dan", "payment in_8 8.000000 book book, map false 1.05", "payment in_8 30.000000 book  false 3.95")
	b.lists("2025-02", "eve", "payment in_10 33.333333 course course false 16.67")
	if err := b.close("2025-02"); err != nil {
		t.Fatal(err)
	}

	// Other rules: what was stated is restated as a whole, in one line for each entry.
	b.rules(`[{"workspace":"shop","rules":[
		{"name":"pens","products":["pen"],"percent":"20"},
		{"name":"most","percent":"40"}]}]`)
	b.states("2025-01",
		"ann 0.00 31.00 0.00 0.00 31.00 0.00",
		"bob 0.00 25.50 0.00 0.00 25.50 0.00",
		"cat 0.00 5.00 0.00 0.00 5.00 0.00")
	b.states("2025-02", february...)
	b.states("2025-03",
		"ann -6.00 0.00 0.00 -5.00 0.00 -11.00", // 40 % of 50 are 20.00, and 25.00 were stated
		"bob 0.00 0.00 0.00 14.50 14.50 0.00",
		"cat 0.00 10.00 0.00 -1.00 9.00 0.00", // pens earn 4.00 and 6.00 for the first time; 4.00 of 10, and 5.00 were stated
		"dan 0.00 0.40 0.00 10.20 10.60 0.00", // 3.20 - 1.05 and a pen for 2.00; 12.00 - 3.95
		"eve 0.00 6.67 0.00 10.00 16.67 0.00") // 40 % of 66.666667 are 26.67
	b.lists("2025-03", "ann", "payment in_1 100.000000 most  true 4.00", "refund in_1 -30.000000 most  true -7.00",
		"refund in_1 -20.000000 most  true -2.00", "     false -6.00")
	b.shown("2025-03")
}

// A buyer's first sale is the first that has a payment, as in the view sales: what goes back of a
// payment that is not booked, of a time before the ledger, is none. And a sale has the buyer of its
// first payment, whatever its other entries say.
func TestFirstSales(t *testing.T) {
	b := open(t)
	for _, line := range []string{
		"f1 1 refund pi_old cus_1 2025-01-02T10:00:00 - - -20",
		"f2 1 dispute pi_older cus_1 2025-01-03T10:00:00 ann - -30",
		"f3 1 payment pi_1 cus_1 2025-01-10T10:00:00 ann - 100",
		"f4 1 payment pi_2 cus_1 2025-01-20T10:00:00 ann - 200",
		"f5 1 payment in_1 cus_2 2025-01-10T10:00:00 bob - 10",
		"f6 1 payment in_2 cus_2 2025-01-11T10:00:00 bob - 20",
		"f7 1 payment in_2 cus_3 2025-01-12T10:00:00 bob - 20", // its second part
		"f8 1 refund in_2 cus_3 2025-01-13T10:00:00 bob - -40",
	} {
		b.entry(line)
	}
	b.rules(`[{"workspace":"shop","rules":[{"name":"first","first_sale_only":true,"percent":"10"}]}]`)
	b.states("2025-01", "ann 0.00 10.00 0.00 0.00 10.00 0.00", "bob 0.00 1.00 0.00 0.00 1.00 0.00")
	b.rules(`[{"workspace":"shop","rules":[{"name":"a month","months":1,"percent":"10"}]}]`)
	b.states("2025-01", "ann 0.00 30.00 0.00 0.00 30.00 0.00", "bob 0.00 5.00 -4.00 0.00 1.00 0.00")
}

// A flat amount is divided by what was paid. While that has no rate, nothing is known of it: a
// refund that has one took back the amount for each dollar.
func TestFlatWithoutRate(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 fay flat NULL")
	b.entry("e02 1 refund in_1 cus_1 2025-01-06T10:00:00 fay flat -15")
	b.states("2025-01")
	b.entry("e01 2 payment in_1 cus_1 2025-01-05T10:00:00 fay flat 30")
	b.states("2025-01", "fay 0.00 5.00 -2.50 0.00 0.00 2.50")
	b.shown("2025-01")
}

// failing fails at its nth Exec.
type failing struct {
	earnings.Store
	left int
}

var errInterrupted = errors.New("interrupted")

func (f *failing) Exec(ctx context.Context, statement string, args ...any) error {
	if f.left--; f.left < 0 {
		return errInterrupted
	}
	return f.Store.Exec(ctx, statement, args...)
}

// A closing that is interrupted leaves the month open, and its lines count for nothing.
func TestInterruptedClose(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 bob - 100")
	b.book()
	for executed := range 2 {
		if err := closeIn(t.Context(), &failing{b.store, executed}, "2025-01"); !errors.Is(err, errInterrupted) {
			t.Fatalf("%d statements executed: %v", executed, err)
		}
	}
	b.entry("e01 2 payment in_1 cus_1 2025-01-05T10:00:00 cat - 100")
	b.states("2025-01", "cat 0.00 15.00 0.00 0.00 15.00 0.00")
	if err := b.close("2025-01"); err != nil {
		t.Fatal(err)
	}
	b.states("2025-01", "cat 0.00 15.00 0.00 0.00 15.00 0.00")
	b.states("2025-02")
}

// meanwhile does something before a statement.
type meanwhile struct {
	earnings.Store
	before string // what the statement begins with
	do     func()
}

func (m *meanwhile) Exec(ctx context.Context, statement string, args ...any) error {
	if do := m.do; do != nil && strings.HasPrefix(statement, m.before) {
		m.do = nil
		do()
	}
	return m.Store.Exec(ctx, statement, args...)
}

// A closing that began earlier and takes longer does not change what another one has closed, and
// says that it did not close the month.
func TestSlowCloseLoses(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 bob - 100")
	b.book()
	january, err := earnings.ParseMonth("2025-01")
	if err != nil {
		t.Fatal(err)
	}
	const statement = "bob 0.00 15.00 0.00 0.00 15.00 0.00"
	began := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, month := range []earnings.Month{january, earnings.MonthOf(began.AddDate(0, -3, 0))} {
		slow := &meanwhile{b.store, "INSERT INTO earning_months", func() {
			if err := earnings.Close(t.Context(), b.store, shop, month, began.Add(time.Minute)); err != nil {
				t.Error(err)
			}
			b.states("2025-01", statement)
			b.entry("e01 2 payment in_1 cus_1 2025-01-05T10:00:00 cat - 100")
			b.book()
		}}
		if err := earnings.Close(t.Context(), slow, shop, month, began); !errors.Is(err, earnings.ErrClosed) {
			t.Errorf("the slow closing of %s: %v", month, err)
		}
		b.states("2025-01", statement)
	}
}

// The lines of February were computed while January was open, so they state January too.
func TestCloseOfAnEarlierMonthMeanwhile(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 bob - 100")
	b.book()
	slow := &meanwhile{b.store, "INSERT INTO earning_months", func() {
		if err := b.close("2025-01"); err != nil {
			t.Error(err)
		}
	}}
	if err := closeIn(t.Context(), slow, "2025-02"); err == nil || errors.Is(err, earnings.ErrClosed) {
		t.Errorf("February was closed by lines older than January's closing: %v", err)
	}
	if err := b.close("2025-02"); err != nil {
		t.Errorf("it cannot be closed after that: %v", err)
	}
	b.states("2025-01", "bob 0.00 15.00 0.00 0.00 15.00 0.00")
}

// blind lets a closing write its row without a look at other rows: as one does that looked before
// they were there.
type blind struct{ earnings.Store }

func (b blind) Exec(ctx context.Context, statement string, args ...any) error {
	if strings.HasPrefix(statement, "INSERT INTO earning_months") {
		statement, _, _ = strings.Cut(statement, "HAVING")
	}
	return b.Store.Exec(ctx, statement, args...)
}

// Of two closings whose last statements run in the same instant one counts, and the other one says so.
func TestClosingsInOneInstant(t *testing.T) {
	b := open(t)
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 bob - 100")
	b.book()
	const statement = "bob 0.00 15.00 0.00 0.00 15.00 0.00"
	at := time.Date(2025, 6, 1, 0, 0, 0, 0, time.UTC)
	for _, second := range []struct {
		month  string
		began  time.Duration // after the first one
		closed bool          // it says that the month is closed
	}{{"2025-01", -time.Minute, true}, {"2025-02", time.Minute, false}} {
		if _, err := b.db.ExecContext(t.Context(), "TRUNCATE TABLE earning_months"); err != nil {
			t.Fatal(err)
		}
		month, err := earnings.ParseMonth(second.month)
		if err != nil {
			t.Fatal(err)
		}
		both := &meanwhile{blind{b.store}, "INSERT INTO earning_months", func() {
			if err := b.close("2025-01"); err != nil {
				t.Error(err)
			}
			b.states("2025-01", statement)
		}}
		err = earnings.Close(t.Context(), both, shop, month, at.Add(second.began))
		if err == nil || errors.Is(err, earnings.ErrClosed) != second.closed {
			t.Errorf("January is closed in the same instant, and %s: %v", second.month, err)
		}
		b.states("2025-01", statement)
		b.states("2025-02")
	}
	test := earnings.Book{Workspace: shop.Workspace}
	month, err := earnings.ParseMonth("2025-01")
	if err != nil {
		t.Fatal(err)
	}
	if err := earnings.Close(t.Context(), blind{b.store}, test, month, at); err != nil {
		t.Errorf("test mode has months of its own: %v", err)
	}
	if err := b.close("2025-02"); err != nil {
		t.Errorf("it cannot be closed after that: %v", err)
	}
	// Who deletes a closing is told why the month cannot be closed again, and what helps.
	for _, step := range []struct{ statements, fails string }{
		{"DELETE FROM earning_months WHERE month = '2025-02-01'", "non_replicated_deduplication_window"},
		{"ALTER TABLE earning_months MODIFY SETTING non_replicated_deduplication_window = 0; " +
			"ALTER TABLE earning_months MODIFY SETTING non_replicated_deduplication_window = 1000", ""},
	} {
		for statement := range strings.SplitSeq(step.statements, "; ") {
			if _, err := b.db.ExecContext(t.Context(), statement); err != nil {
				t.Fatal(err)
			}
		}
		err := b.close("2025-02")
		if (err != nil) != (step.fails != "") || err != nil && !strings.Contains(err.Error(), step.fails) {
			t.Errorf("after %s: %v", step.statements, err)
		}
	}
}

// On several servers rules are loaded and months are closed from what all of them have.
func TestCloseWaitsForReplicas(t *testing.T) {
	dsn, db := sqltest.Open(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	replicas := clickhousetest.NewReplicas(t, dsn)
	store, err := clickhouse.Open(replicas.URL+u.Path, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	b := &books{T: t, store: store, db: db}
	b.rules(someRules)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 bob - 100")
	if err := b.close("2025-01"); err != nil {
		t.Fatal(err)
	}
	read := tablesOf(t, store, "statement_lines")
	var waited []string // since a row was inserted
	var order []string
	for _, statement := range replicas.Statements() {
		if table, ok := strings.CutPrefix(statement, "SYSTEM SYNC REPLICA "); ok {
			table = strings.ReplaceAll(strings.TrimSuffix(table, " LIGHTWEIGHT"), "`", "")
			waited = append(waited, table[strings.LastIndexByte(table, '.')+1:])
		}
		if into, ok := strings.CutPrefix(statement, "INSERT INTO "); ok {
			into, _, _ = strings.Cut(into, " ")
			slices.Sort(waited)
			order = append(order, fmt.Sprint(waited, " ", into))
			waited = nil
		}
	}
	want := []string{"[earning_rules] earning_rules", fmt.Sprint(read, " earning_lines"),
		"[earning_months] earning_months"}
	if !slices.Equal(order, want) || !slices.Equal(waited, []string{"earning_months"}) {
		t.Errorf("waits for and inserts into %q, then waits for %v; want %q, then earning_months", order, waited, want)
	}
	replicas.Refuse(159, "TIMEOUT_EXCEEDED")
	if err := b.close("2025-02"); err == nil || !strings.Contains(err.Error(), "a server lags") {
		t.Errorf("a server that lags for long: %v", err)
	}
}

// tablesOf returns the tables that a view reads, through other views too.
func tablesOf(t *testing.T, store *clickhouse.Store, view string) (tables []string) {
	t.Helper()
	text := ""
	err := store.Each(t.Context(), func(rows driver.Rows) error { return rows.Scan(&text) },
		"SELECT as_select FROM system.tables WHERE database = currentDatabase() AND name = ? AND engine = 'View'", view)
	if err != nil {
		t.Fatal(err)
	}
	if text == "" {
		return []string{view}
	}
	for _, source := range sql.Sources(text) {
		name := strings.ReplaceAll(source[strings.LastIndexByte(source, '.')+1:], "`", "")
		switch name {
		case "closed", "stated", "rules": // named by WITH
		default:
			tables = append(tables, tablesOf(t, store, name)...)
		}
	}
	slices.Sort(tables)
	return slices.Compact(tables)
}

// Rules that are loaded later are in force, also where the clock was ahead before.
func TestLoadAfterFastClock(t *testing.T) {
	b := open(t)
	b.loads = 1 << 20 // seconds
	b.rules(`[{"workspace":"shop","rules":[{"name":"old","percent":"90"}]}]`)
	b.loads = 0
	b.rules(`[{"workspace":"shop","rules":[{"name":"new","percent":"20"}]}]`)
	b.entry("e01 1 payment in_1 cus_1 2025-01-05T10:00:00 bob - 100")
	b.states("2025-01", "bob 0.00 20.00 0.00 0.00 20.00 0.00")
}

func TestCloseRefuses(t *testing.T) {
	b := open(t)
	if err := b.close("2025-01"); err == nil || !strings.Contains(err.Error(), "has no rules") {
		t.Errorf("without rules: %v", err)
	}
	b.rules(someRules)
	if err := b.close("2025-06"); err == nil || !strings.Contains(err.Error(), "has not ended") {
		t.Errorf("a month that has not ended: %v", err)
	}
	if err := b.close("2025-03"); err != nil {
		t.Fatal(err)
	}
	for _, month := range []string{"2025-02", "2025-03"} {
		if err := b.close(month); !errors.Is(err, earnings.ErrClosed) {
			t.Errorf("%s: %v", month, err)
		}
	}
	if _, err := earnings.ParseMonth("2025-13"); err == nil {
		t.Error("2025-13 is a month")
	}
}
