package sql

import (
	"io/fs"
	"strings"
	"testing"
)

// The view is what its template says: a statement that is written from the template asks the same.
func TestActivityView(t *testing.T) {
	want, err := activityView()
	if err != nil {
		t.Fatal(err)
	}
	files, err := fs.Glob(migrations, "migrations/*.sql")
	if err != nil {
		t.Fatal(err)
	}
	latest := ""
	for _, file := range files {
		text, err := migrations.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		if _, after, ok := strings.Cut(string(text), "CREATE OR REPLACE VIEW activity AS\n"); ok {
			latest = after
		}
	}
	if got, _, _ := strings.Cut(latest, "\nCOMMENT '"); got != want {
		t.Errorf("the latest migration of activity is not what templates/activity.sql says, which is\n%s", want)
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
	const view, filter, rates = "activity(", "mapContains", "fx_rates"
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
		{"always USD", "funnel", values(), []string{"e.currency = 'usd'"}, []string{view, rates}},
		{"never filtered", "return_on_spend", values("dimension", "channel"), []string{"of_channel"}, []string{view, filter}},
		{"from single clicks", "live_events", values(), []string{view}, nil},
		{"no list of activities", "totals", values(), []string{"clicks_by_dimension("}, nil},
	} {
		q, err := AskQuestion(c.question)
		if err != nil {
			t.Fatal(err)
		}
		text, err := q.Statement(c.values)
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
