package sql_test

import (
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"tributary/deploy/race"
	"tributary/sql"
	"tributary/sql/sqltest"
)

func question(t testing.TB, name string) sql.Question {
	t.Helper()
	q, err := sql.AskQuestion(name)
	if err != nil {
		t.Fatal(err)
	}
	return q
}

func TestQueryUnknown(t *testing.T) {
	if _, err := sql.AskQuestion("nothing_of_this_name"); !errors.Is(err, fs.ErrNotExist) {
		t.Errorf("an unknown question gives %v", err)
	}
}

// values are what the golden answers are asked with; a parameter that is not here has its default.
var values = map[string]string{
	"workspace": "shop", "limit": "10", "sale": "pi_1",
	"from": "2050-06-10 00:00:00", "to": "2050-06-12 00:00:00", "lookback_days": "30", "month": "2050-06-01",
}

// valuesOf are other values for single questions, whose data lies elsewhere.
var valuesOf = map[string]map[string]string{
	"affiliate_by_day":     {"affiliate": "ann"},
	"affiliate_sales":      {"affiliate": "ann"},
	"affiliate_statements": {"affiliate": "ann"},
	"affiliate_entries":    {"affiliate": "ann"},

	"attribution_models":      june("models"),
	"attribution_differences": june("models"),
	"channel_effects":         june("models"),

	// Half an hour before a day in India begins, in euro, by month.
	"trend": {
		"workspace": "studio", "from": "2050-05-31 18:30:00", "to": "2050-09-30 18:30:00", "unit": "month",
		"timezone": "Asia/Kolkata", "currency": "eur",
	},
	"breakdown":         summer("dimension", "campaign", "without", "{'country':['IN']}"),
	"products":          summer("currency", "eur"),
	"product_names":     {"workspace": "studio"},
	"funnel":            summer(),
	"new_and_returning": summer("unit", "month", "timezone", "America/New_York"),
	"time_to_purchase":  summer("dimension", "channel"),
	"lifetime_value":    summer(),
	"cohorts":           summer("unit", "month", "dimension", "channel"),
	"landing_pages":     summer(),
	"live_events":       summer("only", "{'affiliate':['ann','bob']}"),
	"money_at_risk":     summer(),
	"recurring_revenue": summer(),
	"return_on_spend":   summer("dimension", "affiliate"),
	"what_changed":      {"workspace": "changes", "since": "2020-01-02 00:00:00", "until": "2020-01-04 00:00:00"},
}

func june(workspace string) map[string]string {
	return map[string]string{"workspace": workspace, "from": "2050-06-01 00:00:00", "to": "2050-07-01 00:00:00"}
}

// summer are the three months of the studio, with other values by name.
func summer(others ...string) map[string]string {
	given := map[string]string{"workspace": "studio", "from": "2050-06-01 00:00:00", "to": "2050-09-01 00:00:00"}
	for i := 0; i < len(others); i += 2 {
		given[others[i]] = others[i+1]
	}
	return given
}

// parameters returns a value for each parameter of a question.
func parameters(q sql.Question) map[string]string {
	given := make(map[string]string, len(q.Parameters))
	for _, p := range q.Parameters {
		given[p.Name] = p.Default
		if value, ok := values[p.Name]; ok {
			given[p.Name] = value
		}
		if value, ok := valuesOf[q.Name][p.Name]; ok {
			given[p.Name] = value
		}
	}
	return given
}

// seed fills the tables that the processor fills, from all files or from those that are named; the
// rest is the materialized views' work.
func seed(t *testing.T, dsn string, names ...string) {
	t.Helper()
	files, err := filepath.Glob("testdata/seed/*.sql")
	if err != nil || len(files) == 0 {
		t.Fatalf("%d seeds, %v", len(files), err)
	}
	for _, file := range files {
		if len(names) > 0 && !slices.Contains(names, filepath.Base(file)) {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		for _, statement := range strings.Split(string(text), ";\n") {
			if strings.Contains(statement, "INSERT") {
				ask(t, dsn, statement, nil)
			}
		}
	}
}

// queries returns the names of all queries.
func queries(t *testing.T) []string {
	t.Helper()
	all, err := sql.Questions()
	if err != nil || len(all) == 0 {
		t.Fatalf("%d questions, %v", len(all), err)
	}
	names := make([]string, len(all))
	for i, q := range all {
		names[i] = q.Name
	}
	return names
}

// The declared parameters of a question are those that its statement uses, of the same types.
func TestQuestionParameters(t *testing.T) {
	use := regexp.MustCompile(`\{(\w+):([^}]+)\}`)
	all, err := sql.Questions()
	if err != nil {
		t.Fatal(err)
	}
	for _, q := range all {
		used := make(map[string]string)
		for _, m := range use.FindAllStringSubmatch(q.Text, -1) {
			if before, ok := used[m[1]]; ok && before != m[2] {
				t.Errorf("%s uses %s as %s and %s", q.Name, m[1], before, m[2])
			}
			used[m[1]] = m[2]
		}
		declared := make(map[string]string)
		for _, p := range q.Parameters {
			declared[p.Name] = p.Type
		}
		if !maps.Equal(used, declared) {
			t.Errorf("%s uses %v and declares %v", q.Name, used, declared)
		}
		for _, p := range q.Parameters {
			listed := slices.Contains([]string{"unit", "dimension", "kinds", "match_rules"}, p.Name)
			if listed != (p.Values != nil) || p.Type == "String" && listed && !slices.Contains(p.Values, p.Default) {
				t.Errorf("%s lists the values %q of %s, whose default is %q", q.Name, p.Values, p.Name, p.Default)
			}
		}
		if !strings.HasSuffix(q.Title, "?") || q.Meaning == "" {
			t.Errorf("%s says neither what it asks nor what its answer means", q.Name)
		}
	}
}

// TestQueries asks every question of one small business and compares with the golden answers,
// before and after the days of clicks are computed and all parts are merged: an answer that depends
// on either is wrong. Under the race detector each is asked either before or after.
func TestQueries(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	for _, merged := range []bool{false, true} {
		if merged {
			refresh(t, dsn)
			for _, table := range []string{"click_days", "leads_attributed", "revenue", "ledger", "ledger_log",
				"clicks", "page_views"} {
				ask(t, dsn, "OPTIMIZE TABLE "+table+" FINAL", nil)
			}
		}
		for i, name := range queries(t) {
			if race.Enabled && merged == (i%2 == 0) {
				continue
			}
			t.Run(fmt.Sprintf("%s/merged=%t", name, merged), func(t *testing.T) {
				q := question(t, name)
				answer := ask(t, dsn, q.Text+"FORMAT TSVWithNamesAndTypes", parameters(q))
				lines := strings.SplitN(answer, "\n", 3)
				checkTypes(t, q, strings.Split(lines[0], "\t"), strings.Split(lines[1], "\t"))
				golden(t, "testdata/queries/"+name+".golden.tsv", lines[0]+"\n"+lines[2])
			})
		}
	}
}

var (
	read  = regexp.MustCompile(`(?m)(?:FROM|(?:LEFT|CROSS) JOIN)\s+([a-z_]+)(\s+AS\s+\w+)?(\s+FINAL)?`)
	final = map[string]bool{"click_days": false, "invoice_periods": true, "revenue": true, "leads_attributed": true,
		"ledger_log": true, "ledger_written": false}
	// Views that choose the version themselves.
	chosen = []string{
		"clicks_counted", "clicks_by_dimension", "clicks_daily", "people", "public_leads", "sales", "sale_touches",
		"channel_effects", "activity",
		"spend_shown", "statements", "statements_of_affiliate", "product_names",
		"statement_lines",
	}
	// Questions that read stored records themselves: the page asks them for one day only, or when it
	// has nothing else to show; and the rates of days are few.
	stored = map[string]string{
		"recurring_revenue": "day_rates",
		"flagged_clicks":    "clicks", "dead_letters": "dead_letters", "pipeline_status": "pipeline_status",
	}
)

// anyVersion chooses keys by which a question then reads with FINAL: of rows that any version names.
var anyVersion = regexp.MustCompile(`IN\n *\(\n *(?:--.*\n *)?SELECT (?:buyer|sale_id)\n *FROM revenue\n`)

// The rules of queries/: each says its question, reads only what materialized views fill, reads
// replaced rows with FINAL, and never lets a filter on a column that a later version may change run
// before FINAL has chosen the version.
func TestQueryRules(t *testing.T) {
	for table := range final {
		view, err := os.ReadFile("schema/" + table + "_mv.sql")
		if err != nil || !strings.Contains(string(view), " TO "+table+"\n") {
			t.Errorf("no materialized view fills %s: %v", table, err)
		}
	}
	for _, name := range queries(t) {
		text := question(t, name).Text
		if strings.Contains(text, "PREWHERE") || !strings.Contains(text, "optimize_move_to_prewhere_if_final = 0") {
			t.Errorf("%s: its filters may reach PREWHERE", name)
		}
		_, statement, _ := strings.Cut(text, "\nSELECT")
		for _, m := range read.FindAllStringSubmatch(anyVersion.ReplaceAllString(statement, ""), -1) {
			if slices.Contains(chosen, m[1]) {
				continue
			}
			needs, known := final[m[1]]
			if stored[name] == m[1] {
				needs, known = true, true
			}
			if !known {
				t.Errorf("%s reads %s, which no materialized view fills", name, m[1])
			}
			if (m[3] != "") != needs {
				t.Errorf("%s reads %s, FINAL: %t", name, m[1], m[3] != "")
			}
		}
	}
}

var (
	strangeType = regexp.MustCompile(`\b(?:DateTime\(|DateTime$|Enum|U?Int128|U?Int256|UUID)`)
	figureName  = regexp.MustCompile(`^(?:\w+_usd|epc|conversion|\w+_rate|amount)$`)
	textType    = regexp.MustCompile(`^(?:Nullable\()?String`)
	fixedType   = regexp.MustCompile(`Decimal\(\d+, [1-5]\)`) // not six digits, mostly zeros
)

// checkTypes checks that the columns of an answer have types that Arrow and Parquet write as what
// they are: Arrow has a DateTime as a number of seconds and an Enum as a number, Parquet an Enum as
// bytes, and neither has integers of 128 bits. Money and ratios are decimals there, and have all their
// digits as text.
func checkTypes(t *testing.T, q sql.Question, names, types []string) {
	t.Helper()
	if len(names) != len(types) {
		t.Fatalf("%d columns and %d types", len(names), len(types))
	}
	for i, name := range names {
		if fixedType.MatchString(types[i]) && !strings.Contains(q.Text, "output_format_decimal_trailing_zeros = 1") {
			t.Errorf("%s is without the zeros at its end", name)
		}
		if strangeType.MatchString(types[i]) {
			t.Errorf("%s is a %s", name, types[i])
		}
		if figureName.MatchString(name) && textType.MatchString(types[i]) {
			t.Errorf("%s is a text", name)
		}
	}
}

// An empty database has an answer to every question, too: the page is opened before the first
// click. Under the race detector every fourth is asked.
func TestQueriesOfNothing(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	for i, name := range queries(t) {
		if race.Enabled && i%4 != 0 {
			continue
		}
		q := question(t, name)
		ask(t, dsn, q.Text+"FORMAT Null", parameters(q))
	}
	totals := question(t, "totals")
	answer := ask(t, dsn, totals.Text+"FORMAT CSV", parameters(totals))
	if want := "0,0,0,0,0,0,0,0,0.00,0.0000,0.0000\n"; answer != want {
		t.Errorf("totals of nothing are %q, want %q", answer, want)
	}
}
