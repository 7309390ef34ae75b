package fx

import (
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

// withPegs is a table of published rates with the built-in pegs last.
func withPegs(t testing.TB, sources ...[]Rate) *Table {
	t.Helper()
	return NewTable(sources, Options{Pegs: BuiltInPegs(), PegsAfter: len(sources)})
}

func TestPegsAreSound(t *testing.T) {
	byCurrency := make(map[string][]Peg)
	for _, peg := range BuiltInPegs() {
		for _, other := range byCurrency[peg.Currency] {
			if peg.From <= other.To && other.From <= peg.To {
				t.Errorf("%s: %s to %s overlaps %s to %s", peg.Currency, peg.From, peg.To, other.From, other.To)
			}
		}
		byCurrency[peg.Currency] = append(byCurrency[peg.Currency], peg)
	}
	for currency, pegs := range byCurrency {
		for _, peg := range pegs {
			for base, steps := peg.Base, 0; len(byCurrency[base]) > 0; steps++ {
				if base = byCurrency[base][0].Base; steps > 2 {
					t.Fatalf("%s: the pegs run in a circle", currency)
				}
			}
		}
	}
}

func TestParsePegsRefuses(t *testing.T) {
	const header = "currency,amount,base,base_amount,from,to,source\n"
	for _, row := range []string{
		"aed,3.6725,usd,1,2000-01-01", "aed,0,usd,1,2000-01-01,,x", "aed,1,usd,-1,2000-01-01,,x",
		"AED,1,usd,1,2000-01-01,,x",
		"aed,1,aed,1,2000-01-01,,x", "aed,1,usd,1,2000,,x", "aed,1,usd,1,2000-01-01,1999-01-01,x",
		"aed,1,usd,1,2000-01-01,,",
	} {
		if pegs, err := parsePegs(header + row + "\n"); err == nil {
			t.Errorf("%s: %v", row, pegs)
		}
	}
}

// Every rate as its central bank or regulation states it: units per base, or base per unit.
func TestPegsToTheDollar(t *testing.T) {
	table := withPegs(t)
	perDollar := map[string]string{
		"aed": "3.6725", "ang": "1.79", "awg": "1.79", "bbd": "2", "bhd": "0.376", "bmd": "1", "bsd": "1",
		"bzd": "2", "djf": "177.721",
		"jod": "0.709", "pab": "1", "qar": "3.64", "sar": "3.75", "svc": "8.75", "xcd": "2.7", "xcg": "1.79",
	}
	for currency, units := range perDollar {
		want := decimal.RequireFromString(quotient(t, "1", units))
		expect(t, table, currency, "2026-03-01", "pegs "+want.String()+" 2026-03-01 final")
	}
	expect(t, table, "kyd", "2026-03-01", "pegs 1.2 2026-03-01 final")
	expect(t, table, "omr", "2026-03-01", "pegs 2.6008 2026-03-01 final")
}

// A peg to another currency goes through that one's rate of the day, or the last before it.
func TestPegsThroughTheirBase(t *testing.T) {
	table := withPegs(t, ratesOf(t, "ecb", "2026-03-06 eur 1.0813", "2026-03-09 eur 1.0846",
		"2026-03-06 gbp 1.27", "2026-03-06 zar 0.053", "2026-03-06 hkd 0.128", "2026-03-06 inr 0.012",
		"2026-03-06 sgd 0.74"))
	f := func(currency, on, base, units, baseDay, finality string) {
		t.Helper()
		want := decimal.RequireFromString(quotient(t, base, units)).String()
		expect(t, table, currency, on, "pegs "+want+" "+baseDay+" "+finality)
	}
	for currency, units := range map[string]string{
		"bam": "1.95583", "cve": "110.265", "kmf": "491.96775", "std": "24500", "stn": "24.5", "xaf": "655.957",
		"xof": "655.957",
	} {
		f(currency, "2026-03-06", "1.0813", units, "2026-03-06", "final")
		f(currency, "2026-03-08", "1.0813", units, "2026-03-06", "final") // Sunday
		f(currency, "2026-03-09", "1.0846", units, "2026-03-09", "final")
		f(currency, "2026-03-10", "1.0846", units, "2026-03-09", "provisional")
		expect(t, table, currency, "2026-03-17", "none") // the euro is too old
		expect(t, table, currency, "2026-03-05", "none")
	}
	f("xpf", "2026-03-06", "9.061294", "1000", "2026-03-06", "final") // 8.38 × 1.0813
	f("gip", "2026-03-06", "1.27", "1", "2026-03-06", "final")
	f("fkp", "2026-03-06", "1.27", "1", "2026-03-06", "final")
	f("shp", "2026-03-06", "1.27", "1", "2026-03-06", "final")
	f("nad", "2026-03-06", "0.053", "1", "2026-03-06", "final")
	f("lsl", "2026-03-06", "0.053", "1", "2026-03-06", "final")
	f("szl", "2026-03-06", "0.053", "1", "2026-03-06", "final")
	f("mop", "2026-03-06", "0.128", "1.03", "2026-03-06", "final")
	f("npr", "2026-03-06", "0.012", "1.6", "2026-03-06", "final")
	f("bnd", "2026-03-06", "0.74", "1", "2026-03-06", "final")
}

// A refund in a currency that the euro replaced, years later, is converted by the euro of its day.
// The bank's last rate before the change does not reach beyond it: the euro of the day does.
func TestPredecessorsOfTheEuro(t *testing.T) {
	table := withPegs(t, ratesOf(t, "ecb",
		"2025-12-30 bgn 0.6000", "2025-12-31 bgn 0.6005", "2025-12-31 eur 1.175", "2026-01-02 eur 1.17",
		"2026-01-15 eur 1.16"))
	bgn := func(eur string) string { return decimal.RequireFromString(quotient(t, eur, "1.95583")).String() }
	expect(t, table, "bgn", "2025-12-31", "ecb 0.6005 2025-12-31 final")
	expect(t, table, "bgn", "2026-01-01", "pegs "+bgn("1.175")+" 2025-12-31 final")
	expect(t, table, "bgn", "2026-01-02", "pegs "+bgn("1.17")+" 2026-01-02 final")
	expect(t, table, "bgn", "2026-01-05", "pegs "+bgn("1.17")+" 2026-01-02 final")
	expect(t, table, "bgn", "2026-01-15", "pegs "+bgn("1.16")+" 2026-01-15 final")
	for currency, units := range map[string]string{
		"ats": "13.7603", "bef": "40.3399", "cyp": "0.585274", "dem": "1.95583", "eek": "15.6466",
		"esp": "166.386", "fim": "5.94573",
		"frf": "6.55957", "grd": "340.750", "hrk": "7.53450", "iep": "0.787564", "itl": "1936.27",
		"ltl": "3.45280", "luf": "40.3399",
		"lvl": "0.702804", "mtl": "0.429300", "nlg": "2.20371", "pte": "200.482", "sit": "239.640", "skk": "30.1260",
	} {
		want := decimal.RequireFromString(quotient(t, "1.16", units)).String()
		expect(t, table, currency, "2026-01-15", "pegs "+want+" 2026-01-15 final")
	}
	// The euro has no rate yet for a day: what the one before it gives is provisional.
	expect(t, table, "hrk", "2026-01-16", "pegs 0.153958457760966222 2026-01-15 provisional")
}

// Where no bank publishes it, the lev before the euro is converted as its currency board bound it;
// what a bank publishes wins.
func TestLevBeforeTheEuro(t *testing.T) {
	table := withPegs(t, ratesOf(t, "file", "1999-07-02 eur 1.02", "1999-07-05 eur 1.02", "2025-12-30 eur 1.175",
		"2025-12-31 eur 1.175", "2026-01-02 eur 1.17"))
	bgn := func(eur string) string { return decimal.RequireFromString(quotient(t, eur, "1.95583")).String() }
	expect(t, table, "bgn", "1999-07-04", "none")
	expect(t, table, "bgn", "1999-07-05", "pegs "+bgn("1.02")+" 1999-07-05 final")
	expect(t, table, "bgn", "2025-12-30", "pegs "+bgn("1.175")+" 2025-12-30 final")
	expect(t, table, "bgn", "2026-01-01", "pegs "+bgn("1.175")+" 2025-12-31 final")
}

// A peg ends on its last day: the next one has no rate by it.
func TestPegThatEnded(t *testing.T) {
	table := withPegs(t)
	expect(t, table, "kwd", "2007-05-19", "pegs 3.337449521075993726 2007-05-19 final")
	expect(t, table, "kwd", "2007-05-20", "none")
	expect(t, table, "kwd", "2026-03-01", "none")
	expect(t, table, "lbp", "2019-10-16", "pegs 0.00066334991708126 2019-10-16 final")
	expect(t, table, "lbp", "2019-10-17", "none")
	expect(t, table, "xcg", "2025-03-30", "none")
}

// An amount in an old unit is worth its part of the new one; before the change only its own rate
// counts.
func TestRedenominations(t *testing.T) {
	table := withPegs(t, ratesOf(t, "oxr:x", "2016-06-30 byr 0.00005", "2016-07-01 byn 0.5",
		"2018-01-02 mru 0.028", "2022-07-01 sle 0.076",
		"2018-08-20 vef 0.0000000004", "2018-08-21 ves 0.0166", "2021-10-01 ves 0.24"))
	expect(t, table, "byr", "2016-06-30", "oxr:x 0.00005 2016-06-30 provisional")
	expect(t, table, "byr", "2016-07-02", "pegs 0.00005 2016-07-01 provisional")
	expect(t, table, "byn", "2016-06-30", "none")
	expect(t, table, "mro", "2018-01-02", "pegs 0.0028 2018-01-02 provisional")
	expect(t, table, "mro", "2017-12-31", "none")
	expect(t, table, "sll", "2022-07-01", "pegs 0.000076 2022-07-01 provisional")
	expect(t, table, "vef", "2021-10-01", "none")
}

// The order of the sources decides, wherever the pegs are named.
func TestPlaceOfPegs(t *testing.T) {
	a, b := ratesOf(t, "a", "2026-03-02 gbp 1.3"), ratesOf(t, "b", "2026-03-02 aed 0.2722", "2026-03-09 aed 0.2722")
	f := func(after int, want string) {
		t.Helper()
		table := NewTable([][]Rate{a, b}, Options{Pegs: BuiltInPegs(), PegsAfter: after})
		expect(t, table, "aed", "2026-03-02", want)
	}
	f(0, "pegs 0.272294077603812117 2026-03-02 final")
	f(1, "pegs 0.272294077603812117 2026-03-02 final")
	f(2, "b 0.2722 2026-03-02 final")
	f(99, "b 0.2722 2026-03-02 final")
	// A peg whose base has no rate yet leaves the day to the next source, which is not final then.
	table := NewTable([][]Rate{ratesOf(t, "b", "2026-03-02 xof 0.0017")}, Options{Pegs: BuiltInPegs()})
	expect(t, table, "xof", "2026-03-02", "b 0.0017 2026-03-02 provisional")
}

// A rate stated for a period does not age, and ends on its last day.
func TestPeriods(t *testing.T) {
	rates, err := parseFile([]byte(`currency,usd,valid_from,valid_to,date
twd,0.031,2020-01-01,,
twd,0.033,2024-01-01,2024-06-30,
twd,0.032,,,2023-05-05
kwd,3.34,2003-01-05,2007-05-19,
`))
	if err != nil {
		t.Fatal(err)
	}
	for i := range rates {
		rates[i].Source = "file:x"
	}
	table := tableOf(t, rates)
	expect(t, table, "twd", "2019-12-31", "none")
	expect(t, table, "twd", "2020-01-01", "file:x 0.031 2020-01-01 final")
	expect(t, table, "twd", "2023-05-04", "file:x 0.031 2020-01-01 final")
	expect(t, table, "twd", "2023-05-06", "file:x 0.032 2023-05-05 provisional")
	expect(t, table, "twd", "2023-05-13", "file:x 0.031 2020-01-01 final")
	expect(t, table, "twd", "2024-03-01", "file:x 0.033 2024-01-01 final")
	expect(t, table, "twd", "2024-07-01", "file:x 0.031 2020-01-01 final")
	expect(t, table, "twd", "2149-06-06", "file:x 0.031 2020-01-01 final")
	expect(t, table, "kwd", "2007-05-19", "file:x 3.34 2003-01-05 final")
	expect(t, table, "kwd", "2007-05-20", "none")
	// A peg that is given up for another, by more than a fifth, is stated for longer than three
	// days.
	for i, from := range []string{"2023-01-01", "2024-03-06"} {
		rates[i] = Rate{Currency: "egp", Date: day(t, from), ValidTo: maxDate,
			USD: decimal.RequireFromString([]string{"0.0324", "0.0202"}[i]), Source: "file:x"}
	}
	table = tableOf(t, rates[:2])
	expect(t, table, "egp", "2024-03-05", "file:x 0.0324 2023-01-01 final")
	expect(t, table, "egp", "2024-03-06", "file:x 0.0202 2024-03-06 final")
}

// A rate without an end says nothing of when the file gives the next rate of another currency; a
// period that is over leaves the day to the next source for good.
func TestPeriodsAndFinality(t *testing.T) {
	open := Rate{Currency: "aed", Date: day(t, "2020-01-01"), ValidTo: maxDate,
		USD: decimal.RequireFromString("0.2723"), Source: "file:x"}
	over := Rate{Currency: "kwd", Date: day(t, "2003-01-05"), ValidTo: day(t, "2007-05-19"),
		USD: decimal.RequireFromString("3.34"), Source: "file:x"}
	file := append(ratesOf(t, "file:x", "2026-03-02 gbp 1.3", "2026-03-02 twd 0.031"), open, over)
	// A period beside rates of days does not say that no more of these come.
	both := open
	both.Currency = "qar"
	both.USD = decimal.RequireFromString("0.2747")
	file = append(append(file, both), ratesOf(t, "file:x", "2026-03-02 qar 0.2745")...)
	table := tableOf(t, file, ratesOf(t, "b", "2026-03-03 kwd 3.25"))
	expect(t, table, "qar", "2026-03-02", "file:x 0.2745 2026-03-02 final")
	expect(t, table, "qar", "2026-03-03", "file:x 0.2745 2026-03-02 provisional")
	expect(t, table, "gbp", "2026-03-02", "file:x 1.3 2026-03-02 final")
	expect(t, table, "gbp", "2026-03-03", "file:x 1.3 2026-03-02 provisional")
	expect(t, table, "aed", "2026-03-03", "file:x 0.2723 2020-01-01 final")
	expect(t, table, "kwd", "2026-03-03", "b 3.25 2026-03-03 final")
}

// How many of Stripe's currencies each source covers is what the README says.
func TestCoverageOfStripesCurrencies(t *testing.T) {
	table := withPegs(t, ratesOf(t, "ecb", "2026-03-02 eur 1.1", "2026-03-02 gbp 1.3", "2026-03-02 hkd 0.128",
		"2026-03-02 inr 0.012",
		"2026-03-02 sgd 0.74", "2026-03-02 zar 0.053", "2026-03-02 byn 0.3", "2026-03-02 mru 0.025",
		"2026-03-02 sle 0.044"))
	var covered []string
	for _, currency := range slices.Sorted(maps.Keys(StripeExponents().table)) {
		if quote, ok := table.Lookup(currency, day(t, "2026-03-02")); ok && quote.Source == pegsName {
			covered = append(covered, currency)
		}
	}
	const want = "aed ang awg bam bbd bgn bhd bmd bnd bsd bzd cve djf eek fkp gip hrk jod kmf kyd lsl ltl lvl mop " +
		"mro nad npr omr " +
		"pab qar sar shp sll std svc szl xaf xcd xcg xof xpf"
	if got := strings.Join(covered, " "); got != want {
		t.Errorf("%d of %d: %s", len(covered), len(StripeExponents().table), got)
	}
}
