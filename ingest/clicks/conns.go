package clicks

import (
	"math"
	"math/rand/v2"
	"net"
	"net/netip"
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
// such limits, but the first counts IPv4 only and would count a proxy as one visitor, and the
// second refuses whoever comes next, so that a crowd of idle connections would keep everybody out.
type guard struct {
	net.Listener
	s        *Server
	accepted atomic.Uint64 // connections so far: the clock of guarded.seen

	mu    sync.Mutex
	conns map[netip.Prefix]int
	open  []*guarded
}

func (g *guard) Accept() (net.Conn, error) {
	for {
		c, err := g.Listener.Accept()
		if err != nil {
			return nil, err
		}
		addr := addressOf(c.RemoteAddr())
		if !addr.IsValid() || g.s.isProxy(addr) {
			return c, nil
		}
		taken, stalest := g.admit(c, network(addr))
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

// admit takes c in, or returns nil if its sender has too many connections. stalest is the
// connection that has to give way to c, if any.
func (g *guard) admit(c net.Conn, sender netip.Prefix) (taken, stalest *guarded) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if limit := g.s.cfg.MaxConnsPerIP; limit > 0 && g.conns[sender] >= limit {
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
// sent there has what they wanted. Only at the limit it may be one without an answer. The
// connection that waits longest is looked for in a sample: among 16 of thousands there is hardly
// ever none that has waited long, and nothing has to be kept in order with each answer. g.mu is
// held.
func (g *guard) stalest() (c *guarded) {
	const sample = 16
	limit, least := g.s.cfg.MaxConns, uint64(math.MaxUint64)
	if limit == 0 || len(g.open) < (limit+2)/3 {
		return nil
	}
	for i := range min(sample, len(g.open)) {
		if len(g.open) > sample {
			i = rand.IntN(len(g.open))
		}
		if seen := g.open[i].seen.Load(); seen < least {
			c, least = g.open[i], seen
		}
	}
	if least >= unanswered && len(g.open) < limit {
		return nil
	}
	return c
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

	// seen is how many connections had been accepted with the last answer on this one, or, with the
	// bit unanswered, when it was accepted itself.
	seen atomic.Uint64
}

const unanswered = 1 << 63

// answered says that a request has been answered.
func (c *guarded) answered() { c.seen.Store(c.guard.accepted.Load()) }

func (c *guarded) Close() error {
	c.guard.leave(c)
	return c.Conn.Close()
}
