package chdb

import (
	"encoding/base64"
	"errors"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"tributary/deploy/tools"
)

func TestParseInsert(t *testing.T) {
	cases := []struct {
		text                string
		ok                  bool
		query, format, data string
	}{
		{"INSERT INTO t FORMAT Native\n\x01\x02", true, "INSERT INTO t ", "Native", "\x01\x02"},
		{"insert into t (a, b) values (1, 'x;y')", true, "insert into t (a, b) ", "Values", " (1, 'x;y')"},
		{"INSERT INTO db.values VALUES (1)", true, "INSERT INTO db.values ", "Values", " (1)"},
		{"INSERT INTO `a b`.`format` FORMAT CSV\r\n1\n", true, "INSERT INTO `a b`.`format` ", "CSV", "1\n"},
		{"INSERT INTO t FORMAT TSV ;\n\t1", true, "INSERT INTO t ", "TSV", "\t1"},
		{"INSERT INTO t FORMAT Native\n\n\x01", true, "INSERT INTO t ", "Native", "\n\x01"},
		{"-- c\n/* VALUES */ INSERT INTO t SETTINGS async_insert=0, x='FORMAT' FORMAT JSONEachRow {}", true,
			"-- c\n/* VALUES */ INSERT INTO t SETTINGS async_insert=0, x='FORMAT' ", "JSONEachRow", "{}"},
		{"INSERT INTO t (a)\n", true, "INSERT INTO t (a)\n", "Values", ""},
		{"INSERT INTO FUNCTION null('a Int8') VALUES (1)", true, "INSERT INTO FUNCTION null('a Int8') ", "Values", " (1)"},
		{"INSERT INTO TABLE FUNCTION null('a Int8') VALUES (1)", true, "INSERT INTO TABLE FUNCTION null('a Int8') ", "Values",
			" (1)"},
		{"INSERT INTO t SELECT 1 FORMAT Native", false, "", "", ""},
		{"INSERT INTO t (a) (SELECT 1)", false, "", "", ""},
		{"INSERT INTO t WITH 1 AS x SELECT x", false, "", "", ""},
		{"INSERT INTO t FROM INFILE 'x' FORMAT CSV", false, "", "", ""},
		{"SELECT 'INSERT INTO t VALUES (1)'", false, "", "", ""},
		{"", false, "", "", ""},
		{"INSERT", false, "", "", ""},
	}
	for _, c := range cases {
		got, ok := parseInsert(c.text)
		if ok != c.ok {
			t.Errorf("parseInsert(%q) recognised: %v, want %v", c.text, ok, c.ok)
			continue
		}
		if ok && (got.query != c.query || got.format != c.format || c.text[got.dataAt:] != c.data) {
			t.Errorf("parseInsert(%q) = %+v, data %q", c.text, got, c.text[got.dataAt:])
		}
	}
}

// FuzzParseInsert: no text, however broken, may make the lexer run away or
// point outside the text.
func FuzzParseInsert(f *testing.F) {
	for _, s := range []string{"INSERT INTO t FORMAT Native\n\x00", "INSERT INTO t ('", "INSERT INTO t (a) VALUES (\\'",
		"/*", "INSERT INTO t `\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseInsert(text); ok && (got.dataAt < 0 || got.dataAt > len(text) || got.format == "") {
			t.Fatalf("parseInsert(%q) = %+v", text, got)
		}
		outputFormat(text)
		firstWord(text)
		_ = refuseOutside(text, true)
	})
}

func TestOutputFormat(t *testing.T) {
	for text, want := range map[string]string{
		"SELECT 1":                               "",
		"SELECT 1 FORMAT JSON":                   "JSON",
		"SELECT 1 format CSV SETTINGS a=1":       "CSV",
		"SELECT 'FORMAT CSV'":                    "",
		"SELECT format('{}', 1)":                 "",
		"SELECT 1 -- FORMAT CSV":                 "",
		"SELECT * FROM (SELECT 1 AS FORMAT) t; ": "",
	} {
		if got := outputFormat(text); got != want {
			t.Errorf("outputFormat(%q) = %q, want %q", text, got, want)
		}
	}
}

func TestParseException(t *testing.T) {
	for text, want := range map[string]Exception{
		"Code: 60. DB::Exception: Unknown table. (UNKNOWN_TABLE)":         {60, "Unknown table. (UNKNOWN_TABLE)"},
		"Code: 241. DB::Exception: Code: 241. DB::Exception: Memory.":     {241, "Memory."},
		"Error: Code: 33. DB::ParsingException: Cannot read Code: 1. x\n": {33, "Cannot read Code: 1. x"},
		"something else": {codeUnknownException, "something else"},
	} {
		if got := parseException(text); *got != want {
			t.Errorf("parseException(%q) = %+v", text, *got)
		}
	}
}

func TestFind(t *testing.T) {
	root := t.TempDir()
	inside := filepath.Join(".tools", "node_modules", "@chdb", "lib-"+platform(), "libchdb.so")
	inner := filepath.Join(root, "a", "b")
	write := func(path, text string) {
		t.Helper()
		if err := os.MkdirAll(filepath.Dir(path), 0o750); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	fails := func(why string, want error) {
		t.Helper()
		if got, err := Find(); !errors.Is(err, want) {
			t.Errorf("%s: %q, %v", why, got, err)
		}
	}
	refuse := func(why string) { t.Helper(); fails(why, ErrNotInstalled) }
	t.Setenv(pathVariable, "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	write(filepath.Join(inner, "file"), "")
	t.Chdir(inner)

	refuse("without a library")
	write(filepath.Join(root, inside), "")
	refuse("in a parent that is no module")
	write(filepath.Join(root, "go.mod"), "module elsewhere\n")
	refuse("in another module")
	write(filepath.Join(root, "go.mod"), "// comment\nmodule tributary\n")
	if got, err := Find(); err != nil || !isFile(got) {
		t.Fatalf("in this module: %q, %v", got, err)
	}
	if err := os.Chmod(filepath.Join(root, inside), 0o666); err != nil {
		t.Fatal(err)
	}
	fails("a library that everybody may write", tools.ErrNotTrusted)
	if err := errors.Join(os.Chmod(filepath.Join(root, inside), 0o600), os.Chmod(root, 0o777)); err != nil {
		t.Fatal(err)
	}
	fails("a project that everybody may write", tools.ErrNotTrusted)
	if err := os.Chmod(root, 0o700); err != nil {
		t.Fatal(err)
	}
	write(filepath.Join(root, "a", "go.mod"), "module tributary\n")
	refuse("above the module's root")
	write(filepath.Join(inner, inside), "")
	refuse("below the module's root")

	t.Setenv(pathVariable, filepath.Join(root, "nowhere"))
	if _, err := Find(); err == nil {
		t.Error("a variable that points at nothing is no error")
	}
}

// TestLexer: a lexer that ends a comment or a string elsewhere than the engine does can be made to
// overlook what the engine executes.
func TestLexer(t *testing.T) {
	for text, want := range map[string]string{
		"a /* /* */ ' */ b":    "a b",
		"a -- '\n b # '\n c":   "a b c",
		"a 'x\\'y' b":          "a 'x\\'y' b",
		"a `x``y` \"z\\\"\" b": "a `x` `y` \"z\\\"\" b",
		"a /* b":               "a",
	} {
		l := &lexer{text: text}
		var got []string
		for tok, ok := l.next(); ok; tok, ok = l.next() {
			got = append(got, text[tok.start:tok.end])
		}
		if joined := strings.Join(got, " "); joined != want {
			t.Errorf("%q: %q, want %q", text, joined, want)
		}
	}
}

func TestAuthenticate(t *testing.T) {
	e := &Engine{}
	WithPasswords("p", "r")(e)
	for _, c := range []struct {
		query  string
		header http.Header
		right  bool
	}{
		{"user=default&password=p", nil, true},
		{"password=p", nil, true},
		{"user=readonly&password=r", nil, true},
		{"", http.Header{"X-Clickhouse-User": {"readonly"}, "X-Clickhouse-Key": {"r"}}, true},
		{"", http.Header{"Authorization": {"Basic " + base64.StdEncoding.EncodeToString([]byte("default:p"))}}, true},
		{"", nil, false},
		{"user=default", nil, false},
		{"user=readonly&password=p", nil, false},
		{"user=default&password=r", nil, false},
		{"user=somebody&password=p", nil, false},
		{"user=somebody", nil, false},
		{"user=readonly", http.Header{"X-Clickhouse-Key": {"r"}}, false},
	} {
		request := httptest.NewRequest(http.MethodGet, "http://127.0.0.1/?query=SELECT+1&"+c.query, nil)
		if c.header != nil {
			request.Header = c.header
		}
		if err := e.authenticate(readCredentials(request, request.URL.Query())); (err == nil) != c.right {
			t.Errorf("%s %v: %v", c.query, c.header, err)
		}
		if c.right {
			continue
		}
		answer := httptest.NewRecorder()
		e.Handler().ServeHTTP(answer, request)
		if answer.Code != http.StatusForbidden || answer.Header().Get("X-ClickHouse-Exception-Code") != "516" {
			t.Errorf("%s %v: %d %s", c.query, c.header, answer.Code, answer.Body)
		}
	}
}
