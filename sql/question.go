package sql

import (
	"fmt"
	"regexp"
	"strings"
)

// Question is a named query, with what its file says of it.
type Question struct {
	Name       string // queries/<Name>.sql
	Title      string // the question in words, one line
	Meaning    string // what the figures mean, their units, and what empty ones say
	Parameters []Parameter
	Text       string // the statement with {name:Type} in it, without FORMAT
}

// Parameter is a value that a question needs. The server takes it as param_<Name>.
type Parameter struct {
	Name    string
	Type    string // of ClickHouse
	Default string // as param_<Name> takes it; of an optional parameter only
	// Optional says that the question has a sense without it. ClickHouse has no defaults of its own:
	// whoever asks sends Default.
	Optional bool
	Meaning  string
	// Values are all that there are, of a list those that its elements may have; nil: any value of
	// the type. They are what Meaning begins with: "affiliate, channel or program; empty: all together".
	Values []string
}

// AskQuestion returns the named question. The error is fs.ErrNotExist where there is none.
func AskQuestion(name string) (Question, error) {
	text, err := Query(name)
	if err != nil {
		return Question{}, err
	}
	return parseQuestion(name, text)
}

// Questions returns all named questions, by name.
func Questions() ([]Question, error) {
	files, err := queries.ReadDir("queries")
	if err != nil {
		return nil, fmt.Errorf("list questions: %w", err)
	}
	list := make([]Question, 0, len(files))
	for _, file := range files {
		q, err := AskQuestion(strings.TrimSuffix(file.Name(), ".sql"))
		if err != nil {
			return nil, err
		}
		list = append(list, q)
	}
	return list, nil
}

// A parameter's line: name, type, default if it is optional, meaning.
var parameterLine = regexp.MustCompile(`^@param (\w+) ([A-Z].*?)(?: = (.*?))?: (.+)$`)

// parseQuestion reads the comment at the beginning of a file: the question, its meaning, and a line
// for each parameter.
//
//	-- Who brings the money?
//	-- Best first.
//	-- @param workspace String: whose data
//	-- @param limit UInt32 = 20: how many rows
func parseQuestion(name, text string) (Question, error) {
	q := Question{Name: name, Text: text}
	var meaning []string
	for line := range strings.Lines(text) {
		comment, ok := strings.CutPrefix(strings.TrimRight(line, "\n"), "--")
		if !ok {
			break
		}
		comment = strings.TrimSpace(comment)
		switch {
		case strings.HasPrefix(comment, "@"):
			p := parameterLine.FindStringSubmatchIndex(comment)
			if p == nil {
				return Question{}, fmt.Errorf("question %s: cannot read %q (hint: @param NAME TYPE = DEFAULT: MEANING)",
					name, comment)
			}
			parameter := Parameter{Name: comment[p[2]:p[3]], Type: comment[p[4]:p[5]], Meaning: comment[p[8]:p[9]]}
			if p[6] >= 0 {
				parameter.Optional, parameter.Default = true, unquote(comment[p[6]:p[7]])
			}
			parameter.Values = valuesOf(parameter)
			q.Parameters = append(q.Parameters, parameter)
		case q.Title == "":
			q.Title = comment
		default:
			meaning = append(meaning, comment)
		}
	}
	q.Meaning = strings.Join(meaning, " ")
	return q, nil
}

// A list of words at the beginning of a meaning, each with or without a remark in parentheses, and
// what a text means that is empty. Two single quotes are the empty word of a list's element.
var (
	valueList = regexp.MustCompile(`^(?:(?:\w+|'')(?: \([^)]*\))?(?:, | or ))+(?:\w+|'')(; |$)`)
	value     = regexp.MustCompile(`(\w+|'')(?: \([^)]*\))?(?:, | or |; |$)`)
)

// valuesOf returns the values that a parameter's meaning lists, nil if it lists none.
func valuesOf(p Parameter) []string {
	list := valueList.FindString(p.Meaning)
	var values []string
	for _, m := range value.FindAllStringSubmatch(list, -1) {
		values = append(values, unquote(m[1]))
	}
	if list != "" && p.Type == "String" && strings.HasPrefix(p.Meaning[len(list):], "empty: ") {
		values = append(values, "")
	}
	return values
}

// unquote returns the value of a literal as param_… takes it: text without its quotes.
func unquote(literal string) string {
	if len(literal) >= 2 && literal[0] == '\'' && literal[len(literal)-1] == '\'' {
		return literal[1 : len(literal)-1]
	}
	return literal
}

// Uncompiled returns the settings with which questions are asked: ClickHouse compiles an expression
// when it is asked for the third time, which takes longer than any question gains from it.
func Uncompiled() map[string]string {
	return map[string]string{"compile_expressions": "0", "compile_aggregate_expressions": "0"}
}
