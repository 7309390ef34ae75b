package sql

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"strings"
	"testing"
)

// The views are what their templates say: a statement that is written from one asks the same.
func TestViewsOfTemplates(t *testing.T) {
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	for name, view := range map[string]func() (string, error){
		"activity": activityView, "clicks_by_dimension": rollupView,
	} {
		want, err := view()
		if err != nil {
			t.Fatal(err)
		}
		latest := ""
		for _, file := range files {
			text, err := migrations.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if _, after, ok := strings.Cut(string(text), "CREATE OR REPLACE VIEW "+name+" AS\n"); ok {
				latest = after
			}
		}
		if got, _, _ := strings.Cut(latest, "\nCOMMENT '"); got != want {
			t.Errorf("the latest migration of %s is not what templates/%s.sql says, which is\n%s", name, name, want)
		}
	}
}

// Of a large workspace clicks are counted before they stand beside leads and entries, where a question
// asks no more of them.
func TestCountedStatement(t *testing.T) {
	const byName, byUnit, beside = "groupArray(visitor)", "start_of_unit(clicked)", "countIf(what = 'click')"
	const within = "clicked >= {from:DateTime('UTC')}"
	const byRow, byQuarter, listed = "SELECT clicks, toLowCardinality(value)", "SELECT of_quarter", "counted."
	for _, c := range []struct {
		question, dimension, from string
		large                     bool
		has, hasNot               []string
	}{
		{"breakdown", "affiliate", "2026-01-01 00:00:00", true, []string{byName}, []string{byUnit, beside, within}},
		{"breakdown", "affiliate", "2026-01-01 00:00:01", true, []string{byName, within}, []string{byUnit, beside}},
		{"breakdown", "", "2026-01-01 00:00:00", true, []string{"uniq(visitor)"},
			[]string{byName, byUnit, beside, within}},
		{"breakdown", "affiliate", "2026-01-01 00:00:00", false, []string{beside, within}, []string{byName}},
		{"trend", "", "2026-01-01 00:00:00", true, []string{byUnit, within, "uniq(visitor)"}, []string{byName, beside}},
		{"funnel", "", "2026-01-01 00:00:00", true, []string{"uniq(visitor)"},
			[]string{byName, byUnit, beside, within}},
		{"return_on_spend", "channel", "2026-01-01 00:00:00", true, []string{"dimension IN ('channel')"},
			[]string{byName, listed, "uniq("}},
		{"new_and_returning", "", "2026-01-01 00:00:00", true, nil, []string{byName, byUnit, "uniq(visitor)"}},
		{"breakdown uncounted", "affiliate", "2026-01-01 00:00:00", true, []string{byRow, "dimension = 'affiliate'"},
			[]string{listed, "uniq(", "uniqArray", beside}},
		{"breakdown uncounted", "affiliate", "2026-01-01 00:15:00", true, []string{"counted.affiliate", within},
			[]string{byRow, "counted.visitor", "uniq(", "uniqArray", beside}},
		{"breakdown uncounted", "medium", "2026-01-01 00:00:00", true, []string{"counted.medium"},
			[]string{byRow, "counted.visitor", "uniq(", "uniqArray", beside}},
		{"breakdown uncounted", "product", "2026-01-01 00:00:00", true, []string{"counted.visitor"}, []string{byRow}},
		{"breakdown uncounted", "affiliate", "2026-01-01 00:00:00", false, []string{beside},
			[]string{byRow, "uniqIf(visitor"}},
		{"trend uncounted", "", "2026-01-01 00:15:00", true, []string{byQuarter, "dimension = ''"},
			[]string{listed, "uniq(", beside}},
		{"trend uncounted", "", "2026-01-01 00:00:01", true, []string{"counted.at", within},
			[]string{byQuarter, "counted.visitor", "uniq(", beside}},
		{"trend uncounted", "", "1972-01-01 00:00:00", true, []string{"counted.at"}, []string{byQuarter}},
	} {
		name, uncounted := strings.CutSuffix(c.question, " uncounted")
		q, err := AskQuestion(name)
		if err != nil {
			t.Fatal(err)
		}
		text, err := q.Statement(map[string]string{"from": c.from, "to": "2026-02-01 00:00:00", "currency": "usd",
			"dimension": c.dimension, "visitors": fmt.Sprint(!uncounted)}, Known{Large: c.large})
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ = strings.Cut(text, "\nSELECT") // without the description
		for _, part := range c.has {
			if !strings.Contains(text, part) {
				t.Errorf("%s %q from %s, large %t, has no %s", c.question, c.dimension, c.from, c.large, part)
			}
		}
		for _, part := range c.hasNot {
			if strings.Contains(text, part) {
				t.Errorf("%s %q from %s, large %t, has %s", c.question, c.dimension, c.from, c.large, part)
			}
		}
	}
}

// A statement has of activity what its values need. TestQuestionsAgree compares its answers.
func TestStatement(t *testing.T) {
	values := func(pairs ...string) map[string]string {
		m := map[string]string{"dimension": "affiliate", "only": "{}", "without": "{}", "currency": "usd"}
		for i := 0; i < len(pairs); i += 2 {
			m[pairs[i]] = pairs[i+1]
		}
		return m
	}
	const view, rollup, filter, rates = "activity(", "clicks_by_dimension(", "mapContains", "fx_rates"
	for _, c := range []struct {
		name, question string
		values         map[string]string
		has, hasNot    []string
	}{
		{"no filter", "breakdown", values(), nil, []string{view, "utm_source", filter, rates}},
		{"a filter", "breakdown", values("only", `{'country':['DE']}`),
			[]string{"of_country", "\nWHERE has({only:Map(String, Array(String))}['country'], country)"},
			[]string{view, "utm_source", rates, filter}},
		{"another filter", "breakdown", values("without", `{'source':['','x']}`), []string{"of_source", "WHERE NOT has"},
			[]string{view, "utm_medium"}},
		{"several filters", "breakdown", values("only", `{'country':[],'device':['a\',\'medium\':[\'','\\']}`,
			"without", `{'source':['']}`), []string{"of_country", "of_device", "of_source", "    AND has({only", "    AND NOT"},
			[]string{view, "medium"}},
		{"a filter by what is no dimension", "breakdown", values("only", `{'cuntry':['DE']}`), []string{view}, nil},
		{"also by what is none", "breakdown", values("without", `{'country':['DE'],'cuntry':['DE']}`), []string{view}, nil},
		{"written otherwise", "breakdown", values("only", `{'country': ['DE']}`), []string{view}, nil},
		{"another currency", "breakdown", values("currency", "eur"), []string{rates, "{rates:String}"},
			[]string{view, "{source:"}},
		{"no dimension", "breakdown", values("dimension", ""), []string{"'' AS name"}, []string{view, "affiliate_id AS"}},
		{"what is no dimension", "breakdown", values("dimension", "afiliate"), []string{view}, nil},
		{"always USD", "funnel", values(), []string{"CAST(e.net_usd, "}, []string{view, rates, "e.currency"}},
		{"entries alone", "new_and_returning", values(), []string{"'entry' AS what"},
			[]string{view, "click_days", "leads_attributed"}},
		{"what leads have", "breakdown", values(), []string{"argMin(l.affiliate_id"}, []string{view, "argMin(l.link_id"}},
		{"never filtered", "return_on_spend", values("dimension", "channel"), []string{"[('channel', "},
			[]string{view, rollup, filter, "of_channel", "('source', "}},
		{"by day", "trend", values("unit", "day"), []string{"dateTrunc("}, []string{view, "% 3600"}},
		{"by hour", "trend", values("unit", "hour"), []string{"% 3600"}, []string{view, "dateTrunc("}},
		{"from single clicks", "live_events", values(), []string{view}, nil},
		{"what a question names of the rollup", "totals", values(),
			[]string{"clicks, page_views, visitors\n", "first_page_view"}, []string{rollup, "clicks_at", "utm_source", "names"}},
		{"no page views", "top", values(), []string{"('link', toString(link_id))", "countIf(counts) AS clicks\n"},
			[]string{rollup, "FROM page_views", "is_click", "visitors"}},
		{"no dimensions", "timeseries", values(), []string{"page_views_at", "quarter"}, []string{rollup, "names"}},
		{"rows of one dimension", "landing_pages", values("dimension", "browser", "visitors", "false"),
			[]string{"dimension IN ('browser')", "CAST(browser, 'String') AS name"}, []string{"clicks_counted(", "visitors)"}},
		{"visitors", "landing_pages", values("dimension", "browser", "visitors", "true"), []string{"clicks_counted("},
			[]string{"clicks_by_day"}},
		{"a filter of single clicks", "landing_pages",
			values("dimension", "browser", "visitors", "false", "without", "{'country':['DE']}"),
			[]string{"clicks_counted("}, []string{"clicks_by_day"}},
		{"rows of what is no dimension", "landing_pages", values("dimension", "pages", "visitors", "false"),
			[]string{"clicks_counted(", "throwIf"}, []string{"clicks_by_day"}},
		{"another table", "money_at_risk", values(), []string{"FROM revenue FINAL"}, []string{view, rollup}},
	} {
		q, err := AskQuestion(c.question)
		if err != nil {
			t.Fatal(err)
		}
		text, err := q.Statement(c.values, Known{})
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		_, text, _ = strings.Cut(text, "\nSELECT") // without the description
		for _, part := range c.has {
			if !strings.Contains(text, part) {
				t.Errorf("%s: the statement lacks %s:\n%s", c.name, part, text)
			}
		}
		for _, part := range c.hasNot {
			if strings.Contains(text, part) {
				t.Errorf("%s: the statement has %s:\n%s", c.name, part, text)
			}
		}
	}
}

// Buyers and leads are chosen first where that is faster: in a large workspace, of a short time.
func TestNarrowStatement(t *testing.T) {
	buyers, leads := "identity(f.buyer) IN", "identity(person) IN"
	for _, c := range []struct {
		question, to string
		large        bool
		has          int // of buyers and leads
	}{
		{"breakdown", "2026-01-31 00:00:00", true, 2}, {"breakdown", "2026-01-31 00:00:00", false, 0},
		{"breakdown", "2027-01-01 00:00:00", true, 0}, {"new_and_returning", "2026-01-31 00:00:00", true, 1},
		{"top", "2026-01-31 00:00:00", true, 1}, {"totals", "2026-01-31 00:00:00", true, 2},
		{"totals", "2027-01-01 00:00:00", true, 0},
	} {
		q, err := AskQuestion(c.question)
		if err != nil {
			t.Fatal(err)
		}
		text, err := q.Statement(map[string]string{"from": "2026-01-01 00:00:00", "to": c.to, "currency": "usd"},
			Known{Large: c.large})
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(text, buyers) + strings.Count(text, leads); got != c.has {
			t.Errorf("%s to %s, large %t: buyers and leads are chosen %d times, want %d", c.question, c.to, c.large, got, c.has)
		}
	}
}

// Where the lists tell first sales, payments of all time are not read, and what has changed since
// stands in the statement.
func TestStatementOfLists(t *testing.T) {
	q, err := AskQuestion("breakdown")
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]string{"from": "2026-01-01 00:00:00", "to": "2026-01-31 00:00:00", "currency": "usd"}
	text := func(f *FirstSales) string {
		t.Helper()
		text, err := q.Statement(values, Known{Large: true, FirstSales: f})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	const payments, lists, lost, gained = "revenue AS f", "FROM first_sales", "buyer NOT IN (3, 4)",
		"e.sale IN (5, 6)\n        OR e.sale IN\n"
	for i, c := range []struct {
		first *FirstSales
		has   []bool // in the order of these parts
	}{
		{nil, []bool{true, false, false, false}},
		{&FirstSales{ComputedAt: 1}, []bool{false, true, false, false}},
		{&FirstSales{ComputedAt: 1, Lost: []uint64{3, 4}}, []bool{false, true, true, false}},
		{&FirstSales{ComputedAt: 1, Gained: []uint64{5, 6}}, []bool{false, true, false, true}},
	} {
		for j, part := range []string{payments, lists, lost, gained} {
			if got := strings.Contains(text(c.first), part); got != c.has[j] {
				t.Errorf("statement %d has %q: %t\n%s", i, part, got, text(c.first))
			}
		}
	}
}

// Questions about buyers are rewritten by patterns. Where one no longer fits the query file the answer
// stays the same, and takes as long as before.
func TestStatementOfBuyers(t *testing.T) {
	const dimensions, filters, checked, paid, all = "multiIf(\n", "{only:", "throwIf(\n", "-- Who paid in this time",
		"identity(buyer) IN\n"
	month := map[string]string{"from": "2026-01-01 00:00:00", "to": "2026-01-31 00:00:00", "only": "{}", "without": "{}"}
	values := func(name, value string) map[string]string {
		v := maps.Clone(month)
		v[name] = value
		return v
	}
	written := &FirstSales{ComputedAt: 1, written: changes{{day: "2026-01-02"}}}
	for _, name := range []string{"cohorts", "lifetime_value", "time_to_purchase"} {
		q, err := AskQuestion(name)
		if err != nil {
			t.Fatal(err)
		}
		for i, c := range []struct {
			values      map[string]string
			first       *FirstSales
			has, hasNot []string
		}{
			{month, nil, []string{paid, "AS fits"}, []string{filters, checked, "FROM first_sales"}},
			{values("dimension", "affiliate"), nil, []string{paid, "affiliate_id"}, []string{dimensions}},
			{values("dimension", "pages"), nil, []string{dimensions, "SELECT throwIf({dimension:"}, nil},
			{values("only", "{'country':['DE']}"), nil, []string{filters, checked}, nil},
			{values("without", "{ }"), nil, []string{filters, checked}, nil},
			{month, written, []string{all, "FROM first_sales", "UNION ALL"}, []string{paid}},
			{values("to", "2026-06-01 00:00:00"), written, nil,
				[]string{all, paid, "FROM first_sales", "identity(sale_id) IN\n"}},
		} {
			text, err := q.Statement(c.values, Known{Large: c.first != nil, FirstSales: c.first})
			if err != nil {
				t.Fatal(err)
			}
			_, text, _ = strings.Cut(text, "\nSELECT") // the comments name what is looked for, too
			for _, part := range c.has {
				if !strings.Contains(text, part) {
					t.Errorf("%s %d lacks %q:\n%s", name, i, part, text)
				}
			}
			for _, part := range c.hasNot {
				if strings.Contains(text, part) {
					t.Errorf("%s %d has %q:\n%s", name, i, part, text)
				}
			}
			if want := name != "cohorts" && i == 5; strings.Contains(text, "WHERE who IN") != want {
				t.Errorf("%s %d leaves out who was not chosen: %t", name, i, !want)
			}
		}
	}
}

// Beside what reads activity, lists choose buyers, and count sales where a question asks for nothing
// else of them and no entry has two rows under one name.
func TestNeedsFirstSales(t *testing.T) {
	var names []string
	questions, err := Questions()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range questions {
		if q.NeedsFirstSales() && !activityCall.MatchString(q.Text) {
			names = append(names, q.Name)
		}
	}
	if got, want := strings.Join(names, " "), "cohorts lifetime_value time_to_purchase top totals"; got != want {
		t.Errorf("these read lists: %s, want %s", got, want)
	}
}

// The lists tell nothing that is not known for certain.
func TestLookUpFirstSales(t *testing.T) {
	const nothing, seven, eight = "lists 1700000000000 ", "0700000000000000000000000000000A 2026-11-25",
		"0800000000000000000000000000000A 2026-11-26"
	const lists, listed = "lists 0 0 0 0\n", "\nlisted 7 70 100 700"
	for _, c := range []struct {
		name, first, second string
		ok                  bool
		lost, gained        string
	}{
		{"nothing written", nothing, "", true, "", ""},
		{"no lists", "none 0 ", "", false, "", ""},
		{"void ones", nothing + strings.Repeat("0", 32) + " 2026-11-25", lists, false, "", ""},
		{"too much written", nothing + strings.Repeat(seven+" ", 2001), lists, false, "", ""},
		{"written again", nothing + seven, lists + "payment 7 70 100 700" + listed, true, "", "700"},
		{"a new buyer", nothing + eight, lists + "payment 8 80 100 800", true, "", "800"},
		{"computed anew meanwhile", nothing + eight, "none 0 0 0 0\npayment 8 80 100 800", false, "", ""},
		{"a later payment", nothing + eight, lists + "payment 8 70 101 800" + listed, true, "", ""},
		{"an earlier payment", nothing + eight, lists + "payment 8 70 99 800" + listed, true, "70", "800"},
		{"one of the same time", nothing + eight, lists + "payment 8 70 100 800" + listed, false, "", ""},
		{"of the same sale", nothing + eight, lists + "payment 8 70 100 700" + listed, true, "", "700"},
		{"no longer booked", nothing + seven, strings.TrimSpace(lists) + listed, false, "", ""},
		{"another buyer", nothing + seven, lists + "payment 7 71 100 700" + listed, false, "", ""},
		{"another sale", nothing + seven, lists + "payment 7 70 100 701" + listed, false, "", ""},
		{"two new ones of one time", nothing + seven + " " + eight,
			lists + "payment 8 80 100 800\npayment 7 80 100 900", false, "", ""},
	} {
		f, ok, err := LookUpFirstSales(func(statement string) ([]string, error) {
			if statement == listsOfFirstSales {
				return []string{c.first}, nil
			}
			if !strings.Contains(statement, "computed_at = fromUnixTimestamp64Milli(1700000000000, 'UTC')") ||
				strings.Contains(c.first, seven) != strings.Contains(statement, "unhex('0700000000000000000000000000000A')") {
				t.Errorf("%s: asked %s", c.name, statement)
			}
			return strings.Split(c.second, "\n"), nil
		})
		if err != nil || ok != c.ok || ok && (f.LostText() != c.lost || f.GainedText() != c.gained) {
			t.Errorf("%s: %t, lost %v, gained %v, %v", c.name, ok, f.Lost, f.Gained, err)
		}
	}
	for _, bad := range [][]string{
		{"lists"}, {"lists x"}, {"lists 1 07 2026-11-25"}, {"Code: 60. DB::Exception"}, {nothing + seven},
	} {
		if _, ok, err := LookUpFirstSales(func(statement string) ([]string, error) {
			if statement == listsOfFirstSales {
				return bad[:1], nil
			}
			return []string{"payment 7 x"}, nil
		}); err == nil || ok {
			t.Errorf("%q was read", bad)
		}
	}
	away := errors.New("away")
	if _, ok, err := LookUpFirstSales(func(string) ([]string, error) { return nil, away }); !errors.Is(err, away) || ok {
		t.Error("an error was no error")
	}
}
