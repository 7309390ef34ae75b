package fx

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

func TestHeldBackSlip(t *testing.T) {
	table := tableOf(t, ratesOf(t, "ecb",
		"2024-03-04 sek 0.100", "2024-03-05 sek 0.96", "2024-03-06 sek 0.097", "2024-03-07 sek 0.098"))
	expect(t, table, "sek", "2024-03-05", "ecb 0.1 2024-03-04 provisional")
	expect(t, table, "sek", "2024-03-06", "ecb 0.097 2024-03-06 final")
	held := table.HeldBack()
	if len(held) != 1 || held[0].Rate.Date.String() != "2024-03-05" ||
		held[0].Previous.Date.String() != "2024-03-04" {
		t.Fatalf("held back: %v", held)
	}
	if got := held[0].Change().String(); got != "8.6" {
		t.Errorf("change = %s, want 8.6", got)
	}
	if got, want := held[0].String(),
		"ecb sek 2024-03-05: 0.96 USD is held back against 0.1 of 2024-03-04"; got != want {
		t.Errorf("text = %q, want %q", got, want)
	}
	if table.Len() != 3 {
		t.Errorf("%d usable rates, want 3", table.Len())
	}
}

// Three wild days that do not agree with each other are no devaluation.
func TestHeldBackWild(t *testing.T) {
	table := tableOf(t, ratesOf(t, "x", "2024-03-04 sek 0.1", "2024-03-05 sek 1", "2024-03-06 sek 0.01",
		"2024-03-07 sek 5", "2024-03-08 sek 0.1"))
	expect(t, table, "sek", "2024-03-07", "x 0.1 2024-03-04 provisional")
	expect(t, table, "sek", "2024-03-08", "x 0.1 2024-03-08 final")
	if held := table.HeldBack(); len(held) != 3 {
		t.Errorf("held back: %v", held)
	}
}

func TestHeldBackBound(t *testing.T) {
	f := func(second string, want int) {
		t.Helper()
		table := tableOf(t, ratesOf(t, "x", "2024-03-04 sek 0.1", "2024-03-05 sek "+second))
		if held := table.HeldBack(); len(held) != want {
			t.Errorf("0.1 to %s: held back %v, want %d", second, held, want)
		}
	}
	f("0.12", 0)
	f("0.08", 0)
	f("0.120000000000000001", 1)
	f("0.079999999999999999", 1)
}

// Years after a currency was dropped there is nothing to measure its first rate against.
func TestHeldBackNotAfterGap(t *testing.T) {
	table := tableOf(t, ratesOf(t, "ecb", "2008-12-09 isk 0.0045", "2018-02-01 isk 0.0099"))
	expect(t, table, "isk", "2018-02-01", "ecb 0.0099 2018-02-01 final")
	if held := table.HeldBack(); len(held) != 0 {
		t.Errorf("held back: %v", held)
	}
}

// A rate that the preferred source holds back may be corrected, so the next source's is not final.
func TestHeldBackElsewhere(t *testing.T) {
	table := tableOf(t,
		ratesOf(t, "a", "2024-03-01 sek 0.1", "2024-03-08 sek 0.9", "2024-03-15 sek 0.1"),
		ratesOf(t, "b", "2024-03-09 sek 0.2"))
	expect(t, table, "sek", "2024-03-09", "b 0.2 2024-03-09 provisional")
	expect(t, table, "sek", "2024-03-08", "a 0.1 2024-03-01 provisional")
}

// published is what the European Central Bank published, units per euro, with the dollar of the
// day.
func published(t testing.TB, currency string, lines ...string) []Rate {
	t.Helper()
	var rates []Rate
	for _, line := range lines {
		f := strings.Fields(line)
		usd, err := divide(decimal.RequireFromString(f[2]), decimal.RequireFromString(f[1]))
		if err != nil {
			t.Fatal(err)
		}
		rates = append(rates, Rate{Currency: currency, Date: day(t, f[0]), USD: usd, Source: "ecb"})
	}
	return rates
}

// The moves of more than a fifth that the bank has published since 1999 were all true. Once the
// third day confirms one, each of its days is converted by its own rate.
func TestConfirmedMoveIsUsedFromItsFirstDay(t *testing.T) {
	f := func(currency, confirmed string, lines ...string) {
		t.Helper()
		rates := published(t, currency, lines...)
		table := tableOf(t, rates)
		if held := table.HeldBack(); len(held) != 0 {
			t.Errorf("%s: held back %v", currency, held)
		}
		for _, rate := range rates {
			expect(t, table, currency, rate.Date.String(), fmt.Sprintf("ecb %s %s final", rate.USD, rate.Date))
		}
		// Day by day: what was final stays as it is, and what was held back is provisional until
		// then.
		for n := 1; n <= len(rates); n++ {
			before := tableOf(t, rates[:n])
			for d := rates[0].Date; d <= rates[n-1].Date; d++ {
				was, ok := before.Lookup(currency, d)
				is, _ := table.Lookup(currency, d)
				if was.Final && !was.USD.Equal(is.USD) {
					t.Errorf("%s on %s: final at %s on %s, and then %s", currency, d, was.USD, rates[n-1].Date,
						is.USD)
				}
				if !ok || !was.Final && rates[n-1].Date >= day(t, confirmed) {
					t.Errorf("%s on %s: provisional still on %s", currency, d, rates[n-1].Date)
				}
			}
		}
	}
	f("trl", "2001-02-26", "2001-02-20 630067 0.907", "2001-02-21 624367 0.9146", "2001-02-22 1050000 0.9056",
		"2001-02-23 1052750 0.9064", "2001-02-26 963500 0.9105", "2001-02-27 935000 0.9163")
	f("isk", "2008-10-10", "2008-10-02 162.02 1.3903", "2008-10-03 156.13 1.3834", "2008-10-06 195 1.3634",
		"2008-10-07 197 1.3632", "2008-10-08 265 1.3731", "2008-10-09 305 1.3682", "2008-10-10 305 1.3579",
		"2008-10-13 305 1.3639")
	f("isk", "2008-11-10", "2008-11-05 305 1.287", "2008-11-06 205 1.277", "2008-11-07 200 1.2756",
		"2008-11-10 200 1.2891")
	f("try", "2021-12-23", "2021-12-17 19.1155 1.133", "2021-12-20 20.0434 1.1273", "2021-12-21 14.7132 1.1295",
		"2021-12-22 14.0719 1.1301", "2021-12-23 12.6525 1.131", "2021-12-24 13.2402 1.1317")
}

// Before the third day the rate before the move stands, and nothing of that is final.
func TestUnconfirmedMoveIsProvisional(t *testing.T) {
	rates := published(t, "isk", "2008-10-03 156.13 1.3834", "2008-10-06 195 1.3634", "2008-10-07 197 1.3632")
	table := tableOf(t, rates)
	for _, on := range []string{"2008-10-06", "2008-10-07", "2008-10-08"} {
		expect(t, table, "isk", on, fmt.Sprintf("ecb %s 2008-10-03 provisional", rates[0].USD))
	}
	if held := table.HeldBack(); len(held) != 2 {
		t.Errorf("held back: %v", held)
	}
}

// A slip in the middle of a crash is no part of it.
func TestSlipWithinAConfirmedMove(t *testing.T) {
	table := tableOf(t, ratesOf(t, "x", "2024-03-04 sek 0.1", "2024-03-05 sek 0.9", "2024-03-06 sek 0.05",
		"2024-03-07 sek 0.051", "2024-03-08 sek 0.05"))
	expect(t, table, "sek", "2024-03-05", "x 0.1 2024-03-04 provisional")
	expect(t, table, "sek", "2024-03-06", "x 0.05 2024-03-06 final")
	if held := table.HeldBack(); len(held) != 1 || held[0].Rate.USD.String() != "0.9" {
		t.Errorf("held back: %v", held)
	}
}

// A feed that gives the new unit's rate under the old unit's code is a thousand times off, every
// day. No number of days confirms that. (BYR became BYN 10,000 to 1, MRO became MRU, SLL became
// SLE.)
func TestRedenominationUnderTheOldCode(t *testing.T) {
	lines := []string{"2022-06-30 sll 0.00007600"}
	for d := 1; d <= 28; d++ {
		lines = append(lines, fmt.Sprintf("2022-07-%02d sll 0.0760", d))
	}
	table := tableOf(t, ratesOf(t, "oxr", lines...))
	expect(t, table, "sll", "2022-07-07", "oxr 0.000076 2022-06-30 provisional")
	expect(t, table, "sll", "2022-07-28", "none")
	if held := table.HeldBack(); len(held) != 28 {
		t.Errorf("%d held back", len(held))
	}
}

// The first rate of a file has none before it. What no currency is worth is not used, whatever else
// is there; what another source contradicts five times over is not used either.
func TestFileIsMeasuredByOthers(t *testing.T) {
	ecb := ratesOf(t, "ecb", "2024-03-01 eur 1.08", "2024-03-01 jpy 0.0067", "2024-03-04 eur 1.09")
	file := ratesOf(t, "file:desk", "2024-03-01 eur 1100000", "2024-03-01 jpy 0.067", "2024-03-01 try 0.03",
		"2024-03-04 eur 1.2", "2024-03-01 kwd 3.25", "2024-03-01 inr 83")
	table := tableOf(t, file, ecb)
	expect(t, table, "eur", "2024-03-01", "ecb 1.08 2024-03-01 provisional")
	expect(t, table, "eur", "2024-03-04", "file:desk 1.2 2024-03-04 final") // preferred: they disagree, and no more
	expect(t, table, "jpy", "2024-03-01", "ecb 0.0067 2024-03-01 provisional")
	expect(t, table, "try", "2024-03-01", "file:desk 0.03 2024-03-01 final")
	expect(t, table, "kwd", "2024-03-01", "file:desk 3.25 2024-03-01 final")
	expect(t, table, "inr", "2024-03-01", "none")
	var texts []string
	for _, h := range table.HeldBack() {
		texts = append(texts, h.String())
	}
	want := []string{
		"file:desk eur 2024-03-01: 1100000 USD is held back; no currency is worth that",
		"file:desk inr 2024-03-01: 83 USD is held back; no currency is worth that",
		"file:desk jpy 2024-03-01: 0.067 USD is held back; ecb says 0.0067 of 2024-03-01",
	}
	if !slices.Equal(texts, want) {
		t.Errorf("held back:\n%s", strings.Join(texts, "\n"))
	}
	// A peg written the wrong way round contradicts the built-in one.
	wrong := []Rate{{Currency: "aed", Date: day(t, "2020-01-01"), ValidTo: maxDate,
		USD: decimal.RequireFromString("3.6725"), Source: "file:desk"}}
	table = NewTable([][]Rate{wrong}, Options{Pegs: BuiltInPegs(), PegsAfter: 1})
	expect(t, table, "aed", "2024-03-01", "pegs 0.272294077603812117 2024-03-01 final")
}

// Of the currencies that are worth about a dollar no bound shows that a file is written the wrong
// way round, units per dollar; another source does. Near par the two directions are the same.
func TestFileTheWrongWayRound(t *testing.T) {
	for _, c := range []struct{ currency, bank, file, want string }{
		{"eur", "1.0834", "0.9230", "ecb 1.0834"},
		{"gbp", "1.2655", "0.79", "ecb 1.2655"},
		{"cad", "0.7376", "1.3557", "ecb 0.7376"},
		{"aud", "0.6526", "1.53", "ecb 0.6526"},
		{"sgd", "0.7438", "1.3444", "ecb 0.7438"},
		{"eur", "1.03", "0.9709", "ecb 1.03"},
		{"eur", "1.01", "0.99", "file:desk 0.99"},       // 2 % apart: a bank's margin is as much
		{"eur", "1.0834", "1.0", "file:desk 1"},         // par, as a contract may state it
		{"eur", "1.0834", "1.0511", "file:desk 1.0511"}, // 3 % below
		{"cad", "0.7376", "0.77", "file:desk 0.77"},
	} {
		table := tableOf(t, ratesOf(t, "file:desk", "2024-03-04 "+c.currency+" "+c.file),
			ratesOf(t, "ecb", "2024-03-01 "+c.currency+" "+c.bank, "2024-03-05 "+c.currency+" "+c.bank))
		quote, _ := table.Lookup(c.currency, day(t, "2024-03-04"))
		if got := quote.Source + " " + quote.USD.String(); got != c.want {
			t.Errorf("%s, the bank says %s and the file %s: %s, want %s", c.currency, c.bank, c.file, got, c.want)
		}
	}
}

// An ounce of gold is worth more than any unit of money, and is not Stripe's.
func TestMetalsAreNotJudged(t *testing.T) {
	table := tableOf(t, ratesOf(t, "x", "2024-03-01 xau 2082.5"))
	expect(t, table, "xau", "2024-03-01", "x 2082.5 2024-03-01 final")
}
