package chdb

import (
	"errors"
	"os"
	"path/filepath"
	"testing"
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
		{"INSERT INTO TABLE FUNCTION null('a Int8') VALUES (1)", true, "INSERT INTO TABLE FUNCTION null('a Int8') ", "Values", " (1)"},
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
	for _, s := range []string{"INSERT INTO t FORMAT Native\n\x00", "INSERT INTO t ('", "INSERT INTO t (a) VALUES (\\'", "/*", "INSERT INTO t `\\"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if got, ok := parseInsert(text); ok && (got.dataAt < 0 || got.dataAt > len(text) || got.format == "") {
			t.Fatalf("parseInsert(%q) = %+v", text, got)
		}
		outputFormat(text)
		firstWord(text)
		hasClause(text, "INTO", "OUTFILE")
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
	library := filepath.Join(root, ".tools", "node_modules", "@chdb", "lib-"+platform(), "libchdb.so")
	inner := filepath.Join(root, "a", "b")
	for _, dir := range []string{filepath.Dir(library), inner} {
		if err := os.MkdirAll(dir, 0o750); err != nil {
			t.Fatal(err)
		}
	}
	t.Setenv(PathVariable, "")
	t.Setenv("XDG_CACHE_HOME", t.TempDir())
	t.Setenv("HOME", t.TempDir())
	if err := os.WriteFile(filepath.Join(root, "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(inner)
	if _, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("without a library: %v", err)
	}
	if err := os.WriteFile(library, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	got, err := Find()
	if err != nil {
		t.Fatal(err)
	}
	if a, _ := os.Stat(got); a == nil {
		t.Fatalf("found %s, which is not there", got)
	}
	t.Setenv(PathVariable, filepath.Join(root, "nowhere"))
	if _, err := Find(); err == nil {
		t.Fatal("a variable that points at nothing is no error")
	}
	// A library above the module's root is not this project's.
	t.Setenv(PathVariable, "")
	if err := os.WriteFile(filepath.Join(root, "a", "go.mod"), nil, 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Find(); !errors.Is(err, ErrNotInstalled) {
		t.Fatalf("above go.mod: %v", err)
	}
}
