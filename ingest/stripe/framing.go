package stripe

import (
	"bytes"
	"context"
	"net"
	"net/http"
)

// net/http lets Transfer-Encoding win over Content-Length and removes the latter before a handler
// sees it. A proxy in front that decides the other way would be made to pass on a second, hidden
// request (RFC 9112 §11.2). The connection still shows both, so it is watched.

// framingListener gives out connections that remember where a Content-Length was last read.
type framingListener struct{ net.Listener }

func (l framingListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return &framingConn{Conn: c, lengthAt: -1}, nil
}

// framingConn is read by one goroutine at a time: net/http's.
type framingConn struct {
	net.Conn
	read     int64    // bytes so far
	lengthAt int64    // of them, before the end of the last line that began with Content-Length; -1: none
	line     [15]byte // the beginning of the present line
	n        int      // how much of it
}

func (c *framingConn) Read(p []byte) (int, error) {
	n, err := c.Conn.Read(p)
	for rest := p[:n]; len(rest) > 0; {
		line, ended := rest, false
		if end := bytes.IndexByte(rest, '\n'); end >= 0 {
			line, ended = rest[:end+1], true
		}
		rest = rest[len(line):]
		c.read += int64(len(line))
		if c.n < len(c.line) {
			c.n += copy(c.line[c.n:], line)
			if c.n == len(c.line) && bytes.EqualFold(c.line[:], []byte("Content-Length:")) {
				c.lengthAt = c.read
			}
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

// nearby is as far as a request's headers can lie behind what has been read when its handler
// begins: the headers themselves, and what the server reads ahead.
const nearby = 32 << 10

// ambiguous reports whether a request with Transfer-Encoding came with a Content-Length as well. On
// a connection that is used for both kinds of requests it may take the one before for this one;
// Stripe sends such an event again, and uses no Transfer-Encoding.
func ambiguous(r *http.Request) bool {
	if len(r.TransferEncoding) == 0 {
		return false
	}
	c, ok := r.Context().Value(framingKey{}).(*framingConn)
	return ok && c.lengthAt >= 0 && c.read-c.lengthAt <= nearby
}
