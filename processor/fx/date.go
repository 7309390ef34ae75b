package fx

import (
	"fmt"
	"time"
)

// Date is a civil day in UTC, counted from 1970-01-01, as ClickHouse's Date counts it. A day and
// not a time.Time, so that neither a clock nor a zone can take part in the choice of a rate.
type Date int32

const secondsPerDay = 24 * 60 * 60

// maxDate is the last day that ClickHouse's Date can hold, 2149-06-06; the first is 1970-01-01.
const maxDate Date = 1<<16 - 1

// storable reports whether ClickHouse's Date can hold the day.
func (d Date) storable() bool { return d >= 0 && d <= maxDate }

// DateOf returns the UTC day in which t lies.
func DateOf(t time.Time) Date {
	seconds := t.Unix()
	days := seconds / secondsPerDay
	// Go's division truncates towards zero; a moment before 1970 belongs to the earlier day.
	if seconds%secondsPerDay < 0 {
		days--
	}
	return Date(days)
}

// ParseDate reads a day in the form 2006-01-02.
func ParseDate(s string) (Date, error) {
	t, err := time.Parse(time.DateOnly, s)
	if err != nil {
		return 0, fmt.Errorf("parse date %q: want the form 2006-01-02", s)
	}
	return DateOf(t), nil
}

// Time returns the first moment of the day, in UTC.
func (d Date) Time() time.Time { return time.Unix(int64(d)*secondsPerDay, 0).UTC() }

// String renders the day in the form 2006-01-02.
func (d Date) String() string { return d.Time().Format(time.DateOnly) }
