package sql_test

import (
	"slices"
	"strings"
	"testing"

	"tributary/sql"
	"tributary/sql/sqltest"
)

// Which questions are asked in parts, and which tables each part reads.
func TestParts(t *testing.T) {
	var parted []string
	for _, name := range queries(t) {
		q := question(t, name)
		if !q.HasParts(false) {
			continue
		}
		if large := q.HasParts(true); large != (name != "top") {
			t.Errorf("%s of a large workspace is asked in parts: %t", name, large)
		}
		parted = append(parted, name)
		whole, err := q.Statement(parameters(q), sql.Known{Large: true})
		if err != nil {
			t.Fatal(err)
		}
		for _, large := range []bool{false, true} {
			clicks, others := []string{"clicks_by_day", "click_days"}, []string{"revenue"}
			if large || !strings.Contains(q.Text, "FROM activity(") || strings.Contains(q.Text, "WHERE what != 'click'") {
				others = append(others, "leads_attributed")
			} else {
				clicks = append(clicks, "leads_attributed")
			}
			for part, reads := range map[sql.Part][]string{sql.Clicks: clicks, sql.Others: others} {
				text, err := q.StatementOf(part, parameters(q), sql.Known{Large: large})
				if err != nil {
					t.Fatal(err)
				}
				text = strings.ReplaceAll(text, "FROM people", "FROM leads_attributed")
				if got := strings.Contains(text, "AS start\n        )"); got != (name == "trend" && part == sql.Others) {
					t.Errorf("part %d of %s, large %t, has all units: %t", part, name, large, got)
				}
				for _, table := range []string{"clicks_by_day", "click_days", "revenue", "leads_attributed"} {
					want := slices.Contains(reads, table) && strings.Contains(whole, "FROM "+table)
					if got := strings.Contains(text, "FROM "+table); got != want {
						t.Errorf("part %d of %s, large %t, reads %s: %t", part, name, large, table, got)
					}
				}
			}
		}
	}
	want := []string{"breakdown", "funnel", "return_on_spend", "timeseries", "top", "totals", "trend"}
	if !slices.Equal(parted, want) {
		t.Errorf("%v are asked in parts, not %v", parted, want)
	}
}

// Names come through whatever characters they have, and a name that one part lacks has figures of 0
// there.
func TestJoin(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	const asRows = " FORMAT TabSeparatedWithNamesAndTypes"
	q := question(t, "breakdown")
	values := map[string]string{"limit": "100", "visitors": "true"}
	names := `['', '\'', '\'),(\'', '\\', '\\\'', 'a\tb', 'a\nb', 'a\rb', 'a\0b', '\\N', 'ü', '\xff',
		'{name:String}', '--']`
	clicks := ask(t, dsn, "SELECT arrayJoin(arrayConcat("+names+
		", ['clicks'])) AS name, 4 AS clicks, 3 AS clicked_by"+asRows, nil)
	others := ask(t, dsn, "SELECT arrayJoin(arrayConcat("+names+`, ['others'])) AS name, 1 AS leads, 2 AS sales,
		2 AS customers, 1 AS attributed_customers, -1.5::Decimal(38, 6) AS net, 3::Decimal(38, 6) AS paid,
		-4.5::Decimal(38, 6) AS refunded, 0::Decimal(38, 6) AS disputed, -1::Decimal(38, 6) AS attributed_net,
		0 AS without_rate, 0::UInt8 AS attributed_unrated, 0::UInt8 AS paid_unrated, 0::UInt8 AS refunded_unrated`+asRows, nil)
	text, err := q.Join(values, clicks, others)
	if err != nil {
		t.Fatal(err)
	}
	got := ask(t, dsn, text+"\nFORMAT TSV", values)
	want := ask(t, dsn, `SELECT name, 4 * of_clicks, 3 * of_clicks, of_others, 2 * of_others, 2 * of_others,
			3 * of_others, 0 - 4.5 * of_others, 0, 0 - 1.5 * of_others,
			if(of_clicks, if(of_others, -0.25, 0), NULL), if(of_clicks, if(of_others, 0.25, 0), NULL),
			if(of_others, 1.5, NULL), if(of_others, 1.5, NULL), 0
		FROM
		(
			SELECT arrayJoin(arrayConcat(`+names+`, ['clicks', 'others'])) AS name,
				name != 'others' AS of_clicks, name != 'clicks' AS of_others
		)
		ORDER BY -1.5 * of_others DESC, of_clicks DESC, name FORMAT TSV`, nil)
	if got != want {
		t.Errorf("the joined parts are\n%s\nnot\n%s", got, want)
	}
	text, err = q.Join(values, "name\tclicks\nString\tUInt64\n", others)
	if err != nil || strings.Contains(text, "clicked_by") {
		t.Errorf("a part without visitors is joined as\n%s\n%v", text, err)
	}
	for _, bad := range []string{"", "name\tclicks\n", "name\tclicks\nString\n", "name\tclicks\nString\tUInt64\nx\n"} {
		if _, err := q.Join(values, bad, others); err == nil {
			t.Errorf("%q was joined", bad)
		}
	}
}

// Names that the limit leaves out are only counted; among equal nets, and names without one, the
// question itself chooses.
func TestJoinOfGreatest(t *testing.T) {
	dsn, _ := sqltest.Open(t)
	q := question(t, "breakdown")
	clicks := "name\tclicks\nString\tUInt64\nonly clicks\t7\nalso\t8\n"
	others := "name\tnet\nString\tDecimal(38, 6)\nten\t10\nnine\t9.5\nnine too\t9.50\nalso\t0.000001\n" +
		"less\t-0.000001\ngreatest\t99999999999999999999999999999999.999999\n" +
		"least\t-99999999999999999999999999999999.999999\n"
	for limit, want := range map[string]string{
		"0": "all", "1": "greatest", "2": "greatest ten", "3": "greatest nine nine too ten",
		"4": "greatest nine nine too ten", "5": "also greatest nine nine too ten",
		"6": "also greatest nine nine too only clicks ten",
		"7": "also greatest less nine nine too only clicks ten", "8": "all", "4294967295": "all",
	} {
		text, err := q.Join(map[string]string{"limit": limit}, clicks, others)
		if err != nil {
			t.Fatal(err)
		}
		_, text, _ = strings.Cut(text, "FROM\n(\n")
		text, _, _ = strings.Cut(text, "\n)\nORDER BY")
		if want == "all" {
			want = "also greatest least less nine nine too only clicks ten"
		}
		got := ask(t, dsn, "SELECT arrayStringConcat(arraySort(groupArrayIf(name, name != '')), ' '), count(), "+
			"countIf(name = '' AND net > -1e30) FROM (\n"+text+"\n) FORMAT TSV", nil)
		if got != want+"\t8\t0\n" {
			t.Errorf("the first %s are of %snot %s, of 8", limit, got, want)
		}
	}
}
