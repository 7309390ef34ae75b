package fx

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

const oxrAnswer = `{"disclaimer":"…","timestamp":1772445600,"base":"USD","rates":{"EUR":0.925926,"JPY":149.25,"KWD":0.3077,"USD":1,"BTC":1.0537e-05}}`

func oxr(t *testing.T, spec string, now time.Time) Source {
	t.Helper()
	s, err := parseSource(spec)
	if err != nil {
		t.Fatal(err)
	}
	s.now = func() time.Time { return now }
	return s
}

func TestOpenExchangeRates(t *testing.T) {
	path := filepath.Join(t.TempDir(), "latest.json")
	if err := os.WriteFile(path, []byte(oxrAnswer), 0o600); err != nil {
		t.Fatal(err)
	}
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	rates, err := oxr(t, "oxr:"+path, noon).Fetch(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := map[string]string{}
	for _, r := range rates {
		if r.Date.String() != "2026-03-02" || r.Source != "oxr" || !r.Open() {
			t.Errorf("%+v", r)
		}
		got[r.Currency] = r.USD.String()
	}
	// 1/0.925926, 1/149.25 and 1/0.3077 to eighteen places, half to even.
	for currency, want := range map[string]string{
		"eur": "1.079999913600006912", "jpy": "0.006700167504187605", "kwd": "3.249918752031199220",
	} {
		if r := got[currency]; strings.TrimRight(r, "0") != strings.TrimRight(want, "0") {
			t.Errorf("%s: %s USD, want %s", currency, r, want)
		}
	}
	if _, known := got["usd"]; known || got["btc"] == "" {
		t.Errorf("%v", got)
	}
}

// What is read while the day lasts is provisional; read again afterwards, it stands.
func TestRateOfARunningDayIsNotFinal(t *testing.T) {
	day, err := ParseDate("2026-03-02")
	if err != nil {
		t.Fatal(err)
	}
	quote := func(fetched time.Time) Quote {
		rates, err := parseOXR([]byte(oxrAnswer), 0)
		if err != nil {
			t.Fatal(err)
		}
		for i := range rates {
			rates[i].Source, rates[i].FetchedAt = "oxr", fetched
		}
		table := NewTable([][]Rate{rates}, Options{})
		q, ok := table.Lookup("eur", day)
		if !ok {
			t.Fatal("no rate")
		}
		return q
	}
	if q := quote(time.Date(2026, 3, 2, 23, 59, 59, 0, time.UTC)); q.Final {
		t.Error("a rate of the running day is final")
	}
	if q := quote(time.Date(2026, 3, 3, 0, 0, 0, 0, time.UTC)); !q.Final {
		t.Error("a rate read after its day is not final")
	}
}

// Each of the last days is asked for; days that the source does not have are left out, and a key in
// the address is never said.
func TestOpenExchangeRatesByDay(t *testing.T) {
	status := 0
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Query().Get("app_id") != "sesame" || status != 0:
			w.WriteHeader(max(status, http.StatusUnauthorized))
		case r.URL.Path == "/2026-03-02.json" || r.URL.Path == "/2026-02-27.json":
			fmt.Fprint(w, strings.Replace(oxrAnswer, "1772445600", "0", 1))
		default:
			w.WriteHeader(http.StatusNotFound)
		}
	}))
	defer server.Close()
	noon := time.Date(2026, 3, 2, 12, 0, 0, 0, time.UTC)
	s := oxr(t, "oxr:"+server.URL+"/{date}.json?app_id=sesame", noon)
	rates, err := s.Fetch(t.Context())
	if err != nil || len(rates) != 8 || rates[0].Date.String() != "2026-02-27" ||
		rates[7].Date.String() != "2026-03-02" || rates[0].Open() {
		t.Errorf("%d rates, %v: %+v", len(rates), err, rates)
	}
	status = http.StatusInternalServerError
	_, broken := s.Fetch(t.Context())
	server.Close()
	_, gone := s.Fetch(t.Context())
	_, none := ParseSources([]string{"oxr:https://?app_id=sesame", "xyz:https://a/?app_id=sesame"})
	for _, said := range []string{fmt.Sprint(broken), fmt.Sprint(gone), fmt.Sprint(none), s.Location()} {
		if strings.Contains(said, "sesame") || said == "<nil>" {
			t.Errorf("the key is said: %s", said)
		}
	}
}

func TestOpenExchangeRatesRefused(t *testing.T) {
	for text, want := range map[string]string{
		`<html>`: "no answer of Open Exchange Rates",
		`{}`:     `"base" or "rates" is missing`,
		`{"error":true,"status":401,"message":"invalid_app_id","description":"…"}`: "invalid_app_id",
		`{"base":"EUR","timestamp":1,"rates":{"JPY":160}}`:                         "dollar is not among",
		`{"base":"USD","rates":{"JPY":160}}`:                                       "timestamp",
		`{"base":"EUR","timestamp":1,"rates":{"USD":0,"JPY":160}}`:                 "nothing can be crossed",
		`{"base":"EUR","timestamp":1,"rates":{"USD":null,"JPY":160}}`:              "nothing can be crossed",
		`{"base":"USD","timestamp":1,"rates":{"JPY":160`:                           "no answer of Open Exchange Rates",
		`{"base":"USD","timestamp":1,"rates":[]}`:                                  "no answer of Open Exchange Rates",
	} {
		if _, err := parseOXR([]byte(text), 0); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %q is not said: %v", text, want, err)
		}
	}
	rates, err := parseOXR([]byte(`{"base":"EUR","timestamp":1772445600,"rates":{"USD":1.08,"JPY":161.19}}`), 0)
	if err != nil || len(rates) != 2 || !strings.HasPrefix(rates[0].USD.String(), "1.08") ||
		!strings.HasPrefix(rates[1].USD.String(), "0.00670016750418760") {
		t.Errorf("crossed by the euro: %v %v", rates, err)
	}
}

// A value that cannot be a rate leaves out its currency, and no other.
func TestOpenExchangeRatesOneBadRate(t *testing.T) {
	for _, bad := range []string{
		`0`, `0.0`, `null`, `-1`, `"N/A"`, `"1.2"`, `true`, `[1]`, `{"a":1}`, `1e99999999`, `1e-99999999`, `1e40`, `""`,
		"1" + strings.Repeat("0", 1<<20),
	} {
		text := `{"base":"USD","timestamp":1772445600,"rates":{"EUR":0.92,"ZWL":` + bad + `,"JPY":150}}`
		rates, err := parseOXR([]byte(text), 0)
		if err != nil || len(rates) != 3 {
			t.Errorf("%.20s: %v, %v", bad, rates, err)
			continue
		}
		for _, rate := range rates {
			if (rate.Fault != "") != (rate.Currency == "zwl") || len(rate.Fault) > 200 {
				t.Errorf("%.20s: %+v", bad, rate)
			}
		}
		table := NewTable([][]Rate{rates}, Options{})
		if _, ok := table.Lookup("zwl", rates[0].Date); ok {
			t.Errorf("%.20s converts", bad)
		}
		if _, ok := table.Lookup("jpy", rates[0].Date); !ok {
			t.Errorf("beside %.20s jpy has no rate", bad)
		}
	}
}
