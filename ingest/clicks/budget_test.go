package clicks

import (
	"io"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"strings"
	"testing"
	"testing/synctest"
	"time"
)

// visitor is the owner of number n.
func visitor(n int) owner {
	return owner{network: network(netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}))}
}

// A request that would have to wait goes ahead of all; the next ones wait, for a second.
func TestBudget(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(8<<20, 1<<20, 3)
		var first, ahead, third, other hold
		if !first.take(b, visitor(1), 1<<20) || !ahead.take(b, visitor(1), 1<<20) || b.ahead != &ahead {
			t.Fatal("two bodies of 1 MiB are refused")
		}
		begin := time.Now()
		if third.take(b, visitor(1), 1<<20) || time.Since(begin) != patience {
			t.Errorf("a third one is answered after %s", time.Since(begin))
		}
		if !other.take(b, visitor(2), 1<<20) || time.Since(begin) != patience {
			t.Error("another owner waits for the first one")
		}
		go func() { time.Sleep(patience / 2); ahead.release() }()
		if !third.take(b, visitor(1), 1<<20) {
			t.Error("what was given back cannot be taken")
		}
		for _, h := range []*hold{&first, &third, &third, &other} { // twice is harmless
			h.release()
		}
		if b.free != 7<<20 || b.ahead != nil || len(b.shares) > 0 || len(b.turns) > 0 {
			t.Errorf("something was not given back: %+v", b)
		}
	})
}

// Owners that take all they can leave something for others, and all together get no more than there
// is.
func TestBudgetOfMany(t *testing.T) {
	b := newBudget(8<<20, 1<<20, 3)
	b.ahead = new(hold) // someone who does not come to an end
	for n, left := 0, b.free; n < 8; n, left = n+1, b.free {
		for h := new(hold); ; {
			if b.shares[visitor(n)] == nil {
				b.shares[visitor(n)] = new(share)
			}
			h.from, h.share, h.wanted = b, b.shares[visitor(n)], 4<<10
			if !b.give(h) { // take would wait
				break
			}
		}
		if got := left - b.free; got > left/4 || got < left/4-4<<10 {
			t.Errorf("owner %d gets %d of %d bytes", n, got, left)
		}
	}
	if b.free < 512<<10 {
		t.Errorf("eight owners leave %d bytes", b.free)
	}
}

// Owners are served in turn: who has one request that waits does not wait for the ten of another.
func TestBudgetInTurn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(2<<20, 1<<20, 1)
		var ahead, all hold
		// One that does not end, so that those behind it wait; and another owner's half of the rest.
		if !all.take(b, visitor(9), 512<<10) || !ahead.take(b, visitor(9), 1<<20) || b.ahead != &ahead {
			t.Fatal("not set up")
		}
		order := make(chan int, 12)
		wait := func(n int) {
			go func() {
				var h hold
				if !h.take(b, visitor(n), 512<<10) {
					n = -1
				}
				order <- n
				time.Sleep(10 * time.Millisecond)
				h.release()
			}()
			synctest.Wait()
		}
		for range 10 {
			wait(1)
		}
		wait(2)
		all.release()
		var got []int
		for range 11 {
			got = append(got, <-order)
		}
		if !slices.Equal(got[:3], []int{1, 2, 1}) || slices.Contains(got, -1) {
			t.Errorf("served in the order %v", got)
		}
		ahead.release()
		time.Sleep(patience) // until all have ended
	})
}

// Of one owner's requests, those that hold something go before those that have only begun: these would
// keep the others' memory from being free again.
func TestBudgetOfBegun(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(2<<20, 1<<20, 1)
		var ahead, begun, fresh hold
		if !begun.take(b, visitor(1), 256<<10) || !ahead.take(b, visitor(1), 1<<20) || b.ahead != &ahead {
			t.Fatal("not set up")
		}
		go fresh.take(b, visitor(1), 512<<10)
		synctest.Wait()
		if begin := time.Now(); !begun.take(b, visitor(1), 260<<10) || time.Since(begin) > 0 {
			t.Error("a little more waits behind one that has only begun")
		}
		go begun.take(b, visitor(1), 1<<20)
		synctest.Wait()
		ahead.release()
		synctest.Wait()
		if b.ahead != &begun || fresh.n != 512<<10 {
			t.Errorf("the rest is given to another: %d and %d bytes", begun.n, fresh.n)
		}
	})
}

// Requests that each hold a part of the memory and wait for the rest come to an end one after the
// other.
func TestBudgetInParts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		b := newBudget(8<<20, 1<<20, 3)
		ended := make(chan bool)
		const many = 100
		for n := range many {
			go func() {
				var h hold
				defer h.release()
				for size := 8 << 10; size <= 1<<20; size *= 2 {
					if !h.take(b, visitor(n), size) {
						ended <- false
						return
					}
					time.Sleep(time.Millisecond) // for what comes next
				}
				ended <- true
			}()
		}
		for n := range many {
			if !<-ended {
				t.Fatalf("%d of %d bodies were read, the next one has waited in vain", n, many)
			}
		}
	})
}

// Senders of four addresses that announce much and send little do not keep others waiting.
func TestSlowLargeBodies(t *testing.T) {
	e := &edge{t: t}
	e.serve(new(sink), func(c *Config) { c.ReadTimeout = limit })
	from := func(last int) net.Conn {
		d := net.Dialer{LocalAddr: &net.TCPAddr{IP: net.IPv4(127, 0, 3, byte(last))}}
		c, err := d.DialContext(t.Context(), "tcp", e.addr)
		if err != nil {
			t.Skip("this machine has one loopback address: ", err)
		}
		t.Cleanup(func() { _ = c.Close() })
		return c
	}
	head := func(length int) string {
		return "POST /v1/clicks HTTP/1.1\r\nHost: edge\r\nContent-Type: application/json\r\nContent-Length: " +
			strconv.Itoa(length) + "\r\n\r\n["
	}
	for i := range 16 {
		if _, err := io.WriteString(from(1+i%4), head(1<<20)+strings.Repeat(" ", 4500)); err != nil {
			t.Fatal(err)
		}
	}
	b, deadline := e.server.public.bodies, time.Now().Add(limit)
	for holds := 0; holds < 16; {
		time.Sleep(5 * time.Millisecond)
		holds = 0
		b.mu.Lock()
		for _, s := range b.shares {
			holds += s.holds
		}
		b.mu.Unlock()
		if time.Now().After(deadline) {
			t.Fatalf("%d of 16 slow bodies are being read", holds)
		}
	}
	if held := 7<<20 - b.free; held > 16*16<<10 {
		t.Errorf("16 bodies of 4.5 KB hold %d bytes", held)
	}
	for i := range 8 {
		batch := sampleBatch(1, 100)
		c := from(10 + i)
		answer := make([]byte, len("HTTP/1.1 200"))
		if _, err := io.WriteString(c, strings.TrimSuffix(head(len(batch)), "[")+batch); err != nil {
			t.Fatal(err)
		}
		if _, err := io.ReadFull(c, answer); err != nil || string(answer) != "HTTP/1.1 200" {
			t.Errorf("a batch beside slow ones: %q, %v", answer, err)
		}
	}
}
