package ledger

import (
	"math/big"
	"math/rand"
	"testing"
	"tributary/processor/join"
)

// The first field in which two versions differ decides, whatever stands behind it.
func TestVersionIsLexicographic(t *testing.T) {
	widths := []uint{3, 3, 32, 34, 4, 42, 8, 2}
	rng := rand.New(rand.NewSource(1))
	for range 2000 {
		var a, b Version
		less, decided := false, false
		for _, w := range widths {
			x, y := rng.Uint64()>>(64-w), rng.Uint64()>>(64-w)
			if rng.Intn(2) == 0 {
				y = x
			}
			a.push(w, x)
			b.push(w, y)
			if !decided && x != y {
				less, decided = x < y, true
			}
		}
		if a.Less(b) != less {
			t.Fatalf("%v < %v is %v, want %v", a, b, a.Less(b), less)
		}
		if got := a.Big().Cmp(b.Big()) < 0; got != less {
			t.Fatalf("as UInt128 %v < %v is %v, want %v", a.Big(), b.Big(), got, less)
		}
		if VersionOf(a.Big()) != a {
			t.Fatalf("%v does not come back", a)
		}
	}
}

func TestVersionFieldsFill128Bits(t *testing.T) {
	v := newVersion(classSuperseded, true, extent{1<<23 - 1, 1<<62 - 1, 0}, rateRank{finality: 3})
	if got, want := v.Big().BitLen(), 128; got != want {
		t.Errorf("a version has %d bits, want %d", got, want)
	}
	if class := v.bits(126, 2); class != classSuperseded {
		t.Errorf("its class reads %d", class)
	}
}

// A value that does not fit counts as the largest that fits: it must never spill into the field
// before it.
func TestVersionSaturates(t *testing.T) {
	var a, b Version
	a.push(4, 1)
	a.push(8, 1<<20)
	b.push(4, 1)
	b.push(8, 255)
	if a != b {
		t.Errorf("%v, want %v", a, b)
	}
	if join.Inverse(8, -5) != 255 || join.Inverse(8, 0) != 255 || join.Inverse(8, 255) != 0 || join.Inverse(8, 1000) != 0 {
		t.Error("inverse does not saturate")
	}
}

// What a version says of the one before it is the first of its fields that grew.
func TestSince(t *testing.T) {
	first := newVersion(classBooked, false, extent{7, 70, 0}, rateRank{finality: 1})
	for want, later := range map[Learned]Version{
		LearnedNothing:    first,
		LearnedRate:       newVersion(classBooked, false, extent{7, 70, 0}, rateRank{finality: 2}),
		LearnedRules:      VersionOf(new(big.Int).Add(first.Big(), new(big.Int).Lsh(big.NewInt(1), 34))),
		LearnedEarlier:    newVersion(classBooked, false, extent{7, 71, 0}, rateRank{}),
		LearnedMore:       newVersion(classBooked, false, extent{8, 1, 0}, rateRank{}),
		LearnedCrowded:    newVersion(classBooked, true, extent{1, 1, 0}, rateRank{}),
		LearnedByHand:     newVersion(2, false, extent{}, rateRank{}),
		LearnedSuperseded: newVersion(classSuperseded, false, extent{}, rateRank{}),
	} {
		if got := later.Since(first); got != want {
			t.Errorf("learned %q, want %q", got, want)
		}
		if want != LearnedNothing && !first.Less(later) {
			t.Errorf("%s does not raise the version", want)
		}
	}
}

// However many edges are left out, knowing of one more makes the greater version, whatever was
// known of those that the row was computed from, and any such row is greater than one without.
func TestVersionOfCutNames(t *testing.T) {
	whole := newVersion(classBooked, false, extent{1<<22 - 1, 1<<62 - 1, 0}, rateRank{finality: 3})
	var before Version
	for i, x := range []extent{{1, 1, 501}, {900, 1 << 50, 501}, {900, 1<<50 + 1, 501}, {1, 1, 502}, {0, 0, 1 << 21}} {
		v := newVersion(classBooked, false, x, rateRank{})
		if !whole.Less(v) || !before.Less(v) || !v.Cut() {
			t.Errorf("number %d, %v, is not greater than %v and %v", i, v.Big(), before.Big(), whole.Big())
		}
		before = v
	}
	if whole.Cut() {
		t.Error("a row of which nothing was cut says so")
	}
	if crowded := newVersion(classBooked, true, extent{1, 1, 0}, rateRank{}); !before.Less(crowded) {
		t.Error("a crowded row does not stand before one with a cut name")
	}
}
