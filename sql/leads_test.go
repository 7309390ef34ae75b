package sql_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// A person's first report is the earliest, of two at one time that of the least id, also before
// 1970. Whom a backend reported in live mode is not in public_leads, whoever reported first.
func TestFirstReports(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	r := rand.New(rand.NewPCG(5, 3))
	var rows []string
	for place := range 600 { // every second one is also one of a later version, mostly of another person or time
		i, version := place, 1
		if place >= 400 {
			i, version = 2*(place-400), 2
		}
		person := fmt.Sprint("external:", r.IntN(60))
		if r.IntN(9) == 0 {
			person = ""
		}
		milliseconds := []int{-2_000_000_000_000, -1, 0, 1, 1_000, 4_000_000_000_000}[r.IntN(6)]
		rows = append(rows, fmt.Sprintf(
			"('%s', unhex('%02x80%024x%04x'), fromUnixTimestamp64Milli(%d, 'UTC'), %d, %t, %t, '%s', 'country-%d', %d)",
			[]string{"v", "w"}[i%7%2], i*37%256, 0, i, milliseconds, 1+r.IntN(100), r.IntN(4) != 0, r.IntN(3) != 0,
			person, r.IntN(1000), version))
	}
	for _, rows := range [][]string{rows[:400], rows[400:]} {
		ask(t, dsn, "INSERT INTO leads_attributed (workspace, lead_id, occurred_at, quantity, livemode, vouched, person, "+
			"country, version) VALUES "+strings.Join(rows, ", "), nil)
	}
	const first = ", min((occurred_at, lead_id, country)) AS told, max(quantity) AS most " +
		"FROM leads_attributed FINAL WHERE "
	for _, c := range []struct{ view, want string }{
		{"SELECT workspace, livemode, person, received_at, quantity, country FROM people",
			"SELECT workspace, livemode, who, told.1, most, told.3 FROM (SELECT workspace, livemode, " +
				"if(person = '', concat('lead:', lower(hex(lead_id))), person) AS who" + first +
				"vouched GROUP BY workspace, livemode, who)"},
		{"SELECT workspace, person, received_at, quantity, country FROM public_leads",
			"SELECT workspace, person, told.1, most, told.3 FROM (SELECT workspace, person" + first +
				"NOT vouched GROUP BY workspace, person) WHERE person = '' OR (workspace, person) NOT IN " +
				"(SELECT workspace, person FROM leads_attributed FINAL WHERE vouched AND livemode)"},
	} {
		want := ask(t, dsn, c.want+" ORDER BY ALL", nil)
		for range 8 { // a question that is asked often is compiled, and compiled code compares by itself
			if got := ask(t, dsn, c.view+" ORDER BY ALL", nil); got != want || strings.Count(got, "\n") < 5 {
				t.Fatalf("%s:\n%s\nwant\n%s", c.view, got, want)
			}
		}
	}
	// Of a large workspace only persons with such a report in the time are read, and all reports of theirs.
	q := question(t, "totals")
	values := parameters(q)
	values["workspace"], values["from"], values["to"] = "w", "1970-01-01 00:00:00", "1970-01-02 00:00:00"
	text, err := q.Statement(values, sql.Known{Large: true})
	if err != nil || !strings.Contains(text, "identity(person) IN") {
		t.Fatalf("%v, not chosen: %s", err, text)
	}
	if got, want := ask(t, dsn, text, values), ask(t, dsn, q.Text, values); got != want ||
		strings.Contains(want, "\t0\t0\t0\t0\t0\t0\t") {
		t.Errorf("leads of chosen persons: %s, want %s", got, want)
	}
	// Those whom only browsers reported are as many as in totals, none in test mode.
	alone := question(t, "browser_leads")
	for _, livemode := range []string{"true", "false"} {
		values["livemode"] = livemode
		text, err := alone.Statement(values, sql.Known{Large: true})
		if err != nil {
			t.Fatal(err)
		}
		want := strings.Split(ask(t, dsn, q.Text, values), "\t")[4]
		got, chosen := ask(t, dsn, alone.Text, values), ask(t, dsn, text, values)
		if got != want+"\n" || chosen != got || (want == "0") != (livemode == "false") {
			t.Errorf("livemode %s: browsers reported %q, of a large workspace %q, in totals %s", livemode, got, chosen, want)
		}
	}
}
