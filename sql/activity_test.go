package sql

import (
	"io/fs"
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
	const byName, byUnit, beside = "groupArray(visitor)", "toDateTime(clicked, 'UTC')", "countIf(what = 'click')"
	const within = "clicked >= {from:DateTime('UTC')}"
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
		{"return_on_spend", "channel", "2026-01-01 00:00:00", true, []string{"a.what = 'click'", within},
			[]string{byName}},
		{"new_and_returning", "", "2026-01-01 00:00:00", true, nil, []string{byName, byUnit, "uniq(visitor)"}},
	} {
		q, err := AskQuestion(c.question)
		if err != nil {
			t.Fatal(err)
		}
		text, err := q.Statement(map[string]string{"from": c.from, "to": "2026-02-01 00:00:00", "currency": "usd",
			"dimension": c.dimension}, Known{Large: c.large})
		if err != nil {
			t.Fatal(err)
		}
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
		{"no filter", "breakdown", values(), nil, []string{view, "utm_source", filter, rates, "throwIf"}},
		{"a filter", "breakdown", values("only", `{'country':['DE']}`), []string{"of_country", filter, "throwIf"},
			[]string{view, "utm_source", rates}},
		{"another filter", "breakdown", values("without", `{'source':['','x']}`), []string{"of_source", filter},
			[]string{view, "utm_medium"}},
		{"a filter by what is no dimension", "breakdown", values("only", `{'cuntry':['DE']}`), []string{"throwIf"},
			[]string{view, filter}},
		{"another currency", "breakdown", values("currency", "eur"), []string{rates, "{rates:String}"},
			[]string{view, "{source:"}},
		{"no dimension", "breakdown", values("dimension", ""), []string{"'' AS name"}, []string{view, "affiliate_id AS"}},
		{"what is no dimension", "breakdown", values("dimension", "afiliate"), []string{view}, nil},
		{"always USD", "funnel", values(), []string{"CAST(e.net_usd, "}, []string{view, rates, "e.currency"}},
		{"entries alone", "new_and_returning", values(), []string{"'entry' AS what"},
			[]string{view, "click_days", "leads_attributed"}},
		{"what leads have", "breakdown", values(), []string{"argMin(l.affiliate_id"}, []string{view, "argMin(l.link_id"}},
		{"never filtered", "return_on_spend", values("dimension", "channel"), []string{"of_channel"}, []string{view, filter}},
		{"from single clicks", "live_events", values(), []string{view}, nil},
		{"what a question names of the rollup", "totals", values(),
			[]string{"clicks, page_views, visitors\n", "first_page_view"}, []string{rollup, "clicks_at", "utm_source", "names"}},
		{"no page views", "top", values(), []string{"('link', toString(link_id))", "countIf(counts) AS clicks\n"},
			[]string{rollup, "FROM page_views", "is_click", "visitors"}},
		{"no dimensions", "timeseries", values(), []string{"page_views_at", "quarter"}, []string{rollup, "names"}},
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
		"sipHash64(e.sale_id) IN (5, 6)\n        OR sipHash64"
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

// The lists tell nothing that is not known for certain.
func TestReadFirstSales(t *testing.T) {
	const lists, listed = "lists\t1700000000000\t1\t0\t0\n", "listed\t7\t70\t100\t700\n"
	for _, c := range []struct {
		name, rows   string
		ok           bool
		lost, gained string
	}{
		{"nothing written", lists, true, "", ""},
		{"no lists, or void ones", "none\t0\t0\t0\t0\n", false, "", ""},
		{"too much written", "lists\t1700000000000\t2001\t0\t0\n", false, "", ""},
		{"written again", lists + "written\t7\t0\t0\t0\npayment\t7\t70\t100\t700\n" + listed, true, "", ""},
		{"a new buyer", lists + "written\t8\t0\t0\t0\npayment\t8\t80\t100\t800\n", true, "", "800"},
		{"a later payment", lists + "written\t8\t0\t0\t0\npayment\t8\t70\t101\t800\n" + listed, true, "", ""},
		{"an earlier payment", lists + "written\t8\t0\t0\t0\npayment\t8\t70\t99\t800\n" + listed, true, "70", "800"},
		{"one of the same time", lists + "written\t8\t0\t0\t0\npayment\t8\t70\t100\t800\n" + listed, false, "", ""},
		{"of the same sale", lists + "written\t8\t0\t0\t0\npayment\t8\t70\t100\t700\n" + listed, true, "", ""},
		{"no longer booked", lists + "written\t7\t0\t0\t0\n" + listed, false, "", ""},
		{"another buyer", lists + "written\t7\t0\t0\t0\npayment\t7\t71\t100\t700\n" + listed, false, "", ""},
		{"another sale", lists + "written\t7\t0\t0\t0\npayment\t7\t70\t100\t701\n" + listed, false, "", ""},
		{"two new ones of one time", lists + "payment\t8\t80\t100\t800\npayment\t9\t80\t100\t900\n", false, "", ""},
	} {
		f, ok, err := ReadFirstSales(c.rows)
		if err != nil || ok != c.ok || ok && (f.LostText() != c.lost || f.GainedText() != c.gained) {
			t.Errorf("%s: %t, lost %v, gained %v, %v", c.name, ok, f.Lost, f.Gained, err)
		}
	}
	for _, bad := range []string{"lists\t1\n", "lists\t1\tx\t0\t0\n", "Code: 60. DB::Exception"} {
		if _, ok, err := ReadFirstSales(bad); err == nil || ok {
			t.Errorf("%q was read", bad)
		}
	}
}
