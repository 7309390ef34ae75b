package clicks

import (
	"cmp"
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
	"slices"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// listener can be closed without losing a connection.
type listener struct {
	net.Listener
	closed atomic.Bool
}

// backlogTime is how long a stop goes on accepting the connections that wait in the kernel's queue.
const backlogTime = 50 * time.Millisecond

// end closes the listener after everything has been accepted. Close alone resets the connections
// that the kernel has taken already: their clients may have sent a request by then. With a backlog
// of none (listen(2), which may be called again) the kernel takes hardly one more.
func (l *listener) end() {
	if c, ok := l.Listener.(syscall.Conn); ok {
		if raw, err := c.SyscallConn(); err == nil {
			_ = raw.Control(func(fd uintptr) { _ = syscall.Listen(int(fd), 0) })
			time.Sleep(backlogTime)
		}
	}
	_ = l.Close()
}

// Close may be called again.
func (l *listener) Close() error {
	if l.closed.Swap(true) {
		return nil
	}
	return l.Listener.Close()
}

// guard is a listener that bounds the connections of each address and of all together. fasthttp has
// both limits. The first counts IPv4 only, and would count a proxy as one visitor. The second
// refuses whoever comes next, so that many idle connections would keep everybody out.
type guard struct {
	net.Listener
	s        *Server
	accepted atomic.Uint64 // connections so far: the clock of guarded.seen
	least    int           // how many connections stay open however scarce memory is

	mu    sync.Mutex
	conns map[netip.Prefix]int
	open  []*guarded

	// mark is what accepted was at the time marked, and settled what it was at least settling before
	// that: connections seen before settled wait for that long.
	marked        time.Time
	mark, settled uint64
	scarce        bool // memory, after the last collection of garbage
}

func (g *guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr, sender := addressOf(c.RemoteAddr()), netip.Prefix{}
		switch {
		case addr.IsValid() && !g.s.isProxy(addr):
			sender = network(addr)
		case !addr.IsValid() || !g.s.cfg.ProxyProtocol: // or whose visitor is not known yet
			return c, nil
		}
		taken, stalest := g.admit(c, sender)
		if stalest != nil {
			g.s.metrics.connsDropped.Inc()
			_ = stalest.Close()
		}
		if taken != nil {
			return taken, nil
		}
		g.s.metrics.connsRefused.Inc()
		_ = c.Close()
	}
}

// admit takes c in, or returns nil if its sender has too many connections, which somebody without
// an address cannot have. stalest is the connection that has to give way to c, if any.
func (g *guard) admit(c net.Conn, sender netip.Prefix) (taken, stalest *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if limit := g.s.cfg.MaxConnsPerIP; limit > 0 && sender.IsValid() && g.conns[sender] >= limit {
		return nil, nil
	}
	stalest = g.stalest()
	taken = &guarded{Conn: c, guard: g, sender: sender, place: len(g.open)}
	taken.seen.Store(unanswered | g.accepted.Add(1))
	g.conns[sender]++
	g.open = append(g.open, taken)
	return taken, stalest
}

// stalest returns the connection that gives way to one more, or nil if there is room for it. With a
// third of the limit open it is one that has been answered and waits for another request: whoever
// sent there has what they wanted. Only at the limit it may be one without an answer, and one with
// a request under way if there is no other. The connection that waits longest is looked for in a
// sample: among 16 of thousands there is hardly ever none that has waited long, and nothing has to
// be kept in order with each answer. g.mu is held.
//
// While memory is scarce, it is in any case the one that waits longest, answered or not.
func (g *guard) stalest() (c *guarded) {
	const sample = 16
	limit := g.s.cfg.MaxConns
	scarce := g.scarce && len(g.open) >= g.least
	if limit == 0 || !scarce && len(g.open) < (limit+2)/3 {
		return nil
	}
	least, ignored := uint64(unanswered), uint64(0)
	if scarce {
		least, ignored = busy, unanswered
	}
	if len(g.open) >= limit {
		least = math.MaxUint64
	}
	for i := range min(sample, len(g.open)) {
		if len(g.open) > sample {
			i = rand.IntN(len(g.open))
		}
		if seen := g.open[i].seen.Load() &^ ignored; seen < least {
			c, least = g.open[i], seen
		}
	}
	return c
}

// settling is how long at least a connection stays open after its last answer, or after it was
// accepted, when memory is scarce: the next request may be on its way.
const settling = 500 * time.Millisecond

// alwaysOpen is how many connections stay open when memory is scarce. One holds some 150 KB at
// most, with its garbage, and these 38 MB. What is too much then is not theirs, and visitors would
// be lost for nothing.
const alwaysOpen = 256

// shrink closes a share of all connections, from 0 to 1: those without a whole request, and of
// them those first whose last answer is longest ago, or which have none for the longest time. It is
// called after each collection of garbage with what lives too much. From a quarter on, new
// connections do not stay open for settling.
func (g *guard) shrink(share float64) {
	g.mu.Lock()
	g.scarce = share > 0
	if now := time.Now(); now.Sub(g.marked) >= settling {
		g.marked, g.settled, g.mark = now, g.mark, g.accepted.Add(1)
	}
	type waiting struct {
		c   *guarded
		age uint64
	}
	var stale []waiting
	n := max(0, min(int(math.Ceil(share*float64(len(g.open)))), len(g.open)-g.least))
	for i := 0; n > 0 && i < len(g.open); i++ {
		seen := g.open[i].seen.Load()
		age := seen &^ unanswered
		if seen < busy && (age < g.settled || seen >= unanswered && share >= 0.25) {
			stale = append(stale, waiting{g.open[i], age})
		}
	}
	g.mu.Unlock()
	slices.SortFunc(stale, func(a, b waiting) int { return cmp.Compare(a.age, b.age) })
	for _, w := range stale[:min(n, len(stale))] {
		if w.c.seen.Load() < busy {
			g.s.metrics.connsDropped.Inc()
			_ = w.c.Close()
		}
	}
}

// leave takes c out, if it is still in.
func (g *guard) leave(c *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if c.place < 0 {
		return
	}
	last := g.open[len(g.open)-1]
	g.open[c.place], last.place = last, c.place
	g.open[len(g.open)-1] = nil
	g.open = g.open[:len(g.open)-1]
	c.place = -1
	if g.conns[c.sender]--; g.conns[c.sender] <= 0 {
		delete(g.conns, c.sender)
	}
}

// guarded is a connection that guard counts.
type guarded struct {
	net.Conn
	guard  *guard
	sender netip.Prefix
	place  int // in guard.open, -1 when it has left; guarded by guard.mu

	// seen is how many connections had been accepted at the last answer on this one. With the bit
	// unanswered there is no answer to count from: it is from when this one was accepted, or from when
	// a request began whose body is still to come. The bit busy says that a whole request is under
	// way.
	seen atomic.Uint64
}

const (
	unanswered = 1 << 62
	busy       = 1 << 63
)

// asked says that a request has arrived.
func (c *guarded) asked() { c.seen.Store(c.seen.Load() | busy) }

// receives says that the rest of a request's body is waited for: its sender may keep it back.
func (c *guarded) receives() { c.seen.Store(unanswered | c.guard.accepted.Load()) }

// answered says that a request has been answered.
func (c *guarded) answered() { c.seen.Store(c.guard.accepted.Load()) }

func (c *guarded) Close() error {
	c.guard.leave(c)
	return c.Conn.Close()
}
