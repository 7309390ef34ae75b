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
		text, err := q.Statement(c.values, false)
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
		text, err := q.Statement(map[string]string{"from": "2026-01-01 00:00:00", "to": c.to, "currency": "usd"}, c.large)
		if err != nil {
			t.Fatal(err)
		}
		if got := strings.Count(text, buyers) + strings.Count(text, leads); got != c.has {
			t.Errorf("%s to %s, large %t: buyers and leads are chosen %d times, want %d", c.question, c.to, c.large, got, c.has)
		}
	}
}
