package query

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/sql"
)

// asked is a question with a parameter of each type.
var asked = sql.Question{Name: "q", Text: "SELECT 1", Parameters: []sql.Parameter{
	{Name: "workspace", Type: "String"},
	{Name: "affiliate", Type: "String", Optional: true},
	{Name: "from", Type: "DateTime('UTC')", Optional: true, Default: "2026-01-01 00:00:00"},
	{Name: "day", Type: "Date", Optional: true},
	{Name: "limit", Type: "UInt8", Optional: true, Default: "20"},
	{Name: "shift", Type: "Int16", Optional: true},
	{Name: "life", Type: "Float64", Optional: true, Default: "7"},
	{Name: "share", Type: "Decimal(18, 6)", Optional: true},
	{Name: "live", Type: "Bool", Optional: true, Default: "true"},
	{Name: "channels", Type: "Array(LowCardinality(String))", Optional: true, Default: "[]"},
	{Name: "hours", Type: "Array(UInt8)", Optional: true, Default: "[]"},
	{Name: "only", Type: "Map(String, Array(String))", Optional: true, Default: "{}"},
	{Name: "timezone", Type: "String", Optional: true, Default: "UTC"},
	{Name: "currency", Type: "String", Optional: true, Default: "usd"},
	{Name: "unit", Type: "String", Optional: true, Default: "day", Values: []string{"day", "week"}},
	{Name: "by", Type: "String", Optional: true, Values: []string{"link", ""}},
	{Name: "kinds", Type: "Array(String)", Optional: true, Default: "[]", Values: []string{"sale", "refund"}},
}}

func TestValues(t *testing.T) {
	one := func(name string, list ...string) map[string][]string { return map[string][]string{name: list} }
	for _, c := range []struct {
		name  string
		given []string
		want  string // "" : refused
	}{
		{"from", []string{"2026-02-03T04:05:06Z"}, "2026-02-03 04:05:06"},
		{"from", []string{"2026-02-03T04:05:06+05:30"}, "2026-02-02 22:35:06"},
		{"from", []string{"2026-02-03T04:05:06.789Z"}, "2026-02-03 04:05:06"},
		{"from", []string{"2026-02-03 04:05:06"}, "2026-02-03 04:05:06"},
		{"from", []string{"2026-02-03"}, "2026-02-03 00:00:00"},
		{"from", []string{"2026-02-30"}, ""}, {"from", []string{"1767225600"}, ""}, {"from", []string{""}, ""},
		{"from", []string{"now()"}, ""},
		{"day", []string{"2024-02-29"}, "2024-02-29"}, {"day", []string{"2026-02-29"}, ""},
		{"day", []string{"2026-02-01 00:00:00"}, ""},
		{"limit", []string{"0"}, "0"}, {"limit", []string{"255"}, "255"}, {"limit", []string{"256"}, ""},
		{"limit", []string{"-1"}, ""},
		{"limit", []string{"1.0"}, ""}, {"limit", []string{"1e2"}, ""}, {"limit", []string{" 1"}, ""},
		{"limit", []string{"1", "2"}, ""}, {"limit", []string{}, ""},
		{"shift", []string{"-32768"}, "-32768"}, {"shift", []string{"32768"}, ""},
		{"life", []string{"7.5"}, "7.5"}, {"life", []string{"NaN"}, ""}, {"life", []string{"inf"}, ""},
		{"life", []string{"seven"}, ""},
		{"share", []string{"-12.500000"}, "-12.500000"}, {"share", []string{"1e3"}, ""}, {"share", []string{"1,5"}, ""},
		{"live", []string{"false"}, "false"}, {"live", []string{"FALSE"}, ""}, {"live", []string{"0"}, ""},
		{"channels", []string{"paid", "it's"}, `['paid','it\'s']`}, {"channels", []string{`["a","b\\c"]`}, `['a','b\\c']`},
		{"channels", []string{"[]"}, "[]"}, {"channels", []string{`["a"`}, ""}, {"channels", []string{`[1]`}, ""},
		{"channels", make([]string, maxElements+1), ""},
		{"hours", []string{"1", "23"}, "['1','23']"}, {"hours", []string{"1", "x"}, ""},
		{"only", []string{`{}`}, "{}"}, {"only", []string{`{"country":["DE","it's"],"channel":[]}`},
			`{'channel':[],'country':['DE','it\'s']}`},
		{"only", []string{`{"a":"b"}`}, ""}, {"only", []string{`[]`}, ""}, {"only", []string{`{'a':['b']}`}, ""},
		{"only", []string{`{}`, `{}`}, ""}, {"only", []string{""}, ""},
		{"timezone", []string{"Asia/Kathmandu"}, "Asia/Kathmandu"}, {"timezone", []string{"Local"}, ""},
		{"timezone", []string{"Mars/Olympus"}, ""}, {"timezone", []string{""}, ""},
		{"currency", []string{"jpy"}, "jpy"}, {"currency", []string{"EUR"}, ""}, {"currency", []string{"xyz"}, ""},
		{"currency", []string{""}, ""},
		{"unit", []string{"week"}, "week"}, {"unit", []string{"Week"}, ""}, {"unit", []string{"fortnight"}, ""},
		{"unit", []string{""}, ""}, {"unit", []string{strings.Repeat("x", 300)}, ""},
		{"by", []string{"link"}, "link"}, {"by", []string{"links"}, ""},
		{"kinds", []string{"sale", "refund"}, "['sale','refund']"}, {"kinds", []string{`["refund"]`}, "['refund']"},
		{"kinds", []string{"[]"}, "[]"}, {"kinds", []string{"sale", "click"}, ""}, {"kinds", []string{`["click"]`}, ""},
		{"kinds", []string{""}, ""},
		{"affiliate", []string{strings.Repeat("x", maxValueBytes)}, strings.Repeat("x", maxValueBytes)},
		{"affiliate", []string{strings.Repeat("x", maxValueBytes+1)}, ""}, {"affiliate", []string{"\xff"}, ""},
		{"unknown", []string{"1"}, ""}, {"Limit", []string{"1"}, ""}, {"param_limit", []string{"1"}, ""},
	} {
		values, err := Values(asked, Scope{Workspace: "acme"}, one(c.name, c.given...))
		var fault *Fault
		switch {
		case c.want == "":
			if !errors.As(err, &fault) || fault.Status != http.StatusBadRequest || fault.Hint == "" || len(fault.Message) > 200 {
				t.Errorf("%s=%.40q: %v %v", c.name, c.given, values, err)
			}
		case err != nil || values[c.name] != c.want:
			t.Errorf("%s=%.40q: %q %v, want %q", c.name, c.given, values[c.name], err, c.want)
		case values["workspace"] != "acme" || len(values) != len(asked.Parameters):
			t.Errorf("%s: %v", c.name, values)
		}
	}
}

// The hint lists the values that there are, the empty one in words.
func TestListedValues(t *testing.T) {
	for given, hint := range map[string]string{"unit": "unit is one of day, week.", "by": "by is one of link, or empty.",
		"kinds": "kinds is one of sale, refund."} {
		_, err := Values(asked, Scope{Workspace: "acme"}, map[string][]string{given: {"x"}})
		var fault *Fault
		if !errors.As(err, &fault) || fault.Message != given+` is "x".` || fault.Hint != hint {
			t.Errorf("%s: %v", given, err)
		}
	}
	if v, err := Values(asked, Scope{Workspace: "acme"}, map[string][]string{"by": {""}}); err != nil || v["by"] != "" {
		t.Errorf("empty, where that is listed: %v %v", v, err)
	}
}

// A time that ends where it begins, or before, is refused, in whatever form its two ends are given.
func TestTimes(t *testing.T) {
	for _, pair := range [][2]string{{"from", "to"}, {"since", "until"}} {
		q := sql.Question{Name: "q", Parameters: []sql.Parameter{
			{Name: "workspace", Type: "String"},
			{Name: pair[0], Type: "DateTime('UTC')"}, {Name: pair[1], Type: "DateTime('UTC')"},
		}}
		for _, c := range []struct {
			begin, end string
			ok         bool
		}{
			{"2026-01-01", "2026-01-02", true},
			{"2026-01-01", "2026-01-01T00:00:01Z", true},
			{"2026-01-01T00:00:00+05:30", "2026-01-01", true},
			{"2026-01-01", "2026-01-01", false},
			{"2026-01-02", "2026-01-01", false},
			{"2026-01-01", "2026-01-01T05:30:00+05:30", false},
			{"2026-01-01", "2026-01-01T05:00:00+05:30", false},
			{"2026-01-01", "2026-01-01T00:00:00.5Z", false}, // whole seconds count
		} {
			given := map[string][]string{pair[0]: {c.begin}, pair[1]: {c.end}}
			values, err := Values(q, Scope{Workspace: "acme"}, given)
			var fault *Fault
			if c.ok != (err == nil) || err != nil && (!errors.As(err, &fault) || fault.Status != http.StatusBadRequest ||
				!strings.Contains(fault.Hint, pair[0]+" that is before "+pair[1])) {
				t.Errorf("%v: %v %v", given, values, err)
			}
		}
	}
}

// The server's workspace and affiliate stand, whatever the request says.
func TestScope(t *testing.T) {
	single := asked
	single.Parameters = slices.Clone(asked.Parameters)
	for i := range single.Parameters {
		if p := &single.Parameters[i]; p.Name == "affiliate" {
			p.Optional = false
		}
	}
	for _, given := range []map[string][]string{{}, {"affiliate": {"lena"}}} {
		values, err := Values(single, Scope{"acme", "lena"}, given)
		if err != nil || values["affiliate"] != "lena" || values["workspace"] != "acme" {
			t.Errorf("%v: %v %v", given, values, err)
		}
	}
	for _, given := range []map[string][]string{
		{"affiliate": {"bob"}}, {"affiliate": {""}}, {"affiliate": {}}, {"affiliate": {"lena", "bob"}},
		{"workspace": {"bolt"}}, {"workspace": {"acme", "bolt"}},
	} {
		var fault *Fault
		if values, err := Values(single, Scope{"acme", "lena"}, given); !errors.As(err, &fault) ||
			fault.Status != http.StatusForbidden {
			t.Errorf("%v: %v %v", given, values, err)
		}
	}
	for _, p := range []sql.Parameter{
		{Name: "affiliates", Type: "String"}, {Name: "affiliate", Type: "String", Optional: true},
	} {
		whole := sql.Question{Name: "q", Parameters: []sql.Parameter{{Name: "workspace", Type: "String"}, p}}
		var fault *Fault
		if _, err := Values(whole, Scope{"acme", "lena"}, nil); !errors.As(err, &fault) ||
			fault.Status != http.StatusForbidden {
			t.Errorf("a question about everybody, with %s: %v", p.Name, err)
		}
	}
}

func TestArguments(t *testing.T) {
	given, err := Arguments(
		[]byte(
			`{"from":"2026-01-01","limit":9007199254740993,"live":true,"channels":["a","b"],` +
				`"none":[],"nothing":null,"only":{"b":["x"]}}`,
		),
	)
	if err != nil || given["limit"][0] != "9007199254740993" || given["live"][0] != "true" ||
		len(given["channels"]) != 2 ||
		given["none"][0] != "[]" ||
		given["only"][0] != `{"b":["x"]}` ||
		len(given) != 6 {
		t.Errorf("%v %v", given, err)
	}
	for _, bad := range []string{`[]`, `"x"`, `{`, `{"a":[{}]}`, `{"a":[[1]]}`, `{} {}`, `{"a":[null]}`} {
		if given, err := Arguments([]byte(bad)); err == nil {
			t.Errorf("%s: %v", bad, given)
		}
	}
	if given, err := Arguments(nil); err != nil || len(given) != 0 {
		t.Errorf("without arguments: %v %v", given, err)
	}
}

// What ClickHouse refuses is said in the asker's words; what only an operator can mend is not
// repeated to the asker.
func TestClickHouseRefuses(t *testing.T) {
	for code, want := range map[string]string{
		"36": "bad_parameter", "69": "bad_parameter", "395": "bad_parameter", "457": "bad_parameter",
		"60": "no_tables", "46": "no_tables", "81": "no_tables",
		"47": "no_tables", "396": "answer_too_large", "241": "question_too_large",
		"159": "question_too_slow", "202": "busy", "": "clickhouse_unavailable", "242": "clickhouse_unavailable",
		"164": "clickhouse_denied", "497": "clickhouse_denied", "516": "clickhouse_denied", "201": "quota_exceeded",
	} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			if code != "" {
				w.Header().Set("X-ClickHouse-Exception-Code", code)
			}
			http.Error(w, "Code: "+code+". DB::Exception: secret user of host. (X) (version 26)", http.StatusInternalServerError)
		}))
		asker, err := Open(server.URL+"/tributary", slog.New(slog.DiscardHandler))
		if err != nil {
			t.Fatal(err)
		}
		var fault *Fault
		_, err = asker.Ask(t.Context(), "u", asked, nil, JSON)
		if !errors.As(err, &fault) || fault.Code != want {
			t.Errorf("code %s: %v", code, err)
		} else if fault.Status == http.StatusServiceUnavailable && strings.Contains(fault.Error(), "secret") {
			t.Errorf("code %s repeats what ClickHouse says: %v", code, err)
		}
		server.Close()
	}
	if _, err := Open("clickhouse://127.0.0.1:9000/tributary", nil); err == nil ||
		!strings.Contains(err.Error(), "hint: --clickhouse-dsn http://") {
		t.Errorf("the native protocol: %v", err)
	}
}

// A ClickHouse that does not keep to its own limit is slow, and not away.
func TestOwnDeadline(t *testing.T) {
	finish := make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-finish }))
	t.Cleanup(server.Close)
	t.Cleanup(func() { close(finish) })
	asker, err := Open(server.URL+"/tributary", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	var fault *Fault
	if _, err := asker.Ask(ctx, "u", asked, nil, JSON); !errors.As(err, &fault) || fault.Code != "question_too_slow" ||
		fault.Status != http.StatusGatewayTimeout {
		t.Errorf("%v", err)
	}
}

// The DSN says how long a question may take, where that is not the usual 10 seconds.
func TestTimeoutOfTheDSN(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if given := r.URL.Query()["max_execution_time"]; !slices.Equal(given, []string{"45"}) {
			t.Errorf("asked with %v", r.URL.Query())
		}
		w.Header().Set("X-ClickHouse-Exception-Code", "159")
		w.WriteHeader(http.StatusInternalServerError)
	}))
	t.Cleanup(server.Close)
	asker, err := Open(server.URL+"/tributary?max_execution_time=45", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var fault *Fault
	if _, err := asker.Ask(t.Context(), "u", asked, nil, JSON); !errors.As(err, &fault) ||
		fault.Message != "The question takes longer than 45s." {
		t.Errorf("%v", err)
	}
	for _, refused := range []string{"0", "-1", "1.5", "long", "91"} {
		dsn := server.URL + "/tributary?max_execution_time=" + refused
		if _, err := Open(dsn, slog.New(slog.DiscardHandler)); err == nil || !strings.Contains(err.Error(), "(hint: ") {
			t.Errorf("max_execution_time=%s: %v", refused, err)
		}
	}
}

// The limits hold while answers are slow: of one user and of all.
func TestLimits(t *testing.T) {
	begun, finish := make(chan struct{}, 100), make(chan struct{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Query().Get("readonly") != "2" || r.URL.Query().Get("max_execution_time") != "10" {
			t.Errorf("asked with %v", r.URL.Query())
		}
		begun <- struct{}{}
		<-finish
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	asker, err := Open(server.URL+"/tributary", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	answers := make(chan error, 100)
	ask := func(user string) { _, err := asker.Ask(t.Context(), user, asked, nil, JSON); answers <- err }
	for _, user := range []string{"a", "a", "a", "b", "b", "b", "c", "c"} {
		go ask(user)
	}
	for range maxAtOnce {
		select {
		case <-begun:
		case <-time.After(3 * time.Minute):
			t.Fatal("fewer are asked at a time than may be")
		}
	}
	var fault *Fault
	go ask("a")
	if err := <-answers; !errors.As(err, &fault) || fault.Status != http.StatusTooManyRequests {
		t.Errorf("a fourth question of one user: %v", err)
	}
	go ask("d") // it waits
	select {
	case <-begun:
		t.Error("more are asked at a time than may be")
	case <-time.After(50 * time.Millisecond):
	}
	close(finish)
	for range maxAtOnce + 1 {
		if err := <-answers; err != nil {
			t.Errorf("a question within the limits: %v", err)
		}
	}
	if len(asker.users) != 0 || len(asker.slots) != 0 {
		t.Errorf("after all: %v, %d slots", asker.users, len(asker.slots))
	}
}

func TestAnswerTooLong(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write(make([]byte, maxBytes+1))
	}))
	t.Cleanup(server.Close)
	asker, err := Open(server.URL+"/tributary?max_execution_time=90", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	var fault *Fault
	if _, err := asker.Ask(t.Context(), "u", asked, nil, JSON); !errors.As(err, &fault) ||
		fault.Code != "answer_too_large" {
		t.Errorf("%v", err)
	}
}

// A large workspace is asked in another way, and its entries are counted once.
func TestLargeWorkspaces(t *testing.T) {
	entries := map[string]string{"large": "500000\n", "small": "499999\n"}
	counted, chosen := make(map[string]int), make(map[string]int)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		statement, _ := io.ReadAll(r.Body)
		workspace := r.URL.Query().Get("param_workspace")
		switch {
		case strings.HasPrefix(string(statement), "SELECT count() FROM revenue"):
			counted[workspace]++
			_, _ = io.WriteString(w, entries[workspace])
			return
		case strings.Contains(string(statement), "identity(f.buyer) IN"):
			chosen[workspace]++
		}
		if r.URL.Query().Get("default_format") != JSON.clickHouse { // a part
			_, _ = io.WriteString(w, "name\tfigure\nString\tUInt64\n")
			return
		}
		_, _ = io.WriteString(w, "{}")
	}))
	t.Cleanup(server.Close)
	asker, err := Open(server.URL+"/tributary", slog.New(slog.DiscardHandler))
	if err != nil {
		t.Fatal(err)
	}
	q, err := sql.AskQuestion("breakdown")
	if err != nil {
		t.Fatal(err)
	}
	for _, workspace := range []string{"large", "small", "large", "small", "unknown"} {
		values := map[string]string{"workspace": workspace, "from": "2026-01-01 00:00:00", "to": "2026-01-31 00:00:00"}
		if _, err := asker.Ask(t.Context(), "u", q, values, JSON); err != nil {
			t.Fatal(err)
		}
	}
	if counted["large"] != 1 || counted["small"] != 1 || chosen["large"] != 2 || len(chosen) != 1 {
		t.Errorf("counted %v, chosen %v", counted, chosen)
	}
}

func TestHolds(t *testing.T) {
	const quarter = "toStartOfFifteenMinutes(now())"
	for text, want := range map[string]time.Duration{
		"SELECT known, nowhere":                       0,
		"SELECT start <= " + quarter:                  15 * time.Minute,
		"SELECT start <= now()":                       time.Minute,
		"SELECT " + quarter + ", today ()":            time.Minute,
		"SELECT NOW64(3) - toStartOfFifteenMinutes()": time.Minute,
	} {
		if got := Holds(sql.Question{Text: text}); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}
