package clicks

import (
	"encoding/binary"
	"hash/maphash"
	"math/rand/v2"
	"net/netip"
	"sync/atomic"
	"time"
)

// pace is a rate of events as the generic cell rate algorithm counts it. A cell is a token bucket
// in one number: the time, in nanoseconds since start, at which the bucket will be full again. It
// does not matter whether requests are charged in the order of their times: a cell never goes back.
// A Limiter of golang.org/x/time/rate takes the time of each call for its own, also an earlier one,
// and then counts the time in between twice.
type pace struct {
	start    time.Time
	interval int64 // nanoseconds per event
	burst    int64 // how far ahead of now a cell may be, in nanoseconds
}

// newPace allows perSecond events a second, and ten seconds' worth of them, but at least burst, at
// once.
func newPace(perSecond float64, burst int) pace {
	const slowest = 1e15 // an event in eleven days: a thousand intervals still fit into an int64
	interval := int64(max(1, min(float64(time.Second)/perSecond, slowest)))
	return pace{start: time.Now(), interval: interval, burst: max(interval*int64(burst), int64(10*time.Second))}
}

// since returns now as cells count it, by the monotonic clock, which never jumps.
func (p *pace) since(now time.Time) int64 { return max(0, int64(now.Sub(p.start))) }

// charge returns what a cell will be after n events at the given time, and how long they have to
// wait for that.
func (p *pace) charge(cell, at int64, n int) (full int64, wait time.Duration) {
	full = max(at, cell) + int64(n)*p.interval
	return full, time.Duration(max(0, full-at-p.burst))
}

// workspaceRate limits the events of a workspace, however it is found; nil allows everything.
type workspaceRate struct {
	pace
	cell   atomic.Int64
	number uint64 // tells it from those of other workspaces
}

// newWorkspaceRate lets one full batch through at once, and what a proxy held back for ten seconds.
// It returns nil if perSecond is 0.
func newWorkspaceRate(perSecond float64) *workspaceRate {
	if perSecond <= 0 {
		return nil
	}
	return &workspaceRate{pace: newPace(perSecond, 1000), number: rand.Uint64()}
}

// take charges n events, or returns how long to wait before they may be sent.
func (r *workspaceRate) take(now time.Time, n int) (time.Duration, bool) {
	if r == nil {
		return 0, true
	}
	for {
		cell := r.cell.Load()
		full, wait := r.charge(cell, r.since(now), n)
		if wait > 0 {
			return wait, false
		}
		if r.cell.CompareAndSwap(cell, full) {
			return 0, true
		}
	}
}

// giveBack takes back the charge of n events.
func (r *workspaceRate) giveBack(n int) { r.cell.Add(-int64(n) * r.interval) }

// has reports whether a single event may be sent now.
func (r *workspaceRate) has(now time.Time) bool {
	if r == nil {
		return true
	}
	_, wait := r.charge(r.cell.Load(), r.since(now), 1)
	return wait == 0
}

// parts is what one address may send of a workspace's events when these become few: a sixteenth.
const parts = 16

// takePart charges n events of one address, which take has let through, while less than half of
// what the workspace may send at once is left. Who has sent more than a part of it in that time has
// to wait, also with a whole batch behind it. Else somebody with the key of a page could keep the
// clicks of all its visitors from being counted. It takes the events back if they have to wait.
func (r *workspaceRate) takePart(shares *addressRates, addr netip.Addr, now time.Time, n int) (time.Duration, bool) {
	// A private address is a proxy's that nobody has configured: all its visitors are behind it.
	if r == nil || shares == nil || !isLimited(addr) || addr.IsPrivate() {
		return 0, true
	}
	few := r.cell.Load() - r.since(now) - r.burst/2 // for how long less than half is left
	if few <= 0 {
		return 0, true
	}
	var key [24]byte
	address := network(addr).Addr().As16()
	binary.LittleEndian.PutUint64(key[copy(key[:], address[:]):], r.number)
	cost := int64(n) * min(r.interval, int64(time.Hour)) * parts // of batches, too, an int64
	wait := shares.add(maphash.Bytes(shares.seed, key[:]), shares.since(now), cost, r.burst/parts+cost)
	if wait > 0 {
		r.giveBack(n)
	}
	return min(wait, time.Duration(few)), wait == 0
}

// addressRates limits the events of every address, however many addresses there are: its memory is
// fixed. Each address has a cell in each of two rows, and shares it with whoever hashes to the same
// one. What it may send is decided by the emptier cell, so that somebody is limited for another's
// events only if both cells are shared with busy senders (a count-min sketch with conservative
// update). The hash is seeded at random: nobody can choose whose cell to fill.
type addressRates struct {
	pace
	rows [2][rateCells]atomic.Int64
	seed maphash.Seed
}

// rateCells is the length of a row: with two rows of eight bytes a cell, 1 MiB. A million addresses
// that send one event a second each put 15 events a second into a cell, which is far below any
// sensible limit.
const rateCells = 1 << 16

// newAddressRates allows perSecond events a second, and ten seconds' worth of them, or one full
// batch, at once. It returns nil, which allows everything, if perSecond is 0.
func newAddressRates(perSecond float64, batch int) *addressRates {
	if perSecond <= 0 {
		return nil
	}
	return &addressRates{pace: newPace(perSecond, batch), seed: maphash.MakeSeed()}
}

// network is what counts as one sender: an IPv4 address, or the /64 of an IPv6 address, since
// whoever has one of its addresses has 2^64 of them.
func network(addr netip.Addr) netip.Prefix {
	bits := 32
	if !addr.Is4() {
		bits = 64
	}
	p, _ := addr.Prefix(bits) // bits fit the address
	return p
}

// take charges n events to addr, or returns how long to wait before they may be sent. Events of an
// address that is not known, and of this machine itself (a proxy in front of the edge that is not
// configured as one, or a test), are not limited.
func (r *addressRates) take(addr netip.Addr, now time.Time, n int) (time.Duration, bool) {
	if r == nil || !isLimited(addr) {
		return 0, true
	}
	bytes := network(addr).Addr().As16()
	wait := r.add(maphash.Bytes(r.seed, bytes[:]), r.since(now), int64(n)*r.interval, r.burst)
	return wait, wait == 0
}

// isLimited reports whether the events of an address count as those of one sender.
func isLimited(addr netip.Addr) bool { return addr.IsValid() && !addr.IsLoopback() }

// add charges cost, in nanoseconds, to the cells of hash, unless they would be more than burst ahead
// of at; then it returns how long to wait.
func (r *addressRates) add(hash uint64, at, cost, burst int64) time.Duration {
	a, b := &r.rows[0][uint32(hash)%rateCells], &r.rows[1][uint32(hash>>32)%rateCells]
	for {
		emptier, fuller := a, b
		least := emptier.Load()
		if other := fuller.Load(); other < least {
			emptier, fuller, least = b, a, other
		}
		full := max(at, least) + cost
		if wait := full - at - burst; wait > 0 {
			return time.Duration(wait)
		}
		// Two requests of one address that come at the same time have read the same cell; the second
		// one finds it changed and tries again. Only if it reads both cells between the two writes of
		// the first one does it find the other cell still empty, and both are charged as one. A limit
		// that is off by such a pair is still a limit.
		if emptier.CompareAndSwap(least, full) {
			raise(fuller, full)
			return 0
		}
	}
}

// raise sets c to at least value.
func raise(c *atomic.Int64, value int64) {
	for {
		old := c.Load()
		if old >= value || c.CompareAndSwap(old, value) {
			return
		}
	}
}
