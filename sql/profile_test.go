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
// race detector every third is asked.
func TestQuestionsOfAnOddProfile(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	seed(t, dsn)
	refresh(t, dsn)
	asker := func(dsn string) *query.Asker {
		a, err := query.Open(dsn, slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(a.Close)
		return a
	}
	usual, odd := asker(dsn), asker(chdbtest.WithProfile(t, dsn, chdbtest.OddProfile))
	for i, name := range queries(t) {
		if race.Enabled && i%3 != 0 {
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
