package query

import (
	"bytes"
	"context"
	stdsql "database/sql"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"tributary/deploy/race"
	"tributary/sql"
	"tributary/sql/sqltest"
)

// insert has the workspace in place of %[3]s and the name of a campaign in that of %[1]s: one for each
// number below twice %[2]d a click, and for every third below %[2]d a sale.
var insert = []string{`
INSERT INTO clicks (workspace, click_id, clicked_at, received_at, visitor_id, utm_campaign, version)
SELECT '%[3]s', concat(substring(reverse(reinterpretAsFixedString(toUnixTimestamp64Milli(at))), 3),
		reverse(reinterpretAsFixedString(number)), '\0\0'),
	toDateTime64('2026-06-10 12:00:00', 3, 'UTC') + number %% 3 AS at, at, toString(number), %[1]s, 1
FROM numbers(2 * %[2]d)`, `
INSERT INTO ledger (workspace, entry_id, livemode, day, kind, object_id, sale_id, occurred_at, received_at,
	currency, amount, tax, net_usd, amount_usd, fx_source, utm_campaign, match_rule, status, version)
SELECT '%[3]s', concat(reinterpretAsFixedString(number), '12345678'), true, '2026-06-11', 'payment', toString(number),
	toString(number), '2026-06-11 12:00:00', '2026-06-11 12:00:00', 'usd', 1050, 0, 10.5, 10.5, 'usd', %[1]s,
	'click_id', 'booked', 1
FROM numbers(%[2]d) WHERE number %% 3 = 0`}

// fill inserts clicks and sales of a workspace.
func fill(t *testing.T, db *stdsql.DB, workspace, name string, count int) {
	t.Helper()
	for _, statement := range insert {
		if _, err := db.ExecContext(t.Context(), fmt.Sprintf(statement, name, count, workspace)); err != nil {
			t.Fatal(err)
		}
	}
}

func open(t *testing.T, dsn string) *Asker {
	t.Helper()
	a, err := Open(sqltest.Patient(dsn), slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(a.Close)
	return a
}

func valuesOf(t *testing.T, q sql.Question, workspace string, given map[string]string) map[string]string {
	t.Helper()
	list := map[string][]string{"from": {"2026-06-10"}, "to": {"2026-06-13"}}
	for name, value := range given {
		list[name] = []string{value}
	}
	values, err := Values(q, Scope{Workspace: workspace}, list)
	if err != nil {
		t.Fatal(err)
	}
	return values
}

// askBoth asks a question in parts and as a whole, both in a format. The error is that of the parts.
func askBoth(t *testing.T, a *Asker, q sql.Question, values map[string]string, f Format,
) (parts, whole []byte, err error) {
	t.Helper()
	whole, err = a.sendPart(t.Context(), q, sql.Whole, values, f.clickHouse, false)
	if err != nil {
		t.Fatal(err)
	}
	parts, err = a.sendParts(t.Context(), q, values, f, false)
	return parts, whole, err
}

// A question that is asked in parts has the bytes of the one that is not, in every format, whatever
// names visitors have given. Under the race detector every second question is asked.
func TestPartsAnswerAsOne(t *testing.T) {
	const names = `['', '\'', '\'),(\'', '\\', '\\\'', 'a\tb', 'a\nb', 'a\rb', 'a\bb', 'a\0b', '\\N', 'NULL',
		'ü', '\xff', '"', ',', '{limit:UInt32}', '--', '/*', ']\', \'Array(String)\')', repeat('n', 500)]`
	dsn, db := sqltest.Open(t)
	fill(t, db, "w", "arrayElement("+names+", number % length("+names+") + 1)", 63)
	a := open(t, dsn)
	for name, varied := range map[string][]map[string]string{
		"breakdown": {{"dimension": "campaign"}, {"dimension": "campaign", "limit": "3"}, {"dimension": ""},
			{"dimension": "campaign", "currency": "eur"}, {"dimension": "affiliate"},
			{"dimension": "campaign", "without": `{"campaign":["","\\","\\'"]}`},
			{"dimension": "campaign", "only": `{"campaign":["nobody has it"]}`}},
		"trend":      {{}, {"unit": "hour", "timezone": "Asia/Kolkata"}, {"unit": "month", "timezone": "America/Havana"}},
		"funnel":     {{}, {"only": `{"campaign":["a\tb","'),('"]}`}},
		"totals":     {{}, {"from": "2026-06-20", "to": "2026-06-21"}, {"livemode": "false"}},
		"top":        {{}, {"limit": "3"}, {"from": "2026-06-20", "to": "2026-06-21"}},
		"timeseries": {{}, {"step": "900"}, {"step": "86400"}, {"from": "2026-06-20", "to": "2026-06-21"}},
	} {
		q, err := sql.AskQuestion(name)
		if err != nil || !q.HasParts(false) {
			t.Fatalf("%s: %v", name, err)
		}
		for i, given := range varied {
			if race.Enabled && i%2 > 0 {
				continue
			}
			formats := Formats
			if i > 0 || race.Enabled && name != "breakdown" {
				formats = []Format{JSON}
			}
			for _, f := range formats {
				parts, whole, err := askBoth(t, a, q, valuesOf(t, q, "w", given), f)
				if err != nil {
					t.Errorf("%s %v: %v", name, given, err)
				} else if !bytes.Equal(parts, whole) {
					t.Errorf("%s %v in %s is\n%.3000q\nnot\n%.3000q", name, given, f.Name, parts, whole)
				} else if rows := `"rows": 21,`; given["dimension"] == "campaign" && len(given) == 1 && f == JSON &&
					!bytes.Contains(whole, []byte(rows)) {
					t.Errorf("not all names are in %s", whole)
				}
			}
		}
	}
}

// Rows that make a longer text than statements have by default are joined, whatever the DSN says of that
// length; many more are asked for as a whole, and not in parts again soon.
func TestPartsOfManyNames(t *testing.T) {
	q, err := sql.AskQuestion("breakdown")
	if err != nil {
		t.Fatal(err)
	}
	dsn, db := sqltest.Open(t)
	for i, tt := range []struct {
		name   string
		count  int
		joined bool
	}{
		{"concat('campaign ', toString(number))", 3000, true},
		{"concat('campaign ', toString(number))", 40_000, false},
		// The longest text that is joined: each byte is four.
		{`concat(repeat('\\', 500), toString(number))`, 1200, true},
		{`concat(repeat('\\', 500), toString(number))`, 10_000, false},
	} {
		workspace := fmt.Sprint("w", i)
		fill(t, db, workspace, tt.name, tt.count)
		a := open(t, dsn)
		a.options.Settings["max_query_size"] = 200_000
		values := valuesOf(t, q, workspace, map[string]string{"dimension": "campaign", "limit": "7"})
		parts, whole, err := askBoth(t, a, q, values, JSON)
		var fault *Fault
		tooLarge := errors.As(err, &fault) && fault.Code == codeTooLarge
		if tooLarge == tt.joined || err != nil && !tooLarge {
			t.Errorf("%d names: %v", tt.count, err)
		}
		if tt.joined && !bytes.Equal(parts, whole) {
			t.Errorf("%d names are\n%s\nnot\n%s", tt.count, parts, whole)
		}
		if whole, err = compact(whole); err != nil {
			t.Fatal(err)
		}
		for range 2 {
			if got, err := a.Ask(t.Context(), "u", q, values, JSON); err != nil || !bytes.Equal(got, whole) {
				t.Errorf("%d names: %v\n%s\nnot\n%s", tt.count, err, got, whole)
			}
			if a.inParts(q, values, false) != tt.joined {
				t.Errorf("%d names: asked in parts again: %t", tt.count, !tt.joined)
			}
		}
	}
}

// What one part fails with is the answer, at once: the other is not waited for. A reader who leaves
// ends both.
func TestPartsThatFail(t *testing.T) {
	q, err := sql.AskQuestion("funnel")
	if err != nil {
		t.Fatal(err)
	}
	for _, failing := range []string{"clicks_by_day", "leads_attributed", ""} {
		hung := make(chan struct{}, 2)
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			statement, _ := io.ReadAll(r.Body)
			switch {
			case strings.HasPrefix(string(statement), "SELECT count() FROM revenue"):
				_, _ = io.WriteString(w, "1\n")
			case failing != "" && strings.Contains(string(statement), "FROM "+failing):
				<-hung // the other one waits already
				w.Header().Set("X-ClickHouse-Exception-Code", "241")
				w.WriteHeader(http.StatusInternalServerError)
			default:
				hung <- struct{}{}
				<-r.Context().Done()
			}
		}))
		t.Cleanup(server.Close)
		a, err := Open(server.URL+"/tributary?max_execution_time=90", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		ctx, leave := context.WithCancel(t.Context())
		defer leave()
		if failing == "" {
			go func() { <-hung; <-hung; leave() }()
		}
		_, err = a.Ask(ctx, "u", q, valuesOf(t, q, "w", nil), JSON)
		var fault *Fault
		switch {
		case failing == "":
			if !errors.Is(err, context.Canceled) {
				t.Errorf("a reader who left: %v", err)
			}
		case !errors.As(err, &fault) || fault.Code != "question_too_large":
			t.Errorf("%s fails: %v", failing, err)
		}
		if len(a.users) != 0 || len(a.slots) != 0 {
			t.Errorf("after %q: %v, %d slots", failing, a.users, len(a.slots))
		}
	}
}
