package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/query"
	"tributary/processor/workspace"
	"tributary/sql"
)

// at is the moment at which the tests look: twenty past the hour before this one, because clicks
// are kept by the minute for three days only.
var at = time.Now().UTC().Truncate(time.Hour).Add(-40 * time.Minute)

const hostile = `"><script>alert(1)</script>` + "\u202etxt\x00\n'; DROP TABLE revenue --"

// database is an empty, migrated one.
func database(tb testing.TB) (dsn string, conn driver.Conn) {
	tb.Helper()
	dsn = chdbtest.Start(tb)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
		tb.Fatal(err)
	}
	db := clickhouse.OpenDB(options)
	defer db.Close()
	if err := sql.Migrate(tb.Context(), db, func(string) {}); err != nil {
		tb.Fatal(err)
	}
	if conn, err = clickhouse.Open(options); err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { conn.Close() })
	return dsn, conn
}

func serve(tb testing.TB, cfg Config, now func() time.Time) *Dashboard {
	tb.Helper()
	if cfg.Workspaces == nil {
		cfg.Workspaces = func() []workspace.Region {
			return []workspace.Region{{Workspace: "default", Timezone: "UTC", Currency: "usd"},
				{Workspace: "other", Timezone: "Asia/Kolkata", Currency: "inr"}}
		}
	}
	d, err := New(cfg)
	if err != nil {
		tb.Fatal(err)
	}
	tb.Cleanup(func() { d.Close() })
	d.now = now
	return d
}

func insert(tb testing.TB, conn driver.Conn, statement string, args ...any) {
	tb.Helper()
	if err := conn.Exec(tb.Context(), statement, args...); err != nil {
		tb.Fatalf("%s: %v", statement, err)
	}
}

// click is a row of clicks; the id is a UUIDv7 of its moment.
func click(tb testing.TB, conn driver.Conn, n int, when time.Time, visitor, affiliate, link, campaign string,
	bot bool,
) {
	tb.Helper()
	var id [16]byte
	ms := when.UnixMilli()
	for i := range 6 {
		id[i] = byte(ms >> (8 * (5 - i)))
	}
	copy(id[8:], fmt.Sprintf("%08d", n))
	insert(tb, conn, `INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, affiliate_id, link_id, utm_campaign, is_bot)
		SELECT 'default', unhex({id:String}), fromUnixTimestamp64Milli({ms:Int64}, 'UTC'),
			fromUnixTimestamp64Milli({ms:Int64}, 'UTC'),
			{visitor:String}, unhex({affiliate:String}), {link:String}, {campaign:String}, {bot:Bool}`,
		clickhouse.Named("id", fmt.Sprintf("%x", id)), clickhouse.Named("ms", fmt.Sprint(ms)),
		clickhouse.Named("visitor", visitor),
		clickhouse.Named("affiliate", fmt.Sprintf("%x", affiliate)), clickhouse.Named("link", link),
		clickhouse.Named("campaign", campaign),
		clickhouse.Named("bot", fmt.Sprint(bot)))
}

// entry is a row of the ledger, with what a test does not care about left at its default.
type entry struct {
	id        string
	when      time.Time
	kind      string // payment
	status    string // booked
	test      bool
	currency  string // usd
	amount    int64
	net       string // empty: no rate
	fx        string
	affiliate string
	link      string
	campaign  string
	rule      string // none
	key       string
	clicked   time.Time
	version   int // 1
}

func book(tb testing.TB, conn driver.Conn, e entry) {
	tb.Helper()
	or := func(s, otherwise string) string {
		if s == "" {
			return otherwise
		}
		return s
	}
	net, clicked := "NULL", "NULL"
	if e.net != "" {
		net = "toDecimal64('" + e.net + "', 6)"
	}
	if !e.clicked.IsZero() {
		clicked = fmt.Sprintf("fromUnixTimestamp64Milli(%d, 'UTC')", e.clicked.UnixMilli())
	}
	insert(tb, conn, fmt.Sprintf(`INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, currency, amount,
			amount_usd, net_usd, fx_source, clicked_at, affiliate_id, link_id, utm_campaign, match_rule, match_key,
			status, version)
		SELECT 'default', substring(MD5({id:String}), 1, 16), %t, toDate(w), {kind:String}, {id:String}, {id:String},
			fromUnixTimestamp64Milli(%d, 'UTC') AS w, {currency:String}, %d, %s, %s, {fx:String}, %s, unhex({affiliate:String}),
			{link:String}, {campaign:String}, {rule:String}, {key:String}, {status:String}, %d`,
		!e.test, e.when.UnixMilli(), e.amount, net, net, clicked, max(e.version, 1)),
		clickhouse.Named("id", e.id), clickhouse.Named("kind", or(e.kind, "payment")),
		clickhouse.Named("currency", or(e.currency, "usd")),
		clickhouse.Named("fx", e.fx), clickhouse.Named("affiliate", fmt.Sprintf("%x", e.affiliate)),
		clickhouse.Named("link", e.link),
		clickhouse.Named("campaign", e.campaign), clickhouse.Named("rule", or(e.rule, "none")),
		clickhouse.Named("key", e.key),
		clickhouse.Named("status", or(e.status, "booked")))
}

func lead(tb testing.TB, conn driver.Conn, id string, when time.Time, quantity int, affiliate, mode string) {
	tb.Helper()
	insert(tb, conn, fmt.Sprintf(`INSERT INTO leads (workspace, lead_id, received_at, mode, quantity, affiliate_id, version)
		SELECT 'default', substring(MD5({id:String}), 1, 16), fromUnixTimestamp64Milli(%d, 'UTC'), {mode:String}, %d, {affiliate:String}, 1`,
		when.UnixMilli(), quantity),
		clickhouse.Named("id", id), clickhouse.Named("affiliate", affiliate), clickhouse.Named("mode", mode))
}

func get(tb testing.TB, h http.Handler, target string) *httptest.ResponseRecorder {
	tb.Helper()
	w := httptest.NewRecorder()
	h.ServeHTTP(w, httptest.NewRequest(http.MethodGet, target, nil))
	return w
}

func summary(tb testing.TB, h http.Handler, target string) Summary {
	tb.Helper()
	w := get(tb, h, target)
	if w.Code != http.StatusOK {
		tb.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	var s Summary
	if err := json.Unmarshal(w.Body.Bytes(), &s); err != nil {
		tb.Fatal(err)
	}
	return s
}

func same[T any](tb testing.TB, what string, got, want T) {
	tb.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		tb.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}

func TestSummary(t *testing.T) {
	dsn, conn := database(t)
	d := serve(t, Config{DSN: dsn}, func() time.Time { return at })

	n := 0
	clicks := func(count int, when time.Time, affiliate, link, campaign string) {
		for range count {
			n++
			click(t, conn, n, when, fmt.Sprintf("v%d", n%7), affiliate, link, campaign, false)
		}
	}
	clicks(8, at.Add(-10*time.Minute), "anna", "l1", "spring") // seven visitors, one of them twice: seven clicks
	clicks(2, at.Add(-5*time.Hour), hostile, "l2", "")
	clicks(3, at.Add(-3*day), "anna", "l1", "winter") // before the range
	click(t, conn, 900, at.Add(-time.Minute), "bot", "anna", "l1", "spring", true)
	click(t, conn, 1, at.Add(-10*time.Minute), "v1", "anna", "l1", "spring", false) // the first one, told again

	lead(t, conn, "a", at.Add(-9*time.Minute), 3, "anna", "async")
	lead(t, conn, "a", at.Add(-9*time.Minute), 3, "anna", "async") // told again
	lead(t, conn, "b", at.Add(-9*time.Minute), 9, "anna", "deferred")

	credited := entry{id: "pi_1", when: at.Add(-9 * time.Minute), amount: 10100, net: "100.000000", fx: "usd",
		affiliate: "anna", link: "l1",
		campaign: "spring", rule: "click_id", key: "click:1", clicked: at.Add(-10 * time.Minute)}
	book(t, conn, credited)
	refund := credited
	refund.id, refund.kind, refund.when, refund.amount, refund.net, refund.rule = "re_1", "refund",
		at.Add(-8*time.Minute), -2525, "-25.005000", "sale"
	book(t, conn, refund)
	book(t, conn, entry{id: "pi_2", when: at.Add(-4 * time.Hour), amount: 5000, currency: "jpy", net: "33.335000",
		fx: "file:demo-rates", affiliate: hostile, link: "l2", rule: "affiliate", key: "affiliate:x"})
	// nobody's
	book(t, conn, entry{id: "pi_3", when: at.Add(-2 * time.Hour), amount: 1000, net: "10.000000", fx: "usd"})
	book(t, conn, entry{id: "pi_4", when: at.Add(-2 * time.Hour), amount: 1234567, currency: "kwd"}) // no rate
	book(t, conn, entry{id: "pi_5", when: at.Add(-2 * time.Hour), amount: 5, currency: "kwd"})
	book(t, conn, entry{id: "pi_6", when: at.Add(-2 * time.Hour), amount: 70000, net: "700.000000", fx: "usd",
		affiliate: "anna", rule: "click_id"})
	// booked under pi_1
	book(t, conn, entry{id: "pi_6", when: at.Add(-2 * time.Hour), status: "superseded", net: "0.000000", version: 2})
	book(t, conn, entry{id: "pi_7", when: at.Add(-2 * time.Hour), amount: 70000, net: "700.000000", status: "held"})
	book(t, conn, entry{id: "pi_8", when: at.Add(-2 * time.Hour), amount: 70000, net: "700.000000", test: true})
	book(t, conn, entry{id: "pi_9", when: at.Add(-40 * day), amount: 100, net: "1.000000", fx: "usd", affiliate: "bert",
		rule: "affiliate"})

	s := summary(t, d, "/api/summary?range=24h")
	same(t, "totals", s.Totals, Totals{Clicks: 9, Visitors: 7, Leads: 3, Sales: 5, Refunds: 1, NetUSD: "118.33",
		EPC: "12.0367", Conversion: "0.2222"})
	same(t, "affiliates", s.Affiliates, []Earner{
		{Name: "anna", Clicks: 7, Leads: 3, Sales: 1, NetUSD: "75.00", EPC: "10.7136", Conversion: "0.1429"},
		{Name: hostile, Clicks: 2, Sales: 1, NetUSD: "33.34", EPC: "16.6675", Conversion: "0.5000"},
	})
	same(t, "links", s.Links, []Earner{
		{Name: "l1", Clicks: 7, Sales: 1, NetUSD: "75.00", EPC: "10.7136", Conversion: "0.1429"},
		{Name: "l2", Clicks: 2, Sales: 1, NetUSD: "33.34", EPC: "16.6675", Conversion: "0.5000"},
	})
	same(t, "campaigns", s.Campaigns, []Earner{{Name: "spring", Clicks: 7, Sales: 1, NetUSD: "75.00", EPC: "10.7136",
		Conversion: "0.1429"}})
	same(t, "unattributed", s.Unattributed, Unattributed{Count: 3, NetUSD: "10.00"})
	same(t, "without a rate", s.WithoutRate, []WithoutRate{{Currency: "kwd", Amount: "1234.572", Count: 2}})
	same(t, "sources", s.FXSources, []string{"file:demo-rates", "usd"})
	same(t, "test entries", s.TestEntries, uint64(1))
	sale, last := at.Add(-9*time.Minute).UnixMilli(), at.Add(-10*time.Minute).UnixMilli()
	same(t, "freshness", s.Freshness, Freshness{LastClick: &last, LastSale: &sale})

	var ids []string
	for _, m := range s.Latest {
		ids = append(ids, m.ObjectID)
	}
	same(t, "latest", ids, []string{"re_1", "pi_1", "pi_3", "pi_4", "pi_5", "pi_2"})
	net := "100.00"
	same(t, "latest sale", s.Latest[1], Movement{At: sale, Kind: "payment", ObjectID: "pi_1", SaleID: "pi_1",
		Currency: "usd", Amount: "101.00",
		NetUSD: &net, FXSource: "usd", AffiliateID: "anna", LinkID: "l1", Campaign: "spring", MatchRule: "click_id",
		MatchKey: "click:1", ClickedAt: &last})
	same(t, "refund", s.Latest[0].Amount, "-25.25")
	same(t, "yen", s.Latest[5].Amount, "5000")
	if s.Latest[3].NetUSD != nil {
		t.Errorf("a sale without a rate has %s USD", *s.Latest[3].NetUSD)
	}

	if len(s.Timeseries) != 24 {
		t.Fatalf("%d hours, want 24", len(s.Timeseries))
	}
	hour := at.Truncate(time.Hour).Unix()
	same(t, "this hour", s.Timeseries[23], Point{Start: hour, Clicks: 7, NetUSD: "75.00"})
	same(t, "an empty hour", s.Timeseries[22], Point{Start: hour - 3600, NetUSD: "0.00"})
	same(t, "an hour with clicks", s.Timeseries[18], Point{Start: hour - 5*3600, Clicks: 2, NetUSD: "0.00"})

	// Markup in a name must not be markup in the answer, whatever a browser takes the answer for.
	body := get(t, d, "/api/summary?range=24h").Body.String()
	if strings.Contains(body, "<script") {
		t.Error("the answer has a name's markup unescaped")
	}

	s = summary(t, d, "/api/summary?range=1h")
	if len(s.Timeseries) != 2 || s.Totals.Clicks != 7 || s.Range.Note == "" {
		t.Errorf("1h: %d hours, %d clicks, note %q", len(s.Timeseries), s.Totals.Clicks, s.Range.Note)
	}
	s = summary(t, d, "/api/summary?range=7d")
	same(t, "clicks of 7d", s.Totals.Clicks, 12)
	s = summary(t, d, "/api/summary?range=all")
	if len(s.Timeseries) != 41 || s.Timeseries[0].NetUSD != "1.00" {
		t.Errorf("all: %d days, the first %+v", len(s.Timeseries), s.Timeseries[0])
	}
	s = summary(t, d, "/api/summary?range=30d&workspace=other")
	same(t, "another workspace", s.Totals, Totals{NetUSD: "0.00", EPC: "0.0000", Conversion: "0.0000"})
	if s.Freshness.LastClick != nil || len(s.Timeseries) != 30 {
		t.Errorf("another workspace: %+v, %d days", s.Freshness, len(s.Timeseries))
	}
}

// The page must read nothing but what is made for it, and the days of clicks that still change: it
// shows the same when everything else is gone.
func TestReadsOnlyWhatIsMadeForIt(t *testing.T) {
	dsn, conn := database(t)
	d := serve(t, Config{DSN: dsn}, func() time.Time { return at })
	click(t, conn, 1, at.Add(-time.Minute), "v", "anna", "l1", "spring", false)
	lead(t, conn, "a", at.Add(-time.Minute), 1, "anna", "async")
	book(t, conn, entry{id: "pi_1", when: at.Add(-time.Minute), amount: 1000, net: "10.000000", fx: "usd",
		affiliate: "anna", rule: "affiliate"})

	tables := func(query string) (names []string) {
		rows, err := conn.Query(t.Context(), query)
		if err != nil {
			t.Fatal(err)
		}
		defer rows.Close()
		for rows.Next() {
			var name string
			if err := rows.Scan(&name); err != nil {
				t.Fatal(err)
			}
			names = append(names, name)
		}
		if err := rows.Err(); err != nil {
			t.Fatal(err)
		}
		return names
	}
	filled := map[string]bool{"clicks_by_day": true, "clicks": true, "page_views": true}
	for _, name := range tables(`SELECT extract(create_table_query, ' TO (?:\w+\.)?(\w+)') FROM system.tables WHERE database = currentDatabase() AND engine = 'MaterializedView'`) {
		filled[name] = true
	}
	dropped := 0
	// A view without a table of its own stays: it holds nothing, and fails when what it reads is gone.
	for _, name := range tables(`SELECT name FROM system.tables WHERE database = currentDatabase() AND engine != 'View'
		ORDER BY engine LIKE '%View' DESC, name`) {
		if !filled[name] {
			insert(t, conn, "DROP TABLE `"+name+"` SYNC")
			dropped++
		}
	}
	if len(filled) < 4 || dropped == 0 {
		t.Fatalf("%d tables are filled by views, %d are not", len(filled), dropped)
	}
	s := summary(t, d, "/api/summary?range=all")
	same(t, "totals", s.Totals, Totals{Clicks: 1, Visitors: 1, Leads: 1, Sales: 1, NetUSD: "10.00", EPC: "10.0000",
		Conversion: "1.0000"})
	if s.Freshness.LastClick == nil || s.Freshness.LastSale == nil || len(s.Affiliates) != 1 || len(s.Latest) != 1 {
		t.Errorf("something is missing: %+v", s)
	}
}

func TestAnswersAreHeldForASecond(t *testing.T) {
	dsn, conn := database(t)
	now := at
	d := serve(t, Config{DSN: dsn}, func() time.Time { return now })
	same(t, "before", summary(t, d, "/api/summary").Totals.Clicks, 0)
	click(t, conn, 1, at.Add(-time.Minute), "v", "anna", "", "", false)
	same(t, "at once", summary(t, d, "/api/summary").Totals.Clicks, 0)
	now = now.Add(fresh)
	same(t, "a second later", summary(t, d, "/api/summary").Totals.Clicks, 1)
}

func TestBadRequests(t *testing.T) {
	d := serve(t, Config{DSN: "http://127.0.0.1:1/none"}, time.Now)
	for _, query := range []string{"range=2h", "range=1H", "workspace=a/b", "workspace=%00", "workspace=" +
		strings.Repeat("x", 129), "range=%zz"} {
		expectFailure(t, get(t, d, "/api/summary?"+query), http.StatusBadRequest)
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/summary", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestClickHouseAway(t *testing.T) {
	d := serve(t, Config{DSN: "http://127.0.0.1:1/none"}, time.Now)
	expectFailure(t, get(t, d, "/api/summary"), http.StatusServiceUnavailable)
}

func TestTablesMissing(t *testing.T) {
	d := serve(t, Config{DSN: chdbtest.Start(t)}, time.Now)
	w := get(t, d, "/api/summary")
	if !strings.Contains(w.Body.String(), "no_tables") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	expectFailure(t, w, http.StatusServiceUnavailable)
}

func expectFailure(tb testing.TB, w *httptest.ResponseRecorder, status int) {
	tb.Helper()
	var body struct{ Error query.Fault }
	if err := json.Unmarshal(w.Body.Bytes(), &body); err != nil {
		tb.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	if w.Code != status || body.Error.Code == "" || body.Error.Message == "" || body.Error.Hint == "" {
		tb.Errorf("%d %s, want %d and code, message and hint", w.Code, w.Body, status)
	}
}

func TestPage(t *testing.T) {
	d := serve(t, Config{DSN: "http://127.0.0.1:1/none"}, time.Now)
	for target, kind := range map[string]string{"/": "text/html", "/assets/app.js": "text/javascript",
		"/assets/style.css": "text/css", "/assets/icon.svg": "image/svg+xml"} {
		w := get(t, d, target)
		if w.Code != http.StatusOK || !strings.HasPrefix(w.Header().Get("Content-Type"), kind) {
			t.Errorf("%s: %d %s", target, w.Code, w.Header().Get("Content-Type"))
		}
		if !strings.Contains(w.Header().Get("Content-Security-Policy"), "default-src 'self'") {
			t.Errorf("%s: no policy", target)
		}
	}
	for _, target := range []string{"/assets/", "/assets/vendor", "/assets/vendor/", "/assets/vendor/.gitkeep",
		"/assets/none.js", "/none"} {
		if w := get(t, d, target); w.Code != http.StatusNotFound {
			t.Errorf("%s: %d, want 404", target, w.Code)
		}
	}
	page, _ := io.ReadAll(get(t, d, "/").Body)
	for _, inline := range []string{"<style", " style=", " onclick=", "http://", "https://"} {
		if strings.Contains(string(page), inline) {
			t.Errorf("the page contains %s, which its policy forbids", inline)
		}
	}
}

func TestFormatMinor(t *testing.T) {
	for _, c := range []struct{ digits, currency, want string }{
		{"0", "usd", "0.00"}, {"5", "usd", "0.05"}, {"-5", "eur", "-0.05"}, {"123456", "EUR", "1234.56"},
		{"-500", "jpy", "-500"},
		{"5", "kwd", "0.005"}, {"-12345", "bhd", "-12.345"}, {"170141183460469231731687303715884105727", "usd",
			"1701411834604692317316873037158841057.27"},
		{"100", "ugx", "1.00"}, {"7", "zzz", "0.07"},
	} {
		if got := formatMinor(c.digits, c.currency); got != c.want {
			t.Errorf("%s %s: %s, want %s", c.digits, c.currency, got, c.want)
		}
	}
}

// The page of a story escapes what it tells, works for who may only read, and has a sentence for
// whatever it cannot tell.
func TestExplanation(t *testing.T) {
	dsn, conn := database(t)
	book(t, conn, entry{id: "pi_1", when: at, amount: 4900, net: "49", fx: "usd", rule: "click_id", key: "click:x",
		affiliate: hostile, campaign: hostile, clicked: at.Add(-time.Hour)})
	book(t, conn, entry{id: "pi_1", when: at, amount: 4900, net: "49", fx: "usd", rule: "click_id", key: "click:x",
		affiliate: "ann", campaign: hostile, clicked: at.Add(-time.Hour), version: 2})
	d := serve(t, Config{DSN: strings.Replace(dsn, "http://", "http://readonly@", 1)}, func() time.Time { return at })
	for _, c := range []struct {
		target string
		status int
		has    []string
	}{
		{"/explain?object=pi_1", 200, []string{"Payment pi_1", "49.00 USD moved on", "credited by click_id",
			"the sale itself names the click", "&lt;script&gt;alert(1)&lt;/script&gt;", "2 versions", "affiliate"}},
		{"/explain?object=pi_1&workspace=default", 200, []string{"Payment pi_1"}},
		{"/explain?object=pi_1&workspace=other", 404, []string{"Nothing is known about pi_1 in this workspace"}},
		{"/explain?object=%22%3E%3Cscript%3Ealert(1)%3C/script%3E", 404,
			[]string{"Nothing is known about", "&lt;script&gt;"}},
		{"/explain", 200, []string{"Every entry can be explained"}},
		{"/explain?object=pi_1&workspace=%3Cscript%3E", 400, []string{"cannot be the name of a workspace"}},
		{"/explain?object=" + strings.Repeat("x", 501), 400, []string{"No id is that long"}},
	} {
		w := httptest.NewRecorder()
		d.ServeHTTP(w, httptest.NewRequest(http.MethodGet, c.target, nil))
		page := w.Body.String()
		if w.Code != c.status || w.Header().Get("Content-Type") != "text/html; charset=utf-8" {
			t.Errorf("%s: %d %s\n%s", c.target, w.Code, w.Header().Get("Content-Type"), page)
		}
		for _, text := range c.has {
			if !strings.Contains(page, text) {
				t.Errorf("%s lacks %q:\n%s", c.target, text, page)
			}
		}
		if strings.Contains(page, "<script") {
			t.Errorf("%s has a script:\n%s", c.target, page)
		}
	}
	gone, err := New(Config{DSN: "http://127.0.0.1:1/nothing"})
	if err != nil {
		t.Fatal(err)
	}
	defer gone.Close()
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	view := explanationView{Workspace: "default", Asked: "pi_1"}
	if status := gone.explain(ctx, &view); status != http.StatusServiceUnavailable ||
		!strings.Contains(view.Fault, "ClickHouse does not answer") {
		t.Errorf("without ClickHouse: %d %s", status, view.Fault)
	}
}
