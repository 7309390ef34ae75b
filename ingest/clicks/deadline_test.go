package clicks

import (
	"net"
	"os"
	"runtime"
	"sync/atomic"
	"testing"
	"time"
)

// countingConn counts the deadlines that reach the connection.
type countingConn struct {
	net.Conn
	reads, writes int
}

func (c *countingConn) SetReadDeadline(t time.Time) error {
	c.reads++
	return c.Conn.SetReadDeadline(t)
}

func (c *countingConn) SetWriteDeadline(t time.Time) error {
	c.writes++
	return c.Conn.SetWriteDeadline(t)
}

// A deadline reaches the connection when a Read or a Write needs it, and when it differs from the
// one that is set by more than the slack: never later than asked for.
func TestDeadlines(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	go func() {
		for {
			if _, err := far.Write([]byte("x")); err != nil {
				return
			}
		}
	}()
	inner := &countingConn{Conn: near}
	c := &deadlineConn{Conn: inner}
	read := func() {
		t.Helper()
		if _, err := c.Read(make([]byte, 1)); err != nil {
			t.Fatal(err)
		}
	}
	now := time.Now()
	_ = c.SetReadDeadline(now.Add(time.Minute))
	_ = c.SetReadDeadline(now.Add(5 * time.Second))
	if inner.reads != 0 {
		t.Errorf("%d deadlines set before a Read", inner.reads)
	}
	for i, step := range []struct {
		wanted time.Time
		sets   int
	}{
		{now.Add(time.Minute), 1},
		{now.Add(time.Minute + deadlineSlack/2), 1}, // as good as the one that is set
		{now.Add(time.Minute + deadlineSlack), 2},
		{now.Add(5 * time.Second), 3}, // sooner: never late
		{time.Time{}, 4},              // none
		{time.Time{}, 4},
		{now.Add(time.Minute), 5},
	} {
		_ = c.SetReadDeadline(step.wanted)
		read()
		if inner.reads != step.sets {
			t.Errorf("step %d: %d deadlines set, want %d", i, inner.reads, step.sets)
		}
	}
	if inner.writes != 0 {
		t.Errorf("%d write deadlines set without a Write", inner.writes)
	}

	_ = c.SetDeadline(now.Add(-time.Second))
	if _, err := c.Read(make([]byte, 1)); !os.IsTimeout(err) {
		t.Errorf("Read after the deadline: %v", err)
	}
	if _, err := c.Write([]byte("x")); !os.IsTimeout(err) {
		t.Errorf("Write after the deadline: %v", err)
	}
}

// Requests that their sender has sent behind each other let those of other connections go first.
func TestGiveWay(t *testing.T) {
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	s := newBareServer(t, &sink{})
	ctx := requestOf("/nowhere", "")
	var ran atomic.Bool
	go ran.Store(true)
	for i := 0; !ran.Load(); i++ { // now and then the runtime takes the same goroutine again
		if i == 100 {
			t.Fatal("100 requests are answered, and nobody else has had the processor")
		}
		s.handle(ctx)
	}
}

// A sender has been waited for when a Read did not find as much as it had room for.
func TestWaited(t *testing.T) {
	near, far := net.Pipe()
	defer near.Close()
	defer far.Close()
	c := &deadlineConn{Conn: near}
	for _, step := range []struct {
		sent, room int
		want       bool
	}{{4, 8, true}, {4, 4, false}, {5, 8, true}} {
		go func() { _, _ = far.Write(make([]byte, step.sent)) }()
		if n, err := c.Read(make([]byte, step.room)); n != step.sent || err != nil || c.waited != step.want {
			t.Errorf("%+v: %d bytes, %v, waited %v", step, n, err, c.waited)
		}
	}
	if c.giveWay(); c.waited {
		t.Error("the next answer counts the last Read again")
	}
}
