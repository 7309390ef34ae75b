package clicks

import (
	"strconv"
	"strings"
	"time"
)

// Bounds of event_time. A number of seconds stays below the lower one until the year 5138, one of
// microseconds is above the upper one since 1973. Read as milliseconds, such numbers would silently
// move a click to another day, and so would a text that a program made of them, or of no time at all
// (0001-01-01T00:00:00Z).
const (
	millisecondsFrom = 100_000_000_000     // 1973-03-03
	millisecondsTo   = 100_000_000_000_000 // 5138-11-16
)

func (e *event) setTime(value string, number bool) {
	value = strings.TrimSpace(value)
	if value == "" {
		return
	}
	if e.at, e.timed = parseTime(value, number); !e.timed {
		e.fail(errBadTime)
	}
}

// parseTime reads RFC 3339 or Unix milliseconds, and returns Unix milliseconds within the bounds. A
// fraction of a millisecond is dropped: performance.timeOrigin has one.
func parseTime(value string, number bool) (ms int64, ok bool) {
	ms, ok = parseMilliseconds(value, number)
	if !ok {
		var t time.Time
		t, ok = parseRFC3339(value)
		ms = t.UnixMilli()
	}
	return ms, ok && ms >= millisecondsFrom && ms <= millisecondsTo
}

func parseMilliseconds(value string, number bool) (ms int64, ok bool) {
	whole, fraction, hasFraction := strings.Cut(value, ".")
	if ms, err := strconv.ParseInt(whole, 10, 64); err == nil && (!hasFraction || number && isDigits(fraction)) {
		return ms, true
	}
	if number && strings.ContainsAny(value, "eE") && !strings.ContainsAny(value, "xX_") { // 1.7952e+12
		// Values beyond the bounds may not fit an int64.
		ms, err := strconv.ParseFloat(value, 64)
		return int64(ms), err == nil && ms >= millisecondsFrom && ms <= millisecondsTo
	}
	return 0, false
}

func isDigits(s string) bool {
	for i := range len(s) {
		if s[i]-'0' > 9 {
			return false
		}
	}
	return s != ""
}

// parseRFC3339 reads a date-time of RFC 3339 §5.6: T and Z in either case, or a space for the T.
// time.Parse alone takes more than that (a comma in the seconds, an hour of one digit, an offset of
// 24 hours).
func parseRFC3339(s string) (time.Time, bool) {
	const shape = "0000-00-00T00:00:00"
	if len(s) <= len(shape) || len(s) > len(shape)+len(".000000000+00:00") {
		return time.Time{}, false
	}
	b := make([]byte, 0, 48) // stays on the stack
	b = append(b, s...)
	for i := range len(shape) {
		switch {
		case shape[i] == 'T' && (b[i] == 't' || b[i] == ' '):
			b[i] = 'T'
		case shape[i] == '0' && b[i]-'0' > 9, shape[i] != '0' && b[i] != shape[i]:
			return time.Time{}, false
		}
	}
	if b[len(shape)] == ',' {
		return time.Time{}, false
	}
	if last := len(b) - 1; b[last] == 'z' {
		b[last] = 'Z'
	} else if b[last] != 'Z' && string(b[last-4:last-2]) > "23" {
		return time.Time{}, false
	}
	t, err := time.Parse(time.RFC3339, b2s(b))
	return t, err == nil
}
