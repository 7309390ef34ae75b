package grafana_test

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"regexp"
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// business is the dashboard of those who sell. Each panel asks one of sql/queries, which its
// description names, so that it shows what the page and the API show.
var business = dashboard{
	UID: "tributary-business", Title: "Tributary: business", Refresh: "5m", From: "now-30d",
	Variables: []any{
		object{"name": "workspace", "label": "Workspace", "type": "textbox", "query": "default",
			"current": object{"text": "default", "value": "default"}},
	},
	Rows: []row{
		{"Money", []panel{
			question("Clicks, customers and net revenue by day", "timeseries", "trend"),
			question("Everything of the time", "table", "totals"),
			question("New customers and those who bought before", "timeseries", "new_and_returning"),
			question("Recurring revenue by month", "table", "recurring_revenue", "dimension", ""),
			question("Money that may still go, or is in no total yet", "table", "money_at_risk"),
			question("Sales that nobody is credited with", "table", "unattributed"),
		}},
		{"Who brings it", []panel{
			question("Affiliates", "table", "breakdown"),
			question("Channels", "table", "breakdown", "dimension", "channel"),
			question("Campaigns", "table", "breakdown", "dimension", "campaign"),
			question("Countries", "table", "breakdown", "dimension", "country"),
			question("Landing pages", "table", "landing_pages"),
			question("What affiliates earned this month", "table", "statements"),
		}},
		{"Sales", []panel{
			question("Latest sales, and why they are credited so", "table", "latest_sales"),
			question("Refunds and disputes", "table", "refunds_and_disputes"),
			question("From click to customer", "table", "funnel"),
			question("Buyers by the week that won them", "table", "cohorts"),
		}},
	},
}

// figures are the columns of all questions that are money or a share. Grafana's own units of currencies
// write $12K for 12,345.60; a prefix leaves a figure its digits. Panels ask in USD.
var figures = []columns{
	{names: `.*_usd|usd|net|paid|refunded|disputed|epc|average_order|new_net|returning_net|per_buyer`,
		unit: "prefix:$", digits: 2},
	{names: `conversion|refund_rate|churn_rate|customer_churn|retention|of_before|of_first`, unit: "percentunit", digits: 1},
	{names: `amount`, head: "amount, minor units"},
}

// question is a panel that asks a named question; values are parameters, by name and value, that
// are not to have their default.
func question(title, kind, name string, values ...string) panel {
	q, err := sql.AskQuestion(name)
	if err != nil {
		panic(err)
	}
	given := map[string]string{
		"workspace": "${workspace:sqlstring}", "from": "toDateTime($__fromTime, 'UTC')", "to": "toDateTime($__toTime, 'UTC')",
		"month": "toStartOfMonth(toDate($__toTime))",
	}
	for _, p := range q.Parameters {
		if _, ok := given[p.Name]; !ok {
			given[p.Name] = cast(p.Default, p.Type)
		}
		for i := 0; i < len(values); i += 2 {
			if values[i] == p.Name {
				given[p.Name] = cast(values[i+1], p.Type)
			}
		}
	}
	text := regexp.MustCompile(`\{(\w+):[^{}]*\}`).ReplaceAllStringFunc(q.Text, func(place string) string {
		name, _, _ := strings.Cut(place[1:], ":")
		return given[name]
	})
	source := object{"type": "grafana-clickhouse-datasource", "uid": clickhouseSource}
	return panel{title: title, kind: kind, columns: figures, source: source,
		description: "sql/queries/" + name + ".sql: " + q.Title,
		targets: []any{object{
			"refId": "A", "datasource": source, "editorType": "sql", "queryType": "table", "format": 1, "rawSql": text,
		}}}
}

func cast(value, typ string) string {
	if value == "{}" { // ClickHouse casts no text to a map
		return "CAST(map(), '" + typ + "')"
	}
	quote := strings.NewReplacer(`\`, `\\`, `'`, `\'`)
	return "CAST('" + quote.Replace(value) + "', '" + quote.Replace(typ) + "')"
}

// The engine answers every panel: there is nothing in it that Grafana would have to know of ours. Each
// column of decimals has one unit, without which Grafana writes 12.5 for 12.50 and 0.12 for 12 %.
func TestBusinessPanels(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	u, err := url.Parse(dsn)
	if err != nil {
		t.Fatal(err)
	}
	// As Grafana and its plugin replace variables and macros
	// (https://grafana.com/docs/plugins/grafana-clickhouse-datasource/latest/query-editor).
	grafana := strings.NewReplacer("${workspace:sqlstring}", "'it''s'", "$__fromTime", "toDateTime(1790000000)",
		"$__toTime", "toDateTime(1793000000)")
	for _, r := range business.Rows {
		for _, p := range r.panels {
			statement := grafana.Replace(p.targets[0].(object)["rawSql"].(string))
			if strings.Contains(statement, "$") {
				t.Errorf("%s: a variable is left:\n%s", p.title, statement)
			}
			request := url.URL{Scheme: "http", Host: u.Host, Path: "/", User: u.User,
				RawQuery: url.Values{"database": {strings.TrimPrefix(u.Path, "/")}, "default_format": {"JSON"}}.Encode()}
			response, err := http.Post(request.String(), "text/plain", strings.NewReader(statement))
			if err != nil {
				t.Fatal(err)
			}
			answer, _ := io.ReadAll(response.Body)
			response.Body.Close()
			if response.StatusCode != http.StatusOK {
				t.Errorf("%s: %s\n%s", p.title, answer, statement)
				continue
			}
			var columns struct{ Meta []struct{ Name, Type string } }
			if err := json.Unmarshal(answer, &columns); err != nil {
				t.Fatalf("%s: %v", p.title, err)
			}
			for _, c := range columns.Meta {
				units := 0
				for _, f := range p.columns {
					if regexp.MustCompile("^(?:" + f.names + ")$").MatchString(c.Name) {
						units++
					}
				}
				if figure := strings.Contains(c.Type, "Decimal") || c.Name == "amount"; units > 1 || figure != (units == 1) {
					t.Errorf("%s: column %s, %s, has %d units", p.title, c.Name, c.Type, units)
				}
			}
		}
	}
}
