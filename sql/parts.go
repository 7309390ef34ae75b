package sql

import (
	"errors"
	"fmt"
	"math/big"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

// Part says which figures of a question a statement adds up.
type Part int

// The parts of a question. Leads are with what takes less time: of a large workspace that is the
// entries, of any other the clicks, because all its payments are read for first sales.
const (
	Whole  Part = iota
	Clicks      // the figures of clicks
	Others      // those of entries
)

// oneThreadUntil is the longest time of which the entries of a workspace that is not large are added
// up by one thread. There is little to read then, and clicks are added up beside it. Those may be many
// in such a workspace, too.
const oneThreadUntil = 100 * 24 * time.Hour

// parted is a question that reads one SELECT, with a line for each column, which adds up activity.
var parted = regexp.MustCompile(
	`(?s)^(.*?\nFROM\n)\(\n    SELECT\n((?:        [^\n]+\n)+?)(    FROM\b.*?)\n\)(\n.*)(\nSETTINGS .*)$`)

// Each figure of clicks has the first of these, each of leads the second, and no other has them.
const (
	ofClicks = "what = 'click'"
	ofLeads  = "what = 'lead'"
)

// inClicks reports whether a figure is in the part of clicks.
func inClicks(figure string, large bool) bool {
	return strings.Contains(figure, ofClicks) || !large && strings.Contains(figure, ofLeads)
}

// united is a question that reads one UNION ALL, of which the first SELECT adds up clicks.
var united = regexp.MustCompile(
	`(?s)^(.*?\nFROM\n)\(\n(    SELECT\n.*?(?:` + rollupCall.String() +
		`|FROM clicks_by_day FINAL).*?)\n    UNION ALL\n(    SELECT\b.*?)\n\)(.*)(\nSETTINGS .*)$`)

// HasParts reports whether the question can be asked in parts. Planning a statement takes one
// processor, and most of the time that a small workspace waits for its answer. So two statements of
// half the size, asked at the same time, are answered earlier; Join makes one answer of theirs. In a
// large workspace that takes longer where a UNION ALL has all names, of which most are shown nowhere.
func (q Question) HasParts(large bool) bool {
	if m := united.FindStringSubmatch(q.Text); m != nil {
		return !large || !strings.Contains(m[5], "\nGROUP BY dimension, name\n")
	}
	m := parted.FindStringSubmatch(q.Text)
	return m != nil && activityCall.MatchString(m[3]) && strings.Contains(m[2], ofClicks)
}

// hasKey reports whether a SELECT that ends so has a row for each value of its first column, and not
// one row for everything.
func hasKey(from string) bool { return strings.Contains(from, "\n    GROUP BY ") }

// partText returns what a part of the question reads: of a UNION ALL its SELECTs, else the one over
// activity with its key and the figures of the part.
func (q Question) partText(of Part, large bool) string {
	if m := united.FindStringSubmatch(q.Text); m != nil {
		selected := m[2]
		if of == Others {
			selected = m[4]
		}
		return selected + m[6]
	}
	m := parted.FindStringSubmatch(q.Text)
	var columns []string
	for i, line := range strings.Split(strings.TrimSuffix(m[2], "\n"), "\n") {
		if i == 0 && hasKey(m[3]) || inClicks(line, large) == (of == Clicks) {
			columns = append(columns, strings.TrimSuffix(line, ","))
		}
	}
	from := m[3]
	if of == Clicks {
		from = allUnits.ReplaceAllString(from, "SELECT start_of_unit(at) AS start,")
	}
	return "SELECT\n" + strings.Join(columns, ",\n") + "\n" + from + m[5]
}

// allUnits is how a question has a row for each unit of time, also for one in which nothing happened.
// One part with them is enough.
var allUnits = regexp.MustCompile(
	`(?s)SELECT start, '' AS what, .*?\n        UNION ALL\n        SELECT start_of_unit\(at\),`)

// Join returns the statement that answers the question with these values, given what its parts
// answered as TabSeparatedWithNamesAndTypes. Where one of them has no row of a key, its figures are 0.
// The rows are part of the text: for a table function readers would need a right that they do not
// have. Those which the question's limit leaves out are only counted.
func (q Question) Join(values map[string]string, clicks, others string) (string, error) {
	q, err := q.Given(values)
	if err != nil {
		return "", err
	}
	q.Text = withUnit(q.Text, values)
	begin, end, rows, err := q.join(clicks, others)
	if err != nil {
		return "", fmt.Errorf("join the parts of %s: %w", q.Name, err)
	}
	if m := limited.FindStringSubmatch(end); m != nil {
		if limit, err := strconv.Atoi(values["limit"]); err == nil {
			rows.keepGreatest(m[1], limit)
		}
	}
	columns := slices.Clone(rows.columns)
	for i, column := range columns {
		columns[i] = fmt.Sprintf("row.%d AS %s", i+1, column)
	}
	row := "Tuple(" + strings.Join(rows.types, ", ") + ")"
	array := "'" + literal("["+rows.tuples(rows.cells)+"]") + "'"
	if len(rows.cells) > constantRows {
		array = "materialize(" + array + ")"
	}
	array = fmt.Sprintf("CAST(%s, 'Array(%s)')", array, row)
	if rows.leftOut > 0 { // CAST: arrayResize returns another type, without LowCardinality
		array = fmt.Sprintf("CAST(arrayResize(%s, %d, %s), 'Array(%s)')", array, len(rows.cells)+rows.leftOut,
			fmt.Sprintf("CAST('%s', '%s')", literal(rows.tuples([][]string{rows.last})), row), row)
	}
	return begin + "(\n    SELECT " + strings.Join(columns, ", ") + "\n    FROM (SELECT arrayJoin(" + array +
		") AS row)\n)" + end, nil
}

// constantRows is up to how many rows are a constant of the statement. The engine copies and compares
// one as often as it analyses what it stands in; of few rows, that costs less than to tell it that the
// text is none.
const constantRows = 100

// join returns what stands before and after the SELECT that the parts answered, and its rows.
func (q Question) join(clicks, others string) (begin, end string, rows partRows, err error) {
	a, err := readPart(clicks)
	b, err2 := readPart(others)
	if err := errors.Join(err, err2); err != nil {
		return "", "", partRows{}, err
	}
	if m := united.FindStringSubmatch(q.Text); m != nil {
		if !slices.Equal(a.types, b.types) {
			return "", "", partRows{}, fmt.Errorf("the parts' columns are %v and %v", a.types, b.types)
		}
		a.cells = append(a.cells, b.cells...)
		return m[1], m[5] + m[6], a, nil
	}
	if !slices.Contains(a.columns, visitorsColumn) {
		q.Text = notCounted.Replace(q.Text)
	}
	m, keys := parted.FindStringSubmatch(q.Text), 0
	if hasKey(m[3]) {
		keys = 1
	}
	if len(a.columns) <= keys || len(b.columns) <= keys {
		return "", "", partRows{}, errors.New("a part has no figures")
	}
	rows = partRows{columns: slices.Concat(a.columns, b.columns[keys:]), types: slices.Concat(a.types, b.types[keys:])}
	figures := make(map[string][]string, len(b.cells))
	key := func(cells []string) string { return strings.Join(cells[:keys], "") }
	for _, cells := range b.cells {
		figures[key(cells)] = cells[keys:]
	}
	zeros := slices.Repeat([]string{"0"}, len(rows.columns))
	rows.cells = make([][]string, 0, len(a.cells)+len(b.cells))
	all := make([]string, 0, cap(rows.cells)*len(rows.columns)) // one for all rows, of which there may be many
	add := func(lists ...[]string) {
		begin := len(all)
		for _, list := range lists {
			all = append(all, list...)
		}
		rows.cells = append(rows.cells, all[begin:])
	}
	for _, cells := range a.cells {
		ofOthers, ok := figures[key(cells)]
		if !ok {
			ofOthers = zeros[:len(b.columns)-keys]
		}
		add(cells, ofOthers)
		delete(figures, key(cells))
	}
	for _, cells := range b.cells {
		if _, ok := figures[key(cells)]; ok {
			add(cells[:keys], zeros[:len(a.columns)-keys], cells[keys:])
		}
	}
	return m[1], m[4] + m[5], rows, nil
}

// limited is the end of a question that shows the rows which have the greatest figure of one column.
var limited = regexp.MustCompile(`^\nORDER BY (\w+) DESC, [^\n]+\nLIMIT \{limit:UInt32\}\n`)

// keepGreatest leaves out the rows of which the column's figure, a decimal, is less than that of at
// least limit others. Of equal ones all stay: the question itself chooses among them.
func (p *partRows) keepGreatest(column string, limit int) {
	at := slices.Index(p.columns, column)
	if at < 0 || limit < 1 || len(p.cells) <= limit {
		return
	}
	m := decimalType.FindStringSubmatch(p.types[at])
	if m == nil {
		return
	}
	precision, _ := strconv.Atoi(m[1])
	scale, _ := strconv.Atoi(m[2])
	figures, zero := make([]*big.Int, len(p.cells)), new(big.Int)
	for i, cells := range p.cells {
		if cells[at] == "0" { // most names have clicks alone
			figures[i] = zero
			continue
		}
		whole, fraction, _ := strings.Cut(cells[at], ".")
		digits := whole + fraction + strings.Repeat("0", max(0, scale-len(fraction)))
		var ok bool
		if figures[i], ok = new(big.Int).SetString(digits, 10); !ok {
			return
		}
	}
	least := slices.SortedFunc(slices.Values(figures), func(a, b *big.Int) int { return b.Cmp(a) })[limit-1]
	lowest, _ := new(big.Int).SetString("-"+strings.Repeat("9", precision-scale)+strings.Repeat("0", scale), 10)
	if least.Cmp(lowest) <= 0 {
		return
	}
	all, kept := len(p.cells), p.cells[:0]
	for i, cells := range p.cells {
		if figures[i].Cmp(least) >= 0 {
			kept = append(kept, cells)
		}
	}
	p.cells, p.leftOut, p.last = kept, all-len(kept), make([]string, len(p.types))
	for i, kind := range p.types {
		if unquotedType.MatchString(kind) {
			p.last[i] = "0"
		}
	}
	p.last[at] = "-" + strings.Repeat("9", precision-scale)
}

// decimalType is the type of a decimal with its precision and scale.
var decimalType = regexp.MustCompile(`^Decimal\((\d+), (\d+)\)$`)

// partRows is what a part answered. Its cells are as TabSeparated has them.
type partRows struct {
	columns, types []string
	cells          [][]string

	leftOut int      // how many rows are not in cells; an answer's rows_before_limit_at_least counts them
	last    []string // a row that stands for each of them, behind all others
}

func readPart(answer string) (partRows, error) {
	lines := strings.Split(strings.TrimSuffix(answer, "\n"), "\n")
	if len(lines) < 2 {
		return partRows{}, errors.New("an answer has no names and types of its columns")
	}
	p := partRows{columns: strings.Split(lines[0], "\t"), types: strings.Split(lines[1], "\t"),
		cells: make([][]string, 0, len(lines)-2)}
	if len(p.columns) != len(p.types) {
		return partRows{}, fmt.Errorf("there are %d columns and %d types", len(p.columns), len(p.types))
	}
	all := make([]string, 0, (len(lines)-2)*len(p.columns)) // one for all rows, of which there may be many
	for i, line := range lines[2:] {
		begin := len(all)
		for cell := range strings.SplitSeq(line, "\t") {
			all = append(all, cell)
		}
		if got := len(all) - begin; got != len(p.columns) {
			return partRows{}, fmt.Errorf("row %d has %d columns, not %d", i+1, got, len(p.columns))
		}
		p.cells = append(p.cells, all[begin:])
	}
	return p, nil
}

// tuples returns literals of rows, with commas between. TabSeparated escapes texts as SQL does.
func (p partRows) tuples(rows [][]string) string {
	quotes := make([]string, len(p.types))
	for i, kind := range p.types {
		if !unquotedType.MatchString(kind) {
			quotes[i] = "'"
		}
	}
	var text strings.Builder
	for i, cells := range rows {
		if i > 0 {
			text.WriteByte(',')
		}
		for j, cell := range cells {
			if j == 0 {
				text.WriteByte('(')
			} else {
				text.WriteByte(',')
			}
			text.WriteString(quotes[j])
			text.WriteString(cell)
			text.WriteString(quotes[j])
		}
		text.WriteByte(')')
	}
	return text.String()
}

// unquotedType is a type of which literals are numbers.
var unquotedType = regexp.MustCompile(`^(U?Int\d+|Decimal\(.*\))$`)
