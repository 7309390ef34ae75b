// Package csvtable reads CSV files with a header, as spreadsheets, people and Stripe write them. It
// refuses what encoding/csv takes without a word: a column that is there twice, a row that is too
// short or too long, bytes that are not UTF-8, control characters in a value.
package csvtable

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"errors"
	"fmt"
	"io"
	"slices"
	"strings"
	"unicode"
	"unicode/utf8"
)

// Column is one column that a file may have. Names are compared without case, spaces and
// underscores.
type Column struct {
	Name     string
	Aliases  []string // other names; of those that the header has, the first counts, Name before all
	Required bool
}

// Format says which files are read.
type Format struct {
	Columns []Column
	Others  bool   // the file may have columns of other names; they are skipped
	Comment rune   // lines that begin with it are skipped; 0: none
	Hint    string // how to get a right file; the hint of errors that have no better one
}

// maxFaults are written out: more of one file are of one kind.
const maxFaults = 100

// Reader reads one file. It is used like bufio.Scanner: call Next until it returns false, then Err.
type Reader struct {
	csv    *csv.Reader
	format Format
	place  map[string]int // index of each column that the header has
	width  int            // columns of the header; 0: it has a fault, and no row is read
	row    []string
	faults []error
	more   int // faults that are not written out
}

// Open reads the header. If it has faults, Next returns false and Err returns them.
func (f Format) Open(r io.Reader) *Reader {
	t := &Reader{format: f, place: make(map[string]int)}
	buffered := bufio.NewReaderSize(r, 64<<10)
	start, err := buffered.Peek(4)
	if err != nil && !errors.Is(err, io.EOF) {
		t.fault("read: %w", err)
		return t
	}
	if wrong := notText(start); wrong != "" {
		t.fault("%s", wrong)
		return t
	}
	if bytes.HasPrefix(start, []byte("\ufeff")) {
		_, _ = buffered.Discard(len("\ufeff")) // it has been peeked at
	}
	t.csv = csv.NewReader(buffered)
	t.csv.FieldsPerRecord, t.csv.ReuseRecord = -1, true
	t.csv.TrimLeadingSpace, t.csv.Comment = true, f.Comment
	t.header()
	return t
}

// notText says what a file is whose first bytes are no text in UTF-8.
func notText(start []byte) string {
	switch {
	case bytes.HasPrefix(start, []byte("\x1f\x8b")):
		return "the file is compressed (hint: unpack it with gunzip)"
	case bytes.HasPrefix(start, []byte("PK\x03\x04")):
		return "the file is a ZIP archive or a spreadsheet (hint: unpack it, or save it as CSV)"
	case bytes.HasPrefix(start, []byte("\xff\xfe")), bytes.HasPrefix(start, []byte("\xfe\xff")):
		return "the file is in UTF-16 (hint: save it as CSV in UTF-8)"
	}
	return ""
}

func (t *Reader) header() {
	header, err := t.csv.Read()
	switch {
	case errors.Is(err, io.EOF):
		t.fault("the file is empty (hint: %s)", t.format.Hint)
		return
	case err != nil:
		t.fault("read header: %w (hint: %s)", err, t.format.Hint)
		return
	}
	if len(header) == 1 && strings.ContainsAny(header[0], ";\t") {
		t.fault("line 1: %q is one column (hint: separate the columns by commas)", header[0])
		return
	}
	names := make([]string, len(header))
	for i, name := range header {
		names[i] = normalize(name)
	}
	for i, name := range names {
		column, known := t.format.find(name)
		switch {
		case !known && !t.format.Others:
			t.faultAt(i, "column %q is not known (hint: %s)", header[i], t.format.Hint)
		case known && slices.Index(names, name) != i:
			t.faultAt(i, "column %q is there twice (hint: delete or rename one)", column)
		}
	}
	for _, c := range t.format.Columns {
		for _, name := range append([]string{c.Name}, c.Aliases...) {
			if i := slices.Index(names, normalize(name)); i >= 0 {
				t.place[c.Name] = i
				break
			}
		}
		if c.Required && !t.Has(c.Name) {
			t.fault("line 1: the column %s is missing (hint: %s)", c.Name, t.format.Hint)
		}
	}
	if len(t.faults) == 0 {
		t.width = len(header)
	}
}

func normalize(name string) string {
	return strings.NewReplacer(" ", "", "_", "").Replace(strings.ToLower(strings.TrimSpace(name)))
}

// find returns the column that goes by a normalized name.
func (f Format) find(name string) (column string, known bool) {
	for _, c := range f.Columns {
		for _, n := range append([]string{c.Name}, c.Aliases...) {
			if normalize(n) == name {
				return c.Name, true
			}
		}
	}
	return "", false
}

// Has reports whether the header has a column.
func (t *Reader) Has(column string) bool {
	_, ok := t.place[column]
	return ok
}

// Next reads the next row that can be read, and reports whether there is one.
func (t *Reader) Next() bool {
	for t.width > 0 {
		row, err := t.csv.Read()
		switch {
		case errors.Is(err, io.EOF):
			return false
		case err != nil: // behind a broken quote nothing can be read
			t.fault("%w (hint: a value with a comma, a quotation mark or a line break stands in quotation "+
				`marks, and "" is one in it)`, err)
			return false
		}
		t.row = row
		if len(row) != t.width {
			t.fault("line %d: %d values where the header has %d columns (hint: a value that holds a comma stands in "+
				"quotation marks)", t.Line(), len(row), t.width)
		} else if t.readable() {
			return true
		}
	}
	return false
}

// readable reports whether all values of known columns are text.
func (t *Reader) readable() bool {
	good := true
	for _, c := range t.format.Columns {
		i, ok := t.place[c.Name]
		switch {
		case !ok:
		case !utf8.ValidString(t.row[i]):
			t.Fault(c.Name, "%q is not UTF-8 (hint: save the file as CSV in UTF-8)", t.row[i])
			good = false
		case strings.ContainsFunc(t.row[i], unicode.IsControl):
			t.Fault(c.Name, "%q holds a line break or another control character (hint: delete it)", t.row[i])
			good = false
		}
	}
	return good
}

// Value returns the value of a column in the present row without white space around it; "" where
// the header has no such column.
func (t *Reader) Value(column string) string {
	if i, ok := t.place[column]; ok {
		return strings.TrimSpace(t.row[i])
	}
	return ""
}

// Line returns the line on which the present row begins; the first is 1.
func (t *Reader) Line() int {
	line, _ := t.csv.FieldPos(0)
	return line
}

// Fault notes that the value of a column in the present row is wrong.
func (t *Reader) Fault(column, format string, args ...any) {
	if i, ok := t.place[column]; ok {
		t.faultAt(i, column+": "+format, args...)
		return
	}
	t.fault("line %d: %w", t.Line(), fmt.Errorf(format, args...))
}

// faultAt notes a fault with the place of the i-th value.
func (t *Reader) faultAt(i int, format string, args ...any) {
	line, column := t.csv.FieldPos(i)
	t.fault("line %d, column %d: %w", line, column, fmt.Errorf(format, args...))
}

func (t *Reader) fault(format string, args ...any) {
	if len(t.faults) == maxFaults {
		t.more++
		return
	}
	t.faults = append(t.faults, fmt.Errorf(format, args...))
}

// Err returns all faults of the file in its order; nil when it has none. A file with a fault must
// not be used in part.
func (t *Reader) Err() error {
	if t.more > 0 {
		return errors.Join(append(slices.Clone(t.faults), fmt.Errorf("there are %d more faults (hint: mend these first)",
			t.more))...)
	}
	return errors.Join(t.faults...)
}
