package ledger

import (
	"math/big"
	"math/rand"
	"testing"
	"time"
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
	var v Version
	v.pushFact(7, 7, time.Unix(0, 0), time.Unix(0, 0))
	v.pushCredit(255, 1<<20, 3)
	if v.Big().BitLen() != 128 {
		t.Errorf("a payment's version has %d bits, want 128", v.Big().BitLen())
	}
	var r Version
	r.pushResidual(2, time.Unix(0, 0), time.Unix(0, 0))
	r.pushCredit(0, 0, 0)
	// Its class stands where a payment's does: the same entry never has both, but a manual correction outranks either.
	if got := new(big.Int).Rsh(r.Big(), 126).Uint64(); got != classBooked {
		t.Errorf("a residual's class reads %d, want %d", got, classBooked)
	}
}

// A value that does not fit counts as the largest that fits: it must never spill into the field before it.
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
	at := time.Date(2026, 3, 2, 10, 0, 0, 0, time.UTC)
	version := func(class, rank uint64, created time.Time, delay time.Duration, knowledge int, earliness, finality uint64) Version {
		var v Version
		v.pushFact(class, rank, created, created.Add(delay))
		v.pushCredit(knowledge, earliness<<9, finality)
		return v
	}
	first := version(classHeld, 2, at, time.Second, 3, 7, 1)
	for want, later := range map[Learned]Version{
		LearnedNothing:    first,
		LearnedRate:       version(classHeld, 2, at, time.Second, 3, 7, 2),
		LearnedEarlier:    version(classHeld, 2, at, time.Second, 3, 8, 0),
		LearnedMore:       version(classHeld, 2, at, time.Second, 4, 0, 0),
		LearnedDelivery:   version(classHeld, 2, at, time.Millisecond, 0, 0, 0),
		LearnedEvent:      version(classHeld, 2, at.Add(-time.Second), time.Hour, 0, 0, 0),
		LearnedSource:     version(classHeld, 5, at.Add(time.Hour), time.Hour, 0, 0, 0),
		LearnedCertainty:  version(classBooked, 0, at.Add(time.Hour), time.Hour, 0, 0, 0),
		LearnedSuperseded: version(classSuperseded, 0, at.Add(time.Hour), time.Hour, 0, 0, 0),
	} {
		if got := later.Since(first, false); got != want {
			t.Errorf("learned %q, want %q", got, want)
		}
		if want != LearnedNothing && !first.Less(later) {
			t.Errorf("%s does not raise the version", want)
		}
	}
	var a, b Version
	a.pushResidual(5, at, at)
	b.pushResidual(6, at, at)
	a.pushCredit(0, 0, 0)
	b.pushCredit(0, 0, 0)
	if got := b.Since(a, true); got != LearnedRefunds {
		t.Errorf("a residual learned %q", got)
	}
}
