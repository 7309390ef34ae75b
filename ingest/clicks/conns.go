package clicks

import (
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

// backlogTime is how long connections that the kernel has taken and nobody has accepted have to be
// accepted.
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

// guard is a listener that closes connections at once when their address has too many. fasthttp has
// such a limit, but it counts IPv4 only and would count a proxy as one visitor.
type guard struct {
	net.Listener
	s *Server

	mu    sync.Mutex
	conns map[netip.Prefix]int
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
		sender := network(addr)
		g.mu.Lock()
		full := g.conns[sender] >= g.s.cfg.MaxConnsPerIP
		if !full {
			g.conns[sender]++
		}
		g.mu.Unlock()
		if full {
			g.s.metrics.connsRefused.Inc()
			_ = c.Close()
			continue
		}
		return &guarded{Conn: c, leave: sync.OnceFunc(func() { g.leave(sender) })}, nil
	}
}

func (g *guard) leave(sender netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns[sender]--; g.conns[sender] <= 0 {
		delete(g.conns, sender)
	}
}

type guarded struct {
	net.Conn
	leave func()
}

func (c *guarded) Close() error {
	c.leave()
	return c.Conn.Close()
}
