package sql

import (
	"regexp"
	"slices"
)

// pagesOfRows is what the template landing_pages.sql is rendered with.
type pagesOfRows struct {
	Clicks   clicksByDimension
	OfClick  string // the name of a click
	Credited string // the SELECT of sales by click
}

// pages is landing_pages. Its groups are what stands before it, how it selects what is credited to
// clicks, and how it ends.
var pages = regexp.MustCompile(`(?s)^(.*?\n)SELECT\n    name,\n.*?\n    FROM clicks_counted\(.*?` +
	`\nLEFT JOIN\n\(\n(.*?)\n\) AS credited ON [^\n]*\nGROUP BY name(\nORDER BY .*)$`)

// Given returns the question as it is asked with these values. landing_pages adds up the clicks of
// closed days from clicks_by_day where nobody asks for visitors and there is no filter, because each
// row knows one dimension, and reads only those single clicks to which sales are credited.
func (q Question) Given(values map[string]string) (Question, error) {
	m := pages.FindStringSubmatch(q.Text)
	of := slices.IndexFunc(rollupDimensions, func(d rollupDimension) bool { return d.Name == values["dimension"] })
	if m == nil || of < 0 || values["visitors"] != "false" || filtered(values) {
		return q, nil
	}
	d := rollupDimensions[of]
	clicks := rollupColumns[0]
	clicks.OfRows = clicks.OfClicks
	text, err := render("landing_pages.sql", pagesOfRows{
		Clicks:   clicksByDimension{Dimensions: []rollupDimension{d}, Columns: []rollupColumn{clicks}},
		OfClick:  d.OfClick,
		Credited: m[2],
	})
	q.Text = m[1] + text + m[3]
	return q, err
}
