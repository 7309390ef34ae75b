package sql_test

import (
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
	_ "time/tzdata" // zones are the same on every machine

	"github.com/modelcontextprotocol/go-sdk/mcp"
	"github.com/shopspring/decimal"

	"tributary/processor/access"
	"tributary/processor/dashboard"
	"tributary/processor/workspace"
	"tributary/sql"
	"tributary/sql/sqltest"
)

var asks = flag.Int("asks", 14, "how many random questions TestQuestionsAgree asks")

// TestQuestionsAgree asks questions with random ranges, filters, time zones and currencies along
// every path by which somebody gets a figure, and counts the same in Go from what was put into the
// tables: while days are read from clicks, and, from half of the questions on, from clicks_by_day.
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
		}
		name, path := names[i%len(names)], paths[i%len(paths)] // 28 have each question along each path
		figures += w.compare(t, path, name, w.randomAsk(r, question(t, name)))
	}
	for _, p := range businessPanels(t) {
		figures += w.compare(t, p.path(dsn), p.question, p.asked(w.randomAsk(r, question(t, p.question))))
	}
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
	"trend":     {"local start_utc", "clicks visitors leads sales customers net without_rate", (*world).trend},
	"breakdown": {"name", "clicks visitors leads sales customers net without_rate", (*world).breakdown},
	"new_and_returning": {"local", "new_sales returning_sales new_net returning_net without_rate",
		(*world).newAndReturning},
	"funnel":     {"step", "people", (*world).funnel},
	"totals":     {"", "clicks visitors page_views leads public_leads sales refunds disputes net_usd", (*world).totals},
	"timeseries": {"at", "clicks sales net_usd", (*world).timeseries},
	"top":        {"dimension name", "clicks leads sales net_usd", (*world).top},
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

// path is a way to the answer of a question.
type path struct {
	name   string
	answer func(*testing.T, sql.Question, asked) []map[string]any
}

// pathsTo are the query file, the same from single clicks, the dashboard's API, which the page
// asks, and its tools for assistants.
func pathsTo(t *testing.T, dsn string) []path {
	d, err := dashboard.New(dashboard.Config{DSN: dsn, Log: slog.New(slog.DiscardHandler),
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

// A value that has no sense is an error and not a figure.
func TestQuestionsRefuse(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn, "attribution.sql")
	d, err := dashboard.New(dashboard.Config{DSN: dsn, Log: slog.New(slog.DiscardHandler),
		Workspaces: func() []workspace.Region { return []workspace.Region{{Workspace: "models"}} }})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { d.Close() })
	for asked, want := range map[string]string{
		"attribution_models?dimension=afiliate": "dimension is one of",
		"attribution_models?half_life_days=0":   "half_life_days is greater than 0",
		"attribution_models?half_life_days=-7":  "half_life_days is greater than 0",
		"timeseries?step=0":                     "must be positive",
		"timeseries?step=1000":                  "step is a multiple of 900",
	} {
		w := httptest.NewRecorder()
		r := httptest.NewRequest(http.MethodGet, "/api/query/"+asked+"&from=2050-06-01&to=2050-07-01", nil)
		r.Host = "127.0.0.1:8090"
		if d.ServeHTTP(w, r); w.Code != http.StatusBadRequest || !strings.Contains(w.Body.String(), want) {
			t.Errorf("%s: %d %s", asked, w.Code, w.Body)
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

// asked are the parameters of one question.
type asked struct {
	from, to        time.Time
	unit, dimension string
	zone            *time.Location
	only, without   map[string][]string
	currency, rates string
}

// zones have clocks that are changed at two or three at night, at midnight (Cairo, Havana, Santiago),
// by half an hour (Lord Howe), or never.
var zones = []string{
	"UTC", "Asia/Kolkata", "Asia/Kathmandu", "Europe/Berlin", "America/St_Johns", "America/New_York", "Pacific/Auckland",
	"Pacific/Marquesas", "Africa/Cairo", "America/Havana", "America/Santiago", "Australia/Lord_Howe",
}

// randomAsk returns values for a question. What the question does not take has its default.
func (w *world) randomAsk(r *rand.Rand, q sql.Question) asked {
	a := asked{
		from:      w.begin.Add(time.Duration(r.Int64N(80*24*3600)) * time.Second),
		unit:      [...]string{"hour", "day", "week", "month", "quarter"}[r.IntN(5)],
		dimension: dimensions[r.IntN(len(dimensions))], only: make(map[string][]string), without: make(map[string][]string),
		currency: [...]string{"usd", "eur", "jpy", "kwd", "gbp"}[r.IntN(5)], rates: [...]string{"", "ecb", "oxr"}[r.IntN(3)],
	}
	days := 60
	if a.unit == "hour" {
		days = 3
	}
	a.to = a.from.Add(time.Duration(1+r.Int64N(int64(days)*24*3600)) * time.Second)
	a.zone, _ = time.LoadLocation(zones[r.IntN(len(zones))])
	for _, filter := range []map[string][]string{a.only, a.without} {
		for range r.IntN(3) {
			d := dimensions[r.IntN(len(dimensions))]
			filter[d] = [][]string{{""}, {d + "1"}, {d + "1", ""}, {"O'Neil\\" + d, "Zoë,\t\"" + d + "\"\n東京"},
				{"nobody"}}[r.IntN(5)]
		}
	}
	if !takes(q, "only") {
		a.only, a.without = nil, nil
	}
	if !takes(q, "currency") {
		a.currency, a.rates = "usd", ""
	}
	if !takes(q, "dimension") {
		a.dimension = ""
	}
	return a
}

func takes(q sql.Question, name string) bool {
	return slices.ContainsFunc(q.Parameters, func(p sql.Parameter) bool { return p.Name == name })
}

// parameters are the values as programs give them to the API.
func (a asked) parameters() map[string]string {
	only, _ := json.Marshal(a.only) // maps of lists of strings
	without, _ := json.Marshal(a.without)
	return map[string]string{
		"workspace": "w", "from": a.from.Format(time.DateTime), "to": a.to.Format(time.DateTime), "unit": a.unit,
		"timezone": a.zone.String(), "dimension": a.dimension, "only": string(only), "without": string(without),
		"currency": a.currency, "rates": a.rates, "limit": "1000", "step": fmt.Sprint(step),
	}
}

// step is that of timeseries, in seconds.
const step = 3 * 3600

// given are the parameters that a question takes.
func (a asked) given(q sql.Question) map[string]string {
	given := a.parameters()
	maps.DeleteFunc(given, func(name, _ string) bool { return !takes(q, name) })
	return given
}

// literals are the values as curl gives them to ClickHouse.
func (a asked) literals(q sql.Question) map[string]string {
	literal := func(filter map[string][]string) string {
		var entries []string
		for d, names := range filter {
			list := make([]string, len(names))
			for i, name := range names {
				list[i] = quoted(name)
			}
			entries = append(entries, quoted(d)+":["+strings.Join(list, ",")+"]")
		}
		return "{" + strings.Join(entries, ",") + "}"
	}
	given := parameters(q)
	maps.Copy(given, a.parameters())
	given["only"], given["without"] = literal(a.only), literal(a.without)
	return given
}

// fits reports whether the question is about what happened.
func (a asked) fits(e happening) bool {
	if !e.counts || e.at.Before(a.from) || !e.at.Before(a.to) {
		return false
	}
	for d, names := range a.only {
		if !slices.Contains(names, e.names[d]) {
			return false
		}
	}
	for d, names := range a.without {
		if slices.Contains(names, e.names[d]) {
			return false
		}
	}
	return true
}

// truncate returns the begin of the unit that a time is in.
func (a asked) truncate(at time.Time) time.Time {
	local := at.In(a.zone)
	year, month, day := local.Date()
	switch a.unit {
	case "hour":
		return local.Add(-time.Duration(local.Minute())*time.Minute - time.Duration(local.Second())*time.Second)
	case "week":
		day -= (int(local.Weekday()) + 6) % 7
	case "month":
		day = 1
	case "quarter":
		month, day = (month-1)/3*3+1, 1
	}
	start := time.Date(year, month, day, 0, 0, 0, 0, a.zone)
	wanted := time.Date(year, month, day, 0, 0, 0, 0, time.UTC)
	if start.Format(time.DateOnly) < wanted.Format(time.DateOnly) {
		return start.Add(time.Hour) // clocks are put forward at midnight: the day begins at 01:00
	}
	return start
}

// shown returns an entry's net amount in the reporting currency, and whether there is a rate.
func (w *world) shown(e happening, currency, source string) (decimal.Decimal, bool) {
	if e.currency == currency {
		exponent := map[string]int32{"usd": -2, "eur": -2, "jpy": 0, "kwd": -3}[currency]
		return decimal.New(e.amount-e.tax, exponent), true
	}
	if e.usd == nil {
		return decimal.Zero, false
	}
	if currency == "usd" {
		return *e.usd, true
	}
	for back := range 8 {
		of := w.rates[currency][e.at.AddDate(0, 0, -back).Format(time.DateOnly)]
		for _, s := range []string{source, "ecb", "oxr"} {
			if rate, ok := of[s]; ok {
				return e.usd.DivRound(rate, 30).RoundBank(6), true
			}
		}
	}
	return decimal.Zero, false
}

// figures are counted of one name or unit of time.
type figures struct {
	clicks, leads, refunds, disputes, withoutRate int
	visitors, sales, customers                    map[string]bool // customers are first sales
	buyers, again                                 map[string]bool // who bought first, and not first
	net, newNet                                   decimal.Decimal // newNet of first sales
}

func (f *figures) add(e happening, net decimal.Decimal, rated bool) {
	switch e.what {
	case "click":
		f.clicks++
		f.visitors[e.who] = true
		return
	case "lead":
		f.leads++
		return
	}
	f.net = f.net.Add(net)
	if e.first {
		f.newNet = f.newNet.Add(net)
	}
	if !rated {
		f.withoutRate++
	}
	switch e.kind {
	case "refund":
		f.refunds++
	case "dispute":
		f.disputes++
	case "payment":
		f.sales[e.sale] = true
		if e.first {
			f.customers[e.sale], f.buyers[e.who] = true, true
		} else {
			f.again[e.who] = true
		}
	}
}

// count adds up what the question is about under each of the keys of what happened.
func (w *world) count(a asked, keys func(happening) []string) map[string]*figures {
	counted := make(map[string]*figures)
	for _, e := range w.events {
		if !a.fits(e) {
			continue
		}
		net, rated := decimal.Zero, false
		if e.what == "entry" {
			net, rated = w.shown(e, a.currency, a.rates)
		}
		for _, key := range keys(e) {
			if counted[key] == nil {
				counted[key] = newFigures()
			}
			counted[key].add(e, net, rated)
		}
	}
	return counted
}

func newFigures() *figures {
	set := func() map[string]bool { return make(map[string]bool) }
	return &figures{visitors: set(), sales: set(), customers: set(), buyers: set(), again: set()}
}

// whole counts everything together.
func (w *world) whole(a asked) *figures {
	if f := w.count(a, func(happening) []string { return []string{""} })[""]; f != nil {
		return f
	}
	return newFigures()
}

func written(counted map[string]*figures, write func(*figures) string) map[string]string {
	lines := make(map[string]string, len(counted))
	for key, f := range counted {
		lines[key] = write(f)
	}
	return lines
}

func (f *figures) String() string {
	return fmt.Sprintf("%d %d %d %d %d %s %d", f.clicks, len(f.visitors), f.leads, len(f.sales), len(f.customers), f.net,
		f.withoutRate)
}

func (w *world) breakdown(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string { return []string{e.names[a.dimension]} }), (*figures).String)
}

func (w *world) trend(a asked) map[string]string {
	bucket := func(at time.Time) string {
		start := a.truncate(at)
		return start.Format(time.DateTime) + " " + start.UTC().Format(time.DateTime)
	}
	counted := w.count(a, func(e happening) []string { return []string{bucket(e.at)} })
	empty := func(at time.Time) {
		if key := bucket(at); counted[key] == nil {
			counted[key] = newFigures()
		}
	}
	for at := a.from; at.Before(a.to); at = at.Add(15 * time.Minute) {
		empty(at)
	}
	empty(a.to.Add(-time.Second))
	return written(counted, (*figures).String)
}

func (w *world) newAndReturning(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string {
		if e.what != "entry" {
			return nil
		}
		return []string{a.truncate(e.at).Format(time.DateTime)}
	}), func(f *figures) string {
		return fmt.Sprintf("%d %d %s %s %d", len(f.customers), len(f.sales)-len(f.customers), f.newNet,
			f.net.Sub(f.newNet), f.withoutRate)
	})
}

func (w *world) funnel(a asked) map[string]string {
	f := w.whole(a)
	return map[string]string{"visitors": fmt.Sprint(len(f.visitors)), "leads": fmt.Sprint(f.leads),
		"buyers": fmt.Sprint(len(f.buyers)), "returning": fmt.Sprint(len(f.again))}
}

func (w *world) totals(a asked) map[string]string {
	f := w.whole(a)
	return map[string]string{"": fmt.Sprintf("%d %d 0 %d 0 %d %d %d %s", f.clicks, len(f.visitors), f.leads, len(f.sales),
		f.refunds, f.disputes, f.net.StringFixed(2))}
}

func (w *world) timeseries(a asked) map[string]string {
	return written(w.count(a, func(e happening) []string {
		if e.what == "lead" {
			return nil
		}
		return []string{e.at.Truncate(step * time.Second).Format(time.DateTime)}
	}), func(f *figures) string {
		return fmt.Sprintf("%d %d %s", f.clicks, len(f.sales), f.net.StringFixed(2))
	})
}

func (w *world) top(a asked) map[string]string {
	return written(w.count(a, func(e happening) (keys []string) {
		for _, d := range []string{"affiliate", "link", "campaign"} {
			if name := e.names[d]; name != "" {
				keys = append(keys, d+" "+name)
			}
		}
		return keys
	}), func(f *figures) string {
		return fmt.Sprintf("%d %d %d %s", f.clicks, f.leads, len(f.sales), f.net.StringFixed(2))
	})
}
