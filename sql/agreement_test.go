package sql_test

import (
	stdsql "database/sql"
	"encoding/json"
	"flag"
	"fmt"
	"log/slog"
	"maps"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/prometheus/client_golang/prometheus"

	"tributary/deploy/race"
	"tributary/processor/access"
	clickhousestore "tributary/processor/clickhouse"
	"tributary/processor/dashboard"
	"tributary/processor/rollup"
	"tributary/processor/workspace"
	"tributary/sql"
	"tributary/sql/sqltest"
)

var asks = flag.Int("asks", 14, "how many random questions TestQuestionsAgree asks")

// TestQuestionsAgree asks questions with random ranges, filters, time zones and currencies along
// every path by which somebody gets a figure, and counts the same in Go from what was put into the
// tables: while days are read from clicks, and, from half of the questions on, from clicks_by_day.
// Under the race detector every second panel, and every second path to products, is asked.
func TestQuestionsAgree(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	r := rand.New(rand.NewPCG(7, 7))
	w := randomWorld(r)
	w.insert(t, dsn)
	paths := pathsTo(t, dsn)
	names := slices.Sorted(maps.Keys(compared))
	figures := 0
	for i := range *asks {
		if i == *asks/2 {
			refresh(t, dsn)
			listFirstSales(t, dsn)
		}
		name, path := names[i%len(names)], paths[i%len(paths)] // 42 have each question along each path
		figures += w.compare(t, path, name, w.randomAsk(r, question(t, name)))
	}
	for i, p := range businessPanels(t) {
		if race.Enabled && i%2 > 0 {
			continue
		}
		figures += w.compare(t, p.path(dsn), p.question, p.asked(w.randomAsk(r, question(t, p.question))))
	}
	for i, p := range paths {
		if race.Enabled && i%2 > 0 {
			continue
		}
		a := w.randomAsk(r, question(t, "breakdown"))
		a.dimension = "product"
		figures += w.compare(t, p, "breakdown", a)
	}
	// Without visitors, clicks of whole days, or of quarters of an hour by units of time, are sums that
	// clicks_by_day has by name. It has none by medium.
	for _, dimension := range []string{"", "affiliate", "link", "medium"} {
		a := asked{from: w.begin, to: w.begin.AddDate(0, 2, 0), unit: "day", dimension: dimension, zone: time.UTC,
			currency: "usd", noVisitors: true}
		figures += w.compare(t, paths[4], "breakdown", a)
		a.zone, _ = time.LoadLocation("Asia/Kathmandu")
		a.from, a.dimension = a.from.Add(45*time.Minute), ""
		if dimension != "" {
			a.only = map[string][]string{dimension: {dimension + "1"}}
		}
		figures += w.compare(t, paths[5], "trend", a)
	}
	for _, p := range paths[2:] {
		figures += w.compare(t, p, "return_on_spend", w.randomAsk(r, question(t, "return_on_spend")))
	}
	for i, dimension := range []string{"landing_page", "referrer", "browser"} {
		a := asked{from: w.begin, to: w.begin.AddDate(0, 2, 0), dimension: dimension, zone: time.UTC, currency: "usd",
			noVisitors: true}
		figures += w.compare(t, paths[[]int{2, 4, 5}[i]], "landing_pages", a)
		a.from = a.from.Add(45*time.Minute + time.Second)
		figures += w.compare(t, paths[[]int{5, 2, 4}[i]], "landing_pages", a)
	}
	// Whole days, at two of which clocks are put forward at midnight.
	for _, zone := range []string{"America/Havana", "Africa/Cairo"} {
		a := w.randomAsk(r, question(t, "trend"))
		a.zone, _ = time.LoadLocation(zone)
		a.unit = "day"
		a.from = a.truncate(time.Date(2025, 3, 8, 12, 0, 0, 0, time.UTC)).UTC()
		for i, to := range []int{1, 2, 48, 49} {
			if race.Enabled && i%3 > 0 {
				continue
			}
			a.to = a.truncate(time.Date(2025, 3, 8+to, 12, 0, 0, 0, time.UTC)).UTC()
			figures += w.compare(t, paths[0], "trend", a)
		}
	}
	// Hours between which clocks are put back, and forward, by half an hour.
	for i, month := range []time.Month{time.April, time.October} {
		a := asked{from: time.Date(2025, month, 5-i, 13, 45, 0, 0, time.UTC), unit: "hour", currency: "usd", noVisitors: true}
		a.to = a.from.Add(14 * time.Hour)
		a.zone, _ = time.LoadLocation("Australia/Lord_Howe")
		figures += w.compare(t, paths[5*i], "trend", a)
		a.noVisitors = false
		figures += w.compare(t, paths[4], "new_and_returning", a)
	}
	// The day before the first DateTime is none, and repeated clicks are known by those of the day
	// before.
	all := w.randomAsk(r, question(t, "totals"))
	all.from, all.to = time.Unix(0, 0).UTC(), w.begin.AddDate(1, 0, 0)
	figures += w.compare(t, paths[1], "totals", all)
	counted := column(t, dsn, "SELECT count() FROM clicks_counted(workspace = 'w', from = '1970-01-01 00:00:00', to = '"+
		all.to.Format(time.DateTime)+"')")
	if totals := w.totals(all)[""]; !strings.HasPrefix(totals, counted[0]+" ") {
		t.Errorf("clicks_counted has %s clicks, the totals are %s", counted[0], totals)
	}
	w.compareLiveEvents(t, dsn, w.randomAsk(r, question(t, "live_events")))
	if figures < *asks {
		t.Errorf("%d questions have %d rows with figures: that compares too little", *asks, figures)
	}
}

// comparison says which columns of a question are compared: those that name a row, and its figures.
// rows returns the figures of the same columns as they are counted in Go.
type comparison struct {
	key, figures string
	rows         func(w *world, a asked) map[string]string
}

var compared = map[string]comparison{
	"trend": {"local start_utc next_start open", "clicks visitors leads sales customers net without_rate",
		(*world).trend},
	"breakdown": {"name", "clicks visitors leads sales customers net without_rate", (*world).breakdown},
	"new_and_returning": {"local", "new_sales returning_sales new_net returning_net without_rate",
		(*world).newAndReturning},
	"funnel":          {"step", "people", (*world).funnel},
	"totals":          {"", "clicks visitors page_views leads public_leads sales refunds disputes net_usd", (*world).totals},
	"timeseries":      {"at", "clicks sales net_usd", (*world).timeseries},
	"landing_pages":   {"name", "clicks visitors sales net_usd", (*world).landingPages},
	"return_on_spend": {"name", "spend clicks customers net without_rate", (*world).returnOnSpend},
	"top":             {"dimension name", "clicks leads sales net_usd", (*world).top},
}

// compare asks along a path and counts by hand. It returns the number of rows with figures.
func (w *world) compare(t *testing.T, p path, name string, a asked) (rows int) {
	t.Helper()
	c, got := compared[name], make(map[string]string)
	for _, row := range p.answer(t, question(t, name), a) {
		cells := func(columns string) string {
			list := strings.Fields(columns)
			for i, column := range list {
				value, ok := row[column]
				if !ok {
					t.Fatalf("%s has no column %s", name, column)
				}
				list[i] = fmt.Sprint(value)
			}
			return strings.Join(list, " ")
		}
		got[cells(c.key)] = cells(c.figures)
	}
	want := c.rows(w, a)
	if a.noVisitors {
		for key, figures := range want {
			clicks, others, _ := strings.Cut(figures, " ")
			_, others, _ = strings.Cut(others, " ")
			want[key] = clicks + " <nil> " + others
		}
	}
	if !maps.Equal(got, want) {
		t.Errorf("%s by %s, %v:\n%s", name, p.name, a.parameters(), difference(got, want))
	}
	for _, figures := range got {
		if strings.Trim(figures, "0. ") != "" {
			rows++
		}
	}
	return rows
}

// compareLiveEvents asks for a few of the latest events: once without filters, when only the days
// that can have them are read, and once with a filter that leaves nothing out, when all are.
func (w *world) compareLiveEvents(t *testing.T, dsn string, a asked) {
	t.Helper()
	q := question(t, "live_events")
	a.from, a.to, a.only, a.without = w.begin.AddDate(-1, 0, 0), w.begin.AddDate(1, 0, 0), nil, nil
	limits := []string{"1", "20", "1000000"}
	if race.Enabled {
		limits = limits[1:2]
	}
	for _, limit := range limits {
		values := a.literals(q)
		values["limit"] = limit
		got := ask(t, dsn, q.Text, values)
		values["without"] = "{'affiliate':['an affiliate that has nothing']}"
		if want := ask(t, dsn, q.Text, values); got != want || strings.Count(got, "\n") == 0 {
			t.Errorf("the latest %s events are\n%s\nwith a filter that leaves nothing out\n%s", limit, got, want)
		}
	}
}

// path is a way to the answer of a question.
type path struct {
	name   string
	answer func(*testing.T, sql.Question, asked) []map[string]any
}

// pathsTo are the query file, the same from single clicks, the dashboard's API, which the page
// asks, its tools for assistants, and what the dashboard asks of a large workspace.
func pathsTo(t *testing.T, dsn string) []path {
	d, err := dashboard.New(dashboard.Config{DSN: sqltest.Patient(dsn), Log: slog.New(slog.DiscardHandler),
		Workspaces: func() []workspace.Region { return []workspace.Region{{Workspace: "w"}} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	tools := assistant(t, d)
	return []path{
		{"the query file", func(t *testing.T, q sql.Question, a asked) []map[string]any {
			return readRows(t, ask(t, dsn, q.Text+asJSON, a.literals(q)))
		}},
		{"single clicks", func(t *testing.T, q sql.Question, a asked) []map[string]any {
			text := strings.ReplaceAll(q.Text, "stored = true", "stored = false")
			return readRows(t, ask(t, dsn, text+asJSON, a.literals(q)))
		}},
		{"the API", func(t *testing.T, q sql.Question, a asked) []map[string]any {
			values := make(url.Values)
			for name, value := range a.given(q) {
				values.Set(name, value)
			}
			w := httptest.NewRecorder()
			r := httptest.NewRequest(http.MethodGet, "/api/query/"+q.Name+"?"+values.Encode(), nil)
			r.Host = "127.0.0.1:8090"
			if d.ServeHTTP(w, r); w.Code != http.StatusOK {
				t.Fatalf("%s: %d %s", r.URL, w.Code, w.Body)
			}
			return readRows(t, w.Body.String())
		}},
		{"the assistant's tool", func(t *testing.T, q sql.Question, a asked) []map[string]any {
			arguments := make(map[string]any)
			for name, value := range a.given(q) {
				if arguments[name] = value; strings.HasPrefix(value, "{") {
					arguments[name] = json.RawMessage(value)
				}
			}
			result, err := tools.CallTool(t.Context(), &mcp.CallToolParams{Name: q.Name, Arguments: arguments})
			if err != nil || result.IsError {
				t.Fatalf("%s %v: %v %+v", q.Name, arguments, err, result)
			}
			return readRows(t, result.Content[0].(*mcp.TextContent).Text)
		}},
		{"the statement for a large workspace", func(t *testing.T, q sql.Question, a asked) []map[string]any {
			return readRows(t, askLarge(t, dsn, q, sql.Whole, a, asJSON))
		}},
		{"the parts for a large workspace", func(t *testing.T, q sql.Question, a asked) []map[string]any {
			q, err := q.Given(a.literals(q))
			if err != nil {
				t.Fatal(err)
			}
			if !q.HasParts(false) {
				return readRows(t, askLarge(t, dsn, q, sql.Whole, a, asJSON))
			}
			const asRows = "\nFORMAT TabSeparatedWithNamesAndTypes"
			text, err := q.Join(a.literals(q), askLarge(t, dsn, q, sql.Clicks, a, asRows),
				askLarge(t, dsn, q, sql.Others, a, asRows))
			if err != nil {
				t.Fatal(err)
			}
			return readRows(t, ask(t, dsn, text+asJSON, a.literals(q)))
		}},
	}
}

// askLarge asks a part of a question as of a large workspace.
func askLarge(t *testing.T, dsn string, q sql.Question, part sql.Part, a asked, format string) string {
	t.Helper()
	known := sql.Known{Large: true}
	first, ok, err := lookUpFirstSales(t, dsn, a.literals(q))
	if ok {
		known.FirstSales = &first
	}
	if err != nil {
		t.Fatal(err)
	}
	text, err := q.StatementOf(part, a.literals(q), known)
	if err != nil {
		t.Fatal(err)
	}
	return ask(t, dsn, text+format, a.literals(q))
}

func lookUpFirstSales(t *testing.T, dsn string, values map[string]string) (sql.FirstSales, bool, error) {
	return sql.LookUpFirstSales(func(statement string) ([]string, error) {
		return strings.Split(strings.TrimSpace(ask(t, dsn, statement, values)), "\n"), nil
	})
}

// listFirstSales computes first_sales as long after the last payment, and checks that the lists
// tell first sales.
func listFirstSales(t *testing.T, dsn string) {
	t.Helper()
	store, err := clickhousestore.Open(dsn, slog.New(slog.DiscardHandler), prometheus.NewRegistry())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ask(t, dsn, "TRUNCATE TABLE payments_written", nil)
	for _, livemode := range []bool{true, false} {
		of := rollup.Ledger{Workspace: "w", Livemode: livemode}
		if err := rollup.ComputeFirstSales(t.Context(), store, of); err != nil {
			t.Fatal(err)
		}
		values := map[string]string{"workspace": "w", "livemode": fmt.Sprint(livemode)}
		if _, ok, err := lookUpFirstSales(t, dsn, values); err != nil || !ok {
			t.Errorf("livemode %t: the lists do not tell first sales: %v", livemode, err)
		}
	}
}

func assistant(t *testing.T, d *dashboard.Dashboard) *mcp.ClientSession {
	server, err := d.ToolServer(access.Everybody)
	if err != nil {
		t.Fatal(err)
	}
	here, there := mcp.NewInMemoryTransports()
	if _, err := server.Connect(t.Context(), there, nil); err != nil {
		t.Fatal(err)
	}
	session, err := mcp.NewClient(&mcp.Implementation{Name: "test", Version: "1"}, nil).Connect(t.Context(), here, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { session.Close() })
	return session
}

// asJSON is the format in which the dashboard asks.
const asJSON = " FORMAT JSON SETTINGS output_format_json_quote_64bit_integers = 1, output_format_json_quote_decimals = 1"

func readRows(t *testing.T, text string) []map[string]any {
	t.Helper()
	var answer struct{ Data []map[string]any }
	if err := json.Unmarshal([]byte(text), &answer); err != nil {
		t.Fatalf("%v in %s", err, text)
	}
	return answer.Data
}

// panel is a panel of Grafana's business dashboard.
type panel struct{ question, dimension, statement string }

// businessPanels are those whose question is compared.
func businessPanels(t *testing.T) (panels []panel) {
	text, err := os.ReadFile("../deploy/grafana/dashboards/business.json")
	if err != nil {
		t.Fatal(err)
	}
	var board struct {
		Panels []struct {
			Description string
			Targets     []struct{ RawSQL string }
		}
	}
	if err := json.Unmarshal(text, &board); err != nil {
		t.Fatal(err)
	}
	for _, p := range board.Panels {
		file, _, _ := strings.Cut(p.Description, ".sql:")
		name := strings.TrimPrefix(file, "sql/queries/")
		if _, ok := compared[name]; !ok {
			continue
		}
		dimension := regexp.MustCompile(`dimension = CAST\('(\w+)'`).FindStringSubmatch(p.Targets[0].RawSQL)
		panels = append(panels, panel{name, append(dimension, "", "")[1], p.Targets[0].RawSQL})
	}
	if len(panels) < 5 {
		t.Fatalf("%d panels of Grafana are compared", len(panels))
	}
	return panels
}

// asked returns the question with the values that the panel gives: all but its time are defaults.
func (p panel) asked(a asked) asked {
	if p.question == "landing_pages" {
		p.dimension = "landing_page"
	}
	return asked{from: a.from, to: a.to, unit: "day", dimension: p.dimension, zone: time.UTC, currency: "usd"}
}

// path asks the statement, with what Grafana puts in place of its variables and macros.
func (p panel) path(dsn string) path {
	return path{"Grafana's panel", func(t *testing.T, _ sql.Question, a asked) []map[string]any {
		statement := strings.NewReplacer("${workspace:sqlstring}", "'w'",
			"$__fromTime", fmt.Sprintf("toDateTime(%d)", a.from.Unix()),
			"$__toTime", fmt.Sprintf("toDateTime(%d)", a.to.Unix())).Replace(p.statement)
		return readRows(t, ask(t, dsn, statement+asJSON, nil))
	}}
}

// A click counts on the day of its last version, whatever time its id has, and is repeated by one
// of the day before. Only ids that have a version of the days asked for are read.
func TestClicksOfOpenDays(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	for _, rows := range []string{
		`('w', UUIDStringToNum('00000000-0001-7000-8000-000000000001'), '2050-06-02 10:00:00', 'v1', 'l', 1),
		('w', UUIDStringToNum('02530000-0000-7000-8000-000000000002'), '2050-06-02 11:00:00', 'v2', 'l', 1),
		('w', UUIDStringToNum('02400000-0000-7000-8000-000000000003'), '2050-06-02 12:00:00', 'v3', 'l', 1),
		('w', UUIDStringToNum('02400000-0000-7000-8000-000000000004'), '2050-06-03 12:00:00', 'v4', 'l', 1),
		('w', UUIDStringToNum('02400000-0000-7000-8000-000000000005'), '2050-06-02 00:10:00', 'v5', 'l', 1),
		('w', UUIDStringToNum('00000000-0000-7000-8000-000000000006'), '2050-06-01 23:50:00', 'v5', 'l', 1)`,
		`('w', UUIDStringToNum('02400000-0000-7000-8000-000000000003'), '2050-06-03 12:00:00', 'v3', 'l', 2),
		('w', UUIDStringToNum('02400000-0000-7000-8000-000000000004'), '2050-06-02 12:00:00', 'v4', 'l', 2)`,
	} {
		ask(t, dsn, "INSERT INTO clicks (workspace, click_id, clicked_at, visitor_id, link_id, version) VALUES "+rows, nil)
	}
	for _, day := range []struct{ from, to, clicks string }{
		{"2050-06-01", "2050-06-02", "1"}, {"2050-06-02", "2050-06-03", "3"}, {"2050-06-03", "2050-06-04", "1"},
		{"2050-06-01", "2050-06-04", "5"}, {"2050-05-01", "2050-05-31", "0"},
	} {
		values := func(name string) map[string]string {
			v := parameters(question(t, name))
			v["workspace"], v["from"], v["to"] = "w", day.from+" 00:00:00", day.to+" 00:00:00"
			return v
		}
		totals := ask(t, dsn, question(t, "totals").Text, values("totals"))
		if clicks, _, _ := strings.Cut(totals, "\t"); clicks != day.clicks {
			t.Errorf("totals from %s to %s: %s clicks, want %s", day.from, day.to, clicks, day.clicks)
		}
		funnel := ask(t, dsn, question(t, "funnel").Text, values("funnel"))
		if !strings.HasPrefix(funnel, "visitors\t"+day.clicks+"\t") {
			t.Errorf("funnel from %s to %s: %s, want %s visitors", day.from, day.to, funnel, day.clicks)
		}
	}
}

// A visitor repeats a click for days, each time within an hour. Which of these count depends on where
// counting begins: a closed day counts from the day before, the question from the day before its time.
// So a page may have a sale and no click, and that is no division by zero.
func TestLandingPagesOfRepeatedClicks(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	begin := time.Date(2025, 6, 1, 0, 30, 0, 0, time.UTC)
	var clicks, entries []string
	for i := range 100 { // even ones count; where counting begins on June 2nd, odd ones
		at, id := begin.Add(time.Duration(i)*50*time.Minute), fmt.Sprintf("%016d", i)
		clicks = append(clicks, fmt.Sprintf("('w', '%s', '%s', 'v', 'l', '/%d')", id, at.Format(time.DateTime), i))
		entries = append(entries, fmt.Sprintf("('w', '%s', true, '%s', 'payment', 'p%[1]s', 's%[1]s', '%s', 'usd', 100, 1, "+
			"'%[1]s', '%[3]s', 'booked', 1)", id, at.Format(time.DateOnly), at.Format(time.DateTime)))
	}
	for _, list := range [][]string{clicks[:57], clicks[57:]} { // up to June 2nd, and from the 3rd on
		ask(t, dsn, "INSERT INTO clicks (workspace, click_id, clicked_at, visitor_id, link_id, path) VALUES "+
			strings.Join(list, ","), nil)
		refresh(t, dsn)
	}
	ask(t, dsn, "INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, currency, "+
		"amount, net_usd, click_id, clicked_at, status, version) VALUES "+strings.Join(entries, ","), nil)
	q := question(t, "landing_pages")
	values := parameters(q)
	maps.Copy(values, map[string]string{"workspace": "w", "from": "2025-06-01 00:00:00", "to": "2025-06-06 00:00:00",
		"dimension": "landing_page", "visitors": "false", "limit": "1000"})
	text, err := q.Statement(values, sql.Known{})
	if err != nil {
		t.Fatal(err)
	}
	sums := ask(t, dsn, "SELECT sum(sales), sum(net_usd), countIf(clicks = 0 AND sales = 1 AND epc = 1) > 10 FROM ("+text+")",
		values)
	if sums != "50\t50\t1\n" {
		t.Errorf("sales, net and whether pages have no click: %s", sums)
	}
}

// A value that has no sense is an error and not a figure. As SQL of one's own it is refused, too, also
// of a time in which nothing happened.
func TestQuestionsRefuse(t *testing.T) {
	dsn, db := sqltest.Open(t)
	seed(t, dsn, "attribution.sql")
	d, err := dashboard.New(dashboard.Config{DSN: sqltest.Patient(dsn), Log: slog.New(slog.DiscardHandler),
		Workspaces: func() []workspace.Region { return []workspace.Region{{Workspace: "models"}} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	for asked, want := range map[string]string{
		"attribution_models?dimension=afiliate": "dimension is one of",
		"breakdown?dimension=afiliate":          "dimension is one of",
		"live_events?dimension=":                "dimension is one of",
		"trend?unit=fortnight":                  "unit is one of hour, day",
		"cohorts?unit=hour":                     "unit is one of day, week",
		"breakdown?currency=EUR":                "no currency",
		"sales_and_refunds?kinds=payments":      "kinds is one of payment",
		"sales_and_refunds?match_rules=click":   "match_rules is one of manual",
		"attribution_models?half_life_days=0":   "half_life_days is greater than 0",
		"attribution_models?half_life_days=-7":  "half_life_days is greater than 0",
		"timeseries?step=0":                     "must be positive",
		"timeseries?step=1000":                  "step is a multiple of 900",
		`landing_pages?only={"product":["p"]}`:  "dimension is one of",
		`cohorts?without={"product":["p"]}`:     "dimension is one of",
		`lifetime_value?only={"device":["p"]}`:  "dimension is one of",
		`time_to_purchase?only={"medium":[]}`:   "dimension is one of",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/api/query/"+strings.ReplaceAll(asked, `"`, "%22")+"&from=2050-06-01&to=2050-07-01", nil)
		r.Host = "127.0.0.1:8090"
		if d.ServeHTTP(w, r); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", asked, w.Code, w.Body)
		}
	}
	for _, asked := range []struct{ question, parameter, value, want string }{
		{"timeseries", "step", "1000", "step is a multiple of 900"},
		{"timeseries", "step", "0", "must be positive"},
		{"attribution_models", "half_life_days", "0", "half_life_days is greater than 0"},
		{"attribution_models", "dimension", "afiliate", "dimension is one of"},
		{"cohorts", "dimension", "afiliate", "dimension is one of"},
		{"cohorts", "only", "{'product':['p']}", "a dimension is one of"},
		{"landing_pages", "dimension", "page", "dimension is one of"},
		{"landing_pages", "only", "{'product':['p']}", "a dimension is one of"},
		{"lifetime_value", "dimension", "afiliate", "dimension is one of"},
		{"lifetime_value", "without", "{'device':['p']}", "a dimension is one of"},
		{"recurring_revenue", "dimension", "afiliate", "dimension is one of"},
		{"return_on_spend", "dimension", "afiliate", "dimension is one of"},
		{"sales_and_refunds", "kinds", "['payments']", "a kind is one of"},
		{"sales_and_refunds", "only", "{'afiliate':['a']}", "a dimension is one of"},
		{"time_to_purchase", "dimension", "afiliate", "dimension is one of"},
		{"time_to_purchase", "only", "{'medium':['m']}", "a dimension is one of"},
	} {
		q := question(t, asked.question)
		values := parameters(q)
		values[asked.parameter] = asked.value
		var args []any
		for name, value := range values {
			if strings.Contains(q.Text, "{"+name+":") {
				args = append(args, stdsql.Named(name, value))
			}
		}
		err := db.QueryRowContext(t.Context(), q.Text, args...).Scan() // no rows are an error, too
		if err == nil || !strings.Contains(err.Error(), asked.want) {
			t.Errorf("%s with %s = %s as SQL: %v", asked.question, asked.parameter, asked.value, err)
		}
	}
}

func difference(got, want map[string]string) string {
	var lines []string
	for key := range got {
		if got[key] != want[key] {
			lines = append(lines, fmt.Sprintf("%q is %q, counted %q", key, got[key], want[key]))
		}
	}
	for key := range want {
		if _, ok := got[key]; !ok {
			lines = append(lines, fmt.Sprintf("%q is missing, counted %q", key, want[key]))
		}
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
