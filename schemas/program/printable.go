package program

import (
	"strconv"
	"strings"
)

// quotes are what strconv.Quote escapes though it prints.
var quotes = strings.NewReplacer(`\"`, `"`, `\\`, `\`)

// Printable returns text for one line on a terminal: what does not print, line breaks among it, is
// written as in a string of Go (\x1b). Names come from anybody's click, and a terminal obeys
// control characters.
func Printable(text string) string {
	quoted := strconv.Quote(text)
	return quotes.Replace(quoted[1 : len(quoted)-1])
}
