package ledger

import (
	"math/big"
	"time"
	"tributary/processor/join"
)

// Version orders the rows of one entry; ReplacingMergeTree keeps the greatest. It is derived from the row's content alone,
// most significant first:
//
//	bits  what                       raised by learning
//	2     superseded, manual, booked that the movement is booked elsewhere; that it is certain
//	3     rank of the source         a richer description of the movement
//	32    inverse of event time      an earlier event of the same source
//	32    inverse of its delay       an earlier delivery of the same event
//	12    extent, count              any further name, click or fact that bears on the sale
//	45    extent, earliness          an earlier report of one of the names or clicks
//	2     finality of the rate       a rate at all, then the final one, then Stripe's own
//
// Every field is a maximum over a set that only grows, so knowing more can only raise a version, and whoever has seen
// everything writes the greatest. The knowledge also decides between rows that the fields before it leave equal: of two
// writers who know different things, neither is the last, and whoever knows both counts more. A residual refund has its own
// middle part: see pushResidual.
type Version struct{ hi, lo uint64 }

// push appends a field of the given width; a value too large for it counts as the largest that fits.
func (v *Version) push(width uint, value uint64) {
	if limit := uint64(1)<<width - 1; value > limit {
		value = limit
	}
	v.hi = v.hi<<width | v.lo>>(64-width)
	v.lo = v.lo<<width | value
}

// Less orders versions.
func (v Version) Less(w Version) bool { return v.hi < w.hi || v.hi == w.hi && v.lo < w.lo }

// Big gives the value for a UInt128 column.
func (v Version) Big() *big.Int {
	b := new(big.Int).SetUint64(v.hi)
	return b.Lsh(b, 64).Or(b, new(big.Int).SetUint64(v.lo))
}

// VersionOf reads a UInt128 column's value.
func VersionOf(b *big.Int) Version {
	var hi big.Int
	hi.Rsh(b, 64)
	return Version{hi: hi.Uint64(), lo: new(big.Int).And(b, new(big.Int).SetUint64(^uint64(0))).Uint64()}
}

// bits gives the field of a width that ends offset bits above the last.
func (v Version) bits(offset, width uint) uint64 {
	hi, lo := v.hi, v.lo
	if offset >= 64 {
		hi, lo, offset = 0, v.hi, offset-64
	}
	return (lo>>offset | hi<<(64-offset)) & (1<<width - 1)
}

// Learned names what was known more when a greater version of a row was written.
type Learned string

// What raises a version, by the fields above.
const (
	LearnedSuperseded Learned = "superseded"       // the movement is booked elsewhere
	LearnedCertainty  Learned = "certainty"        // it is a movement of its own
	LearnedSource     Learned = "richer_source"    // an object that tells more of the movement
	LearnedEvent      Learned = "earlier_event"    // an earlier event of the same object
	LearnedDelivery   Learned = "earlier_delivery" // an earlier delivery of the same event
	LearnedRefunds    Learned = "refunds"          // of a residual: more of what a charge gave back
	LearnedMore       Learned = "more_names"       // a name, click or fact that did not change the fields before it
	LearnedEarlier    Learned = "earlier_report"   // of one of them
	LearnedRate       Learned = "better_rate"
	LearnedNothing    Learned = "" // the versions are equal
)

// Since tells what whoever wrote v knew more than whoever wrote before: the first field that differs. residual: the entry is a
// charge's residual refund.
func (v Version) Since(before Version, residual bool) Learned {
	fields := []struct {
		offset, width uint
		learned       Learned
	}{
		{126, 2, LearnedCertainty}, {123, 3, LearnedSource}, {91, 32, LearnedEvent}, {59, 32, LearnedDelivery},
		{47, 12, LearnedMore}, {2, 45, LearnedEarlier}, {0, 2, LearnedRate},
	}
	for _, f := range fields {
		if v.bits(f.offset, f.width) == before.bits(f.offset, f.width) {
			continue
		}
		switch {
		case f.offset == 126 && v.bits(126, 2) == classSuperseded:
			return LearnedSuperseded
		case residual && f.offset >= 59 && f.offset < 126:
			return LearnedRefunds
		}
		return f.learned
	}
	return LearnedNothing
}

const (
	classHeld       = 0
	classBooked     = 1
	classSuperseded = 3 // 2 is kept for manual corrections
)

func (v *Version) pushFact(class, rank uint64, created, received time.Time) {
	v.push(2, class)
	v.push(3, rank)
	v.push(32, join.Inverse(32, created.Unix()))
	v.push(32, join.Inverse(32, received.UnixMilli()-created.UnixMilli()))
}

func (v *Version) pushCredit(knowledge int, earliness, finality uint64) {
	v.push(12, uint64(knowledge))
	v.push(45, earliness>>9)
	v.push(2, finality)
}

// pushResidual replaces the fact's fields by what is known of the charge: its cumulative refunded amount plus the sum of the
// refunds known one by one and of those that failed, minor units. Each only grows, so their sum is greatest for whoever has
// seen all of them.
func (v *Version) pushResidual(known int64, created, received time.Time) {
	v.push(2, classBooked)
	v.push(41, uint64(known))                                                  // twice the largest amount that Stripe takes, 12 digits in IDR
	v.push(26, join.Inverse(26, (received.UnixMilli()-created.UnixMilli())/8)) // six days, twice Stripe's patience
}
