package chdb

import (
	"slices"
	"strings"
)

// token is a piece of SQL text. kind is 'w' for a bare word or number, 'q' for anything quoted, 'x'
// for bare text that the engine may read in another way than the lexer (heredocs such as
// $tag$…$tag$, and characters beyond ASCII, among them blanks and quotes), or the punctuation
// character itself.
type token struct {
	kind       byte
	start, end int
}

// lexer cuts SQL into tokens, far enough to find the clauses at the top level
// of a statement. The engine's own parser judges the statement; this one only
// has to know where strings, comments and parentheses end.
type lexer struct {
	text string
	pos  int
}

func (l *lexer) next() (token, bool) {
	l.skipBlank()
	if l.pos >= len(l.text) {
		return token{}, false
	}
	start := l.pos
	switch c := l.text[start]; {
	case isWordByte(c):
		for l.pos < len(l.text) && isWordByte(l.text[l.pos]) {
			l.pos++
		}
		if strings.ContainsFunc(l.text[start:l.pos], func(r rune) bool { return r == '$' || r >= 0x80 }) {
			return token{'x', start, l.pos}, true
		}
		return token{'w', start, l.pos}, true
	case c == '\'' || c == '"' || c == '`':
		l.closeQuote(c)
		return token{'q', start, l.pos}, true
	default:
		l.pos++
		return token{c, start, l.pos}, true
	}
}

// closeQuote moves behind what is quoted from here on. Statements hold texts of hundreds of
// kilobytes, so that it does not look at each byte. A doubled quote reads as two tokens, which does
// no harm.
func (l *lexer) closeQuote(quote byte) {
	l.pos++
	end := l.pos - 1 // of what is quoted, as far as that was looked for
	for l.pos < len(l.text) {
		if end < l.pos {
			if end = strings.IndexByte(l.text[l.pos:], quote); end < 0 {
				end = len(l.text)
			} else {
				end += l.pos
			}
		}
		escape := strings.IndexByte(l.text[l.pos:end], '\\')
		if escape < 0 {
			l.pos = min(end+1, len(l.text))
			return
		}
		l.pos = min(l.pos+escape+2, len(l.text))
	}
}

// peek is next without moving on.
func (l *lexer) peek() (token, bool) {
	saved := l.pos
	t, ok := l.next()
	l.pos = saved
	return t, ok
}

// skipBlank passes white space and comments.
func (l *lexer) skipBlank() {
	for l.pos < len(l.text) {
		rest := l.text[l.pos:]
		switch {
		case strings.IndexByte(" \t\r\n\f\v", rest[0]) >= 0:
			l.pos++
		case strings.HasPrefix(rest, "--"), strings.HasPrefix(rest, "#!"), strings.HasPrefix(rest, "# "):
			end := strings.IndexByte(rest, '\n')
			if end < 0 {
				end = len(rest) - 1
			}
			l.pos += end + 1
		case strings.HasPrefix(rest, "/*"):
			l.skipComment()
		default:
			return
		}
	}
}

// skipComment passes a comment in brackets. The engine lets them nest.
func (l *lexer) skipComment() {
	for depth := 0; l.pos < len(l.text); {
		switch rest := l.text[l.pos:]; {
		case strings.HasPrefix(rest, "/*"):
			depth++
			l.pos += 2
		case strings.HasPrefix(rest, "*/"):
			depth--
			l.pos += 2
			if depth == 0 {
				return
			}
		default:
			l.pos++
		}
	}
}

// closeParenthesis moves behind the bracket that closes one already passed.
func (l *lexer) closeParenthesis() {
	for depth := 1; depth > 0; {
		t, ok := l.next()
		if !ok {
			return
		}
		switch t.kind {
		case '(':
			depth++
		case ')':
			depth--
		}
	}
}

// is reports whether the token is one of the words, in whatever case.
func (l *lexer) is(t token, words ...string) bool {
	return t.kind == 'w' && slices.ContainsFunc(words, func(word string) bool {
		return strings.EqualFold(l.text[t.start:t.end], word)
	})
}

func isWordByte(c byte) bool {
	return c == '_' || c == '$' || c >= 0x80 ||
		'0' <= c && c <= '9' || 'a' <= c && c <= 'z' || 'A' <= c && c <= 'Z'
}

// insertStatement is an INSERT whose rows follow it, as opposed to INSERT …
// SELECT.
type insertStatement struct {
	// query is the statement up to FORMAT or VALUES.
	query string
	// format is the input format's name; Values when none is given.
	format string
	// dataAt is where the rows begin in the text.
	dataAt int
}

// parseInsert recognises an INSERT with rows. The rule for where they begin is
// that of ClickHouse's ParserInsertQuery: behind VALUES at once; behind FORMAT
// name after blanks, an optional semicolon and one line break, so that a
// binary body arrives whole.
func parseInsert(text string) (insertStatement, bool) {
	l := &lexer{text: text}
	if !l.insertTarget() {
		return insertStatement{}, false
	}
	for {
		t, ok := l.next()
		switch {
		case !ok:
			return insertStatement{query: text, format: "Values", dataAt: len(text)}, true
		case t.kind == ';':
			return insertStatement{query: text[:t.start], format: "Values", dataAt: len(text)}, true
		case t.kind == '(':
			if first, more := l.peek(); more && l.is(first, "SELECT", "WITH") {
				return insertStatement{}, false
			}
			l.closeParenthesis()
		case l.is(t, "SELECT", "WITH", "FROM", "WATCH", "EXPLAIN"):
			return insertStatement{}, false
		case l.is(t, "VALUES"):
			return insertStatement{query: text[:t.start], format: "Values", dataAt: t.end}, true
		case l.is(t, "FORMAT"):
			name, ok := l.next()
			if !ok || name.kind != 'w' {
				return insertStatement{}, false // the engine explains the mistake
			}
			return insertStatement{
				query:  text[:t.start],
				format: text[name.start:name.end],
				dataAt: dataStart(text, name.end),
			}, true
		}
	}
}

// insertTarget passes INSERT INTO and the table's name, so that a table called values is not taken
// for the keyword. It reports whether the statement is an INSERT with a name.
func (l *lexer) insertTarget() bool {
	if t, ok := l.next(); !ok || !l.is(t, "INSERT") {
		return false
	}
	t, ok := l.next()
	if ok && l.is(t, "INTO") {
		t, ok = l.next()
	}
	if ok && l.is(t, "TABLE", "FUNCTION") { // unless it is the name itself
		if following, more := l.peek(); more && following.kind != '(' && following.kind != '.' {
			_, ok = l.next()
		}
	}
	for ok {
		if following, more := l.peek(); !more || following.kind != '.' {
			break
		}
		l.next() // the dot
		l.next() // the name behind it
	}
	return ok
}

// dataStart passes what may stand between a format's name and the rows.
func dataStart(text string, at int) int {
	blanks := func() {
		for at < len(text) && strings.IndexByte(" \t\f", text[at]) >= 0 {
			at++
		}
	}
	blanks()
	if at < len(text) && text[at] == ';' {
		at++
		blanks()
	}
	if at < len(text) && text[at] == '\r' {
		at++
	}
	if at < len(text) && text[at] == '\n' {
		at++
	}
	return at
}

// outputFormat returns the format that a statement's own FORMAT clause names, "" when it has none.
func outputFormat(text string) string {
	l := &lexer{text: text}
	depth, format := 0, ""
	for {
		t, ok := l.next()
		if !ok {
			return format
		}
		switch {
		case t.kind == '(':
			depth++
		case t.kind == ')':
			depth--
		case depth == 0 && l.is(t, "FORMAT"):
			if name, ok := l.next(); ok && name.kind == 'w' {
				format = text[name.start:name.end]
			}
		}
	}
}

// firstWord is the statement's first keyword in capitals.
func firstWord(text string) string {
	l := &lexer{text: text}
	for {
		t, ok := l.next()
		if !ok {
			return ""
		}
		if t.kind != '(' {
			return strings.ToUpper(text[t.start:t.end])
		}
	}
}

// quoteString writes s as a SQL string literal.
func quoteString(s string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(s) + "'"
}

// quoteIdentifier writes s as a SQL identifier.
func quoteIdentifier(s string) string {
	return "`" + strings.NewReplacer(`\`, `\\`, "`", "\\`").Replace(s) + "`"
}
