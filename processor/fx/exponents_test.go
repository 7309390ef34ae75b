package fx

import (
	"strings"
	"testing"

	"github.com/shopspring/decimal"
)

// The amounts that other systems are known to get wrong, at a rate of one dollar per major unit.
func TestExponentTraps(t *testing.T) {
	f := func(currency string, amount int64, want string) {
		t.Helper()
		exponent, ok := Exponent(currency)
		if !ok {
			t.Errorf("%s is unknown", currency)
			return
		}
		got, err := USD(amount, exponent, decimal.New(1, 0))
		if err != nil || got.String() != want {
			t.Errorf("%d %s = %s, %v; want %s", amount, currency, got, err, want)
		}
	}
	f("jpy", 5000, "5000")
	f("kwd", 5120, "5.12")
	f("isk", 500, "5")
	f("ugx", 500, "5")
	f("huf", 1045, "10.45")
	f("twd", 1045, "10.45")
	f("mga", 5, "5")
	f("usd", 1, "0.01")
	f("JPY", 5000, "5000")
}

func TestExponentsAreStripes(t *testing.T) {
	table := StripeExponents().table
	if len(table) < 135 {
		t.Errorf("%d currencies, want at least the 135 that Stripe speaks of", len(table))
	}
	groups := map[int][]string{
		0: strings.Fields("bif clp djf gnf jpy kmf krw mga pyg rwf vnd vuv xaf xof xpf"),
		3: strings.Fields("bhd jod kwd omr tnd"),
	}
	special := make(map[string]int)
	for exponent, currencies := range groups {
		for _, currency := range currencies {
			special[currency] = exponent
		}
	}
	for currency, exponent := range table {
		want, ok := special[currency]
		if !ok {
			want = 2
		}
		if exponent != want {
			t.Errorf("%s has exponent %d, want %d", currency, exponent, want)
		}
		delete(special, currency)
	}
	if len(special) > 0 {
		t.Errorf("missing: %v", special)
	}
}

func TestExponentUnknown(t *testing.T) {
	for _, currency := range []string{"", "xxx", "usdc", "us", "jpy "} {
		if exponent, ok := Exponent(currency); ok {
			t.Errorf("Exponent(%q) = %d, want unknown", currency, exponent)
		}
	}
	if _, ok := (Exponents{}).Of("usd"); ok {
		t.Error("the zero Exponents knows a currency")
	}
}

func TestWithUGX(t *testing.T) {
	changed := StripeExponents().WithUGX(0)
	if exponent, _ := changed.Of("ugx"); exponent != 0 {
		t.Errorf("ugx has exponent %d after WithUGX(0)", exponent)
	}
	if exponent, _ := changed.Of("jpy"); exponent != 0 {
		t.Errorf("jpy has exponent %d after WithUGX(0)", exponent)
	}
	if exponent, _ := Exponent("ugx"); exponent != 2 {
		t.Errorf("WithUGX changed the compiled-in table: %d", exponent)
	}
}

func TestExponentsFileSaysItsSource(t *testing.T) {
	head, _, _ := strings.Cut(exponentsCSV, "\ncurrency,")
	for _, want := range []string{"docs.stripe.com/currencies", "# Date: 20"} {
		if !strings.Contains(head, want) {
			t.Errorf("the head of exponents.csv lacks %q", want)
		}
	}
}

func TestParseExponentsRefuses(t *testing.T) {
	for _, text := range []string{
		"c,e,n\njpy,0,\njpy,0,", "c,e,n\nJPY,0,", "c,e,n\njpy,x,", "c,e,n\njpy,-1,", "c,e,n\njpy,0",
	} {
		if table, err := parseExponents(text); err == nil {
			t.Errorf("%q gives %v, want an error", text, table)
		}
	}
}
