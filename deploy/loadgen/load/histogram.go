package load

import (
	"math"
	"time"
)

// Histogram counts durations in buckets that are 1 % wide, from 1 µs up: percentiles in bounded
// memory. It is not safe for concurrent use; give each goroutine its own and Add them up.
type Histogram struct {
	buckets [2400]uint64 // 1.01^2400 µs is more than six hours
	count   uint64
	max     time.Duration
}

var logWidth = math.Log(1.01)

// Observe counts one duration.
func (h *Histogram) Observe(d time.Duration) {
	i := 0
	if us := float64(d) / float64(time.Microsecond); us > 1 {
		i = min(int(math.Log(us)/logWidth)+1, len(h.buckets)-1)
	}
	h.buckets[i]++
	h.count++
	h.max = max(h.max, d)
}

// add counts all that o has counted.
func (h *Histogram) add(o *Histogram) {
	for i, n := range o.buckets {
		h.buckets[i] += n
	}
	h.count += o.count
	h.max = max(h.max, o.max)
}

// Count is how many durations were observed.
func (h *Histogram) Count() uint64 { return h.count }

// Max is the longest, exactly.
func (h *Histogram) Max() time.Duration { return h.max }

// Quantile is a duration that a share q of all does not exceed, at most 1 % too high; 0 of an empty
// histogram.
func (h *Histogram) Quantile(q float64) time.Duration {
	rank, seen := uint64(math.Ceil(q*float64(h.count))), uint64(0)
	for i, n := range h.buckets {
		if seen += n; n > 0 && seen >= rank {
			return min(time.Duration(math.Exp(float64(i)*logWidth)*float64(time.Microsecond)), h.max)
		}
	}
	return h.max
}
