package chdb

import "strings"

// refuseOutside refuses what reaches files, programs or other machines and is not subject to the
// engine's grants:
//
//   - the function file(), which libchdb, as a local tool, does not confine to a directory;
//   - dictionaries with another source than a table of this engine: EXECUTABLE runs a program, HTTP
//     and the databases' sources connect;
//   - disk(…) in a table's settings, which names a disk of any kind;
//   - INTO OUTFILE and FROM INFILE, by which clickhouse-client, and so libchdb, reads and writes
//     files of its own. A server refuses them too.
//
// A reader, who has no business with it, is also refused the table functions that take SQL in a
// string: their column list may hold DEFAULT file(…) in any encoding.
func refuseOutside(text string, readOnly bool) error {
	l := &lexer{text: text}
	previous, dictionary := "", false
	for {
		t, ok := l.next()
		if !ok {
			return nil
		}
		if err := notUnderstood(text, t); err != nil {
			return err
		}
		word := l.keyword(t)
		following, _ := l.peek()
		called := following.kind == '('
		switch {
		case word == "FILE", word == "EVAL" && called, word == "DISK" && called:
			return accessDenied(strings.ToLower(word))
		case readOnly && called && takesSQL[word]:
			return accessDenied(strings.ToLower(word))
		case previous == "INTO" && word == "OUTFILE":
			return exceptionf(codeOutfileNotAllowed, "INTO OUTFILE is not allowed. (INTO_OUTFILE_NOT_ALLOWED)")
		case previous == "FROM" && word == "INFILE":
			return exceptionf(codeUnknownQueryType,
				"Query has infile and was send directly to server. (UNKNOWN_TYPE_OF_QUERY)")
		case word == "DICTIONARY":
			dictionary = true
		case dictionary && word == "SOURCE" && called && !l.localSource():
			return accessDenied("dictionary source")
		}
		previous = word
	}
}

// notUnderstood refuses a token that may hide another from the lexer.
func notUnderstood(text string, t token) error {
	switch {
	case t.kind == 'x':
		return exceptionf(codeNotImplemented, "The embedded engine does not take heredocs, typographic quotes and "+
			"other characters beyond ASCII outside quotes (hint: use '…'). (NOT_IMPLEMENTED)")
	case t.kind == 'q' && text[t.start] != '\'' && strings.Contains(text[t.start:t.end], `\x`):
		return exceptionf(codeNotImplemented,
			"The embedded engine takes no \\x in a quoted identifier. (NOT_IMPLEMENTED)")
	}
	return nil
}

// takesSQL are the functions whose argument may be a list of columns with default expressions.
// format is also the name of a harmless function for strings.
var takesSQL = map[string]bool{
	"FORMAT": true, "GENERATERANDOM": true, "INPUT": true, "NULL": true, "VALUES": true, "EXECUTABLE": true,
	"FUZZJSON": true, "FUZZQUERY": true,
}

func accessDenied(what string) error {
	return exceptionf(codeAccessDenied, "Not enough privileges: the embedded engine reads no files, starts no programs "+
		"and connects to nobody, and refuses %s (hint: insert the data over HTTP). (ACCESS_DENIED)", what)
}

// localSource reports whether a dictionary's SOURCE, whose name has just been passed, is a table of
// this engine: CLICKHOUSE with none but the listed keys, each followed by a single value. A host is
// not among them.
func (l *lexer) localSource() bool {
	keys := map[string]bool{
		"DB": true, "TABLE": true, "USER": true, "PASSWORD": true, "WHERE": true, "UPDATE_FIELD": true, "UPDATE_LAG": true,
	}
	for _, want := range []string{"(", "CLICKHOUSE", "("} {
		t, ok := l.next()
		if !ok || !strings.EqualFold(l.text[t.start:t.end], want) {
			return false
		}
	}
	for {
		key, ok := l.next()
		if !ok {
			return false
		}
		if key.kind == ')' {
			return true
		}
		value, ok := l.next()
		if !ok || key.kind != 'w' || !keys[l.keyword(key)] || value.kind != 'w' && value.kind != 'q' {
			return false
		}
	}
}

// keyword is a token in capitals, without the quotes of a quoted identifier; "" for strings.
func (l *lexer) keyword(t token) string {
	s := l.text[t.start:t.end]
	if t.kind == 'q' {
		if s[0] == '\'' {
			return ""
		}
		s = strings.ReplaceAll(strings.Trim(s, s[:1]), `\`, "")
	}
	return strings.ToUpper(s)
}
