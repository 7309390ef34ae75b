package query

import (
	"encoding/json"
	"maps"
	"math"
	"net/http"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
	_ "time/tzdata" // zones are known on machines that have no zone files
	"unicode/utf8"

	"tributary/processor/fx"
	"tributary/sql"
)

// maxValueBytes is how long one value may be. Ids of Stripe and of sellers are much shorter.
const maxValueBytes = 1000

// maxElements is how many values a list may have.
const maxElements = 200

// Scope is whose figures may be shown. It comes from who is asking, never from the request.
type Scope struct {
	Workspace string
	Affiliate string // the only affiliate whose figures may be shown; empty: the whole workspace
}

// affiliateParameter narrows every row of an answer to one affiliate, in the questions that have it
// (sql/README.md).
const affiliateParameter = "affiliate"

// ForAffiliates reports whether affiliates may ask a question: one that is about a single
// affiliate. A question that is about all, and only may be narrowed to one, is its seller's: it can
// show ids of payments and buyers.
func ForAffiliates(q sql.Question) bool {
	return slices.ContainsFunc(q.Parameters, func(p sql.Parameter) bool {
		return p.Name == affiliateParameter && p.Type == "String" && !p.Optional
	})
}

// Values returns the value of each of the question's parameters, or a *Fault. given has what the
// request says; workspace and affiliate of the scope replace it, and what contradicts them is
// refused.
func Values(q sql.Question, scope Scope, given map[string][]string) (map[string]string, error) {
	if scope.Affiliate != "" && !ForAffiliates(q) {
		return nil, &Fault{http.StatusForbidden, "not_for_affiliates",
			"This question is about the whole workspace, and you may see one affiliate's figures.",
			"GET /api/query lists the questions that you may ask."}
	}
	decided := map[string]string{"workspace": scope.Workspace}
	if scope.Affiliate != "" {
		decided[affiliateParameter] = scope.Affiliate
	}
	if err := checkGiven(q, decided, given); err != nil {
		return nil, err
	}
	values := make(map[string]string, len(q.Parameters))
	for _, p := range q.Parameters {
		list, isGiven := given[p.Name]
		own, isDecided := decided[p.Name]
		switch {
		case isDecided:
			values[p.Name] = own
		case isGiven:
			value, err := readValue(p, list)
			if err != nil {
				return nil, err
			}
			values[p.Name] = value
		case p.Optional:
			values[p.Name] = p.Default
		default:
			return nil, badParameter(p.Name+": "+p.Meaning+". "+expect(p.Type), "%s is missing.", p.Name)
		}
	}
	return values, checkTimes(values)
}

// checkTimes refuses a time that ends where it begins, or before: no row is in it, so its zeros
// would look like an answer.
func checkTimes(values map[string]string) error {
	for _, p := range []struct{ begin, end string }{{"from", "to"}, {"since", "until"}} {
		begin, isBegin := values[p.begin]
		end, isEnd := values[p.end]
		if isBegin && isEnd && begin >= end { // both as readTime writes them, so in the order of time
			return badParameter("Give a "+p.begin+" that is before "+p.end+", which is not included.",
				"%s %s is not before %s %s.", p.begin, begin, p.end, end)
		}
	}
	return nil
}

// checkGiven refuses parameters that the question does not have, and those that contradict what the
// server has decided.
func checkGiven(q sql.Question, decided map[string]string, given map[string][]string) error {
	for name, list := range given {
		if own, ok := decided[name]; ok {
			if len(list) != 1 || list[0] != own {
				return &Fault{http.StatusForbidden, "forbidden_" + name, "You may not see the figures of this " + name + ".",
					"Leave " + name + " out."}
			}
			continue
		}
		if !slices.ContainsFunc(q.Parameters, func(p sql.Parameter) bool { return p.Name == name }) {
			return badParameter("The parameters of "+q.Name+" are "+names(q)+".", "There is no parameter %q.", shorten(name))
		}
	}
	return nil
}

func names(q sql.Question) string {
	var list []string
	for _, p := range q.Parameters {
		list = append(list, p.Name)
	}
	return strings.Join(list, ", ")
}

func shorten(text string) string {
	if len(text) > 60 {
		return strings.ToValidUTF8(text[:60], "") + "…"
	}
	return text
}

// bareType is a type without LowCardinality and Nullable, which say nothing about a value.
func bareType(kind string) string {
	for _, wrapper := range []string{"LowCardinality(", "Nullable("} {
		if inner, ok := strings.CutPrefix(kind, wrapper); ok && strings.HasSuffix(inner, ")") {
			return bareType(strings.TrimSuffix(inner, ")"))
		}
	}
	return kind
}

// elementType returns the type of a list's elements.
func elementType(kind string) (string, bool) {
	inner, ok := strings.CutPrefix(bareType(kind), "Array(")
	return strings.TrimSuffix(inner, ")"), ok && strings.HasSuffix(inner, ")")
}

// filterType is a filter: to each name of a dimension the values to keep or to leave out.
const filterType = "Map(String, Array(String))"

// readValue returns the value of one parameter as ClickHouse reads it.
func readValue(p sql.Parameter, given []string) (string, error) {
	element, isList := elementType(p.Type)
	if isList && (len(given) != 1 || !strings.HasPrefix(given[0], "[")) {
		return readList(p, element, given) // the parameter, repeated
	}
	if len(given) != 1 {
		return "", badParameter("Give it once.", "%s is given %d times.", p.Name, len(given))
	}
	switch {
	case isList:
		var list []string
		if err := json.Unmarshal([]byte(given[0]), &list); err != nil {
			return "", badParameter(expect(p.Type), "%s is not a list of strings in JSON.", p.Name)
		}
		return readList(p, element, list)
	case p.Type == filterType:
		return readFilter(p.Name, given[0])
	}
	if err := checkListed(p, given[0]); err != nil {
		return "", err
	}
	return readScalar(p.Name, p.Type, given[0])
}

func readList(p sql.Parameter, element string, list []string) (string, error) {
	for _, value := range list {
		if err := checkListed(p, value); err != nil {
			return "", err
		}
	}
	return writeList(p.Name, element, list)
}

// checkListed refuses a value that the question's declaration does not list, if it lists any: its
// zeros would look like an answer.
func checkListed(p sql.Parameter, value string) error {
	if p.Values == nil || slices.Contains(p.Values, value) {
		return nil
	}
	list := strings.Join(p.Values, ", ")
	if words, ok := strings.CutSuffix(list, ", "); ok {
		list = words + ", or empty"
	}
	return badParameter(p.Name+" is one of "+list+".", "%s is %q.", p.Name, shorten(value))
}

// readFilter reads a JSON object of lists, and returns it as ClickHouse writes a map, with its keys
// in order.
func readFilter(name, text string) (string, error) {
	var filter map[string][]string
	if err := json.Unmarshal([]byte(text), &filter); err != nil {
		return "", badParameter(expect(filterType), "%s is not an object of lists of strings in JSON.", name)
	}
	if len(filter) > maxElements {
		return "", badParameter("Give fewer.", "%s has %d keys, and %d are the most.", name, len(filter), maxElements)
	}
	var entries []string
	for _, key := range slices.Sorted(maps.Keys(filter)) {
		value, err := readScalar(name, "String", key)
		if err != nil {
			return "", err
		}
		list, err := writeList(name, "String", filter[key])
		if err != nil {
			return "", err
		}
		entries = append(entries, quote(value)+":"+list)
	}
	return "{" + strings.Join(entries, ",") + "}", nil
}

// writeList returns a list as ClickHouse writes an array.
func writeList(name, element string, list []string) (string, error) {
	if len(list) > maxElements {
		return "", badParameter("Give fewer.", "%s has %d values, and %d are the most.", name, len(list), maxElements)
	}
	quoted := make([]string, len(list))
	for i, text := range list {
		value, err := readScalar(name, element, text)
		if err != nil {
			return "", err
		}
		quoted[i] = quote(value)
	}
	return "[" + strings.Join(quoted, ",") + "]", nil
}

func quote(text string) string {
	return "'" + strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(text) + "'"
}

var (
	integerType  = regexp.MustCompile(`^(U?)Int(\d+)$`)
	decimalType  = regexp.MustCompile(`^Decimal`)
	decimalValue = regexp.MustCompile(`^-?\d{1,38}(\.\d{1,38})?$`)
)

// readScalar checks the text of one value and returns it as ClickHouse reads it.
func readScalar(name, kind, value string) (string, error) {
	kind = bareType(kind)
	if len(value) > maxValueBytes || !utf8.ValidString(value) {
		return "", badParameter("Shorten it.", "%s is longer than %d bytes, or is not UTF-8.", name, maxValueBytes)
	}
	if name == "timezone" {
		if _, err := time.LoadLocation(value); err != nil || value == "" || value == "Local" {
			return "", badParameter("Give an IANA name, such as Europe/Paris.", "%q is no time zone.", shorten(value))
		}
	}
	if name == "currency" {
		if _, known := fx.Exponent(value); !known || value != strings.ToLower(value) {
			return "", badParameter("Give a code of ISO 4217 in lower case, such as eur.", "%q is no currency.", shorten(value))
		}
	}
	if strings.HasPrefix(kind, "DateTime") {
		if t, ok := readTime(value); ok {
			return t, nil
		}
	} else if isScalar(kind, value) {
		return value, nil
	}
	return "", badParameter(expect(kind), "%s is %q.", name, shorten(value))
}

// isScalar reports whether the text is a value of a type other than DateTime. Any text is one of a
// type that is none of numbers, days and truth values.
func isScalar(kind, value string) bool {
	switch m := integerType.FindStringSubmatch(kind); {
	case m != nil:
		bits, _ := strconv.Atoi(m[2]) // the pattern has digits only
		var err error
		if m[1] == "U" {
			_, err = strconv.ParseUint(value, 10, min(bits, 64))
		} else {
			_, err = strconv.ParseInt(value, 10, min(bits, 64))
		}
		return err == nil
	case kind == "Bool":
		return value == "true" || value == "false"
	case strings.HasPrefix(kind, "Float"):
		x, err := strconv.ParseFloat(value, 64)
		return err == nil && !math.IsInf(x, 0) && !math.IsNaN(x)
	case kind == "Date":
		_, err := time.Parse(time.DateOnly, value)
		return err == nil
	case decimalType.MatchString(kind):
		return decimalValue.MatchString(value)
	}
	return true
}

// readTime reads a time as ClickHouse writes it, or as RFC 3339 does, and returns it in UTC.
func readTime(value string) (string, bool) {
	for _, layout := range []string{time.DateTime, time.DateOnly, "2006-01-02T15:04:05", time.RFC3339Nano} {
		if t, err := time.Parse(layout, value); err == nil {
			return t.UTC().Format(time.DateTime), true
		}
	}
	return "", false
}

// expect says what a value of a type looks like.
func expect(kind string) string {
	if element, isList := elementType(kind); isList {
		return "Repeat the parameter for each value, or give one JSON list. " + expect(element)
	}
	switch kind = bareType(kind); {
	case kind == filterType:
		return `Give one JSON object of lists, such as {"country":["DE","AT"]}.`
	case integerType.MatchString(kind):
		return "Give a whole number (" + kind + ")."
	case strings.HasPrefix(kind, "Float"):
		return "Give a number, such as 7.5."
	case kind == "Bool":
		return "Give true or false."
	case kind == "Date":
		return "Give a day, such as 2026-01-31."
	case strings.HasPrefix(kind, "DateTime"):
		return "Give a time in UTC, such as 2026-01-31T15:00:00Z."
	case decimalType.MatchString(kind):
		return "Give a decimal number, such as 12.50."
	}
	return "Give a text."
}
