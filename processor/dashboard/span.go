package dashboard

import "time"

// span is a range of time made of whole buckets, so that clicks (which are stored by the hour) and
// money cover the same time.
type span struct {
	from, to time.Time
	step     time.Duration
	note     string
	all      bool // from is to be looked up: the first day with data
}

const day = 24 * time.Hour

// spanOf returns the span of a named range at a time. The current bucket is its last.
func spanOf(name string, now time.Time) (span, bool) {
	hours := func(n int) span {
		to := now.UTC().Truncate(time.Hour).Add(time.Hour)
		return span{from: to.Add(-time.Duration(n) * time.Hour), to: to, step: time.Hour}
	}
	days := func(n int) span {
		to := now.UTC().Truncate(day).Add(day)
		return span{from: to.Add(-time.Duration(n) * day), to: to, step: day}
	}
	switch name {
	case "1h":
		s := hours(2)
		s.note = "Clicks are stored by the hour: this is the current hour and the one before."
		return s, true
	case "24h":
		return hours(24), true
	case "7d":
		return hours(7 * 24), true
	case "30d":
		return days(30), true
	case "90d":
		return days(90), true
	case "all":
		s := days(1)
		s.from, s.all = time.Unix(0, 0).UTC(), true
		return s, true
	}
	return span{}, false
}

// fill returns a point for every bucket of the span, in order, with zeros where nothing happened.
func (s span) fill(points []Point) []Point {
	step := int64(s.step / time.Second)
	known := make(map[int64]Point, len(points))
	for _, p := range points {
		known[p.Start] = p
	}
	filled := make([]Point, 0, (s.to.Unix()-s.from.Unix())/step)
	for start := s.from.Unix() - s.from.Unix()%step; start < s.to.Unix(); start += step {
		p, ok := known[start]
		if !ok {
			p = Point{Start: start, NetUSD: "0.00"}
		}
		filled = append(filled, p)
	}
	return filled
}
