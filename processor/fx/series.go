package fx

import (
	"sort"
	"time"
)

// series is what one source has of one currency: published rates and periods, or pegs.
type series struct {
	days []Date // of the usable published rates, ascending
	// rates belong to days, one by one. They stand apart so that the search walks through 4-byte
	// days only.
	rates []Rate
	// periods are the usable rates that are stated for a period, ascending by their first day.
	periods []Rate
	// revised are the rates for periods that were changed or withdrawn; see revisedAt.
	revised []Rate
	// heldDays are the days of the rates held back, ascending.
	heldDays []Date
	// last is the newest day that the source has published this currency for, held back or not, but
	// for days that had not come.
	last Date
	// sourceLast is the same of any currency of the source.
	sourceLast Date
	// published says that the source publishes this currency by the day, and not for periods alone.
	published bool
	// breaks are the days from which the currency is a fixed part of another, ascending: what was
	// published before such a day does not convert what moves from it on.
	breaks []Date
	pegs   []Peg
}

// revisedAt returns the last time at which a rate was changed whose period began on the day or
// before. Until then that rate may have converted the day, even if another one does now.
func (s *series) revisedAt(day Date) (at time.Time) {
	for i := range s.revised {
		if s.revised[i].Date <= day {
			at = later(at, s.revised[i].RevisedAt)
		}
	}
	return at
}

func later(a, b time.Time) time.Time {
	if a.Before(b) {
		return b
	}
	return a
}

// at returns the newest rate that is not after the day and holds on it.
func (s *series) at(day, maxAge Date) (*Rate, bool) {
	var found *Rate
	if i := upTo(s.days, day); i >= 0 && day-s.days[i] <= maxAge && !s.broken(s.days[i], day) {
		found = &s.rates[i]
	}
	// Periods may overlap: the one that began last counts, and when it is over, the one around it
	// again.
	i := sort.Search(len(s.periods), func(i int) bool { return s.periods[i].Date > day }) - 1
	for ; i >= 0; i-- {
		if s.periods[i].ValidTo >= day {
			if found == nil || s.periods[i].Date > found.Date {
				found = &s.periods[i]
			}
			break
		}
	}
	return found, found != nil
}

// broken reports whether the currency became a fixed part of another after from, and not after to.
func (s *series) broken(from, to Date) bool {
	i := upTo(s.breaks, to)
	return i >= 0 && s.breaks[i] > from
}

// settled reports whether the source has nothing more to say about this currency up to the day.
func (s *series) settled(day, maxAge Date) bool {
	if s.last >= day || !s.published {
		return true
	}
	return s.sourceLast >= day && (s.sourceLast-s.last > maxAge || s.broken(s.last, day))
}

// upTo returns the index of the newest day that is not after the given one, or -1.
func upTo(days []Date, day Date) int {
	return sort.Search(len(days), func(i int) bool { return days[i] > day }) - 1
}
