package stripe

import (
	"bytes"
	"container/list"
	"context"
	"net"
	"net/http"
	"sync"
)

// listener accepts connections of which at most limit have not yet shown a good signature. Whoever
// comes when there are as many takes the place of the oldest one: Stripe sends an event at once, so
// connections that grow old are those of somebody who holds them to keep Stripe out. If newcomers
// waited, each event would wait for the timeouts of those.
type listener struct {
	net.Listener
	limit   int
	dropped func() // is called for each connection that gives way

	mu       sync.Mutex
	unproven list.List // of *conn, the oldest first
}

func (l *listener) Accept() (net.Conn, error) {
	accepted, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	c := &conn{Conn: accepted, listener: l}
	var oldest *conn
	l.mu.Lock()
	if l.unproven.Len() >= l.limit {
		oldest = l.unproven.Front().Value.(*conn)
		l.forget(oldest)
	}
	c.place = l.unproven.PushBack(c)
	l.mu.Unlock()
	if oldest != nil {
		_ = oldest.Conn.Close()
		l.dropped()
	}
	return c, nil
}

// makeRoom closes the oldest unproven connections that hold n bytes together, but not c, and
// reports whether there are such: who sends large bodies slowly keeps no event out either.
func (l *listener) makeRoom(c *conn, n int64) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	var oldest []*conn
	for e := l.unproven.Front(); e != nil && n > 0; e = e.Next() {
		if other := e.Value.(*conn); other != c && other.held > 0 {
			oldest, n = append(oldest, other), n-other.held
		}
	}
	if n > 0 {
		return false
	}
	for _, other := range oldest {
		l.forget(other)
		_ = other.Conn.Close() // the reader of its body gives the bytes back
		l.dropped()
	}
	return true
}

// forget takes c out of unproven. l.mu is held.
func (l *listener) forget(c *conn) {
	if c.place != nil {
		l.unproven.Remove(c.place)
		c.place = nil
	}
}

// conn also remembers whether a Content-Length was read: net/http lets Transfer-Encoding win over
// it and removes it before a handler sees it (RFC 9112 §11.2). It is read by one goroutine at a
// time, net/http's.
type conn struct {
	net.Conn
	listener *listener
	place    *list.Element // in listener.unproven, nil outside; guarded by its mutex
	held     int64         // bytes of Webhook.unverified; guarded by listener.mu

	length bool     // a line began with Content-Length
	line   [15]byte // the beginning of the present line
	n      int      // how much of it
}

// hold says that c has taken n bytes more of Webhook.unverified.
func (c *conn) hold(n int64) {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.held += n
}

// proven says that Stripe sends on c: it gives way to nobody any more.
func (c *conn) proven() {
	c.listener.mu.Lock()
	defer c.listener.mu.Unlock()
	c.listener.forget(c)
}

func (c *conn) Close() error {
	c.proven()
	return c.Conn.Close()
}

func (c *conn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0 && !c.length; {
		line, ended := rest, false
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			line, ended = rest[:end+1], true
		}
		rest = rest[len(line):]
		if c.n < len(c.line) {
			c.n += copy(c.line[c.n:], line)
			c.length = c.n == len(c.line) && bytes.EqualFold(c.line[:], []byte("Content-Length:"))
		}
		if ended {
			c.n = 0
		}
	}
	return n, err
}

type connKey struct{}

// withConn is the http.Server's ConnContext.
func withConn(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, connKey{}, c)
}

// connOf returns the connection of a request, nil in a test without one.
func connOf(r *http.Request) *conn {
	c, _ := r.Context().Value(connKey{}).(*conn)
	return c
}

// ambiguous reports whether a request with Transfer-Encoding came with a Content-Length as well. A
// line of the body that came with the headers and begins so counts too: Stripe uses no
// Transfer-Encoding.
func ambiguous(r *http.Request) bool {
	c := connOf(r)
	return c != nil && len(r.TransferEncoding) > 0 && c.length
}
