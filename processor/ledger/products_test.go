package ledger

import (
	"math"
	"math/rand"
	"testing"
)

// Parts add up to what they are of, each is less than a unit off its proportion, and those of a
// negative amount are the same with the other sign.
func TestDivide(t *testing.T) {
	rng := rand.New(rand.NewSource(1))
	for range 2000 {
		var p parts
		for n := range 1 + rng.Intn(12) {
			p = append(p, Part{string(rune('a' + n)), rng.Int63n(1e6) - 2e5})
		}
		net := rng.Int63n(1e9) - 5e8
		divided, negative := p.divide(net), p.divide(-net)
		if divided.sum() != net {
			t.Fatalf("%v of %d add up to %d", divided, net, divided.sum())
		}
		for n := range divided {
			if whole := p.sum(); whole > 0 {
				off := divided[n].Net*whole - net*p[n].Net // times whole
				if off <= -whole || off >= whole {
					t.Fatalf("%v of %d by %v is a unit off", divided[n], net, p)
				}
			}
			if negative[n].Net != -divided[n].Net {
				t.Fatalf("%v of %d, but %v of %d", divided[n], net, negative[n], -net)
			}
		}
	}
}

// What cannot be divided is not named.
func TestNotDivided(t *testing.T) {
	const most = math.MaxInt64
	for _, p := range []parts{nil, {{"a", 0}}, {{"a", -5}}, {{"a", 5}, {"b", -5}}, {{"a", most}, {"b", -most + 1}}} {
		if got := p.divide(1000); len(got) != 1 || got[0] != (Part{"", 1000}) {
			t.Errorf("%v: %v", p, got)
		}
	}
}
