package stripe

import (
	"cmp"
	"errors"
	"flag"
	"fmt"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/schemas"
)

var update = flag.Bool("update", false,
	"write what the scripts give into testdata; read the difference before committing it")

// The scripts in testdata are the specification: an event as Stripe sends it, a line ----, and its
// facts as a bookkeeper would note them. "{…}" in place of the whole event is its object alone:
// type, then object.
func TestScripts(t *testing.T) {
	files, err := filepath.Glob("testdata/*.txt")
	if err != nil || len(files) == 0 {
		t.Fatalf("no scripts: %v", err)
	}
	keys, err := NewKeys(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	keys.HashEmail = func(address string) []byte { return []byte(strings.ToLower(address)) }
	var reused Facts
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".txt"), func(t *testing.T) {
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			blocks := strings.Split(strings.TrimRight(string(data), "\n"), "\n====\n")
			for i, block := range blocks {
				head, want, found := strings.Cut(block, "\n----")
				if !found {
					t.Fatalf("block %d has no ----", i+1)
				}
				title, body := script(head)
				e := &schemas.StripeEvent{Body: body, ReceivedAt: time.Unix(1_900_000_000, 0)}
				facts, err := keys.Read(e)
				got := note(facts, err)
				err = keys.ReadInto(e, &reused)
				if again := note(reused, err); again != got {
					t.Errorf("%s\nin place of the facts before it:\n%s\ngot:\n%s", title, again, got)
				}
				blocks[i] = head + "\n----\n" + got
				if !*update && got != strings.TrimSpace(want) {
					t.Errorf("%s\ngot:\n%s\nwant:\n%s", title, got, strings.TrimSpace(want))
				}
			}
			if *update {
				if err := os.WriteFile(file, []byte(strings.Join(blocks, "\n====\n")+"\n"), 0o644); err != nil {
					t.Fatal(err)
				}
			}
		})
	}
}

// script reads a block's title and its event. A line "TYPE {" begins an object alone, for which the
// rest of the event is filled in.
func script(head string) (title string, body []byte) {
	at := max(strings.Index(head, "{"), 0)
	line := head[strings.LastIndex(head[:at], "\n")+1 : at]
	title = strings.TrimSpace(strings.ReplaceAll(head[:at-len(line)], "# ", ""))
	typ := strings.TrimSpace(line)
	if typ == "" || strings.HasPrefix(typ, "#") {
		return title, []byte(head[at:])
	}
	return title, fmt.Appendf(nil,
		`{"id":"evt_1","object":"event","type":%q,"created":1770000000,"livemode":true,"data":{"object":%s}}`, typ, head[at:])
}

func note(facts Facts, err error) string {
	if err != nil {
		return "error: " + err.Error()
	}
	var lines []string
	for _, f := range facts.Money {
		line := fmt.Sprintf("%s %s by %s: %d %s at %s", f.Kind, f.ObjectID, f.Source, f.Amount, f.Currency,
			f.OccurredAt.UTC().Format(time.DateTime))
		for _, part := range []struct {
			name  string
			value any
			none  bool
		}{
			{"tax", f.Tax, f.Tax == 0}, {"shipping", f.Shipping, f.Shipping == 0}, {"discount", f.Discount, f.Discount == 0},
			{"customer", f.CustomerID, f.CustomerID == ""}, {"external", f.ExternalID, f.ExternalID == ""},
			{"subscription", f.SubscriptionID, f.SubscriptionID == ""}, {"reason", f.BillingReason, f.BillingReason == ""},
			{"of", f.ParentID, f.ParentID == ""}, {"invoice", f.InvoiceID, f.InvoiceID == ""},
			{"by", f.TransactionID, f.TransactionID == ""},
			{"total", f.Total, f.Total == 0}, {"captured", f.Captured, f.Captured == 0},
		} {
			if !part.none {
				line += fmt.Sprintf(", %s %v", part.name, part.value)
			}
		}
		for _, l := range f.Lines {
			line += strings.TrimRight(fmt.Sprintf(", %d for %s %s", l.Net, cmp.Or(l.Product, "what is not named"), l.ID), " ")
		}
		if !f.Livemode {
			line += ", test mode"
		}
		if f.Account != "" {
			line += ", account " + f.Account
		}
		if !f.Certain {
			line += ", uncertain"
		}
		lines = append(lines, line)
	}
	names := make([]string, 0, len(facts.Names))
	for _, e := range facts.Names {
		names = append(names, fmt.Sprintf("%s = %s (%s)", e.A, e.B, e.Source))
	}
	slices.Sort(names)
	lines = append(lines, slices.Compact(names)...)
	for _, l := range facts.Leads {
		lines = append(lines, fmt.Sprintf("lead %q of %s, %d, at %s", l.Name, l.ObjectID, l.Quantity,
			l.At.UTC().Format(time.DateTime)))
	}
	if len(lines) == 0 {
		return "nothing"
	}
	return strings.Join(lines, "\n")
}

func TestNotAnEvent(t *testing.T) {
	for _, body := range []string{``, `{`, `[]`, `"x"`, `null`, `{"object":"invoice","id":"in_1"}`, `{"object":"event"`} {
		if _, err := Read(&schemas.StripeEvent{Body: []byte(body)}); !errors.Is(err, ErrNotEvent) {
			t.Errorf("%q: %v, want ErrNotEvent", body, err)
		}
	}
}

// The error goes to the log, where nothing of a customer may stand.
func TestNotAnEventIsNotQuoted(t *testing.T) {
	const secret = "zoe@example.com"
	nested := strings.Repeat("[", 400) + strings.Repeat("]", 400)
	for _, body := range []string{
		`{"object":"event","x":` + nested + `,"email":"` + secret + `"}`,
		`{"object":"event","x":nule,"email":"` + secret + `"}`,
		`{"object":"event"}"` + secret + `"`,
		`{"object":"` + secret + `"}`,
		`{"object":"v2.core.event","id":"` + secret,
		`{"object":"v2.core.event","id":["` + secret + `"]}`,
	} {
		_, err := Read(&schemas.StripeEvent{Body: []byte(body)})
		if !errors.Is(err, ErrNotEvent) || strings.Contains(err.Error(), "zoe") || len(err.Error()) > 200 {
			t.Errorf("%.40q: %v", body, err)
		}
	}
	if _, err := ReadThin([]byte(`{"object":"` + secret + `"}`)); strings.Contains(err.Error(), "zoe") {
		t.Error(err)
	}
}

func TestShareRoundsHalfToEven(t *testing.T) {
	f := func(part, numerator, denominator, want int64) {
		t.Helper()
		if got := Share(part, numerator, denominator); got != want {
			t.Errorf("Share(%d, %d, %d) = %d, want %d", part, numerator, denominator, got, want)
		}
	}
	f(0, 5, 7, 0)
	f(10, 1, 0, 0)
	f(1, 1, 2, 0)
	f(3, 1, 2, 2)
	f(5, 1, 2, 2)
	f(7, 1, 2, 4)
	f(-3, 1, 2, -2)
	f(3, -1, 2, -2)
	f(-5, 1, 2, -2)
	f(782, -1000, 4900, -160)
	f(1<<62, 1<<62, 1<<62, 1<<62)
	f(math.MinInt64, 1, math.MinInt64, 1)
	f(math.MinInt64, 3, 4, -3<<61)
	f(math.MaxInt64, math.MaxInt64, math.MinInt64, -math.MaxInt64+1)
}

// A share is the nearest whole number to the exact quotient, and of two the even one.
func TestShareIsNearest(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	number := func() int64 { return int64(random.Uint64()) >> random.IntN(64) }
	for range 100_000 {
		part, numerator, denominator := number(), number(), number()
		if denominator == 0 {
			continue
		}
		product := new(big.Int).Mul(big.NewInt(part), big.NewInt(numerator))
		if limit := new(big.Int).Mul(big.NewInt(denominator), big.NewInt(math.MaxInt64)); product.CmpAbs(limit) > 0 {
			continue // no int64
		}
		got := Share(part, numerator, denominator)
		away := new(big.Int).Mul(big.NewInt(got), big.NewInt(denominator))
		away.Sub(away, product).Lsh(away, 1) // twice how far the share is from the quotient, times the denominator
		if d := away.CmpAbs(big.NewInt(denominator)); d > 0 || d == 0 && got%2 != 0 {
			t.Fatalf("Share(%d, %d, %d) = %d", part, numerator, denominator, got)
		}
	}
}

func FuzzRead(f *testing.F) {
	files, _ := filepath.Glob("testdata/*.txt")
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		for _, block := range strings.Split(string(data), "\n====\n") {
			head, _, _ := strings.Cut(block, "\n----")
			_, body := script(head)
			f.Add(body)
		}
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		first, err := Read(&schemas.StripeEvent{Body: body})
		second, again := Read(&schemas.StripeEvent{Body: body})
		if note(first, err) != note(second, again) {
			t.Fatal("same bytes, other facts")
		}
	})
}

func BenchmarkRead(b *testing.B) {
	data, err := os.ReadFile("testdata/invoice.txt")
	if err != nil {
		b.Fatal(err)
	}
	head, _, _ := strings.Cut(string(data), "\n----")
	_, body := script(head)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := Read(&schemas.StripeEvent{Body: body}); err != nil {
			b.Fatal(err)
		}
	}
}
