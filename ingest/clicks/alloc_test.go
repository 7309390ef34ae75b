//go:build !race

package clicks

import "testing"

// From the request's bytes to the record nothing is allocated: what a request needs, an earlier one
// has left. What the Kafka client allocates is not in it.
func TestAllocations(t *testing.T) {
	s := newBareServer(t, &sink{})
	s.addresses = newAddressRates(1e9, s.cfg.MaxBatch)
	measure := func(path, body string) float64 {
		ctx := requestOf(path, body)
		run := func() {
			ctx.Response.Reset()
			s.handle(ctx)
		}
		run()
		if ctx.Response.StatusCode() != 200 {
			t.Fatalf("status %d: %s", ctx.Response.StatusCode(), ctx.Response.Body())
		}
		return testing.AllocsPerRun(500, run)
	}
	if n := measure("/v1/click", sampleClick(1)); n != 0 {
		t.Errorf("%v allocations per click, want none", n)
	}
	if n := measure("/v1/clicks", sampleBatch(1, 100)); n > 1 { // the key, which outlives the event that it came with
		t.Errorf("%v allocations per batch of 100, want one", n)
	}
}
