package rollup_test

import (
	"bytes"
	"cmp"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/race"
	"tributary/processor/clickhouse"
	"tributary/processor/rollup"
	"tributary/processor/rollup/rolluptest"
	"tributary/schemas"
	"tributary/sql/sqltest"
)

var begin = time.Date(2026, 3, 1, 0, 0, 0, 0, time.UTC)

// cell is a row of clicks_by_day.
type cell struct{ dimension, value, day string }

// A server that lags computes no day: the day would count as computed, without the clicks that the
// server lacks. The engine replicates nothing, so a table says how far each table lags.
func TestServerThatLags(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	engine, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	var lists atomic.Bool // first sales that are due were looked up
	proxy := httputil.NewSingleHostReverseProxy(&url.URL{Scheme: engine.Scheme, Host: engine.Host})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		body, err := io.ReadAll(r.Body)
		if err != nil {
			t.Error(err)
		}
		if bytes.Contains(body, []byte("WITH computations AS")) {
			lists.Store(true)
		}
		body = bytes.ReplaceAll(body, []byte("system.replicas"), []byte("lags"))
		r.Body, r.ContentLength = io.NopCloser(bytes.NewReader(body)), int64(len(body))
		proxy.ServeHTTP(w, r)
	}))
	defer server.Close()
	store, err := clickhouse.Open(server.URL+engine.Path, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	exec := func(statement string, args ...any) {
		t.Helper()
		if err := store.Exec(t.Context(), statement, args...); err != nil {
			t.Fatal(err)
		}
	}
	exec("CREATE TABLE lags (database String, table String, absolute_delay UInt64) ENGINE = MergeTree ORDER BY table")
	days := rollup.Range{Workspace: "shop", First: begin, Last: begin}
	for _, c := range []struct {
		table string
		lag   int // seconds
		want  error
	}{
		{"clicks", 31, rollup.ErrLags}, {"clicks_local", 31, rollup.ErrLags}, {"page_views", 1900000000, rollup.ErrLags},
		{"click_days", 31, rollup.ErrLags}, {"clicks_by_day", 31, rollup.ErrLags}, {"clicks", 30, nil},
		{"ledger", 1000, nil},
	} {
		exec("TRUNCATE TABLE lags")
		exec("INSERT INTO lags SELECT currentDatabase(), ?, ?", c.table, c.lag)
		if err := rollup.Compute(t.Context(), store, days, false); !errors.Is(err, c.want) {
			t.Errorf("%s lags by %d s: %v, want %v", c.table, c.lag, err, c.want)
		}
	}

	exec("TRUNCATE TABLE lags")
	exec("INSERT INTO lags SELECT currentDatabase(), 'clicks', 31")
	exec("INSERT INTO click_days (workspace, day, changed_at) SELECT 'shop', ?, now64(3) - INTERVAL 10 MINUTE",
		begin.AddDate(0, 0, 1).Format(time.DateOnly))
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	logged := &firstLine{done: cancel}
	err = rollup.Run(ctx, store, func() int { return 0 }, slog.New(slog.NewTextHandler(logged, nil)))
	if err != nil || !strings.Contains(logged.text, "lags behind other replicas") {
		t.Errorf("while a day is due: %v, logged %q", err, logged.text)
	}
	if !lists.Load() {
		t.Error("first sales, which need no clicks, are not computed while clicks lag")
	}
}

// firstLine keeps the first line that is logged, and calls done then.
type firstLine struct {
	text string
	done func()
}

func (l *firstLine) Write(line []byte) (int, error) {
	if l.text == "" {
		l.text = string(line)
		l.done()
	}
	return len(line), nil
}

// randomClick is one of few visitors who follow one of few links, within four days. Of two with one
// id the first received counts, as when somebody sends an id again with another affiliate.
func randomClick(rng *rand.Rand, id int) clickhouse.ClickRow {
	at := begin.Add(time.Duration(rng.IntN(4*24*12)) * 5 * time.Minute).UnixMilli()
	uuid := [16]byte{6: 0x70, 14: byte(id >> 8), 15: byte(id)}
	for i := range 6 {
		uuid[i] = byte(begin.UnixMilli() >> (40 - 8*i)) // an id's time need not be the click's
	}
	c := &schemas.Click{
		Workspace: "shop", ClickId: uuid[:], ClickedAt: at, ReceivedAt: begin.UnixMilli() + rng.Int64N(1e9),
		AffiliateId: fmt.Sprint("affiliate-", rng.IntN(3)), IdentityHash: make([]byte, 8),
		ForeignId: []string{"", "", "", fmt.Sprint("theirs-", rng.IntN(5))}[rng.IntN(4)],
	}
	switch n := rng.IntN(6); n {
	case 0: // no consent: nobody's
	case 1, 2: // known by the hash alone, as through /track/click
		c.IdentityHash[0] = byte(n)
	default:
		c.VisitorId = fmt.Sprint("visitor-", n)
	}
	return clickhouse.ClickRow{Click: c}
}

// byHand counts clicks as sql/README.md says.
func byHand(rows []clickhouse.ClickRow) map[cell]uint64 {
	first := make(map[string]clickhouse.ClickRow)
	for _, r := range rows {
		known, ok := first[string(r.ClickId)]
		if !ok || r.Vouched && !known.Vouched || r.Vouched == known.Vouched && r.ReceivedAt < known.ReceivedAt {
			first[string(r.ClickId)] = r
		}
	}
	// The clicks of one visitor and link, and those of one foreign id.
	arrivals := make(map[[2]string][]clickhouse.ClickRow)
	for _, r := range first {
		visitor := cmp.Or(r.VisitorId, string(r.IdentityHash))
		if visitor == string(make([]byte, 8)) {
			visitor = string(r.ClickId)
		}
		link := [2]string{visitor, r.AffiliateId}
		arrivals[link] = append(arrivals[link], r)
		if r.ForeignId != "" {
			theirs := [2]string{"foreign", r.ForeignId}
			arrivals[theirs] = append(arrivals[theirs], r)
		}
	}
	for _, list := range arrivals {
		slices.SortFunc(list, func(a, b clickhouse.ClickRow) int {
			return cmp.Or(cmp.Compare(a.ClickedAt, b.ClickedAt), bytes.Compare(a.ClickId, b.ClickId))
		})
		last := int64(0)
		for _, r := range list {
			if r.ClickedAt > last+time.Hour.Milliseconds() {
				last = r.ClickedAt
			} else {
				delete(first, string(r.ClickId))
			}
		}
	}
	counts := make(map[cell]uint64)
	for _, r := range first {
		day := time.UnixMilli(r.ClickedAt).UTC().Format(time.DateOnly)
		counts[cell{"", "", day}]++
		counts[cell{"affiliate", r.AffiliateId, day}]++
	}
	return counts
}

// Whatever clicks arrive, in whatever order and however often, the figures are those of a hand
// count: at once, and after the days are computed; also when a day that was computed changes.
func TestEqualsAHandCount(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	same := func(when string, rows []clickhouse.ClickRow) {
		t.Helper()
		want := byHand(rows)
		got := figures(t, store, "SELECT toString(dimension), value, toString(day), clicks FROM clicks_by_dimension("+
			march+", dimensions = ['', 'affiliate'], stored = true) WHERE clicks > 0")
		if !maps.Equal(got, want) {
			t.Errorf("%s: got %v, want %v", when, got, want)
		}
		maps.DeleteFunc(want, func(c cell, _ uint64) bool { return c.dimension == "" })
		if got := figures(t, store, byAffiliate); !maps.Equal(got, want) {
			t.Errorf("%s, by activity: got %v, want %v", when, got, want)
		}
	}
	rng := rand.New(rand.NewPCG(3, 4))
	var rows []clickhouse.ClickRow
	batches := 3
	if race.Enabled {
		batches = 2
	}
	for range batches {
		for range 150 {
			rows = append(rows, randomClick(rng, rng.IntN(300)))
		}
		batch := append(slices.Clone(rows[len(rows)-150:]), rows[:len(rows)/3]...) // some are delivered again
		rng.Shuffle(len(batch), func(i, j int) { batch[i], batch[j] = batch[j], batch[i] })
		if err := store.InsertClicks(t.Context(), batch); err != nil {
			t.Fatal(err)
		}
		same("inserted", rows)
		rolluptest.Refresh(t, store)
		same("computed", rows)
	}
}

// A click that arrives late changes more days than its own: the one after it, where its visitor had
// come again within the hour, and the one of a public click in whose place it stands.
func TestLateClicks(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	midnight := begin.AddDate(0, 0, 1)
	var rows []clickhouse.ClickRow
	click := func(visitor string, named, clicked time.Duration, vouched bool) { // both after midnight
		id := schemas.ClickIDOf(midnight.Add(named), make([]byte, schemas.ClickIDRandom))
		rows = append(rows, clickhouse.ClickRow{Click: &schemas.Click{
			Workspace: "shop", ClickId: id[:], ClickedAt: midnight.Add(clicked).UnixMilli(), Vouched: vouched,
			ReceivedAt: midnight.UnixMilli() + int64(len(rows)), VisitorId: visitor, IdentityHash: make([]byte, 8),
		}})
	}
	for _, arrive := range []func(){
		func() {
			click("anna", 20*time.Minute, 20*time.Minute, false)
			click("ben", 30*time.Hour, 30*time.Hour, false)
		},
		func() {
			click("anna", -10*time.Minute, -10*time.Minute, false) // hers of 00:20 repeats it
			click("ben", 30*time.Hour, -5*time.Hour, true)         // in the place of his first one
		},
		func() { click("anna", -70*time.Minute, -70*time.Minute, false) }, // repeated by 23:50, so 00:20 counts
	} {
		known := len(rows)
		arrive()
		if err := store.InsertClicks(t.Context(), slices.Clone(rows[known:])); err != nil {
			t.Fatal(err)
		}
		for _, when := range []string{"inserted", "computed"} {
			got := figures(t, store, "SELECT toString(dimension), value, toString(day), clicks FROM clicks_by_dimension("+
				march+", dimensions = ['', 'affiliate'], stored = true) WHERE clicks > 0")
			if want := byHand(rows); !maps.Equal(got, want) {
				t.Errorf("%d clicks %s: got %v, want %v", len(rows), when, got, want)
			}
			rolluptest.Refresh(t, store)
		}
	}
}

// march is the time in which the clicks of the tests lie.
const march = "workspace = 'shop', from = '2026-02-01 00:00:00', to = '2026-04-01 00:00:00'"

// byAffiliate counts clicks of each affiliate and day by the view that filters read.
const byAffiliate = "SELECT 'affiliate', toString(name), toString(toDate(at)), count() FROM activity(" + march +
	", livemode = true, dimension = 'affiliate', only = map()::Map(String, Array(String)), " +
	"without = map()::Map(String, Array(String)), currency = 'usd', rates = '', stored = true) " +
	"WHERE what = 'click' GROUP BY name, toDate(at)"

func figures(t *testing.T, store *clickhouse.Store, query string) map[cell]uint64 {
	t.Helper()
	got := make(map[cell]uint64)
	err := store.Each(t.Context(), func(rows driver.Rows) error {
		var c cell
		var clicks uint64
		err := rows.Scan(&c.dimension, &c.value, &c.day, &clicks)
		got[c] += clicks
		return err
	}, query)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// A day that was computed before there were lists of clicks is read from clicks, and computed again
// if its clicks are still as they were received.
func TestDayWithoutAList(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	store, err := clickhouse.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	rng := rand.New(rand.NewPCG(5, 6))
	var rows []clickhouse.ClickRow
	for id := range 100 {
		rows = append(rows, randomClick(rng, id))
	}
	if err := store.InsertClicks(t.Context(), rows); err != nil {
		t.Fatal(err)
	}
	const computed = "SELECT '', '', '', count() FROM clicks_by_day"
	for _, onlyQuiet := range []bool{true, false} { // the days changed in this moment
		if err := rollup.Refresh(t.Context(), store, begin, onlyQuiet); err != nil {
			t.Fatal(err)
		}
		if none := figures(t, store, computed)[cell{}] == 0; none != onlyQuiet {
			t.Errorf("only quiet days %v: none was computed: %v", onlyQuiet, none)
		}
	}
	rolluptest.Refresh(t, store)
	want := byHand(rows)
	maps.DeleteFunc(want, func(c cell, _ uint64) bool { return c.dimension == "" })
	for _, statement := range []string{
		"ALTER TABLE clicks_by_day UPDATE counted = [] WHERE true SETTINGS mutations_sync = 2",
		"ALTER TABLE click_days UPDATE counted_at = toDateTime64(0, 3, 'UTC') WHERE true SETTINGS mutations_sync = 2",
	} {
		if err := store.Exec(t.Context(), statement); err != nil {
			t.Fatal(err)
		}
	}
	const listed = "SELECT '', '', toString(day), toUInt64(length(counted)) FROM clicks_by_day FINAL " +
		"WHERE dimension = '' AND notEmpty(counted)"
	for _, c := range []struct {
		oldest time.Time
		days   int
	}{{begin.AddDate(1, 0, 0), 0}, {begin.AddDate(0, 0, 2), 2}, {begin, 4}} {
		if err := rollup.Refresh(t.Context(), store, c.oldest, false); err != nil {
			t.Fatal(err)
		}
		if days := figures(t, store, listed); len(days) != c.days {
			t.Errorf("from %s on %d days have a list, want %d", c.oldest.Format(time.DateOnly), len(days), c.days)
		}
		if got := figures(t, store, byAffiliate); !maps.Equal(got, want) {
			t.Errorf("with %d lists: got %v, want %v", c.days, got, want)
		}
	}
}
