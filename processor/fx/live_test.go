package fx

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/shopspring/decimal"
)

// memory is a Store in memory: of one key the rate fetched later stands.
type memory struct {
	mu      sync.Mutex
	rates   map[rateKey]Rate
	inserts int
	open    []Unconverted
	broken  error
	first   Date
	days    map[rateKey]DayRate
	written int // how many rates of days
	largest int // how many of them at once, at most
	asked   int // how often for rates of days
}

func (m *memory) Rates(context.Context) ([]Rate, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var list []Rate
	for _, rate := range m.rates {
		list = append(list, rate)
	}
	return list, m.broken
}

func (m *memory) RatesVersion(context.Context) (string, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return fmt.Sprint(m.inserts), m.broken
}

func (m *memory) InsertRates(_ context.Context, rates []Rate) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.rates == nil {
		m.rates = make(map[rateKey]Rate)
	}
	m.inserts++
	for _, rate := range rates {
		m.rates[keyOf(rate)] = rate
	}
	return m.broken
}

func (m *memory) Unconverted(context.Context) ([]Unconverted, error) { return m.open, m.broken }

func (m *memory) FirstDay(context.Context) (Date, bool, error) {
	return m.first, m.first != 0, m.broken
}

func (m *memory) DayCurrencies(context.Context) (kept []string, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for key := range m.days {
		kept = append(kept, key.currency)
	}
	return kept, m.broken
}

func (m *memory) DayRates(_ context.Context, currencies []string) (kept []DayRate, err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.asked++
	for key, rate := range m.days {
		if slices.Contains(currencies, key.currency) {
			kept = append(kept, rate)
		}
	}
	return kept, m.broken
}

func (m *memory) InsertDayRates(_ context.Context, rates []DayRate) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.days == nil {
		m.days = make(map[rateKey]DayRate)
	}
	m.written += len(rates)
	m.largest = max(m.largest, len(rates))
	for _, rate := range rates {
		m.days[rateKey{currency: rate.Currency, date: rate.Day}] = rate
	}
	return m.broken
}

// bank is a source that is a file of this test.
func bank(t testing.TB, name string) (source string, write func(text string)) {
	t.Helper()
	path := filepath.Join(t.TempDir(), name+".csv")
	return "file:" + path, func(text string) {
		t.Helper()
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

func liveOf(t testing.TB, store Store, log *slog.Logger, metrics *Metrics, specs ...string) *Live {
	t.Helper()
	sources, err := ParseSources(specs)
	if err != nil {
		t.Fatal(err)
	}
	return NewLive(store, sources, StripeExponents(), log, metrics)
}

func loaded(t testing.TB, live *Live) bool {
	t.Helper()
	changed, err := live.Load(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return changed
}

// converts asks Convert at noon of a day for "rate source", or "none".
func converts(t testing.TB, live *Live, currency, on string) string {
	t.Helper()
	quote, exponent, ok := live.Convert(currency, day(t, on).Time().Add(12*time.Hour))
	if want, known := Exponent(currency); known && exponent != want {
		t.Errorf("%s has exponent %d", currency, exponent)
	}
	if !ok {
		return "none"
	}
	return quote.USD.String() + " " + quote.Source
}

// convertsAll asks for several "currency day".
func convertsAll(t testing.TB, live *Live, want string, questions ...string) {
	t.Helper()
	var answers []string
	for _, question := range questions {
		currency, on, _ := strings.Cut(question, " ")
		answers = append(answers, converts(t, live, currency, on))
	}
	if got := strings.Join(answers, ", "); got != want {
		t.Errorf("%q: %s, want %s", questions, got, want)
	}
}

// metric sums a counter or gauge over its labels.
func metric(t testing.TB, registry *prometheus.Registry, name string) (sum float64) {
	t.Helper()
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, family := range families {
		for _, m := range family.GetMetric() {
			if family.GetName() == name {
				sum += m.GetGauge().GetValue() + m.GetCounter().GetValue()
			}
		}
	}
	return sum
}

// One bad rate of a source leaves out one currency on one day; it is in the log once, in the metric
// and in the store, so that every process and every restart knows of it.
func TestLiveLeavesOutOneRate(t *testing.T) {
	source, write := bank(t, "desk")
	var log strings.Builder
	logger := slog.New(slog.NewTextHandler(&log, nil))
	registry := prometheus.NewRegistry()
	store := new(memory)
	live := liveOf(t, store, logger, NewMetrics(registry), source)
	write("date,currency,usd\n2026-03-02,eur,1.1\n2026-03-02,gbp,1.3\n2026-03-03,eur,0\n2026-03-03,gbp,1.31\n")
	for range 3 {
		loaded(t, live)
	}
	convertsAll(t, live, "1.31 file:desk, 1.1 file:desk", "gbp 2026-03-03", "eur 2026-03-03")
	if n := strings.Count(log.String(), "exchange rate not used"); n != 1 {
		t.Errorf("it is in the log %d times:\n%s", n, &log)
	}
	if n := metric(t, registry, "processor_fx_held_back_rates"); n != 1 {
		t.Errorf("the metric says %v", n)
	}
	again := liveOf(t, store, logger, nil, source)
	if err := again.LoadStored(t.Context()); err != nil {
		t.Fatal(err)
	}
	if quote, _ := again.Table().Lookup("eur", day(t, "2026-03-03")); quote.Final ||
		!quote.USD.Equal(decimal.RequireFromString("1.1")) {
		t.Errorf("another process: %+v", quote)
	}
	// Corrected, it converts; a rate that was good once is not given up for what is none.
	write("date,currency,usd\n2026-03-03,eur,1.12\n2026-03-02,gbp,null\n")
	if !loaded(t, live) {
		t.Error("the correction is not reported")
	}
	convertsAll(t, live, "1.12 file:desk, 1.3 file:desk", "eur 2026-03-03", "gbp 2026-03-02")
	if loaded(t, live) {
		t.Error("the same again is reported")
	}
}

// A source that cannot be read as a whole is counted and logged; what it gave before still counts,
// and the others are read.
func TestLiveSourceRefused(t *testing.T) {
	first, write := bank(t, "first")
	second, writeSecond := bank(t, "second")
	registry := prometheus.NewRegistry()
	live := liveOf(t, new(memory), slog.New(slog.DiscardHandler), NewMetrics(registry), first, second)
	write("date,currency,usd\n2026-03-02,eur,1.1\n")
	writeSecond("date,currency,usd\n2026-03-02,gbp,1.3\n")
	loaded(t, live)
	write("<html>moved</html>")
	writeSecond("date,currency,usd\n2026-03-03,gbp,1.31\n")
	if !loaded(t, live) {
		t.Error("the second source was not read")
	}
	convertsAll(t, live, "1.1 file:first, 1.31 file:second", "eur 2026-03-02", "gbp 2026-03-03")
	if n := metric(t, registry, "processor_fx_fetch_failures_total"); n != 1 {
		t.Errorf("%v failures", n)
	}
	if err := live.Unread(); err == nil || !strings.Contains(err.Error(), "fetch rates of file:first") ||
		strings.Contains(err.Error(), "file:second") {
		t.Errorf("unread: %v", err)
	}
	write("date,currency,usd\n2026-03-02,eur,1.1\n")
	if loaded(t, live); live.Unread() != nil {
		t.Errorf("unread after it was mended: %v", live.Unread())
	}
}

// A period that the file does not state any more holds no longer; published rates stay.
func TestLivePeriodWithdrawn(t *testing.T) {
	source, write := bank(t, "desk")
	live := liveOf(t, new(memory), slog.New(slog.DiscardHandler), nil, source)
	write("currency,usd,date,valid_from,valid_to\ntwd,0.3,,2002-01-01,\ntwd,0.032,,2020-01-01,\ngbp,1.3,2026-03-02,,\n")
	loaded(t, live)
	write("currency,usd,date,valid_from,valid_to\ntwd,0.031,,2020-01-01,\n")
	loaded(t, live)
	convertsAll(t, live, "none, 0.031 file:desk, 1.3 file:desk", "twd 2010-03-02", "twd 2026-03-02", "gbp 2026-03-02")
}

// A rate that was read before its day is read again when the day has come, though it is the same:
// from then on it shows that the source has published the day.
func TestLiveDayComes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is midnight of 2000-01-01
		source, write := bank(t, "bank")
		write("date,currency,usd\n2000-01-01,gbp,1.6\n2000-01-03,gbp,1.61\n")
		live := liveOf(t, new(memory), slog.New(slog.DiscardHandler), nil, source)
		for i, want := range []bool{true, false, true, false} {
			if got := loaded(t, live); got != want {
				t.Errorf("read %d: new rates %v, want %v", i+1, got, want)
			}
			if i == 1 {
				time.Sleep(24 * time.Hour)
			}
			quote, _, _ := live.Convert("gbp", time.Date(2000, 1, 2, 12, 0, 0, 0, time.UTC))
			if quote.Final != (i > 1) {
				t.Errorf("read %d: final %v", i+1, quote.Final)
			}
		}
	})
}

// What may take the place of a rate that is used is marked, and nothing else is.
func TestLiveRevised(t *testing.T) {
	store := new(memory)
	source, write := bank(t, "desk")
	live := liveOf(t, store, slog.New(slog.DiscardHandler), nil, source)
	const header = "date,currency,usd,valid_from,valid_to\n"
	revised := make(map[rateKey]time.Time)
	var last time.Time
	for _, step := range []struct{ what, rows, want string }{
		{"the first read", "2026-03-02,eur,1.1,,\n2026-03-04,eur,1.2,,\n2026-03-04,sek,0,,\n,twd,0.03,2020-01-01,\n", ""},
		{"the next day", "2026-03-05,eur,1.2,,\n2026-03-05,gbp,1.3,,\n", "twd 2020-01-01"}, // it is withdrawn
		{"a correction", "2026-03-05,eur,1.19,,\n2026-03-05,gbp,1.3,,\n", "eur 2026-03-05"},
		{"again within the second", "2026-03-05,eur,1.18,,\n", "eur 2026-03-05"},
		{"the same again", "2026-03-05,eur,1.18,,\n", ""},
		{"a day in the middle", "2026-03-03,eur,1.15,,\n", "eur 2026-03-03"},
		{"a rate that was none, and makes its day final", "2026-03-04,sek,0.1,,\n", ""},
		{"a period, and another end", ",aed,0.27,2020-01-01,2020-12-31\n", "aed 2020-01-01"},
		{"another end of it", ",aed,0.27,2020-01-01,2020-11-30\n", "aed 2020-01-01"},
	} {
		write(header + step.rows)
		loaded(t, live)
		var got []string
		for key, rate := range store.rates {
			if rate.RevisedAt.Unix() > revised[key].Unix() {
				got = append(got, key.currency+" "+key.date.String())
				if !last.Truncate(24 * time.Hour).Before(rate.RevisedAt.Truncate(24 * time.Hour)) {
					t.Errorf("%s is revised on %s, as something was before", step.what, rate.RevisedAt)
				}
				last = rate.RevisedAt
			}
			revised[key] = rate.RevisedAt
		}
		slices.Sort(got)
		if text := strings.Join(got, ", "); text != step.want {
			t.Errorf("%s revises %q, want %q", step.what, text, step.want)
		}
	}
}

// A source that fails in many places does not fill the log.
func TestLiveWarnsBriefly(t *testing.T) {
	source, write := bank(t, "desk")
	var log strings.Builder
	live := liveOf(t, new(memory), slog.New(slog.NewTextHandler(&log, nil)), nil, source)
	rows := "date,currency,usd\n2026-03-02,gbp,1.3\n"
	for i := range 300 {
		rows += (day(t, "2025-01-01") + Date(i)).String() + ",eur,-\n"
	}
	write(rows)
	loaded(t, live)
	if n := strings.Count(log.String(), "level=WARN"); n != 21 || !strings.Contains(log.String(), "more=280") {
		t.Errorf("%d lines:\n%.2000s", n, &log)
	}
}

// The order of the sources decides for what is stored too; what only earlier runs had follows, and
// the pegs are last unless something is named after them.
func TestLiveOrder(t *testing.T) {
	store := new(memory)
	for _, name := range []string{"oxr", "ecb", "file:old"} {
		lines := ratesOf(t, name, "2026-03-02 eur 1."+fmt.Sprint(len(name)),
			"2026-03-02 aed 0.27"+fmt.Sprint(len(name)), "2026-03-09 eur 1.1")
		if err := store.InsertRates(t.Context(), lines); err != nil {
			t.Fatal(err)
		}
	}
	if err := store.InsertRates(t.Context(), ratesOf(t, "file:old", "2026-03-02 gbp 1.3")); err != nil {
		t.Fatal(err)
	}
	f := func(want string, specs ...string) {
		t.Helper()
		live := liveOf(t, store, slog.New(slog.DiscardHandler), nil, specs...)
		if err := live.LoadStored(t.Context()); err != nil {
			t.Fatal(err)
		}
		convertsAll(t, live, want, "eur 2026-03-02", "aed 2026-03-02", "gbp 2026-03-02")
	}
	const peg = "0.272294077603812117 pegs"
	f("1.3 ecb, 0.273 ecb, 1.3 file:old")
	f("1.3 oxr, 0.273 oxr, 1.3 file:old", "oxr:x", "ecb:y")
	f("1.8 file:old, 0.278 file:old, 1.3 file:old", "file:old.csv")
	f("1.3 ecb, "+peg+", 1.3 file:old", "pegs", "ecb:y")
	f("1.3 ecb, 0.273 ecb, 1.3 file:old", "ecb:y", "pegs")
	f("1.3 ecb, 0.273 ecb, 1.3 file:old", "ecb:y", "pegs", "oxr:x")
	f("1.3 ecb, 0.273 ecb, 1.3 file:old", "pegs")
}

// Rates that another process stores are noticed within a poll, without a read of the sources; those
// of the sources within a refresh. Both wake whoever waits for rates.
func TestLiveRun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) { // it is midnight of 2000-01-01
		source, write := bank(t, "bank")
		write("date,currency,usd\n1999-12-31,gbp,1.3\n")
		store := &memory{open: []Unconverted{{Currency: "twd", Entries: 3, Oldest: day(t, "1999-12-30").Time()}}}
		live := liveOf(t, store, slog.New(slog.DiscardHandler), nil, source)
		loaded(t, live)
		ctx, stop := context.WithCancel(t.Context())
		var woken atomic.Int32
		ended := make(chan error, 1)
		go func() { ended <- live.Run(ctx, time.Hour, 15*time.Second, func() { woken.Add(1) }) }()

		time.Sleep(time.Minute)
		synctest.Wait()
		woken.Store(0)
		if converts(t, live, "eur", "1999-12-31") != "none" {
			t.Error("there is a rate already")
		}
		if text := live.Warning(); !strings.Contains(text, "twd (3 since 1999-12-30)") {
			t.Errorf("the warning: %q", text)
		}
		if err := store.InsertRates(ctx, ratesOf(t, "ecb", "1999-12-31 eur 1.1")); err != nil {
			t.Fatal(err)
		}
		time.Sleep(15 * time.Second)
		synctest.Wait()
		if got := converts(t, live, "eur", "1999-12-31"); got != "1.1 ecb" || woken.Load() != 1 {
			t.Errorf("after a poll: %s, woken %d times", got, woken.Load())
		}
		write("date,currency,usd\n1999-12-31,gbp,1.3\n1999-12-31,sek,0.1\n")
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if got := converts(t, live, "sek", "1999-12-31"); got != "none" || woken.Load() != 1 {
			t.Errorf("before the refresh: %s, woken %d times", got, woken.Load())
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if got := converts(t, live, "sek", "1999-12-31"); got != "0.1 file:bank" || woken.Load() < 2 {
			t.Errorf("after the refresh: %s, woken %d times", got, woken.Load())
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}

// A lookup that fails is an error, never a table without rates.
func TestLiveStoreFails(t *testing.T) {
	store := &memory{broken: errors.New("refused")}
	live := liveOf(t, store, slog.New(slog.DiscardHandler), nil)
	if _, err := live.Load(t.Context()); err == nil || live.Table() != nil {
		t.Errorf("%v, %v", err, live.Table())
	}
	if err := live.Run(t.Context(), time.Hour, time.Second, func() {}); err == nil ||
		!strings.Contains(err.Error(), "refused") {
		t.Error(err)
	}
	if live.Warning() != "" || !slices.Equal(live.unconverted(), nil) {
		t.Error(live.Warning())
	}
}
