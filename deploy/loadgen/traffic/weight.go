package traffic

import (
	"math"
	"math/rand/v2"
	"time"
)

// weighted draws indexes in proportion to their weights.
type weighted []float64 // running sums

func weigh(weights ...float64) weighted {
	w, sum := make(weighted, len(weights)), 0.0
	for i, x := range weights {
		sum += x
		w[i] = sum
	}
	return w
}

// zipf weighs n things as attention does: the i-th gets 1/i of the first, to the power s.
func zipf(n int, s float64) weighted {
	weights := make([]float64, n)
	for i := range weights {
		weights[i] = math.Pow(float64(i+1), -s)
	}
	return weigh(weights...)
}

func (w weighted) draw(r *rand.Rand) int {
	x := r.Float64() * w[len(w)-1]
	for i, sum := range w {
		if x < sum {
			return i
		}
	}
	return len(w) - 1
}

// hours is the share of a day's busiest hour that each hour UTC has: two bumps, Europe's morning
// and America's afternoon, and a quiet night.
var hours = [24]float64{.38, .30, .26, .24, .26, .33, .46, .62, .78, .88, .90, .88, .84, .90, .97, 1, .98, .94, .88,
	.80, .72, .64, .55, .46}

// days is the share of the busiest weekday, Sunday first.
var days = [7]float64{.62, .94, 1, .99, .97, .86, .60}

// Busyness is how much of the busiest hour's traffic this hour of this day sees: above 0, at most
// 1.
func Busyness(at time.Time) float64 {
	at = at.UTC()
	next := hours[(at.Hour()+1)%24]
	part := float64(at.Minute()) / 60
	return (hours[at.Hour()]*(1-part) + next*part) * days[at.Weekday()]
}

// around draws a duration whose median is the given one: most are near it, a few far above.
func around(r *rand.Rand, median time.Duration) time.Duration {
	return time.Duration(float64(median) * math.Exp(.8*r.NormFloat64()))
}
