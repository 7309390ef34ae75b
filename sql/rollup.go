package sql

import (
	"regexp"
	"slices"
	"strings"
)

// rollupDimension is a dimension of clicks_by_day: what its value is of a click and of a page view.
// With the empty name it is everything together.
type rollupDimension struct{ Name, OfClick, OfPageView string }

var rollupDimensions = []rollupDimension{
	{"", "''", "''"},
	{"program", "program_id", "program_id"},
	{"affiliate", "affiliate_id", "''"},
	{"link", "link_id", "link_id"},
	{"campaign", "utm_campaign", "''"},
	{"source", "utm_source", "''"},
	{"channel", "channel", "channel"},
	{"referrer", "referrer_domain", "referrer_domain"},
	{"landing_page", "concat(host, path)", "concat(host, path)"},
	{"country", "country", "country"},
	{"device", "device", "device"},
	{"browser", "browser", "browser"},
	{"affiliate_link_campaign", `concat(affiliate_id, '\n', link_id, '\n', utm_campaign)`, `concat('\n', link_id, '\n')`},
}

// rollupColumn is a figure of clicks_by_day. OfClicks is how clicks alone give it, OfRows clicks
// and page views; one without OfClicks is of both.
type rollupColumn struct{ Name, OfClicks, OfRows string }

var rollupColumns = []rollupColumn{
	{"clicks", "countIf(counts)", "countIf(is_click AND counts)"},
	{"page_views", "", "countIf(NOT is_click)"},
	{"visitors", "", "uniqState(visitor)"},
	{"clicks_at", "sumMapIf(map(quarter, toUInt64(1)), counts)",
		"sumMapIf(map(quarter, toUInt64(1)), is_click AND counts)"},
	{"page_views_at", "", "sumMapIf(map(quarter, toUInt64(1)), NOT is_click)"},
	{"counted", "", "arraySort(groupArrayIf(click, is_click AND counts AND name.1 = ''))"},
}

// clicksByDimension is what the template of this name is rendered with: the view, or one
// statement's part, which has the dimensions and figures that its question names.
type clicksByDimension struct {
	View       bool
	Dimensions []rollupDimension
	Columns    []rollupColumn
	PageViews  bool // page views are read
}

// Named reports whether rows are told apart by dimension and value.
func (c clicksByDimension) Named() bool {
	return c.View || len(c.Dimensions) != 1 || c.Dimensions[0].Name != ""
}

// Visitors and Quarters report whether a figure needs who came, or in which quarter of an hour.
func (c clicksByDimension) Visitors() bool { return c.has("visitors") }
func (c clicksByDimension) Quarters() bool { return c.has("clicks_at", "page_views_at") }

func (c clicksByDimension) has(names ...string) bool {
	return slices.ContainsFunc(c.Columns, func(column rollupColumn) bool { return slices.Contains(names, column.Name) })
}

// rollupView returns the text of the view clicks_by_dimension.
func rollupView() (string, error) {
	return render("clicks_by_dimension.sql",
		clicksByDimension{View: true, Dimensions: rollupDimensions, Columns: rollupColumns, PageViews: true})
}

// A question's use of the view. What is written otherwise is left to the view.
var rollupCall = regexp.MustCompile(regexp.QuoteMeta("clicks_by_dimension(workspace = {workspace:String}, "+
	"from = {from:DateTime('UTC')}, to = {to:DateTime('UTC')}, dimensions = [") + `([a-z_', ]*)\], stored = true\)`)

// oneDimension is how a question chooses one of the view's dimensions, behind its use.
var oneDimension = regexp.MustCompile(`^ AS d\n *WHERE d\.dimension = \{dimension:String\}\n`)

// withRollup returns the question's text with the text of clicks_by_dimension in the place of the
// view, if the question uses it.
func (q Question) withRollup(values map[string]string) (string, error) {
	call := rollupCall.FindStringSubmatchIndex(q.Text)
	if call == nil {
		return q.Text, nil
	}
	var c clicksByDimension
	names := strings.Split(q.Text[call[2]:call[3]], ", ")
	one := "'" + values["dimension"] + "'"
	if oneDimension.MatchString(q.Text[call[1]:]) && slices.Contains(names, one) {
		names = []string{one}
	}
	for _, d := range rollupDimensions {
		if slices.Contains(names, "'"+d.Name+"'") {
			c.Dimensions = append(c.Dimensions, d)
		}
	}
	named := words(q.Text)
	for _, column := range rollupColumns {
		if slices.Contains(named, column.Name) {
			c.Columns, c.PageViews = append(c.Columns, column), c.PageViews || column.OfClicks == ""
		}
	}
	if !c.PageViews {
		for i := range c.Columns {
			c.Columns[i].OfRows = c.Columns[i].OfClicks
		}
	}
	text, err := render("clicks_by_dimension.sql", c)
	return q.Text[:call[0]] + "(\n" + text + "\n)" + q.Text[call[1]:], err
}

var word = regexp.MustCompile(`\w+`)

// words returns the words of a statement without its comments.
func words(statement string) (list []string) {
	for line := range strings.Lines(statement) {
		if !strings.HasPrefix(line, "--") {
			list = append(list, word.FindAllString(line, -1)...)
		}
	}
	return list
}
