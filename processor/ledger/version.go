package ledger

import (
	"math/big"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/sql"
)

// Version orders the rows of one entry; ReplacingMergeTree keeps the greatest. Most significant
// first:
//
//	bits  what                       raised by learning
//	2     class                      that the entry is booked elsewhere; a correction by hand
//	1     crowded                    that more payments lie near each other than are compared (see nearBy)
//	23    extent, count              any fact, name or click that bears on the entry
//	62    extent, earliness          an earlier report of one of them
//	6     the rules by which it was booked (sql.LedgerRules)
//	32    revision of the rate       that a rate is corrected or comes late (fx.Rate.RevisedAt), in seconds
//	2     finality of the rate       a rate at all, then the final one, then Stripe's own
//
// The extent is a strict measure of everything that the row is computed from: a set of facts, names
// and clicks that only grows, each with the time of its earliest report, which only falls. Whoever
// has seen more writes the greater version, and whoever has seen everything writes the greatest,
// whatever a row's content does meanwhile. So content may be any function of the set, also one that
// takes back what it assumed.
//
// Equal versions mean equal rows, with one exception that does not last. Two processors ask two
// replicas that lag, or two batches ask one server while a third inserts; each misses one fact that
// the other sees, and the two facts came in the same millisecond, as those of one event do: two sets
// of one size and age, and two rows. Neither set is everything, and whoever sees both facts (the batch
// that inserts them, recompute's second look) writes a greater version than both.
//
// The rules decide between two versions of this program that know the same: what one of before an
// upgrade writes when it wakes from a pause does not replace what the newer one has booked.
//
// A row that bears on names of which edges were cut (identity.Cut) is computed from a choice among
// them, which moves when there are more. How many there are comes before the count of what was
// chosen, and lifts such a row above all others:
//
//	bits  what
//	2, 1  class, crowded, as above
//	1     1: edges were cut
//	22    how many edges the names have of which some were cut
//	18    extent, count
//	60    extent, earliness
//	6     rules
//	16    revision of the rate, in days: no two revisions have the same (processor/fx)
//	2     finality of the rate
type Version struct{ hi, lo uint64 }

// extent measures how much is known.
type extent struct{ count, earliness, beyond uint64 }

// add counts one fact, name or click, by the time of its earliest report.
func (x *extent) add(at time.Time) {
	x.count++
	x.earliness += join.Inverse(42, at.UnixMilli()) // until the year 2109
}

// names counts all names that lead on from those of the groups, and all clicks that they lead to,
// each once. What a walk reaches in a graph that only grows is a set that only grows.
func (x *extent) names(k *Evidence, groups [][]identity.Node) {
	size := 0
	for _, nodes := range groups {
		size += 4 * len(nodes)
	}
	seen, queue := make(map[identity.Node]bool, size), make([]identity.Node, 0, size)
	visit := func(n identity.Node) {
		if !seen[n] {
			seen[n] = true
			queue = append(queue, n)
		}
	}
	for _, nodes := range groups {
		for _, n := range nodes {
			visit(n)
		}
	}
	for i := 0; i < len(queue); i++ {
		n := queue[i]
		x.beyond += k.Graph.Beyond(n)
		for _, e := range k.Graph.From(n) {
			x.add(e.At)
			visit(e.B)
		}
		switch typ, value := n.Split(); typ {
		case identity.Reference:
			visit(identity.New(identity.Affiliate, value)) // the catalogue may know a bare reference
		case identity.Click:
			if c := k.Clicks[n]; c != nil {
				x.click(k, c)
			}
		}
	}
}

// mostListed is how many entries of a catalogue raise the count by one click. More of them raise
// the earliness alone.
const mostListed = 7

// click counts a click, and what the catalogue says about it. A backend may say later what a click
// is that the public made up: its click takes the other's place, names another affiliate, and so
// may have fewer entries of a catalogue. It counts for more than all of them.
func (x *extent) click(k *Evidence, c *join.Click) {
	x.add(c.ReceivedAt)
	before := x.count
	if name, ok := c.CatalogueName(); ok {
		x.catalogue(k, name)
	}
	x.count = min(x.count, before+mostListed)
	if c.Vouched {
		x.count += mostListed + 1
	}
}

// catalogue counts what the operator's catalogue says about the affiliate or the link of a click.
// Other edges of the affiliate are not counted: nothing is computed from them, and whether they
// were looked up depends on the other sales that are booked with this one.
func (x *extent) catalogue(k *Evidence, name identity.Node) {
	for _, e := range k.Graph.From(name) {
		if e.OfCatalogue() {
			x.add(e.At)
			if e.B.Type() == identity.Affiliate {
				x.catalogue(k, e.B)
			}
		}
	}
}

const (
	classBooked     = 1
	classSuperseded = 3 // 2 is kept for corrections by hand
)

// rateRank orders what a row can be converted by, one field after the other.
type rateRank struct {
	revised  int64 // Unix time in seconds, 0: never
	finality uint64
}

// newVersion makes the version of a row that is converted as convert says.
func newVersion(class uint64, crowded bool, x extent, rate rateRank) Version {
	var v Version
	v.push(2, class)
	if crowded {
		v.push(1, 1)
	} else {
		v.push(1, 0)
	}
	if x.beyond > 0 {
		v.push(1, 1)
		v.push(22, x.beyond)
		v.push(18, x.count)
		v.push(60, x.earliness)
		v.push(6, sql.LedgerRules)
		v.push(16, uint64(rate.revised/86400))
	} else {
		v.push(23, min(x.count, 1<<22-1))
		v.push(62, x.earliness)
		v.push(6, sql.LedgerRules)
		v.push(32, uint64(rate.revised))
	}
	v.push(2, rate.finality)
	return v
}

// push appends a field of the given width; a value too large for it counts as the largest that
// fits.
func (v *Version) push(width uint, value uint64) {
	if limit := uint64(1)<<width - 1; value > limit {
		value = limit
	}
	v.hi = v.hi<<width | v.lo>>(64-width)
	v.lo = v.lo<<width | value
}

// Less orders versions.
func (v Version) Less(w Version) bool { return v.hi < w.hi || v.hi == w.hi && v.lo < w.lo }

// Big returns the value for a UInt128 column.
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

// bits returns the field of a width that ends offset bits above the last.
func (v Version) bits(offset, width uint) uint64 {
	hi, lo := v.hi, v.lo
	if offset >= 64 {
		hi, lo, offset = 0, v.hi, offset-64
	}
	return (lo>>offset | hi<<(64-offset)) & (1<<width - 1)
}

// Revised returns the Unix time in seconds up to which revisions of the row's rate are in the row.
func (v Version) Revised() int64 {
	if v.Cut() {
		return int64(v.bits(2, 16))*86400 + 86399
	}
	return int64(v.bits(2, 32))
}

// Crowded reports whether the row was computed without a look at what lies near it, because that is
// too much.
func (v Version) Crowded() bool { return v.bits(125, 1) == 1 }

// Cut reports whether the row bears on names that have more edges than are looked at.
func (v Version) Cut() bool { return v.bits(124, 1) == 1 }

// Learned names what was known more when a greater version of a row was written.
type Learned string

// What raises a version, by the fields above.
const (
	LearnedSuperseded Learned = "superseded"       // the movement is booked elsewhere
	LearnedByHand     Learned = "by_hand"          // somebody corrected it
	LearnedCrowded    Learned = "crowded"          // too many payments lie near each other to compare them
	LearnedMore       Learned = "more_names"       // one more fact, name or click
	LearnedEarlier    Learned = "earlier_delivery" // an earlier report of one of them
	LearnedRules      Learned = "newer_rules"      // a later version of this program wrote it
	LearnedRate       Learned = "better_rate"
	LearnedNothing    Learned = "" // the versions are equal
)

// field is a part of a version: how far above the last bit it ends, and its bits.
type field struct {
	offset, width uint
	learned       Learned
}

// The fields below the class, of a row that is computed from everything and of one that is not.
var (
	whole = []field{
		{125, 1, LearnedCrowded}, {102, 23, LearnedMore}, {40, 62, LearnedEarlier}, {34, 6, LearnedRules},
		{0, 34, LearnedRate},
	}
	cut = []field{
		{125, 1, LearnedCrowded}, {84, 41, LearnedMore}, {24, 60, LearnedEarlier}, {18, 6, LearnedRules},
		{0, 18, LearnedRate},
	}
)

// Since returns what whoever wrote v knew more than whoever wrote before: the first field that
// differs.
func (v Version) Since(before Version) Learned {
	fields := whole
	if v.Cut() {
		fields = cut
	}
	for _, f := range fields {
		switch class := v.bits(126, 2); {
		case class == before.bits(126, 2):
		case class == classSuperseded:
			return LearnedSuperseded
		default:
			return LearnedByHand
		}
		if v.bits(f.offset, f.width) != before.bits(f.offset, f.width) {
			return f.learned
		}
	}
	return LearnedNothing
}
