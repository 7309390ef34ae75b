//go:build !race

package clicks

import (
	"net"
	"testing"

	"github.com/valyala/fasthttp"
)

// The budget of one click, without what the Kafka client does: the record, its list of headers and a new click id, all of
// which schemas makes.
func TestAllocations(t *testing.T) {
	s := newBareServer(t, &sink{})
	s.addresses = newAddressRates(1e9, s.cfg.MaxBatch)
	measure := func(path, body string) float64 {
		var ctx fasthttp.RequestCtx
		var req fasthttp.Request
		req.Header.SetMethod("POST")
		req.Header.SetContentType("application/json")
		req.Header.SetUserAgent("Mozilla/5.0 (X11; Linux x86_64; rv:140.0) Gecko/20100101 Firefox/140.0")
		req.SetRequestURI(path)
		req.SetBodyString(body)
		ctx.Init(&req, &net.TCPAddr{IP: net.IPv4(203, 0, 113, 1)}, nil)
		run := func() {
			ctx.Response.Reset()
			s.handle(&ctx)
		}
		run()
		if ctx.Response.StatusCode() != 200 {
			t.Fatalf("status %d: %s", ctx.Response.StatusCode(), ctx.Response.Body())
		}
		return testing.AllocsPerRun(500, run)
	}
	if n := measure("/v1/click", sampleClick(1)); n > 3 {
		t.Errorf("%v allocations per click, want at most 3", n)
	}
	if n := measure("/v1/clicks", sampleBatch(1, 100)); n > 3*100+1 {
		t.Errorf("%v allocations per batch of 100, want at most 301", n)
	}
}
