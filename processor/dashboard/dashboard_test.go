package dashboard

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2"
	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/processor/query"
	"tributary/processor/workspace"
	"tributary/sql/sqltest"
)

// at is the moment at which the tests look: twenty past the hour before this one, because clicks
// are kept by the minute for three days only.
var at = time.Now().UTC().Truncate(time.Hour).Add(-40 * time.Minute)

const hostile = `"><script>alert(1)</script>` + "\u202etxt\x00\n'; DROP TABLE revenue --"

// database is an empty, migrated one.
func database(tb testing.TB) (dsn string, conn driver.Conn) {
	tb.Helper()
	dsn, _ = sqltest.Open(tb)
	options, err := clickhouse.ParseDSN(dsn)
	if err != nil {
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
	cfg.DSN = sqltest.Patient(cfg.DSN)
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

// figures asks a question about a time and returns each row's values of the columns.
func figures(tb testing.TB, h http.Handler, name string, within url.Values, columns ...string) (rows []string) {
	tb.Helper()
	for _, r := range question(tb, h, "/api/query/"+name+"?"+within.Encode()).Data {
		values := make([]string, len(columns))
		for i, column := range columns {
			if values[i] = "NULL"; r[column] != nil {
				values[i] = fmt.Sprint(r[column])
			}
		}
		rows = append(rows, strings.Join(values, " "))
	}
	return rows
}

// since is the time from then on, up to the end of the hour of at, and whatever else is asked with
// it.
func since(then time.Time, others ...string) url.Values {
	v := url.Values{"from": {then.Format(time.RFC3339)},
		"to": {at.Truncate(time.Hour).Add(time.Hour).Format(time.RFC3339)}}
	for i := 0; i < len(others); i += 2 {
		v.Set(others[i], others[i+1])
	}
	return v
}

func same[T any](tb testing.TB, what string, got, want T) {
	tb.Helper()
	g, _ := json.Marshal(got)
	w, _ := json.Marshal(want)
	if string(g) != string(w) {
		tb.Errorf("%s:\ngot  %s\nwant %s", what, g, w)
	}
}

// What is counted by hand is what every question answers.
func TestFigures(t *testing.T) {
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
	clicks(3, at.Add(-3*24*time.Hour), "anna", "l1", "winter") // before the range
	click(t, conn, 900, at.Add(-time.Minute), "bot", "anna", "l1", "spring", true)
	click(t, conn, 1, at.Add(-10*time.Minute), "v1", "anna", "l1", "spring", false) // the first one, reported again

	lead(t, conn, "a", at.Add(-9*time.Minute), 3, "anna", "async")
	lead(t, conn, "a", at.Add(-9*time.Minute), 3, "anna", "async") // reported again
	lead(t, conn, "b", at.Add(-9*time.Minute), 9, "anna", "deferred")

	credited := entry{id: "pi_1", when: at.Add(-9 * time.Minute), amount: 10000, net: "100.000000", fx: "usd",
		affiliate: "anna", link: "l1",
		campaign: "spring", rule: "click_id", key: "click:1", clicked: at.Add(-10 * time.Minute)}
	book(t, conn, credited)
	refund := credited
	refund.id, refund.kind, refund.when, refund.amount, refund.net, refund.rule = "re_1", "refund",
		at.Add(-8*time.Minute), -2500, "-25.000000", "sale"
	book(t, conn, refund)
	book(t, conn, entry{id: "pi_2", when: at.Add(-4 * time.Hour), amount: 5000, currency: "jpy", net: "33.340000",
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
	book(t, conn, entry{id: "pi_9", when: at.Add(-40 * 24 * time.Hour), amount: 100, net: "1.000000",
		fx: "usd", affiliate: "bert",
		rule: "affiliate"})

	last24h := at.Truncate(time.Hour).Add(-23 * time.Hour)
	total := []string{"clicks", "visitors", "leads", "sales", "refunds", "net_usd", "epc", "conversion"}
	same(t, "totals", figures(t, d, "totals", since(last24h), total...), []string{"9 7 3 5 1 118.34 12.0378 0.2222"})
	top := figures(t, d, "top", since(last24h), "dimension", "name", "clicks", "leads", "sales", "net_usd")
	same(t, "top", top, []string{
		"affiliate anna 7 3 1 75.00", "affiliate " + hostile + " 2 0 1 33.34",
		"campaign spring 7 0 1 75.00", "link l1 7 0 1 75.00", "link l2 2 0 1 33.34",
	})
	for dimension, want := range map[string][]string{
		"":          {" 9 7 3 5 118.34 12.0378 0.2222"},
		"affiliate": {"anna 7 7 3 1 75 10.7143 0.1429", hostile + " 2 2 0 1 33.34 16.67 0.5", " 0 0 0 3 10 NULL NULL"},
	} {
		same(t, "breakdown by "+dimension, figures(t, d, "breakdown", since(last24h, "dimension", dimension),
			"name", "clicks", "visitors", "leads", "sales", "net", "epc", "conversion"), want)
	}
	same(t, "unattributed", figures(t, d, "unattributed", since(last24h), "sales", "net_usd"), []string{"3 10.00"})
	same(t, "without a rate", figures(t, d, "without_rate", since(last24h), "currency", "amount", "entries"),
		[]string{"kwd 1234572 2"})
	same(t, "rates", figures(t, d, "rates_used", since(last24h), "livemode", "fx_source", "entries"),
		[]string{"true usd 3", "true  2", "true file:demo-rates 1", "false  1"})
	stamp := func(t time.Time) string { return t.Format("2006-01-02 15:04:05.000") }
	same(t, "freshness", figures(t, d, "freshness", nil, "last_click_at", "last_sale_at"),
		[]string{stamp(at.Add(-10*time.Minute)) + " " + stamp(at.Add(-9*time.Minute))})
	same(t, "latest", figures(t, d, "sales_and_refunds", since(last24h), "object_id", "amount", "net_usd", "match_key"),
		[]string{"re_1 -2500 -25.00 click:1", "pi_1 10000 100.00 click:1", "pi_3 1000 10.00 ", "pi_4 1234567 NULL ",
			"pi_5 5 NULL ", "pi_2 5000 33.34 affiliate:x"})
	same(t, "by the hour", figures(t, d, "timeseries", since(last24h), "clicks", "net_usd"),
		[]string{"2 0.00", "0 33.34", "0 10.00", "7 75.00"})

	// Markup in a name must not be markup in the answer, whatever a browser takes the answer for.
	if w := get(t, d, "/api/query/top?"+since(last24h).Encode()); strings.Contains(w.Body.String(), "<script") &&
		w.Header().Get("Content-Type") != "application/json" {
		t.Errorf("the answer has a name's markup, as %s", w.Header().Get("Content-Type"))
	}

	same(t, "with the days before", figures(t, d, "totals", since(at.AddDate(0, 0, -7)), "clicks"), []string{"12"})
	same(t, "of another workspace", figures(t, d, "totals", since(at.AddDate(0, 0, -60), "workspace", "other"), total...),
		[]string{"0 0 0 0 0 0.00 0.0000 0.0000"})
}

func TestAnswersAreHeldForASecond(t *testing.T) {
	dsn, conn := database(t)
	now := at
	d := serve(t, Config{DSN: dsn}, func() time.Time { return now })
	clicks := func() []string { return figures(t, d, "totals", since(at.Add(-time.Hour)), "clicks") }
	same(t, "before", clicks(), []string{"0"})
	click(t, conn, 1, at.Add(-time.Minute), "v", "anna", "", "", false)
	same(t, "at once", clicks(), []string{"0"})
	now = now.Add(fresh)
	same(t, "a second later", clicks(), []string{"1"})
}

// The state by which an open page knows that there may be other figures: what the processors say of
// themselves every few seconds makes none, a click does.
func TestState(t *testing.T) {
	dsn, conn := database(t)
	now := at
	d := serve(t, Config{DSN: dsn}, func() time.Time { return now })
	state := func() string {
		for deadline := time.Now().Add(3 * time.Minute); ; {
			now = now.Add(fresh)
			w := get(t, d, "/api/state")
			var said struct{ State string }
			if err := json.Unmarshal(w.Body.Bytes(), &said); err == nil && said.State != "" {
				return said.State
			}
			if time.Now().After(deadline) { // on a loaded machine it is not known within markerTimeout
				t.Fatalf("%d %s", w.Code, w.Body)
			}
		}
	}
	before := state()
	insert(t, conn, "INSERT INTO pipeline_status (what, subject, at, number) VALUES ('lag', 'g clicks.v1', now64(3), 7)")
	if state() != before {
		t.Error("the status of a processor changed the state of the figures")
	}
	same(t, "status", figures(t, d, "pipeline_status", nil, "what", "subject", "number", "known"),
		[]string{"lag g clicks.v1 7 true"})
	click(t, conn, 1, at, "v", "anna", "", "", false)
	if state() == before {
		t.Error("a click did not change the state of the figures")
	}
}

func TestTablesMissing(t *testing.T) {
	d := serve(t, Config{DSN: chdbtest.Start(t)}, time.Now)
	w := get(t, d, "/api/query/modes")
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

// The page of a story escapes what it shows, works for who may only read, and has a sentence for
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
