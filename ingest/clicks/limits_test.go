package clicks

import (
	"context"
	"fmt"
	"net"
	"net/netip"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/valyala/fasthttp"

	"tributary/deploy/race"
	"tributary/schemas"
)

func TestAddressRates(t *testing.T) {
	r := newAddressRates(10, 20) // ten a second, a hundred at once
	now := r.start.Add(time.Hour)
	a, sameNet, other := netip.MustParseAddr("2001:db8::1"), netip.MustParseAddr("2001:db8::ffff:1"),
		netip.MustParseAddr("2001:db8:0:1::1")
	if _, ok := r.take(a, now, 100); !ok {
		t.Fatal("the burst is refused")
	}
	if wait, ok := r.take(sameNet, now, 1); ok || wait != 100*time.Millisecond {
		t.Errorf("another address of the same /64 waits %s, %v", wait, ok)
	}
	if _, ok := r.take(other, now, 100); !ok {
		t.Error("another /64 is limited")
	}
	if _, ok := r.take(a, now.Add(100*time.Millisecond), 1); !ok {
		t.Error("still limited when the time has come")
	}
	if _, ok := r.take(a, now.Add(100*time.Millisecond), 1); ok {
		t.Error("one event of time let two events through")
	}
	// What was refused was not charged.
	v4 := netip.MustParseAddr("203.0.113.1")
	for range 10 {
		if _, ok := r.take(v4, now, 101); ok {
			t.Error("more than the burst is let through")
		}
	}
	if _, ok := r.take(v4, now, 100); !ok {
		t.Error("refused events were charged")
	}
	if _, ok := r.take(netip.MustParseAddr("127.0.0.1"), now, 1<<20); !ok {
		t.Error("this machine is limited")
	}
	if _, ok := newAddressRates(0, 1000).take(v4, now, 1<<20); !ok {
		t.Error("0 is a limit")
	}
}

// A million addresses at once cost no memory, and somebody who comes behind them is not limited for
// them. Under the race detector there are a tenth as many.
func TestAMillionAddresses(t *testing.T) {
	r := newAddressRates(1000, 1000)
	now := r.start.Add(time.Second)
	crowd := 1_000_000
	if race.Enabled {
		crowd = 100_000
	}
	address := func(i int) netip.Addr { return netip.AddrFrom4([4]byte{100, byte(i >> 16), byte(i >> 8), byte(i)}) }
	if n := testing.AllocsPerRun(1, func() {
		for i := range crowd {
			if _, ok := r.take(address(i), now, 1); !ok {
				t.Fatalf("address %d is limited for the others", i)
			}
		}
	}); n > 10_000 { // other goroutines' among them
		t.Errorf("%v allocations", n)
	}
	if _, ok := r.take(netip.MustParseAddr("203.0.113.1"), now, 5000); !ok {
		t.Error("an honest address is limited for the crowd")
	}
}

func TestAddressRatesTogether(t *testing.T) {
	r := newAddressRates(1, 1000)
	now := r.start.Add(time.Second)
	var wg sync.WaitGroup
	var mu sync.Mutex
	taken := 0
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				if _, ok := r.take(netip.MustParseAddr("203.0.113.1"), now, 1); ok {
					mu.Lock()
					taken++
					mu.Unlock()
				}
			}
		})
	}
	wg.Wait()
	if taken < 1000 || taken > 1100 { // now and then two are charged as one
		t.Errorf("%d events of 8000, the limit is 1000", taken)
	}
}

// Requests that are charged in another order than their times, since they were read at once or one
// kept back its end, gain nothing by it.
func TestRatesOutOfOrder(t *testing.T) {
	workspace, addresses := newWorkspaceRate(100), newAddressRates(100, 1000)
	addr := netip.MustParseAddr("203.0.113.1")
	for name, take := range map[string]func(time.Time, int) (time.Duration, bool){
		"workspace": workspace.take,
		"address":   func(now time.Time, n int) (time.Duration, bool) { return addresses.take(addr, now, n) },
	} {
		now := workspace.start.Add(time.Minute)
		taken := 0
		for range 1000 {
			for _, at := range []time.Time{now, now.Add(-5 * time.Second)} {
				if _, ok := take(at, 10); ok {
					taken += 10
				}
			}
		}
		if taken != 1000 {
			t.Errorf("%s: %d events at once, want the burst of 1000", name, taken)
		}
		if wait, ok := take(now, 1); ok || wait != 10*time.Millisecond {
			t.Errorf("%s: one more waits %s, %v", name, wait, ok)
		}
	}
}

// The slowest rate and the fastest do not overflow.
func TestRatesAtTheirEnds(t *testing.T) {
	for _, perSecond := range []float64{1e-300, 1e-9, 0.001, 1, 1e9, 1e300} {
		r := newWorkspaceRate(perSecond)
		now := r.start.Add(time.Second)
		if wait, ok := r.take(now, 1000); !ok || wait != 0 {
			t.Errorf("%g a second: a batch waits %s", perSecond, wait)
		}
		if wait, ok := r.take(now, 1); ok != (perSecond > 100) || wait < 0 {
			t.Errorf("%g a second: one more waits %s, %v", perSecond, wait, ok)
		}
	}
}

// The limit of a workspace holds however it is found, and the limit of an address wherever it
// sends.
func TestLimitsWithoutKey(t *testing.T) {
	e := newEdge(t, func(c *Config) {
		c.Workspaces = NewDirectory([]schemas.Workspace{
			{ID: "acme", PublishableKeys: []string{"pk_acme", "pk_acme2"}, SecretKeys: []string{"sk_acme"},
				Hostnames: []string{"acme.example"}, EventsPerSecond: 0.001},
			{ID: "zen", PublishableKeys: []string{"pk_zen"}, Hostnames: []string{"zen.example"}},
		})
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.EventsPerAddress = 1 // and a batch of 1,000 at once
		now := time.Now()      // and no second passes, however long this takes
		c.now = func() time.Time { return now }
	})
	batch := "[" + strings.TrimSuffix(strings.Repeat(`{"link_id":"l"},`, 999), ",") + "]"
	site := "Origin: https://acme.example"
	from := func(n int) string { return fmt.Sprintf("X-Forwarded-For: 203.0.113.%d", n) }

	// The workspace, found by the site's name alone.
	e.want(e.do("POST", "/v1/clicks", batch, site, from(1)), 200, "")
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, site, from(2)), 200, "")
	for i, body := range []string{`{"link_id":"l"}`, `{"link_id":"l","key":"pk_acme"}`,
		`{"link_id":"l","key":"pk_acme2"}`} {
		a := e.do("POST", "/v1/click", body, site, from(10+i))
		e.want(a, 429, "rate_limited")
		if a.Header.Get("Retry-After") == "" {
			t.Error("no Retry-After")
		}
	}
	e.want(e.do("POST", "/v1/clicks", batch, site, from(20)), 429, "rate_limited")
	e.want(e.do("GET", "/v1/click.gif?link_id=l", "", site, from(21)), 429, "rate_limited")
	e.want(e.do("POST", "/track/click", `{"domain":"d","key":"k"}`, site, from(22)), 429, "rate_limit_exceeded")
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, "Authorization: Bearer sk_acme"), 200, "")

	// The address, in a workspace without a limit.
	site = "Origin: https://zen.example"
	batch = strings.Replace(batch, `{"link_id":"l"},`, "", 1)
	e.want(e.do("POST", "/v1/clicks", batch, site, from(30)), 200, "")
	e.want(e.do("POST", "/v1/clicks", batch, site, from(30)), 429, "rate_limited")
	// the refused batch counts as one request
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, site, from(30)), 200, "")
	for _, auth := range []string{"X: y", "Authorization: Bearer sk_wrong"} {
		e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, site, from(30), auth), 429, "rate_limited")
	}
	e.want(e.do("POST", "/v1/click", `{"link_id":"l"}`, site, from(31)), 200, "")
	e.records(999 + 1 + 1 + 998 + 1 + 1)
}

// Somebody who sends all that a workspace may send, from a few addresses, leaves something for its
// other visitors, also for a batch of them.
func TestRateIsShared(t *testing.T) {
	w, other, shares := newWorkspaceRate(100), newWorkspaceRate(100), newAddressRates(1, 1)
	address := func(n int) netip.Addr { return netip.AddrFrom4([4]byte{203, 0, 113, byte(n)}) }
	take := func(w *workspaceRate, from int, now time.Time, n int) bool {
		_, ok := w.take(now, n)
		if ok {
			_, ok = w.takePart(shares, address(from), now, n)
		}
		return ok
	}
	refused, n := 0, 0
	for at := time.Minute; at < 2*time.Minute; at += 10 * time.Millisecond { // the whole of the rate
		for from := range 4 {
			take(w, from, w.start.Add(at), 1)
		}
		if at%time.Second == 0 {
			if n++; !take(w, 100+n, w.start.Add(at), 1) {
				refused++
			}
		}
	}
	if refused > 0 {
		t.Errorf("%d of %d others are refused beside four addresses that send all the time", refused, n)
	}
	if !take(w, 200, w.start.Add(2*time.Minute), 100) {
		t.Error("a batch is refused")
	}
	at := w.start.Add(2 * time.Minute)
	if take(w, 200, at, 1) {
		t.Error("an address that has sent a batch does not wait")
	}
	w.take(at, 1)
	if wait, ok := w.takePart(shares, address(200), at, 1); ok || wait > 5*time.Second {
		t.Errorf("it is told to wait for %s, %v", wait, ok)
	}
	if !take(other, 1, w.start.Add(2*time.Minute), 600) {
		t.Error("another workspace is limited for it")
	}
	for range 900 { // the only sender, as long as there is enough
		if _, ok := newWorkspaceRate(100).takePart(shares, address(1), w.start.Add(2*time.Minute), 1); !ok {
			t.Fatal("an address is limited though the workspace has enough")
		}
	}
}

// A batch that a budget cannot pay takes nothing from it: repeated when Retry-After has passed, it
// must succeed.
func TestRefusedBatchCostsNothing(t *testing.T) {
	now := time.Now().Add(time.Minute) // later than the rates' own beginning
	var mu sync.Mutex
	e := newEdge(t, func(c *Config) {
		c.Workspaces = NewDirectory([]schemas.Workspace{
			{ID: "a", PublishableKeys: []string{"pk_a"}, EventsPerSecond: 100},
			{ID: "b", PublishableKeys: []string{"pk_b"}, EventsPerSecond: 100},
		})
		c.now = func() time.Time { mu.Lock(); defer mu.Unlock(); return now }
	})
	events := func(key string, n int) string { return strings.Repeat(`{"link_id":"l","key":"`+key+`"}`+"\n", n) }
	e.want(e.do("POST", "/v1/clicks", events("pk_b", 700)), 200, "")
	for range 5 {
		e.want(e.do("POST", "/v1/clicks", events("pk_a", 600)+events("pk_b", 400)), 429, "rate_limited")
	}
	e.want(e.do("POST", "/v1/clicks", events("pk_a", 1000)), 200, "") // its burst is untouched
	mu.Lock()
	now = now.Add(time.Second)
	mu.Unlock()
	e.want(e.do("POST", "/v1/clicks", events("pk_b", 400)), 200, "")
	e.records(700 + 1000 + 400)
}

// What the budget of its address cannot pay takes nothing from a workspace either.
func TestRefusedAddressCostsNothing(t *testing.T) {
	now := time.Now().Add(time.Minute) // later than the rates' own beginning
	e := newEdge(t, func(c *Config) {
		c.Workspaces = NewDirectory([]schemas.Workspace{{ID: "a", PublishableKeys: []string{"pk_a"}, EventsPerSecond: 200}})
		c.EventsPerAddress = 10
		c.TrustedProxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")}
		c.now = func() time.Time { return now }
	})
	send := func(from string, n int) answer {
		return e.do("POST", "/v1/clicks", strings.Repeat(`{"link_id":"l","key":"pk_a"}`+"\n", n), "X-Forwarded-For: "+from)
	}
	e.want(send("203.0.113.1", 300), 200, "")
	for range 5 {
		e.want(send("203.0.113.1", 701), 429, "rate_limited")
	}
	e.want(send("203.0.113.2", 1000), 200, "")
	e.records(300 + 1000)
}

// panics is a Kafka client with a fault.
type panics struct{}

func (panics) Publish(context.Context, ...*kgo.Record) (bool, error) { panic("a fault") }

// A request that ends in a panic gives back what it has taken of the memory that all share.
func TestPanicGivesBack(t *testing.T) {
	s := newBareServer(t, panics{})
	s.addresses = nil
	batch := sampleBatch(1, 100) // larger than freeBody and freeRecords
	for range 2 * s.cfg.BodyMemory / len(batch) {
		var ctx fasthttp.RequestCtx
		ctx.Init(&fasthttp.Request{}, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		ctx.Request.Header.SetMethod("POST")
		ctx.Request.SetRequestURI("/v1/clicks")
		ctx.Request.SetBodyStream(strings.NewReader(batch), len(batch))
		ctx.Request.Header.SetContentLength(len(batch))
		s.handle(&ctx)
		if got := ctx.Response.StatusCode(); got != 500 {
			t.Fatalf("status %d, want 500: %s", got, ctx.Response.Body())
		}
	}
	for name, b := range map[string]*budget{"records": s.public.records, "bodies": s.public.bodies} {
		if b.ahead != nil || len(b.shares) > 0 || b.free != newBudget(s.cfg.BodyMemory, int(b.largest), 1).free {
			t.Errorf("bytes of %s are still taken", name)
		}
	}
}
