package sql_test

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// The rows of a question that a filter by one name leaves are that name's row of the same question
// without it, and those that the opposite filter leaves are all others.
func TestFilters(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	for name, dimensions := range map[string][]string{
		"cohorts":          {"affiliate", "channel", "campaign", "program"},
		"lifetime_value":   {"program", "affiliate", "link", "source", "campaign", "channel", "country"},
		"time_to_purchase": {"program", "affiliate", "link", "source", "campaign", "channel", "country"},
	} {
		q := question(t, name)
		for _, dimension := range dimensions {
			values := maps.Clone(parameters(q))
			values["dimension"] = dimension
			all := rowsByName(t, dsn, q, values)
			if len(all) == 0 {
				t.Fatalf("%s by %s has no rows", name, dimension)
			}
			for _, one := range slices.Sorted(maps.Keys(all))[:min(2, len(all))] { // the empty name is the first
				given := fmt.Sprintf("{'%s':['%s','nobody has it']}", dimension, one)
				values["only"], values["without"] = given, "{}"
				got := rowsByName(t, dsn, q, values)
				if want := map[string][]string{one: all[one]}; !equal(got, want) {
					t.Errorf("%s by %s, only %q: %v, not %v", name, dimension, one, got, want)
				}
				values["only"], values["without"] = "{}", given
				want := maps.Clone(all)
				delete(want, one)
				if got := rowsByName(t, dsn, q, values); !equal(got, want) {
					t.Errorf("%s by %s, without %q: %v, not %v", name, dimension, one, got, want)
				}
			}
		}
	}
}

// Landing pages have the clicks of the question that has every filter, and so have referrers and
// browsers.
func TestFiltersOfClicks(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	known, pages := question(t, "breakdown"), question(t, "landing_pages")
	filtered := 0
	for i, dimension := range []string{
		"program", "affiliate", "link", "source", "medium", "campaign", "channel", "country", "device",
	} {
		values := maps.Clone(parameters(known))
		values["without"], values["dimension"], values["currency"] = "{}", dimension, "usd"
		names := slices.Sorted(maps.Keys(rowsByName(t, dsn, known, values)))
		one := names[len(names)-1]
		for _, filter := range []string{"only", "without"} {
			asked := summer("livemode", "true", "limit", "1000", "only", "{}", "without", "{}", "currency", "usd", "rates", "",
				"visitors", "true")
			asked[filter], asked["dimension"] = fmt.Sprintf("{'%s':['%s']}", dimension, one), ""
			want := ask(t, dsn, "SELECT sum(clicks) FROM (\n"+known.Text+"\n) FORMAT TSV", asked)
			asked["dimension"] = []string{"landing_page", "referrer", "browser"}[i%3]
			got := ask(t, dsn, "SELECT sum(clicks) FROM (\n"+pages.Text+"\n) FORMAT TSV", asked)
			if got != want {
				t.Errorf("%s %s %q: %s clicks, not %s", filter, dimension, one, got, want)
			}
			if want != "0\n" {
				filtered++
			}
		}
	}
	if filtered < 12 {
		t.Errorf("%d filters left clicks: too few to tell", filtered)
	}
}

// rowsByName returns the rows of a question that has a column of names, as text, by name.
func rowsByName(t *testing.T, dsn string, q sql.Question, values map[string]string) map[string][]string {
	t.Helper()
	answer := ask(t, dsn, "SELECT name, * FROM (\n"+q.Text+"\n) ORDER BY ALL FORMAT TSV", values)
	rows := make(map[string][]string)
	for line := range strings.Lines(answer) {
		name, row, _ := strings.Cut(line, "\t")
		rows[name] = append(rows[name], row)
	}
	return rows
}

func equal(a, b map[string][]string) bool {
	return maps.EqualFunc(a, b, slices.Equal[[]string])
}
