package dashboard

import (
	"context"
	"net/http"
	"net/url"
	"regexp"
	"strconv"
	"time"
)

var workspaceName = regexp.MustCompile(`^[A-Za-z0-9._-]{1,64}$`)

// stretch is a range that the page offers.
type stretch struct {
	length time.Duration // 0: everything there is
	align  time.Duration // it begins on a multiple of this, UTC
	step   time.Duration // of the chart
}

// Clicks are counted by the hour, so every range begins on the hour, or clicks and money would be of different stretches:
// "1h" is the last full hour and what has passed of this one. From 30 days on it begins with a day, so that the first bar
// of the chart is a whole one.
var stretches = map[string]stretch{
	"1h":  {time.Hour, time.Hour, time.Minute},
	"24h": {24 * time.Hour, time.Hour, 15 * time.Minute},
	"7d":  {7 * 24 * time.Hour, time.Hour, time.Hour},
	"30d": {29 * 24 * time.Hour, 24 * time.Hour, 24 * time.Hour},
	"90d": {89 * 24 * time.Hour, 24 * time.Hour, 24 * time.Hour},
	"all": {0, time.Hour, 24 * time.Hour},
}

// window returns the range's beginning and end. The end is the coming hour: the edge lets clocks be five minutes ahead.
func (s stretch) window(now time.Time) (from, to time.Time) {
	now = now.UTC()
	to = now.Truncate(time.Hour).Add(time.Hour)
	if s.length == 0 {
		return time.Unix(0, 0).UTC(), to
	}
	return now.Truncate(s.align).Add(-s.length), to
}

// request is what was asked for, checked.
type request struct {
	ctx       context.Context
	workspace string
	span      string // key of stretches
	mode      string // auto, live, test
	by        string // affiliates, links, campaigns
	limit     uint32
	now       time.Time
	from, to  time.Time
}

func (q *request) stretch() stretch { return stretches[q.span] }

func (d *Dashboard) parse(r *http.Request) (*request, error) {
	values, err := url.ParseQuery(r.URL.RawQuery)
	if err != nil {
		return nil, &fault{http.StatusBadRequest, "bad_query", "The query string cannot be read.", "Escape it as a URL's query."}
	}
	get := func(name, otherwise string) string {
		if !values.Has(name) {
			return otherwise
		}
		return values.Get(name)
	}
	q := &request{
		ctx:       r.Context(),
		workspace: get("workspace", d.config.Workspace),
		span:      get("range", "24h"),
		mode:      get("mode", "auto"),
		by:        get("by", "affiliates"),
		now:       d.config.now().UTC(),
	}
	bad := func(name, hint string) (*request, error) {
		return nil, &fault{http.StatusBadRequest, "bad_" + name, "The parameter " + name + " is not understood.", hint}
	}
	if !workspaceName.MatchString(q.workspace) {
		return bad("workspace", "Give 1 to 64 letters, digits, dots, dashes or underscores.")
	}
	if _, ok := stretches[q.span]; !ok {
		return bad("range", "Give one of 1h, 24h, 7d, 30d, 90d, all.")
	}
	if q.mode != "auto" && q.mode != "live" && q.mode != "test" {
		return bad("mode", "Give live, test, or auto: live money where there is any.")
	}
	if _, ok := tops[q.by]; !ok {
		return bad("by", "Give affiliates, links or campaigns.")
	}
	limit, err := strconv.ParseUint(get("limit", "10"), 10, 32)
	if err != nil || limit < 1 || limit > 100 {
		return bad("limit", "Give a number from 1 to 100.")
	}
	q.limit = uint32(limit)
	q.from, q.to = q.stretch().window(q.now)
	return q, nil
}
