package fx

import (
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

func day(t testing.TB, s string) Date {
	t.Helper()
	d, err := ParseDate(s)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

// ratesOf writes a source as lines "2024-03-01 eur 1.08".
func ratesOf(t testing.TB, source string, lines ...string) []Rate {
	t.Helper()
	var rates []Rate
	for _, line := range lines {
		fields := strings.Fields(line)
		rates = append(rates, Rate{Currency: fields[1], Date: day(t, fields[0]),
			USD: decimal.RequireFromString(fields[2]), Source: source})
	}
	return rates
}

func tableOf(t testing.TB, sources ...[]Rate) *Table {
	t.Helper()
	return NewTable(sources, Options{})
}

// expect asks for "source rate date final|provisional", or "none".
func expect(t testing.TB, table *Table, currency, on, want string) {
	t.Helper()
	got := "none"
	if quote, ok := table.Lookup(currency, day(t, on)); ok {
		finality := "provisional"
		if quote.Final {
			finality = "final"
		}
		got = fmt.Sprintf("%s %s %s %s", quote.Source, quote.USD, quote.Date, finality)
		if quote.USD.Exponent() != -18 {
			t.Errorf("Lookup(%s, %s): rate with exponent %d", currency, on, quote.USD.Exponent())
		}
	}
	if got != want {
		t.Errorf("Lookup(%s, %s) = %s, want %s", currency, on, got, want)
	}
}

func TestLookupWeekend(t *testing.T) {
	table := tableOf(t, ratesOf(t, "ecb", "2024-03-04 eur 1.0846", "2024-02-29 eur 1.0826", "2024-03-01 eur 1.0813"))
	expect(t, table, "eur", "2024-02-28", "none")
	expect(t, table, "eur", "2024-02-29", "ecb 1.0826 2024-02-29 final")
	expect(t, table, "eur", "2024-03-01", "ecb 1.0813 2024-03-01 final")
	expect(t, table, "eur", "2024-03-02", "ecb 1.0813 2024-03-01 final")
	expect(t, table, "EUR", "2024-03-03", "ecb 1.0813 2024-03-01 final")
	expect(t, table, "eur", "2024-03-04", "ecb 1.0846 2024-03-04 final")
	// Not published yet: whatever comes on the 5th, 6th … 11th would take its place.
	expect(t, table, "eur", "2024-03-05", "ecb 1.0846 2024-03-04 provisional")
	expect(t, table, "eur", "2024-03-11", "ecb 1.0846 2024-03-04 provisional")
	expect(t, table, "eur", "2024-03-12", "none")
	expect(t, table, "kwd", "2024-03-01", "none")
}

func TestLookupUSD(t *testing.T) {
	table := tableOf(t)
	expect(t, table, "usd", "2024-03-02", "usd 1 2024-03-02 final")
	expect(t, table, "USD", "1999-01-01", "usd 1 1999-01-01 final")
	expect(t, table, "eur", "2024-03-02", "none")
}

// A provisional rate is replaced by the final one when the source is read again.
func TestLookupProvisionalBecomesFinal(t *testing.T) {
	before := ratesOf(t, "ecb", "2024-03-01 eur 1.0813")
	after := append(ratesOf(t, "ecb", "2024-03-04 eur 1.0846"), before...)
	expect(t, tableOf(t, before), "eur", "2024-03-04", "ecb 1.0813 2024-03-01 provisional")
	expect(t, tableOf(t, after), "eur", "2024-03-04", "ecb 1.0846 2024-03-04 final")
}

// A day that had not come when the source was read may be mistyped: the rates before it stay
// provisional, those of other currencies too. Read when the day has come, it counts.
func TestLookupDayThatHadNotCome(t *testing.T) {
	read := func(on string) *Table {
		rates := ratesOf(t, "file:desk", "2026-03-02 eur 1.08", "2026-03-02 gbp 1.27", "2062-03-03 gbp 1.28")
		for i := range rates {
			rates[i].FetchedAt = day(t, on).Time().Add(9 * time.Hour)
		}
		return tableOf(t, rates)
	}
	table := read("2026-03-03")
	expect(t, table, "eur", "2026-03-02", "file:desk 1.08 2026-03-02 final")
	expect(t, table, "eur", "2026-03-03", "file:desk 1.08 2026-03-02 provisional")
	expect(t, table, "gbp", "2026-03-03", "file:desk 1.27 2026-03-02 provisional")
	expect(t, table, "gbp", "2062-03-03", "file:desk 1.28 2062-03-03 provisional")
	expect(t, read("2062-03-02"), "gbp", "2062-03-03", "file:desk 1.28 2062-03-03 final") // it has begun in the east
}

func TestLookupPreference(t *testing.T) {
	ecb := ratesOf(t, "ecb", "2024-03-01 eur 1.08", "2024-03-04 eur 1.09", "2024-03-12 eur 1.10")
	file := ratesOf(t, "file:x", "2024-03-01 eur 2", "2024-03-04 eur 2", "2024-03-14 eur 2", "2024-03-21 eur 2",
		"2024-03-04 kwd 3.25", "2024-03-05 kwd 3.26")
	table := tableOf(t, ecb, file)
	expect(t, table, "eur", "2024-03-04", "ecb 1.09 2024-03-04 final")
	expect(t, table, "kwd", "2024-03-04", "file:x 3.25 2024-03-04 final")
	// The preferred source is older, but has a rate within the age allowed.
	expect(t, table, "eur", "2024-03-14", "ecb 1.1 2024-03-12 provisional")
	// It has none within the age, and may still publish one.
	expect(t, table, "eur", "2024-03-21", "file:x 2 2024-03-21 provisional")

	reversed := tableOf(t, file, ecb)
	expect(t, reversed, "eur", "2024-03-04", "file:x 2 2024-03-04 final")
	expect(t, reversed, "eur", "2024-03-13", "ecb 1.1 2024-03-12 provisional")
}

// A currency that the preferred source has dropped is final by the next one: nothing more will
// come.
func TestLookupDropped(t *testing.T) {
	ecb := ratesOf(t, "ecb", "2022-03-01 rub 0.0095", "2022-03-01 eur 1.11", "2022-03-08 eur 1.09",
		"2022-03-09 eur 1.10")
	file := ratesOf(t, "file:x", "2022-03-09 rub 0.0080")
	table := tableOf(t, ecb, file)
	expect(t, table, "rub", "2022-03-08", "ecb 0.0095 2022-03-01 final")
	expect(t, table, "rub", "2022-03-09", "file:x 0.008 2022-03-09 final")
	expect(t, tableOf(t, ecb[:3], file), "rub", "2022-03-09", "file:x 0.008 2022-03-09 provisional")
}

// Stored rates and fetched ones together: the later fetch stands, in whichever order they are
// given.
func TestTableOrder(t *testing.T) {
	stored := ratesOf(t, "ecb", "2024-03-01 eur 1.0813", "2024-03-04 eur 1.08")
	fetched := ratesOf(t, "ecb", "2024-03-04 eur 1.0846", "2024-03-05 eur 1.085")
	for i := range fetched {
		fetched[i].FetchedAt = time.Date(2024, 3, 5, 16, 0, 0, 0, time.UTC)
	}
	all := slices.Concat(stored, fetched)
	rng := rand.New(rand.NewPCG(3, 4))
	for range 20 {
		rng.Shuffle(len(all), func(i, j int) { all[i], all[j] = all[j], all[i] })
		table := tableOf(t, all)
		expect(t, table, "eur", "2024-03-04", "ecb 1.0846 2024-03-04 final")
		expect(t, table, "eur", "2024-03-03", "ecb 1.0813 2024-03-01 final")
	}
}

// A rate that cannot be one, in a damaged table for example, is left out; the others stand.
func TestNewTableLeavesOut(t *testing.T) {
	bad := []decimal.Decimal{
		{}, decimal.New(-1, 0), decimal.New(1, -19), decimal.New(1, 20), decimal.New(1, 1<<30), decimal.New(1,
			-1<<30),
	}
	for _, rate := range bad {
		good := ratesOf(t, "x", "2024-03-01 eur 1.08", "2024-03-01 gbp 1.27", "2024-03-04 eur 1.09")
		table := NewTable([][]Rate{append(good, Rate{Currency: "gbp", Date: day(t, "2024-03-04"), USD: rate,
			Source: "x"})}, Options{})
		expect(t, table, "eur", "2024-03-04", "x 1.09 2024-03-04 final")
		expect(t, table, "gbp", "2024-03-04", "x 1.27 2024-03-01 provisional")
		if held := table.HeldBack(); len(held) != 1 || !strings.Contains(held[0].String(), ErrBadRate.Error()) {
			t.Errorf("rate with exponent %d: held back %v", rate.Exponent(), held)
		}
	}
}

func TestTableCurrencies(t *testing.T) {
	table := tableOf(t, ratesOf(t, "a", "2024-03-01 sek 0.1", "2024-03-01 usd 1"), ratesOf(t, "b",
		"2024-03-01 KWD 3.2"))
	if got := strings.Join(table.Currencies(), " "); got != "kwd sek" {
		t.Errorf("currencies = %q", got)
	}
}

func TestDate(t *testing.T) {
	f := func(moment, want string) {
		t.Helper()
		at, err := time.Parse(time.RFC3339Nano, moment)
		if err != nil {
			t.Fatal(err)
		}
		if got := DateOf(at).String(); got != want {
			t.Errorf("DateOf(%s) = %s, want %s", moment, got, want)
		}
	}
	f("1970-01-01T00:00:00Z", "1970-01-01")
	f("1969-12-31T23:59:59.999Z", "1969-12-31")
	f("2024-02-29T23:59:59.999999999Z", "2024-02-29")
	f("2024-03-01T00:30:00+02:00", "2024-02-29")
	f("2024-02-29T23:30:00-05:00", "2024-03-01")
	for _, bad := range []string{"", "2024-2-29", "2023-02-29", "29.02.2024"} {
		if d, err := ParseDate(bad); err == nil {
			t.Errorf("ParseDate(%q) = %s", bad, d)
		}
	}
	if d := day(t, "2024-02-29"); d != 19782 {
		t.Errorf("2024-02-29 is day %d, want 19782", d)
	}
}

func BenchmarkLookup(b *testing.B) {
	var ecb []Rate
	for d := day(b, "1999-01-04"); d < day(b, "2026-01-01"); d++ {
		if weekday := d.Time().Weekday(); weekday != time.Saturday && weekday != time.Sunday {
			for _, currency := range []string{"eur", "jpy", "gbp", "sek"} {
				ecb = append(ecb, Rate{Currency: currency, Date: d, USD: one, Source: "ecb"})
			}
		}
	}
	table := tableOf(b, ecb)
	first, span := day(b, "1999-01-11"), int(day(b, "2026-01-01")-day(b, "1999-01-11"))
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		i = (i + 4099) % span
		if _, ok := table.Lookup("eur", first+Date(i)); !ok {
			b.Fatal("no rate")
		}
	}
}
