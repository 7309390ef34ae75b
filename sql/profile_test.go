package sql_test

import (
	"log/slog"
	"testing"

	"tributary/deploy/local/chdb/chdbtest"
	"tributary/deploy/race"
	"tributary/processor/query"
	"tributary/sql/sqltest"
)

// Every question has the same answer, byte for byte, whatever the user's profile says. Under the
// race detector every sixth is asked.
func TestQuestionsOfAnOddProfile(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	refresh(t, dsn)
	asker := func(dsn string) *query.Asker {
		a, err := query.Open(sqltest.Patient(dsn), slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		return a
	}
	usual, odd := asker(dsn), asker(chdbtest.WithProfile(t, dsn, chdbtest.OddProfile))
	for i, name := range queries(t) {
		if race.Enabled && i%6 != 0 {
			continue
		}
		q, format := question(t, name), query.Formats[i/3%3] // JSON, its lines, CSV
		want, err := usual.Ask(t.Context(), "usual", q, parameters(q), format)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := odd.Ask(t.Context(), "odd", q, parameters(q), format)
		if err != nil || string(got) != string(want) {
			t.Errorf("%s as %s: %v\n%s\nwant\n%s", name, format.Name, err, got, want)
		}
	}
}

// Views that people ask with tools of their own answer the same with the settings that change what
// a statement means, one at a time: those tools, and the profiles of users without our roles, set
// them. Under the race detector each view is asked with two or three of them, and each of them is
// sent.
func TestViewsOfAnOddProfile(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	// A currency with a rate that no ledger entry has asked for yet.
	ask(t, dsn, `INSERT INTO fx_rates (source, currency, date, usd) VALUES ('ecb', 'chf', '2050-06-09', '1.25')`, nil)
	ask(t, dsn, `INSERT INTO spend (workspace, day, channel, currency, amount)
		VALUES ('studio', '2050-06-09', 'email', 'chf', 40)`, nil)
	settings := []string{
		"aggregate_functions_null_for_empty=1", "empty_result_for_aggregation_by_empty_set=1",
		"join_default_strictness=ANY", "join_use_nulls=1", "prefer_column_name_to_alias=1",
		"short_circuit_function_evaluation=disable", "transform_null_in=1",
	}
	for i, view := range []string{
		"people", "sales", "earnings", "reporting_rates(currency = 'eur', source = '')",
		"spend_shown(workspace = 'studio', from = '2050-06-01 00:00:00', to = '2050-09-01 00:00:00', currency = 'eur', rates = '')",
	} {
		statement := "SELECT * FROM " + view + " ORDER BY ALL FORMAT TSV"
		want := ask(t, dsn, statement, nil)
		if want == "" {
			t.Errorf("%s has no rows", view)
		}
		for j, setting := range settings {
			if race.Enabled && (i+j)%3 != 0 {
				continue
			}
			t.Run(view+"/"+setting, func(t *testing.T) {
				if got := ask(t, dsn+"?"+setting, statement, nil); got != want {
					t.Errorf("%s\nwant\n%s", got, want)
				}
			})
		}
	}
}
