package dashboard

import (
	"bytes"
	"compress/gzip"
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// table is an answer in the format json.
type table struct {
	Meta []struct{ Name, Type string }
	Data []map[string]any
	Rows int
}

func question(tb testing.TB, h http.Handler, target string) table {
	tb.Helper()
	w := get(tb, h, target)
	if w.Code != http.StatusOK {
		tb.Fatalf("%s: %d %s", target, w.Code, w.Body)
	}
	var answer table
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil {
		tb.Fatalf("%s: %v in %s", target, err, w.Body)
	}
	return answer
}

// ofAllWorkspaces are the questions that are of no workspace.
var ofAllWorkspaces = []string{"dead_letters", "held", "pipeline_status"}

// hour is a range of time around at.
var hour = url.Values{
	"from": {at.Add(-time.Hour).Format(time.RFC3339)},
	"to":   {at.Add(time.Hour).Format(time.DateTime)},
}.Encode()

func TestQuestion(t *testing.T) {
	dsn, conn := database(t)
	d := serve(t, Config{DSN: dsn}, func() time.Time { return at })
	book(
		t,
		conn,
		entry{id: "pi_1", when: at.Add(-time.Minute), amount: 9007199254740993, net: "900719925474.930001", fx: "usd",
			affiliate: hostile, rule: "affiliate"},
	)

	answer := question(t, d, "/api/query/revenue_by_currency?"+hour)
	if answer.Rows != 1 || len(answer.Meta) < 5 || answer.Meta[0].Name != "currency" {
		t.Fatalf("%+v", answer)
	}
	// 2^53 + 1 has no float64: what is money is a string.
	if got := answer.Data[0]; got["amount"] != "9007199254740993" || got["net_usd"] != "900719925474.930001" {
		t.Errorf("money: %v", got)
	}
	sale := question(t, d, "/api/query/story_of_a_sale?sale=pi_1")
	if sale.Rows != 1 || sale.Data[0]["affiliate_id"] != hostile {
		t.Errorf("%+v", sale)
	}
	only, _ := json.Marshal(map[string][]string{"affiliate": {hostile, `\`, `\'`, "\\N"}})
	filtered := question(t, d, "/api/query/sales_and_refunds?"+hour+"&"+url.Values{"only": {string(only)}}.Encode())
	if filtered.Rows != 1 || filtered.Data[0]["affiliate_id"] != hostile {
		t.Errorf("a filter by a name with quotes: %+v", filtered)
	}
	// Nothing in a value is SQL, and escapes are its own characters.
	for _, value := range []string{hostile, `\N`, `\`, `'`, `\'`, "a\tb\nc\\n", "' OR 1=1 --", "{workspace:String}", ""} {
		if got := question(t, d, "/api/query/story_of_a_sale?"+url.Values{"sale": {value}}.Encode()); got.Rows != 0 {
			t.Errorf("%q: %+v", value, got)
		}
	}
	other := question(t, d, "/api/query/revenue_by_currency?workspace=other&"+hour)
	if other.Rows != 0 {
		t.Errorf("another workspace: %+v", other)
	}
}

func TestQuestionFormats(t *testing.T) {
	dsn, conn := database(t)
	d := serve(t, Config{DSN: strings.Replace(dsn, "http://", "http://readonly@", 1)}, func() time.Time { return at })
	book(t, conn, entry{id: "pi_1", when: at.Add(-time.Minute), amount: 4900, net: "49", fx: "usd"})
	for _, c := range []struct{ query, accept, kind, begins string }{
		{"", "", "application/json", "{"},
		{"", "text/html, */*", "application/json", "{"},
		{"&format=json", "text/csv", "application/json", `{"meta":[{"name":"currency"`},
		{"&format=ndjson", "", "application/x-ndjson", `{"currency":"usd"`},
		{"&format=csv", "", "text/csv; charset=utf-8", `"currency","sales"`},
		{"", "text/csv;q=0.9", "text/csv; charset=utf-8", `"currency","sales"`},
		{"&format=parquet", "", "application/vnd.apache.parquet", "PAR1"},
		{"", "application/vnd.apache.arrow.stream", "application/vnd.apache.arrow.stream", "\xff\xff\xff\xff"},
	} {
		r := httptest.NewRequest(http.MethodGet, "/api/query/revenue_by_currency?"+hour+c.query, nil)
		r.Header.Set("Accept", c.accept)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		body := strings.TrimSpace(w.Body.String())
		if w.Code != http.StatusOK || w.Header().Get("Content-Type") != c.kind || !strings.HasPrefix(body, c.begins) {
			t.Errorf("%q, Accept %q: %d %s %.60q", c.query, c.accept, w.Code, w.Header().Get("Content-Type"), body)
		}
		if file := w.Header().Get("Content-Disposition"); (file == "") != (c.kind == "application/json") {
			t.Errorf("%q: a file %q", c.query, file)
		}
	}
}

func TestQuestionFaults(t *testing.T) {
	d := serve(t, Config{DSN: "http://127.0.0.1:1/none"}, time.Now)
	for target, want := range map[string]struct {
		status int
		code   string
	}{
		"nothing":                                                      {404, "unknown_question"},
		"..%2Fmigrations%2F0001_clicks":                                {404, "unknown_question"},
		"totals":                                                       {400, "bad_parameter"}, // from and to are missing
		"totals?" + hour + "&from=x":                                   {400, "bad_parameter"},
		"totals?" + hour + "&limt=3":                                   {400, "bad_parameter"},
		"totals?" + hour + "&livemode=1":                               {400, "bad_parameter"},
		"totals?" + hour + "&format=xml":                               {400, "bad_format"},
		"totals?" + hour + "&workspace=no":                             {404, "unknown_workspace"},
		"totals?" + hour + "&workspace=%00":                            {400, "bad_workspace"},
		"totals?" + hour + "&workspace=default&workspace=other":        {400, "bad_workspace"},
		"totals?from=%zz":                                              {400, "bad_query"},
		"top?" + hour + "&limit=-1":                                    {400, "bad_parameter"},
		"top?" + hour + "&limit=4294967296":                            {400, "bad_parameter"},
		"story_of_a_sale?sale=" + strings.Repeat("x", 1001):            {400, "bad_parameter"},
		"story_of_a_sale?sale=%ff":                                     {400, "bad_parameter"},
		"totals?" + hour:                                               {503, "clickhouse_unavailable"},
		"totals?" + hour + "&readonly=0":                               {400, "bad_parameter"},
		"totals?" + hour + "&param_workspace=other&default_format=CSV": {400, "bad_parameter"},
	} {
		w := get(t, d, "/api/query/"+target)
		expectFailure(t, w, want.status)
		if !strings.Contains(w.Body.String(), `"`+want.code+`"`) {
			t.Errorf("%s: %s, want %s", target, w.Body, want.code)
		}
	}
	w := httptest.NewRecorder()
	d.ServeHTTP(w, httptest.NewRequest(http.MethodPost, "/api/query/totals", nil))
	if w.Code != http.StatusMethodNotAllowed {
		t.Errorf("POST: %d", w.Code)
	}
}

func TestQuestionList(t *testing.T) {
	d := serve(t, Config{DSN: "http://127.0.0.1:1/none"}, time.Now)
	var list struct {
		Questions []struct {
			Name, Title, Meaning string
			Parameters           []struct {
				Name, Type, Meaning string
				Required            bool
				Default             *string
			}
		}
	}
	if err := json.Unmarshal(get(t, d, "/api/query").Body.Bytes(), &list); err != nil {
		t.Fatal(err)
	}
	if len(list.Questions) < 10 {
		t.Fatalf("%d questions", len(list.Questions))
	}
	for _, q := range list.Questions {
		ofAll := slices.Contains(ofAllWorkspaces, q.Name)
		if q.Name == "" || q.Title == "" || !ofAll && (len(q.Parameters) == 0 ||
			q.Parameters[0].Name != "workspace" || q.Parameters[0].Required) {
			t.Errorf("%+v", q)
		}
	}
}

// A poll costs nothing while nothing changes: not one question, and a body only for who has none.
func TestUnchangedAnswers(t *testing.T) {
	dsn, conn := database(t)
	now := at
	d := serve(t, Config{DSN: dsn}, func() time.Time { return now })
	ask := func(target, tag, encoding string) *httptest.ResponseRecorder {
		r := httptest.NewRequest(http.MethodGet, target, nil)
		r.Header.Set("If-None-Match", tag)
		r.Header.Set("Accept-Encoding", encoding)
		w := httptest.NewRecorder()
		d.ServeHTTP(w, r)
		return w
	}
	// trend marks the hour that is not over: at is twenty past, so five minutes change nothing.
	for _, target := range []string{
		"/api/query/trend?unit=hour&" + hour, "/api/query/breakdown?" + hour, "/api/query/totals?" + hour,
	} {
		now = now.Add(2 * fresh)
		first := ask(target, "", "")
		tag := first.Header().Get("ETag")
		if first.Code != http.StatusOK || tag == "" || strings.HasPrefix(tag, "W/") {
			t.Fatalf("%s: %d, ETag %q", target, first.Code, tag)
		}
		asked := d.answers.made.Load()
		now = now.Add(5 * time.Minute)
		if again := ask(target, tag, ""); again.Code != http.StatusNotModified || again.Body.Len() != 0 ||
			again.Header().Get("ETag") != tag {
			t.Errorf("%s: %d with %d bytes", target, again.Code, again.Body.Len())
		}
		zipped := ask(target, tag, "br, gzip")
		if zipped.Code != http.StatusOK || zipped.Header().Get("Content-Encoding") != "gzip" ||
			zipped.Header().Get("ETag") == tag {
			t.Errorf("%s: %d, %v", target, zipped.Code, zipped.Header())
		}
		reader, err := gzip.NewReader(zipped.Body)
		if err != nil {
			t.Fatal(err)
		}
		if plain, err := io.ReadAll(reader); err != nil || !bytes.Equal(plain, first.Body.Bytes()) {
			t.Errorf("%s: unpacked it is %s, %v; want %s", target, plain, err, first.Body)
		}
		if refused := ask(target, "", "gzip;q=0"); refused.Header().Get("Content-Encoding") != "" {
			t.Errorf("%s: gzip for who does not read it", target)
		}
		if d.answers.made.Load() != asked {
			t.Errorf("%s: ClickHouse was asked %d times for what it had answered", target, d.answers.made.Load()-asked)
		}
		visitor := target // a click that a visitor repeats within an hour is the same click
		click(t, conn, int(d.answers.made.Load()), at.Add(-time.Minute), visitor, "anna", "", "", false)
		now = now.Add(2 * fresh)
		if changed := ask(target, tag, ""); changed.Code != http.StatusOK || changed.Header().Get("ETag") == tag {
			t.Errorf("%s: after a click %d", target, changed.Code)
		}
	}
	// What changes no figure of the answer costs a question and no body: another workspace's click, as
	// a merge would, and the minute after for what reads the clock.
	for target, change := range map[string]func(){
		"/api/query/totals?" + hour: func() {
			insert(t, conn, "INSERT INTO clicks (workspace, click_id, clicked_at, received_at) "+
				"VALUES ('other', unhex('0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a0a'), now64(3), now64(3))")
			now = now.Add(2 * fresh)
		},
		"/api/query/pipeline_status": func() { now = now.Add(time.Minute) },
	} {
		tag, asked := ask(target, "", "").Header().Get("ETag"), d.answers.made.Load()
		change()
		if again := ask(target, tag, ""); again.Code != http.StatusNotModified || again.Body.Len() != 0 ||
			d.answers.made.Load() != asked+1 {
			t.Errorf("%s: %d with %d bytes, ClickHouse was asked %d times", target, again.Code, again.Body.Len(),
				d.answers.made.Load()-asked)
		}
	}
}

// Of an answer that is too large to keep, a poll costs nothing either; who does not have it gets it
// whole.
func TestUnchangedLargeAnswer(t *testing.T) {
	body := make([]byte, maxOfKept+1)
	a := newAnswers(func(context.Context) (string, error) { return "1", nil }, time.Now, slog.New(slog.DiscardHandler))
	ask := func(tag string) *httptest.ResponseRecorder {
		t.Helper()
		r, w := httptest.NewRequest(http.MethodGet, "/", nil), httptest.NewRecorder()
		r.Header.Set("If-None-Match", tag)
		err := a.serve(w, r, "key", "application/vnd.apache.parquet", func(context.Context) ([]byte, error) { return body, nil })
		if err != nil {
			t.Fatal(err)
		}
		return w
	}
	tag := ask("").Header().Get("ETag")
	if w := ask(tag); w.Code != http.StatusNotModified || w.Body.Len() != 0 || a.made.Load() != 1 {
		t.Errorf("%d with %d bytes, made %d times", w.Code, w.Body.Len(), a.made.Load())
	}
	if w := ask(`"another"`); w.Code != http.StatusOK || !bytes.Equal(w.Body.Bytes(), body) || a.made.Load() != 2 {
		t.Errorf("%d with %d bytes, made %d times", w.Code, w.Body.Len(), a.made.Load())
	}
	if a.bytes != 0 {
		t.Errorf("%d bytes are kept", a.bytes)
	}
}

// A page that knows the state of the tables hears of another within a second, of the same after
// longLook. All pages share the readings.
func TestAnotherState(t *testing.T) {
	for name, c := range map[string]struct {
		known    string
		states   []string // of each second
		stop     time.Duration
		want     string
		after    time.Duration
		readings int
	}{
		"none known":       {"", []string{"1"}, time.Hour, "1", 0, 1},
		"another already":  {"0", []string{"1"}, time.Hour, "1", 0, 1},
		"another later":    {"1", []string{"1", "1", "1", "2"}, time.Hour, "2", 3 * fresh, 4},
		"the same":         {"1", []string{"1", "1", "1", "1", "1", "1", "1"}, time.Hour, "1", longLook, 5},
		"another end":      {".1", []string{"1.1", "2.1", "3.1", "3.2"}, time.Hour, "3.2", 3 * fresh, 4},
		"the same end":     {".1", []string{"1.1", "2.1", "3.1", "4.1", "5.1"}, time.Hour, "5.1", longLook, 5},
		"not said":         {"1", []string{""}, time.Hour, "", 0, 1},
		"said no more":     {"1", []string{"1", ""}, time.Hour, "", fresh, 2},
		"the program ends": {"1", []string{"1", "1", "1"}, fresh + fresh/2, "1", fresh + fresh/2, 2},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, readings := time.Now(), atomic.Int64{}
				a := newAnswers(func(context.Context) (string, error) {
					readings.Add(1)
					return c.states[int(time.Since(began)/fresh)], nil
				}, time.Now, slog.New(slog.DiscardHandler))
				stop := make(chan struct{})
				time.AfterFunc(c.stop, func() { close(stop) })
				for range 3 {
					go func() {
						got := a.another(t.Context(), c.known, stop).text
						if after := time.Since(began); got != c.want || after != c.after {
							t.Errorf("%q after %s, want %q after %s", got, after, c.want, c.after)
						}
					}()
				}
				time.Sleep(2 * longLook)
				synctest.Wait()
				if n := int(readings.Load()); n != c.readings {
					t.Errorf("the state was read %d times, want %d", n, c.readings)
				}
			})
		})
	}
}
