package simulation

import (
	"context"
	"errors"
	"net"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
)

// wire is a processor's network card: it can be unplugged for a while, and everything that passes
// waits while the processor is paused.
type wire struct {
	network *kfake.VirtualNetwork
	life    *lifetime

	mu           sync.Mutex
	conns        map[*conn]bool
	offlineUntil time.Time // no connection until then
}

var errUnplugged = errors.New("no route to host")

func (w *wire) dial(ctx context.Context, network, address string) (net.Conn, error) {
	time.Sleep(time.Millisecond) // a handshake; a consumer knows its client by then
	if err := w.life.wait(); err != nil {
		return nil, err
	}
	w.mu.Lock()
	offline := time.Now().Before(w.offlineUntil)
	w.mu.Unlock()
	if offline {
		return nil, errUnplugged
	}
	c, err := w.network.DialContext(ctx, network, address)
	if err != nil {
		return nil, err
	}
	mine := &conn{Conn: c, wire: w}
	w.mu.Lock()
	defer w.mu.Unlock()
	w.conns[mine] = true
	return mine, nil
}

// cut closes every connection, with whatever is on its way, and lets no new one through for a
// while.
func (w *wire) cut(offline time.Duration) {
	w.mu.Lock()
	if until := time.Now().Add(offline); until.After(w.offlineUntil) {
		w.offlineUntil = until
	}
	var open []*conn
	for c := range w.conns {
		open = append(open, c)
	}
	w.mu.Unlock()
	for _, c := range open {
		c.Close()
	}
}

type conn struct {
	net.Conn
	wire *wire
}

func (c *conn) Read(b []byte) (int, error) {
	n, err := c.Conn.Read(b)
	if dead := c.wire.life.wait(); dead != nil {
		return 0, dead
	}
	return n, err
}

// Write takes time. kgo asks again at once for a partition whose leader's epoch it does not know
// yet, until it may renew its metadata: over a way that takes no time that moment would never come.
func (c *conn) Write(b []byte) (int, error) {
	time.Sleep(time.Millisecond)
	if err := c.wire.life.wait(); err != nil {
		return 0, err
	}
	return c.Conn.Write(b)
}

func (c *conn) Close() error {
	c.wire.mu.Lock()
	delete(c.wire.conns, c)
	c.wire.mu.Unlock()
	return c.Conn.Close()
}

// lifetime of one processor: it may be paused, and ends by being killed.
type lifetime struct {
	dead chan struct{}

	mu     sync.Mutex
	killed bool
	paused time.Time // until then
}

var errKilled = errors.New("the processor was killed")

// wait passes at once, or when a pause is over, or says that the processor is no more.
func (l *lifetime) wait() error {
	for {
		l.mu.Lock()
		rest := time.Until(l.paused)
		l.mu.Unlock()
		select {
		case <-l.dead:
			return errKilled
		default:
		}
		if rest <= 0 {
			return nil
		}
		if err := l.sleep(rest); err != nil {
			return err
		}
	}
}

// sleep is over early when the processor is killed.
func (l *lifetime) sleep(d time.Duration) error {
	if d <= 0 {
		return nil
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-l.dead:
		return errKilled
	case <-timer.C:
		return nil
	}
}

func (l *lifetime) pause(d time.Duration) {
	l.mu.Lock()
	defer l.mu.Unlock()
	if until := time.Now().Add(d); until.After(l.paused) {
		l.paused = until
	}
}

// kill reports whether the processor was alive.
func (l *lifetime) kill() bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	if l.killed {
		return false
	}
	l.killed = true
	close(l.dead)
	return true
}
