package stripe

import (
	"bytes"
	"context"
	"net"
	"net/http"
)

// net/http lets Transfer-Encoding win over Content-Length and removes the latter before a handler
// sees it (RFC 9112 §11.2). The connection still shows both, so it is watched.

// framingListener gives out connections that remember whether a Content-Length was read.
type framingListener struct{ net.Listener }

func (l framingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framingConn{Conn: c}, nil
}

// framingConn is read by one goroutine at a time: net/http's.
type framingConn struct {
	net.Conn
	length bool     // a line began with Content-Length
	line   [15]byte // the beginning of the present line
	n      int      // how much of it
}

func (c *framingConn) Read(p []byte) (int, error) {
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

type framingKey struct{}

// withFraming is the http.Server's ConnContext.
func withFraming(ctx context.Context, c net.Conn) context.Context {
	return context.WithValue(ctx, framingKey{}, c)
}

// ambiguous reports whether a request with Transfer-Encoding came with a Content-Length as well. A
// line of the body that came with the headers and begins so counts too: Stripe uses no
// Transfer-Encoding.
func ambiguous(r *http.Request) bool {
	c, ok := r.Context().Value(framingKey{}).(*framingConn)
	return ok && len(r.TransferEncoding) > 0 && c.length
}
