package clicks

import (
	"hash/maphash"
	"net/netip"
	"sync/atomic"
	"time"
)

// addressRates limits the events of every address, however many addresses there are: its memory is
// fixed. Each address has a cell in each of two rows, and shares it with whoever hashes to the same
// one. What it may send is decided by the emptier cell, so that somebody is limited for another's
// events only if both cells are shared with busy senders (a count-min sketch with conservative
// update). The hash is seeded at random: nobody can choose whose cell to fill.
//
// A cell is the theoretical arrival time of the generic cell rate algorithm, a token bucket in one
// number: the time, in nanoseconds since start, at which the bucket will be full again.
type addressRates struct {
	rows     [2][rateCells]atomic.Int64
	seed     maphash.Seed
	start    time.Time
	interval int64 // nanoseconds per event
	burst    int64 // how far ahead of now a cell may be, in nanoseconds
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
	r := &addressRates{seed: maphash.MakeSeed(), start: time.Now()}
	r.interval = max(1, int64(float64(time.Second)/perSecond))
	r.burst = r.interval * int64(max(float64(batch), 10*perSecond))
	return r
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
	if r == nil || !addr.IsValid() || addr.IsLoopback() {
		return 0, true
	}
	bytes := network(addr).Addr().As16()
	hash := maphash.Bytes(r.seed, bytes[:])
	a, b := &r.rows[0][uint32(hash)%rateCells], &r.rows[1][uint32(hash>>32)%rateCells]
	at := max(0, int64(now.Sub(r.start))) // by the monotonic clock, which never jumps
	for {
		emptier, fuller := a, b
		least := emptier.Load()
		if other := fuller.Load(); other < least {
			emptier, fuller, least = b, a, other
		}
		full := max(at, least) + int64(n)*r.interval
		if wait := full - at - r.burst; wait > 0 {
			return time.Duration(wait), false
		}
		// Two requests of one address that come at the same time have read the same cell; the second
		// one finds it changed and tries again. Only if it reads both cells between the two writes of
		// the first one does it find the other cell still empty, and both are charged as one. A limit
		// that is off by such a pair is still a limit.
		if emptier.CompareAndSwap(least, full) {
			raise(fuller, full)
			return 0, true
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
