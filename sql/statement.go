package sql

import (
	"strings"
)

// split returns the statements of a migration.
func split(text string) []string {
	text = withoutComments(text)
	masked := mask(text)
	var statements []string
	for {
		end := strings.IndexByte(masked, ';')
		if end < 0 {
			end = len(masked)
		}
		if s := strings.TrimSpace(text[:end]); s != "" {
			statements = append(statements, s)
		}
		if end == len(masked) {
			return statements
		}
		text, masked = text[end+1:], masked[end+1:]
	}
}

// withoutComments removes what -- begins, with the lines that contain nothing else.
func withoutComments(text string) string {
	var out strings.Builder
	masked := mask(text)
	for line := range strings.Lines(text) {
		visible := masked[:len(line)]
		masked = masked[len(line):]
		if at := strings.Index(visible, "--"); at >= 0 {
			line = strings.TrimRight(line[:at], " ")
			if line == "" {
				continue
			}
			line += "\n"
		}
		out.WriteString(line)
	}
	return strings.TrimSpace(out.String())
}

// mask returns a text of the same length with blanks for what literals and comments contain, so
// that words are not found in them. The -- of a comment stays.
func mask(text string) string {
	masked := []byte(text)
	for i := 0; i < len(masked); i++ {
		switch {
		case masked[i] == '\'':
			for i++; i < len(masked) && masked[i] != '\''; i++ {
				if masked[i] == '\\' && i+1 < len(masked) {
					masked[i] = ' '
					i++
				}
				masked[i] = ' '
			}
		case strings.HasPrefix(text[i:], "--"):
			for i += 2; i < len(masked) && masked[i] != '\n'; i++ {
				masked[i] = ' '
			}
		}
	}
	return string(masked)
}

// bare returns a table's name without its database and quotes.
func bare(table string) string { return unquotedName(table[strings.LastIndexByte(table, '.')+1:]) }

// databaseOf returns the database that a table's name has, "" if it has none.
func databaseOf(table string) string {
	return unquotedName(table[:max(0, strings.LastIndexByte(table, '.'))])
}

func unquotedName(name string) string { return strings.Trim(name, "`") }

func quoted(name string) string {
	return "`" + strings.NewReplacer("\\", "\\\\", "`", "\\`").Replace(name) + "`"
}

func literal(text string) string { return strings.NewReplacer("\\", "\\\\", "'", "\\'").Replace(text) }
