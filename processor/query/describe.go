package query

import (
	"errors"
	"io/fs"
	"net/http"
	"regexp"
	"strings"
	"time"

	"tributary/sql"
)

// Description is a question as programs read of it.
type Description struct {
	Name       string                 `json:"name"`
	Title      string                 `json:"title"`
	Meaning    string                 `json:"meaning"`
	Parameters []ParameterDescription `json:"parameters"`
}

// ParameterDescription is a parameter as programs read of it.
type ParameterDescription struct {
	Name     string  `json:"name"`
	Type     string  `json:"type"` // of ClickHouse
	Required bool    `json:"required"`
	Default  *string `json:"default,omitempty"`
	Meaning  string  `json:"meaning"`
	// Values are all that there are, of a list those of its elements; nil: any of the type.
	Values []string `json:"values,omitempty"`
}

// Describe returns what programs need to know of a question. workspace is never required, because
// the server knows one; forOne says that the server decides the affiliate too.
func Describe(q sql.Question, forOne bool) Description {
	d := Description{Name: q.Name, Title: q.Title, Meaning: q.Meaning, Parameters: []ParameterDescription{}}
	for _, p := range q.Parameters {
		if forOne && p.Name == affiliateParameter {
			continue
		}
		described := ParameterDescription{Name: p.Name, Type: p.Type, Required: !p.Optional && p.Name != "workspace",
			Meaning: p.Meaning, Values: p.Values}
		if p.Optional {
			described.Default = &p.Default
		}
		d.Parameters = append(d.Parameters, described)
	}
	return d
}

// Holds returns how long an answer is right while the tables do not change, 0 for ever. A question
// that marks the hour, day or month that is not over reads the quarter of an hour that it is now,
// because no time zone's hour begins between two of them; any other that reads the clock is right
// for a minute.
func Holds(q sql.Question) time.Duration {
	if rest := strings.ReplaceAll(q.Text, "toStartOfFifteenMinutes(now())", ""); clock.MatchString(rest) {
		return time.Minute
	} else if rest != q.Text {
		return 15 * time.Minute
	}
	return 0
}

var clock = regexp.MustCompile(`(?i)\b(now|now64|today|yesterday)\s*\(`)

// Find returns the question of a name, or a *Fault.
func Find(name string) (sql.Question, error) {
	q, err := sql.AskQuestion(name)
	if errors.Is(err, fs.ErrNotExist) || errors.Is(err, fs.ErrInvalid) {
		return q, &Fault{http.StatusNotFound, "unknown_question", "There is no such question.",
			"GET /api/query lists all of them."}
	}
	return q, err
}
