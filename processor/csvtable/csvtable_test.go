package csvtable

import (
	"strings"
	"testing"
)

var people = Format{
	Columns: []Column{{Name: "full_name", Aliases: []string{"name"}, Required: true}, {Name: "age"}},
	Comment: '#', Hint: "the first line is full_name,age",
}

func read(f Format, text string) (rows []string, err error) {
	t := f.Open(strings.NewReader(text))
	for t.Next() {
		rows = append(rows, t.Value("full_name")+"="+t.Value("age"))
		if t.Value("age") == "old" {
			t.Fault("age", "%q is no number", "old")
		}
	}
	return rows, t.Err()
}

func TestFilesAsSpreadsheetsWriteThem(t *testing.T) {
	others := people
	others.Others = true
	for text, want := range map[string]string{
		"full_name,age\nann,7\n":                       "ann=7",
		"\ufefffull_name,age\r\nann,7\r\n":             "ann=7",
		"# of 2026\nAge, Full Name \n\n7, ann \n":      "ann=7",
		"full_name,age\n\"an, \"\"n\"\"\",7":           `an, "n"=7`,
		"name\nann\n":                                  "ann=",
		"name,age,full_name\nbob,7,ann\n":              "ann=7",
		"full_name,age\n":                              "",
		"note,full_name\n\"two\nlines \xe9\",ann\n":    "ann=",
		"note,note,full_name\n1,2,ann\n3,4,bob\n":      "ann= bob=",
		"full_name,age\n# a comment, with a comma\n\n": "",
	} {
		rows, err := read(others, text)
		if got := strings.Join(rows, " "); got != want || err != nil {
			t.Errorf("%q: %q, %v; want %q", text, got, err, want)
		}
	}
}

func TestFaults(t *testing.T) {
	for text, want := range map[string]string{
		"":                             "the file is empty (hint: the first line is full_name,age)",
		"\ufeff":                       "the file is empty (hint: the first line is full_name,age)",
		"age\n":                        "line 1: the column full_name is missing (hint: the first line is full_name,age)",
		"full_name;age":                `line 1: "full_name;age" is one column (hint: separate the columns by commas)`,
		"full_name,age,Age\nann,7,8\n": `line 1, column 15: column "age" is there twice (hint: delete or rename one)`,
		"full_name,colour\nann,red\n": `line 1, column 11: column "colour" is not known ` +
			"(hint: the first line is full_name,age)",
		"\x1f\x8b\x08\x00":         "the file is compressed (hint: unpack it with gunzip)",
		"PK\x03\x04":               "the file is a ZIP archive or a spreadsheet (hint: unpack it, or save it as CSV)",
		"\xff\xfef\x00":            "the file is in UTF-16 (hint: save it as CSV in UTF-8)",
		"full_name,age\n\"ann,7\n": "parse error on line 2, column 8: extraneous or missing \" in quoted-field",
		"full_name,age\nann\nbob,old\ncid,8,9\n": "line 2: 1 values where the header has 2 columns (hint: a value " +
			"that holds a comma stands in quotation marks)\n" +
			"line 3, column 5: age: \"old\" is no number\n" +
			"line 4: 3 values where the header has 2 columns",
		"full_name,age\nJos\xe9,7\n": `line 2, column 1: full_name: "Jos\xe9" is not UTF-8 ` +
			"(hint: save the file as CSV in UTF-8)",
		"full_name,age\n\"a\nb\",7\n": `line 2, column 1: full_name: "a\nb" holds a line break or another control ` +
			"character (hint: delete it)",
	} {
		if _, err := read(people, text); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%q:\n%v\nwant\n%s", text, err, want)
		}
	}
}

// A file of another kind has a fault in every line.
func TestFaultsAreNotWrittenOutWithoutEnd(t *testing.T) {
	_, err := read(people, "full_name,age\n"+strings.Repeat("ann\n", 1000))
	if got := strings.Count(err.Error(), "\n"); got != maxFaults || !strings.HasSuffix(err.Error(),
		"there are 900 more faults (hint: mend these first)") {
		t.Errorf("%d lines: %v", got, err)
	}
}
