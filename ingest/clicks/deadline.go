package clicks

import (
	"crypto/tls"
	"errors"
	"net"
	"net/netip"
	"runtime"
	"time"

	"github.com/pires/go-proxyproto"
)

// deadlineListener accepts connections whose deadlines cost little.
type deadlineListener struct{ net.Listener }

func (l deadlineListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	below := c
	if p, ok := c.(*proxyproto.Conn); ok {
		below = p.Raw()
	}
	counted, _ := below.(*guarded)
	return &deadlineConn{Conn: c, guarded: counted}, nil
}

// deadlineSlack is how much earlier than asked for a deadline may pass.
const deadlineSlack = time.Second

// deadlineConn sets a deadline when it is needed, not when it is asked for. fasthttp asks for three
// for each request (idle, read, write), and each goes through the runtime's heap of timers; but
// most requests arrive whole with the first Read, and a deadline that was set less than
// deadlineSlack ago is as good as a new one.
//
// Like fasthttp's own use of a connection, it is for one goroutine; only Close may come from
// another.
type deadlineConn struct {
	net.Conn
	guarded     *guarded // what is below it, nil if nobody counts it
	read, write deadline

	addr      netip.Addr // of the other end, once addrKnown
	addrKnown bool

	identity lastIdentity

	waited bool // since the last answer a Read gave less than there was room for: no more had come

	bounded bool  // Read gives no more than what is left
	left    int64 // bytes
	ended   bool  // while bounded, a Read has found the connection's end
}

// bound makes Read fail when it has given n bytes more.
func (c *deadlineConn) bound(n int64) { c.bounded, c.left, c.ended = true, n, false }

// unbound takes back bound. It reports whether it has made a Read fail, and whether the connection
// has ended meanwhile.
func (c *deadlineConn) unbound() (failed, ended bool) {
	failed, ended = c.bounded && c.left < 0, c.ended
	c.bounded = false
	return failed, ended
}

// errBound is what Read returns beyond what bound allows.
var errBound = errors.New("the request is longer than it may be")

// giveWay lets other connections go first if the sender has not waited for the last answer. The
// goroutine of such a connection never has to wait for anything, and the runtime leaves it the
// processor for 10 ms: of 400 of them, each other request waited two seconds.
func (c *deadlineConn) giveWay() {
	if !c.waited {
		runtime.Gosched()
	}
	c.waited = false
}

// peer returns the address of the other end, as addressOf does. It is asked for with every request
// and found once: with a PROXY protocol header it is known after the first Read only.
func (c *deadlineConn) peer() netip.Addr {
	if !c.addrKnown {
		c.addr, c.addrKnown = addressOf(c.RemoteAddr()), true
	}
	return c.addr
}

// deadline is one that was asked for, and the one that the connection has.
type deadline struct{ wanted, set time.Time }

// due reports whether the connection needs to be given what was asked for.
func (d *deadline) due() bool {
	if d.wanted.Equal(d.set) {
		return false
	}
	late := d.wanted.Sub(d.set)
	if d.wanted.IsZero() || d.set.IsZero() || late < 0 || late >= deadlineSlack {
		d.set = d.wanted
		return true
	}
	return false
}

func (c *deadlineConn) SetReadDeadline(t time.Time) error {
	c.read.wanted = t
	return nil
}

func (c *deadlineConn) SetWriteDeadline(t time.Time) error {
	c.write.wanted = t
	return nil
}

func (c *deadlineConn) SetDeadline(t time.Time) error {
	c.read.wanted, c.write.wanted = t, t
	return nil
}

func (c *deadlineConn) Read(b []byte) (int, error) {
	if c.read.due() {
		if err := c.Conn.SetReadDeadline(c.read.set); err != nil {
			return 0, err
		}
	}
	if !c.bounded {
		n, err := c.Conn.Read(b)
		c.waited = n < len(b)
		return n, err
	}
	if c.left <= 0 {
		c.left = -1
		return 0, errBound
	}
	n, err := c.Conn.Read(b[:min(int64(len(b)), c.left)])
	c.left -= int64(n)
	c.ended = c.ended || n == 0 && err != nil
	return n, err
}

func (c *deadlineConn) Write(b []byte) (int, error) {
	if c.write.due() {
		if err := c.Conn.SetWriteDeadline(c.write.set); err != nil {
			return 0, err
		}
	}
	return c.Conn.Write(b)
}

// tlsListener accepts connections that speak TLS.
type tlsListener struct {
	net.Listener // of deadlineConns
	config       *tls.Config
}

func (l tlsListener) Accept() (net.Conn, error) {
	c, err := l.Listener.Accept()
	if err != nil {
		return nil, err
	}
	below, _ := c.(*deadlineConn)
	t := &tlsConn{below: tlsInput{deadlineConn: below, left: handshakeBytes}}
	t.Conn = tls.Server(&t.below, l.config)
	return t, nil
}

const (
	// handshakeBytes is how many bytes somebody may send before TLS is agreed on. Browsers send 2 KiB
	// at most; TLS keeps up to 64 KiB of a first message, until its end has come.
	handshakeBytes = 8 << 10

	// recordBytes is how many bytes somebody may send until TLS has a part of a request out of them.
	// A record has 18 KiB at most (RFC 5246 §6.2.3); TLS keeps up to 256 KiB of a message of its own,
	// until its end has come.
	recordBytes = 20 << 10
)

// tlsInput gives TLS the bytes of a connection, and fails when it has given as many as left.
type tlsInput struct {
	*deadlineConn
	left int
}

func (c *tlsInput) Read(b []byte) (int, error) {
	if c.left <= 0 {
		return 0, errBound
	}
	n, err := c.deadlineConn.Read(b[:min(len(b), c.left)])
	c.left -= n
	return n, err
}

// tlsConn is TLS over a deadlineConn. Its sender may end it with a message of TLS, which the
// connection below does not see.
type tlsConn struct {
	*tls.Conn
	below tlsInput
}

// Read is called by fasthttp after Handshake.
func (c *tlsConn) Read(b []byte) (int, error) {
	c.below.left = recordBytes
	n, err := c.Conn.Read(b)
	if n > 0 {
		return n, nil // the next Read finds the same error
	}
	c.below.ended = err != nil
	return n, err
}
