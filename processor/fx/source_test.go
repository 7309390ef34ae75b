package fx

import (
	"archive/zip"
	"bytes"
	"compress/flate"
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strconv"
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
		<Cube time="2024-03-04"><Cube currency="USD" rate="1.0846"/><Cube currency="JPY" rate="163.18"/>
			<Cube currency="GBP" rate="0.85570"/></Cube>
		<Cube time="2024-03-01"><Cube currency="USD" rate="1.0813"/><Cube currency="JPY" rate="162.68"/>
			<Cube currency="GBP" rate="0.85595"/></Cube>
		<Cube time="2024-02-29"><Cube currency="USD" rate="1.0826"/><Cube currency="JPY" rate="162.35"/>
			<Cube currency="XXX" rate="7.5"/>
			<Cube currency="GBP" rate="0.85523"/></Cube>
	</Cube>
</gesmes:Envelope>`

func zipped(t testing.TB, name, text string) string {
	t.Helper()
	var buffer bytes.Buffer
	archive := zip.NewWriter(&buffer)
	archive.RegisterCompressor(zip.Deflate, func(w io.Writer) (io.WriteCloser, error) {
		return flate.NewWriter(w, flate.BestSpeed)
	})
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
	source, err := parseSource(kind + ":" + path)
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
				t.Errorf("%s: %s on %s = %s (found: %v), want %s", form, currency, date,
					rate.USD.StringFixed(18), ok, want)
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
	f("Date,USD,\n2024-03-04,1e9,\n", "no usable rate")
	f("Date,USD,\n0001-01-01,1.08,\n", "1970-01-01")
	f("Date,USD,\n2024-03-04,-1,\n", "plain decimal")
	f("Date,USD,\n2024-03-04,0,\n", "positive")
	f("Date,DOLLAR,\n2024-03-04,1,\n", "not a currency")
	f("<html><body>moved</body></html>", "web page")
	f("<!DOCTYPE html><html><br><p></html>", "web page")
	f("PK\x03\x04 broken", "open zip")
	f(zipped(t, "readme.txt", "hello"), "no .csv")
	f(zipped(t, "big.csv", strings.Repeat("0", maxSourceBytes+1)), "32 MiB")
}

func TestFetchFile(t *testing.T) {
	rates, err := fetch(t, "file", "demo-rates.csv",
		"# made up\ndate,currency,usd\n2024-03-01,KWD,3.25\n2024-03-01,ugx,0.00026\n2024-03-01,usd,1.0\n2024-03-01,kwd,3.250\n")
	if err != nil {
		t.Fatal(err)
	}
	if len(rates) != 2 {
		t.Errorf("%d rates, want 2: %v", len(rates), rates)
	}
	rate, _ := find(rates, "kwd", "2024-03-01")
	if rate.Source != "file:demo-rates" || rate.USD.StringFixed(18) != "3.250000000000000000" ||
		rate.USD.Exponent() != -18 {
		t.Errorf("rate = %+v", rate)
	}
}

// What shows that the file is not meant so, or is not whole, refuses it.
func TestFetchFileRefuses(t *testing.T) {
	f := func(content, want string) {
		t.Helper()
		rates, err := fetch(t, "file", "x.csv", content)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%q gives %d rates, error %v; want an error with %q", content, len(rates), err, want)
		}
	}
	const header = "date,currency,usd\n"
	f("", "is empty")
	f("<html>", "not known")
	f("date;currency;usd\n2024-03-01;eur;1\n", "by commas")
	f("2024-03-01,eur,1.08\n", "not known")
	f("date,currency\n", "missing")
	f("currency,usd\n", "missing")
	f("date,currency,usd,valid_to\n", "missing")
	f("date,currency,usd,usd\n", "twice")
	f("date,currency,usd,valid_too\n", "not known")
	f(header, "no rate")
	f(header+"2024-03-01,eur\n", "line 2")
	f(header+"2024-03-01,eur,1,1\n", "line 2")
	f(header+"1.3.2024,eur,1\n", "line 2, column 1: date: ")
	f(header+"2024-03-01,eu\xe9,1\n", "not UTF-8")
	f(header+"0001-01-01,eur,1\n", "1970-01-01")
	f(header+"2150-01-01,eur,1\n", "2149-06-06")
	f(header+",eur,1\n", "either date or valid_from")
	f("date,valid_from,currency,usd\n2024-03-01,2024-03-01,eur,1\n", "either date or valid_from")
	f(header+"2024-03-01,usd,1.08\n", "base another currency")
	f(header+"2024-03-01,usd,\n", "base another currency")
	f(header+"2024-03-01,eur,0\n", "no usable rate")
}

// The header names the columns; their order is the file's.
func TestFetchFileColumns(t *testing.T) {
	f := func(content, want string) {
		t.Helper()
		rates, err := fetch(t, "file", "x.csv", content)
		if err != nil || len(rates) != 1 {
			t.Errorf("%q: %v, %v", content, rates, err)
			return
		}
		r := rates[0]
		if got := fmt.Sprint(r.Currency, " ", r.Date, " ", r.ValidTo, " ", r.USD); got != want {
			t.Errorf("%q: %s, want %s", content, got, want)
		}
	}
	const once = "eur 2024-03-01 1970-01-01 1.08"
	f("date,currency,usd\n2024-03-01,eur,1.08\n", once)
	f("currency,date,usd\neur,2024-03-01,1.08\n", once)
	f("\xef\xbb\xbfUSD, Currency , Date\r\n1.08,EUR,2024-03-01\r\n", once)
	f("note,usd,currency,date\nthe desk's,1.08,eur,2024-03-01\n", once)
	f("currency,usd,valid_from\naed,0.2723,2000-01-01\n", "aed 2000-01-01 2149-06-06 0.2723")
	f("currency,usd,valid_from,valid_to\naed,0.2723,2000-01-01,\n", "aed 2000-01-01 2149-06-06 0.2723")
	f("valid_to,usd,valid_from,currency\n2007-05-19,3.34,2003-01-05,kwd\n", "kwd 2003-01-05 2007-05-19 3.34")
	f("date,valid_from,valid_to,currency,usd\n2024-03-01,,,eur,1.08\n", once)
}

// A row that cannot be a rate leaves out its currency on its day, and no other.
func TestFetchFileOneBadRow(t *testing.T) {
	for _, bad := range []string{
		"2024-03-01,eur,", "2024-03-01,eur,0", "2024-03-01,eur,-1", "2024-03-01,eur,1e9", "2024-03-01,eur,null",
		"2024-03-01,eur,NaN",
		"2024-03-01,eur,1.2.3", "2024-03-01,eur,.", "2024-03-01,eur,0.0000000000000000001", "2024-03-01,eur," +
			strings.Repeat("9", 100),
		"2024-03-01,eur,1.08\n2024-03-01,EUR,1.09", "2024-03-01,euro,1.08", "2024-03-01,€,1.08",
	} {
		rates, err := fetch(t, "file", "x.csv",
			"date,currency,usd\n2024-03-01,gbp,1.27\n"+bad+"\n2024-03-04,eur,1.09\n")
		if err != nil || len(rates) != 3 || rates[0].Fault != "" || rates[1].Fault == "" || rates[2].Fault != "" {
			t.Errorf("%.60q: %v, %v", bad, rates, err)
		}
	}
	rates, err := fetch(t, "file", "x.csv",
		"currency,usd,valid_from,valid_to\naed,0.27,2024-03-01,2024-02-01\nsar,0.26,2024-03-01,\n")
	if err != nil || len(rates) != 2 || !strings.Contains(rates[0].Fault, "before valid_from") ||
		rates[1].Fault != "" {
		t.Errorf("%v, %v", rates, err)
	}
}

// The same for the bank's files, in each form: the other currencies and days stand. Without the
// dollar nothing of its day can be crossed.
func TestFetchECBOneBadRate(t *testing.T) {
	f := func(form, content, faulty string) {
		t.Helper()
		rates, err := fetch(t, "ecb", "x", content)
		if err != nil {
			t.Errorf("%s: %v", form, err)
			return
		}
		var got []string
		for _, rate := range rates {
			if rate.Fault != "" {
				got = append(got, rate.Currency+" "+rate.Date.String())
			}
		}
		slices.Sort(got)
		if text := strings.Join(got, ", "); text != faulty {
			t.Errorf("%s leaves out %q, want %q", form, text, faulty)
		}
	}
	for _, bad := range []string{"0", "0.0", "-1", "1e3", "null", "?", "1,5", strings.Repeat("9", 50), "1" +
		strings.Repeat("0", 1000)} {
		quotedBad := `"` + bad + `"`
		f("csv "+bad, strings.Replace(ecbSeries, "163.18", quotedBad, 1), "jpy 2024-03-04")
		f("xml "+bad, strings.Replace(ecbXML, "163.18", bad, 1), "jpy 2024-03-04")
		f("dollar "+bad, strings.Replace(ecbSeries, "1.0813", quotedBad, 1),
			"eur 2024-03-01, gbp 2024-03-01, jpy 2024-03-01")
	}
	f("no rate attribute", strings.Replace(ecbXML, ` rate="163.18"`, "", 1), "jpy 2024-03-04")
	f("no currency attribute", strings.Replace(ecbXML, ` currency="JPY"`, "", 1), " 2024-03-04")
	for _, form := range []string{ecbSeries, ecbXML} {
		f("dollar twice, another", strings.Replace(form, "XXX", "USD", 1),
			"eur 2024-02-29, gbp 2024-02-29, jpy 2024-02-29")
		f("dollar twice, the same", strings.Replace(strings.Replace(form, "XXX", "USD", 1), "7.5", "1.0826", 1), "")
	}
	f("day twice, the same", ecbSeries+"2024-02-29,1.0826,162.35,7.5,0.85523,\n", "")
	f("day twice, another", ecbSeries+"2024-02-29,1.0826,162.36,7.5,0.85523,\n", "jpy 2024-02-29")
}

// What is cut off or something else refuses the whole source, in each form.
func TestFetchRefusesWhatIsCutOff(t *testing.T) {
	whole := zipped(t, "eurofxref-hist.csv", strings.Repeat(ecbSeries, 1)+strings.Repeat("# ", 2000))
	for _, cut := range []string{whole[:len(whole)/2], whole[:len(whole)-10], ecbXML[:len(ecbXML)/2],
		ecbSeries[:len(ecbSeries)-15]} {
		if rates, err := fetch(t, "ecb", "x", cut); err == nil {
			t.Errorf("%.20q… of %d bytes: %d rates", cut, len(cut), len(rates))
		}
	}
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

	source, err := parseSource("ecb:" + server.URL + "/eurofxref-hist.zip")
	if err != nil {
		t.Fatal(err)
	}
	rates, err := source.Fetch(t.Context())
	if err != nil || len(rates) != 10 {
		t.Errorf("%d rates, error %v", len(rates), err)
	}
	missing, err := parseSource("ecb:" + server.URL + "/elsewhere.zip")
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

// An address that answers something else than the whole file is refused, with what it said.
func TestFetchURLRefuses(t *testing.T) {
	answers := map[string]struct {
		want  string
		write func(w http.ResponseWriter)
	}{
		"/not-modified": {"304", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNotModified) }},
		"/too-many": {"429", func(w http.ResponseWriter) {
			w.Header().Set("Retry-After", "60")
			w.WriteHeader(http.StatusTooManyRequests)
		}},
		"/broken":     {"503", func(w http.ResponseWriter) { w.WriteHeader(http.StatusServiceUnavailable) }},
		"/no-content": {"204", func(w http.ResponseWriter) { w.WriteHeader(http.StatusNoContent) }},
		"/part": {"206", func(w http.ResponseWriter) {
			w.WriteHeader(http.StatusPartialContent)
			_, _ = w.Write([]byte(ecbSeries))
		}},
		"/empty": {"the first line is not", func(http.ResponseWriter) {}},
		"/cut-off": {"unexpected EOF", func(w http.ResponseWriter) {
			w.Header().Set("Content-Length", strconv.Itoa(2*len(ecbSeries)))
			_, _ = w.Write([]byte(ecbSeries))
		}},
		"/page": {"web page", func(w http.ResponseWriter) { _, _ = w.Write([]byte("<!DOCTYPE html><p>Moved")) }},
		"/json": {"the first line is not", func(w http.ResponseWriter) { _, _ = w.Write([]byte(`{"rates":{}}`)) }},
		"/gzip": {"the first line is not", func(w http.ResponseWriter) { _, _ = w.Write([]byte("\x1f\x8b\x08\x00")) }},
		"/huge": {"more than 32 MiB", func(w http.ResponseWriter) {
			part := []byte(strings.Repeat("2026-03-02,1.1,\n", 1<<16))
			for range 33 {
				_, _ = w.Write(part)
			}
		}},
		"/loop": {"redirects", func(w http.ResponseWriter) {
			w.Header().Set("Location", "/loop")
			w.WriteHeader(http.StatusFound)
		}},
	}
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		answers[r.URL.Path].write(w)
	}))
	defer server.Close()
	for path, answer := range answers {
		source, err := parseSource("ecb:" + server.URL + path)
		if err != nil {
			t.Fatal(err)
		}
		rates, err := source.Fetch(t.Context())
		if err == nil || !strings.Contains(err.Error(), answer.want) {
			t.Errorf("%s: %d rates, error %v, want one with %q", path, len(rates), err, answer.want)
		}
	}
}

func TestFetchMissingFile(t *testing.T) {
	source, err := parseSource("file:" + filepath.Join(t.TempDir(), "none.csv"))
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
		source, err := parseSource(spec)
		if err != nil {
			t.Errorf("parseSource(%q): %v", spec, err)
			return
		}
		if source.Name() != name || source.Location() != location {
			t.Errorf("parseSource(%q) = %q at %q, want %q at %q", spec, source.Name(), source.Location(), name,
				location)
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
		if _, err := parseSource(spec); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("parseSource(%q): error %v, want one with %q", spec, err, want)
		}
	}
	f("", "(hint: ecb:FILE")
	f("rates.csv", "(hint: ecb:FILE")
	f("ecb:ftp://bank.example/rates.zip", "(hint: https://, http:// or a path)")
	f("ecb:", "nothing follows")
	f("file:", "nothing follows")
	f("file:,name=x", "nothing follows")
	f("file:a.csv,name=a b", "letters")
	f("file:https://example.com/x.csv", "local path")
	f("ecb:https://", "address")
	f("ftp:abc", "unknown kind")
}

func TestParseSources(t *testing.T) {
	for specs, want := range map[string]string{
		"": "pegs", "ecb:a.zip file:b.csv": "ecb file:b pegs", "ecb:a.zip pegs oxr:c": "ecb pegs oxr",
		"ecb:a.zip name=old ecb:b.zip": "ecb:old ecb pegs", // as a flag cuts at commas
	} {
		sources, err := ParseSources(strings.Fields(specs))
		var names []string
		for _, source := range sources {
			names = append(names, source.Name())
		}
		if got := strings.Join(names, " "); err != nil || got != want {
			t.Errorf("%q: sources %q, error %v; want %q", specs, got, err, want)
		}
	}
	_, err := ParseSources([]string{"pegs", "pegs"})
	if err == nil || !strings.Contains(err.Error(), "same name") {
		t.Errorf("pegs twice: %v", err)
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
	f.Add(uint8(0), []byte(ecbSeries))
	f.Add(uint8(0), []byte(ecbXML))
	f.Add(uint8(0), []byte(zipped(f, "x.csv", ecbSeries)))
	f.Add(uint8(1), []byte("date,currency,usd\n2024-03-01,kwd,3.25\n"))
	f.Add(uint8(1), []byte("currency,usd,valid_from,valid_to\naed,0.2723,2000-01-01,\n"))
	f.Add(uint8(2), []byte(oxrAnswer))
	f.Fuzz(func(t *testing.T, form uint8, data []byte) {
		parse := parseECB
		switch form % 3 {
		case 1:
			parse = parseFile
		case 2:
			parse = func(data []byte) ([]Rate, error) { return parseOXR(data, 0) }
		}
		rates, err := parse(data)
		if err != nil {
			return
		}
		table := NewTable([][]Rate{rates}, Options{})
		for _, rate := range rates {
			quote, ok := table.Lookup(rate.Currency, rate.Date)
			if ok && (quote.USD.Sign() <= 0 || quote.USD.Exponent() != -ratePlaces || quote.Fault != "") {
				t.Fatalf("%+v converts by %+v", rate, quote)
			}
		}
	})
}
