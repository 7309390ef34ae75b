package sql

import (
	"errors"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"time"
)

// Part says which figures of a question a statement adds up.
type Part int

// The parts of a question. Leads are with the entries, because those take less time than clicks.
const (
	Whole  Part = iota
	Clicks      // the figures of clicks
	Others      // those of leads and entries
)

// oneThreadUntil is the longest time of which the leads and entries of a workspace that is not large
// are added up by one thread. There is little to read then, and clicks are added up beside it. Those
// may be many in such a workspace, too.
const oneThreadUntil = 100 * 24 * time.Hour

// parted is a question that reads one SELECT, with a line for each column, which adds up activity.
var parted = regexp.MustCompile(
	`(?s)^(.*?\nFROM\n)\(\n    SELECT\n((?:        [^\n]+\n)+?)(    FROM\b.*?)\n\)(\n.*)(\nSETTINGS .*)$`)

// ofClicks stands in each figure of clicks, and in no other.
const ofClicks = "what = 'click'"

// HasParts reports whether the question can be asked in parts. Planning a statement takes one
// processor, and most of the time that a small workspace waits for its answer. So two statements of
// half the size, asked at the same time, are answered earlier; Join makes one answer of theirs.
func (q Question) HasParts() bool {
	m := parted.FindStringSubmatch(q.Text)
	return m != nil && activityCall.MatchString(m[3]) && strings.Contains(m[2], ofClicks)
}

// hasKey reports whether a SELECT that ends so has a row for each value of its first column, and not
// one row for everything.
func hasKey(from string) bool { return strings.Contains(from, "\n    GROUP BY ") }

// partText returns the question's SELECT over activity with its key and the figures of a part.
func (q Question) partText(of Part) string {
	m := parted.FindStringSubmatch(q.Text)
	var columns []string
	for i, line := range strings.Split(strings.TrimSuffix(m[2], "\n"), "\n") {
		if i == 0 && hasKey(m[3]) || strings.Contains(line, ofClicks) == (of == Clicks) {
			columns = append(columns, strings.TrimSuffix(line, ","))
		}
	}
	return "SELECT\n" + strings.Join(columns, ",\n") + "\n" + m[3] + m[5]
}

// Join returns the statement that answers the question, given what its parts answered as
// TabSeparatedWithNamesAndTypes. Where one of them has no row of a key, its figures are 0. The rows
// are part of the text: for a table function readers would need a right that they do not have.
func (q Question) Join(clicks, others string) (string, error) {
	m, keys := parted.FindStringSubmatch(q.Text), 0
	if hasKey(m[3]) {
		keys = 1
	}
	a, err := readPart(clicks, keys)
	b, err2 := readPart(others, keys)
	if err := errors.Join(err, err2); err != nil {
		return "", fmt.Errorf("join the parts of %s: %w", q.Name, err)
	}
	rows := make([]string, 0, max(len(a.figures), len(b.figures)))
	add := func(key, figures string) {
		if keys > 0 {
			figures = "'" + key + "'," + figures
		}
		rows = append(rows, "("+figures+")")
	}
	for key, figures := range a.figures {
		others, ok := b.figures[key]
		if !ok {
			others = b.zeros
		}
		add(key, figures+","+others)
	}
	for key, figures := range b.figures {
		if _, ok := a.figures[key]; !ok {
			add(key, a.zeros+","+figures)
		}
	}
	columns := slices.Concat(a.columns, b.columns[keys:])
	for i, column := range columns {
		columns[i] = fmt.Sprintf("row.%d AS %s", i+1, column)
	}
	types := strings.Join(slices.Concat(a.types, b.types[keys:]), ", ")
	return m[1] + "(\n    SELECT " + strings.Join(columns, ", ") + "\n    FROM (SELECT arrayJoin(CAST('[" +
		strings.NewReplacer(`\`, `\\`, `'`, `\'`).Replace(strings.Join(rows, ",")) + "]', 'Array(Tuple(" + types +
		"))')) AS row)\n)" + m[4] + m[5], nil
}

// partRows is what a part answered, as TabSeparated writes it, which escapes texts as SQL does.
type partRows struct {
	columns, types []string
	figures        map[string]string // by key, separated by commas
	zeros          string            // of a key that has no row
}

func readPart(answer string, keys int) (partRows, error) {
	lines := strings.Split(strings.TrimSuffix(answer, "\n"), "\n")
	if len(lines) < 2 {
		return partRows{}, errors.New("an answer has no names and types of its columns")
	}
	p := partRows{columns: strings.Split(lines[0], "\t"), types: strings.Split(lines[1], "\t"),
		figures: make(map[string]string, len(lines)-2)}
	for i, line := range lines[1:] {
		cells := strings.Split(line, "\t")
		if len(cells) != len(p.columns) || len(cells) <= keys {
			return partRows{}, fmt.Errorf("row %d has %d columns, not %d", i, len(cells), len(p.columns))
		}
		if i > 0 {
			p.figures[strings.Join(cells[:keys], "")] = strings.Join(cells[keys:], ",")
		}
	}
	p.zeros = strings.Join(slices.Repeat([]string{"0"}, len(p.columns)-keys), ",")
	return p, nil
}
