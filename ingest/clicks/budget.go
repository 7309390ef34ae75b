package clicks

import (
	"net/netip"
	"slices"
	"sync"
	"time"
)

// patience is how long a request waits for memory before it is refused.
const patience = time.Second

// memory is what the large bodies of one kind of sender share. Bytes for bodies and bytes for the
// records made of them are counted apart: whoever holds bytes for records waits for nobody, so
// requests that wait for each other cannot all come to a stop.
type memory struct{ bodies, records *budget }

// newMemory allows cfg.BodyMemory for bodies and again for records. One sender alone has a quarter of
// it for bodies, or half of it where senders are trusted, and half of it for records, which Kafka
// ends and no sender can keep.
func newMemory(cfg *Config, trusted bool) memory {
	others := 3
	if trusted {
		others = 1
	}
	largest := cfg.MaxBodyBytes + cfg.MaxBatch*(maxAgent+recordCost)
	return memory{newBudget(cfg.BodyMemory, cfg.MaxBodyBytes, others),
		newBudget(cfg.BodyMemory, min(largest, cfg.BodyMemory/2), 1)}
}

// owner is who bytes are counted for: a visitor's address, or a backend's workspace.
type owner struct {
	network   netip.Prefix
	workspace *Workspace
}

// budget is a number of bytes that requests share. A request takes more as more of it arrives.
//
// For each byte that an owner takes, others bytes must be left: one alone has a quarter if others is
// 3, and the next one a quarter of what is left. Nobody can take what all others need by being
// first.
//
// Requests that each hold a part and wait for the rest could all wait for each other. So one that
// would have to wait may go ahead of all: it is counted apart, in the bytes of one largest request,
// and does not wait for anybody's.
type budget struct {
	largest int64 // bytes that one request may take
	others  int64 // bytes that are free for each one that an owner holds

	mu     sync.Mutex
	free   int64
	ahead  *hold            // the request that goes ahead of all, nil for none
	shares map[owner]*share // of those who hold something or wait
	unused []*share         // memory for shares to come
	turns  []*share         // those with requests that wait, the one whose turn it is first
}

// share is what one owner has of a budget.
type share struct {
	of      owner
	held    int64
	holds   int     // requests that hold something or wait
	waiting []*hold // those who hold something already before those who do not
}

// newBudget allows size bytes, largest of which are for the request that goes ahead; size is at least
// twice that, or is taken for it.
func newBudget(size, largest, others int) *budget {
	return &budget{largest: int64(largest), others: int64(others), free: int64(max(size, 2*largest) - largest),
		shares: make(map[owner]*share)}
}

// hold is what a request has taken of a budget; the zero value has taken nothing.
type hold struct {
	from    *budget
	share   *share
	n       int64 // bytes
	wanted  int64 // bytes beyond n that it waits for
	granted chan struct{}
}

// take waits until h holds n bytes of b, the largest request at most. It reports whether it does.
func (h *hold) take(b *budget, of owner, n int) bool {
	b.mu.Lock()
	if h.from == nil {
		a := b.shares[of]
		if a == nil {
			if n := len(b.unused); n > 0 {
				a, b.unused = b.unused[n-1], b.unused[:n-1]
			} else {
				a = new(share)
			}
			a.of, b.shares[of] = of, a
		}
		a.holds++
		h.from, h.share = b, a
	}
	h.wanted = min(int64(n), b.largest) - h.n
	got := b.give(h)
	if !got {
		h.granted = make(chan struct{})
		b.wait(h)
	}
	b.mu.Unlock()
	return got || h.wait()
}

// give gives h what it wants if it does not have to wait. b.mu is held.
func (b *budget) give(h *hold) bool {
	a := h.share
	first := len(a.waiting) == 0 || a.waiting[0] == h || h.n > 0 && a.waiting[0].n == 0
	switch {
	case h.wanted <= 0 || b.ahead == h:
	case first && (a.held+h.wanted)*b.others <= b.free-h.wanted:
		b.free -= h.wanted
		a.held += h.wanted
	case b.ahead == nil:
		b.ahead = h
		b.free += h.n
		a.held -= h.n
	default:
		return false
	}
	h.n, h.wanted = h.n+max(h.wanted, 0), 0
	return true
}

// wait puts h among those who wait. b.mu is held.
func (b *budget) wait(h *hold) {
	a := h.share
	at := len(a.waiting)
	if h.n > 0 { // what it holds is free the sooner
		if at = slices.IndexFunc(a.waiting, func(w *hold) bool { return w.n == 0 }); at < 0 {
			at = len(a.waiting)
		}
	}
	a.waiting = slices.Insert(a.waiting, at, h)
	if len(a.waiting) == 1 {
		b.turns = append(b.turns, a)
	}
}

// wait waits until h is given what it wants, or for as long as patience lasts.
func (h *hold) wait() bool {
	timer := time.NewTimer(patience)
	defer timer.Stop()
	select {
	case <-h.granted:
		return true
	case <-timer.C:
	}
	b, a := h.from, h.share
	b.mu.Lock()
	defer b.mu.Unlock()
	if h.wanted == 0 { // it was given between the timer and here
		return true
	}
	h.wanted = 0
	a.waiting = slices.DeleteFunc(a.waiting, func(w *hold) bool { return w == h })
	if len(a.waiting) == 0 {
		b.turns = slices.DeleteFunc(b.turns, func(w *share) bool { return w == a })
	}
	b.serve() // those behind it may want less
	return false
}

// release gives back all that h holds.
func (h *hold) release() {
	b, a := h.from, h.share
	if b == nil {
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.ahead == h {
		b.ahead = nil
	} else {
		b.free += h.n
		a.held -= h.n
	}
	if a.holds--; a.holds == 0 {
		delete(b.shares, a.of)
		a.of = owner{}
		b.unused = append(b.unused, a)
	}
	*h = hold{}
	b.serve()
}

// serve gives to those who wait, one request of each owner in turn: the many of one do not delay
// those of others. b.mu is held.
func (b *budget) serve() {
	for i := 0; i < len(b.turns); {
		a := b.turns[i]
		h := a.waiting[0]
		if !b.give(h) {
			i++
			continue
		}
		a.waiting = slices.Delete(a.waiting, 0, 1)
		b.turns = slices.Delete(b.turns, i, i+1)
		if len(a.waiting) > 0 {
			b.turns = append(b.turns, a)
		}
		close(h.granted)
		if h == b.ahead {
			i = 0 // what it held is free
		}
	}
}
