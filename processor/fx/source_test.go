package fx

import (
	"archive/zip"
	"bytes"
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/shopspring/decimal"
)

// A Thursday, a Friday and a Monday in the bank's form; XXX stands for a currency that it dropped.
const ecbSeries = `Date,USD,JPY,XXX,GBP,
2024-03-04,1.0846,163.18,N/A,0.85570,
2024-03-01,1.0813,162.68,N/A,0.85595,
2024-02-29,1.0826,162.35,7.5,0.85523,
`

const ecbXML = `<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
	<Cube>
		<Cube time="2024-03-04"><Cube currency="USD" rate="1.0846"/><Cube currency="JPY" rate="163.18"/><Cube currency="GBP" rate="0.85570"/></Cube>
		<Cube time="2024-03-01"><Cube currency="USD" rate="1.0813"/><Cube currency="JPY" rate="162.68"/><Cube currency="GBP" rate="0.85595"/></Cube>
		<Cube time="2024-02-29"><Cube currency="USD" rate="1.0826"/><Cube currency="JPY" rate="162.35"/><Cube currency="XXX" rate="7.5"/><Cube currency="GBP" rate="0.85523"/></Cube>
	</Cube>
</gesmes:Envelope>`

func zipped(t testing.TB, name, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	entry, err := archive.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := entry.Write([]byte(text)); err != nil {
		t.Fatal(err)
	}
	if err := archive.Close(); err != nil {
		t.Fatal(err)
	}
	return buffer.String()
}

func fetch(t testing.TB, kind, file, content string) ([]Rate, error) {
	t.Helper()
	path := filepath.Join(t.TempDir(), file)
	if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
		t.Fatal(err)
	}
	source, err := ParseSource(kind + ":" + path)
	if err != nil {
		t.Fatal(err)
	}
	source.now = func() time.Time { return time.Date(2024, 3, 4, 16, 0, 0, 0, time.UTC) }
	return source.Fetch(t.Context())
}

func find(rates []Rate, currency, date string) (Rate, bool) {
	for _, rate := range rates {
		if rate.Currency == currency && rate.Date.String() == date {
			return rate, true
		}
	}
	return Rate{}, false
}

// The same three days in every form that the bank publishes give the same rates.
func TestFetchECB(t *testing.T) {
	f := func(form, file, content string) {
		t.Helper()
		rates, err := fetch(t, "ecb", file, content)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			return
		}
		if len(rates) != 10 {
			t.Errorf("%s: %d rates, want 10", form, len(rates))
		}
		g := func(currency, date, want string) {
			t.Helper()
			rate, ok := find(rates, currency, date)
			if !ok || rate.USD.StringFixed(18) != want || rate.USD.Exponent() != -18 {
				t.Errorf("%s: %s on %s = %s (found: %v), want %s", form, currency, date, rate.USD.StringFixed(18), ok, want)
			}
			if rate.Source != "ecb" || !rate.FetchedAt.Equal(time.Date(2024, 3, 4, 16, 0, 0, 0, time.UTC)) {
				t.Errorf("%s: source %q fetched at %s", form, rate.Source, rate.FetchedAt)
			}
		}
		g("eur", "2024-03-04", "1.084600000000000000")
		g("jpy", "2024-03-04", "0.006646647873513911")
		g("gbp", "2024-03-01", quotient(t, "1.0813", "0.85595"))
		g("xxx", "2024-02-29", quotient(t, "1.0826", "7.5"))
		if rate, ok := find(rates, "xxx", "2024-03-01"); ok {
			t.Errorf("%s: N/A became %s", form, rate.USD)
		}
	}
	f("csv", "hist.csv", ecbSeries)
	f("csv with mark and CRLF", "hist.csv", "\xef\xbb\xbf"+strings.ReplaceAll(ecbSeries, "\n", "\r\n"))
	f("zip", "hist.zip", zipped(t, "eurofxref-hist.csv", ecbSeries))
	f("xml", "hist.xml", ecbXML)
}

// quotient divides by the library's own long division, to many more places than are kept.
func quotient(t testing.TB, a, b string) string {
	t.Helper()
	return decimal.RequireFromString(a).DivRound(decimal.RequireFromString(b), 40).RoundBank(18).StringFixed(18)
}

func TestFetchECBDaily(t *testing.T) {
	rates, err := fetch(t, "ecb", "eurofxref.csv", "Date, USD, JPY, \n04 March 2024, 1.0846, 163.18, \n")
	if err != nil {
		t.Fatal(err)
	}
	if _, ok := find(rates, "jpy", "2024-03-04"); !ok || len(rates) != 2 {
		t.Errorf("rates = %v", rates)
	}
}

func TestFetchECBRefuses(t *testing.T) {
	f := func(content, want string) {
		t.Helper()
		rates, err := fetch(t, "ecb", "x", content)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%.60q gives %d rates, error %v; want an error with %q", content, len(rates), err, want)
		}
	}
	f("", "first line")
	f("hello", "first line")
	f("Date,USD,\n", "no rate")
	f("Date,USD,\n2024-03-04,1.0846\n", "cut off")
	f("Date,USD,\n04.03.2024,1.0846,\n", "2006-01-02")
	f("Date,USD,\n2024-03-04,1e9,\n", "plain decimal")
	f("Date,USD,\n2024-03-04,-1,\n", "plain decimal")
	f("Date,USD,\n2024-03-04,0,\n", "positive")
	f("Date,USD,\n2024-03-04,1,\n2024-03-04,1,\n", "twice")
	f("Date,USD,JPY\n2024-03-04,1,"+strings.Repeat("9", 50)+"\n", "jpy")
	f("Date,DOLLAR,\n2024-03-04,1,\n", "not a currency")
	f("<html><body>moved</body></html>", "web page")
	f("<!DOCTYPE html><html><br><p></html>", "web page")
	f("PK\x03\x04 broken", "open zip")
	f(zipped(t, "readme.txt", "hello"), "no .csv")
	f(zipped(t, "big.csv", strings.Repeat("0", maxSourceBytes+1)), "32 MiB")
}

func TestFetchFile(t *testing.T) {
	rates, err := fetch(t, "file", "demo-rates.csv", "# made up\ndate,currency,usd\n2024-03-01,KWD,3.25\n2024-03-01,ugx,0.00026\n2024-03-01,usd,1.0\n2024-03-01,kwd,3.250\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(rates) != 2 {
		t.Errorf("%d rates, want 2: %v", len(rates), rates)
	}
	rate, _ := find(rates, "kwd", "2024-03-01")
	if rate.Source != "file:demo-rates" || rate.USD.StringFixed(18) != "3.250000000000000000" || rate.USD.Exponent() != -18 {
		t.Errorf("rate = %+v", rate)
	}
}

func TestFetchFileRefuses(t *testing.T) {
	f := func(content, want string) {
		t.Helper()
		rates, err := fetch(t, "file", "x.csv", content)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %d rates, error %v; want an error with %q", content, len(rates), err, want)
		}
	}
	const header = "date,currency,usd\n"
	f("", "header date,currency,usd")
	f("currency,date,usd\n", "header date,currency,usd")
	f(header, "no rate")
	f(header+"2024-03-01,eur\n", "date,currency,usd")
	f(header+"1.3.2024,eur,1\n", "line 2")
	f(header+"2024-03-01,euro,1\n", "three letters")
	f(header+"2024-03-01,eur,\n", "plain decimal")
	f(header+"2024-03-01,eur,1,1\n", "date,currency,usd")
	f(header+"2024-03-01,eur,0.0000000000000000001\n", "positive")
	f(header+"2024-03-01,usd,1.08\n", "base another currency")
	f(header+"2024-03-01,eur,1.08\n2024-03-01,EUR,1.09\n", "line 3")
}

func TestFetchURL(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/eurofxref-hist.zip" {
			http.NotFound(w, r)
			return
		}
		_, _ = w.Write([]byte(zipped(t, "eurofxref-hist.csv", ecbSeries)))
	}))
	defer server.Close()

	source, err := ParseSource("ecb:" + server.URL + "/eurofxref-hist.zip")
	if err != nil {
		t.Fatal(err)
	}
	rates, err := source.Fetch(t.Context())
	if err != nil || len(rates) != 10 {
		t.Errorf("%d rates, error %v", len(rates), err)
	}
	missing, err := ParseSource("ecb:" + server.URL + "/elsewhere.zip")
	if err != nil {
		t.Fatal(err)
	}
	if _, err := missing.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "404") {
		t.Errorf("error = %v, want one with 404", err)
	}
	stopped, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := source.Fetch(stopped); err == nil {
		t.Error("a cancelled fetch succeeds")
	}
}

func TestFetchMissingFile(t *testing.T) {
	source, err := ParseSource("file:" + filepath.Join(t.TempDir(), "none.csv"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := source.Fetch(t.Context()); err == nil || !strings.Contains(err.Error(), "readable file") {
		t.Errorf("error = %v", err)
	}
	if _, err := (Source{}).Fetch(t.Context()); err == nil {
		t.Error("the empty source can be fetched")
	}
}

func TestParseSource(t *testing.T) {
	f := func(spec, name, location string) {
		t.Helper()
		source, err := ParseSource(spec)
		if err != nil {
			t.Errorf("ParseSource(%q): %v", spec, err)
			return
		}
		if source.Name() != name || source.Location() != location {
			t.Errorf("ParseSource(%q) = %q at %q, want %q at %q", spec, source.Name(), source.Location(), name, location)
		}
	}
	f("ecb:eurofxref-hist.zip", "ecb", "eurofxref-hist.zip")
	f("ecb:https://example.com/a,b.zip", "ecb", "https://example.com/a,b.zip")
	f("ecb:x.zip,name=old", "ecb:old", "x.zip")
	f("file:/srv/rates/demo-rates.csv", "file:demo-rates", "/srv/rates/demo-rates.csv")
	f("file:rates", "file:rates", "rates")
	f("file:C:\\x.csv,name=desk", "file:desk", "C:\\x.csv")
}

func TestParseSourceRefuses(t *testing.T) {
	f := func(spec, want string) {
		t.Helper()
		if _, err := ParseSource(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("ParseSource(%q): error %v, want one with %q", spec, err, want)
		}
	}
	f("", "want ecb:FILE")
	f("rates.csv", "want ecb:FILE")
	f("ecb:", "nothing follows")
	f("file:", "nothing follows")
	f("file:,name=x", "nothing follows")
	f("file:a.csv,name=a b", "letters")
	f("file:https://example.com/x.csv", "local path")
	f("ecb:https://", "address")
	f("ftp:abc", "unknown kind")
}

func TestParseSources(t *testing.T) {
	sources, err := ParseSources([]string{"ecb:a.zip", "file:b.csv"})
	if err != nil || len(sources) != 2 || sources[0].Name() != "ecb" {
		t.Errorf("sources = %v, error %v", sources, err)
	}
	_, err = ParseSources([]string{"x", "file:a/r.csv", "file:b/r.csv", "oxr:"})
	if err == nil {
		t.Fatal("four faults pass")
	}
	for _, want := range []string{`"x"`, "same name", "nothing follows oxr"} {
		if !strings.Contains(err.Error(), want) {
			t.Errorf("error %q lacks %q", err, want)
		}
	}
}

func FuzzFetch(f *testing.F) {
	f.Add(true, []byte(ecbSeries))
	f.Add(true, []byte(ecbXML))
	f.Add(true, []byte(zipped(f, "x.csv", ecbSeries)))
	f.Add(false, []byte("date,currency,usd\n2024-03-01,kwd,3.25\n"))
	f.Fuzz(func(t *testing.T, ecb bool, data []byte) {
		parse := parseFile
		if ecb {
			parse = parseECB
		}
		rates, err := parse(data, "x", time.Time{})
		if err != nil {
			return
		}
		if _, err := NewTable([][]Rate{rates}, Options{}); err != nil {
			t.Fatalf("rates that were read do not make a table: %v", err)
		}
	})
}
