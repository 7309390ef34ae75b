package clicks

import (
	"net"
	"net/netip"
	"sync"
)

// guard is a listener that closes connections at once when their address has too many. fasthttp has such a limit, but it
// counts IPv4 only and would count a proxy as one visitor.
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
		bits := 32
		if !addr.Is4() {
			bits = 64 // whoever has one IPv6 address has 2^64
		}
		network, _ := addr.Prefix(bits) // bits fit the address
		g.mu.Lock()
		full := g.conns[network] >= g.s.cfg.MaxConnsPerIP
		if !full {
			g.conns[network]++
		}
		g.mu.Unlock()
		if full {
			g.s.metrics.connsRefused.Inc()
			_ = c.Close()
			continue
		}
		return &guarded{Conn: c, leave: sync.OnceFunc(func() { g.leave(network) })}, nil
	}
}

func (g *guard) leave(network netip.Prefix) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.conns[network]--; g.conns[network] <= 0 {
		delete(g.conns, network)
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
