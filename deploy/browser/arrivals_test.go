package browser

import (
	"testing"
)

// The smallest history that a merchant would count by hand: one click, and the pages that were looked at.
func TestOneArrival(t *testing.T) {
	v := newVisitor(t, "one.example", snippet)
	v.open("/?via=ann")
	for _, path := range []string{"/a", "/b", "/c"} {
		v.follow(path)
	}
	v.open("/?via=ann")
	got := v.beacons("link of ann at /?via=ann", "pageview at /a", "pageview at /b", "pageview at /c", "pageview at /?via=ann")
	v.want("tributary.clickId", idOf(got[0]))
	v.want("window.pimms_id", idOf(got[0]))
	v.want("window.affiliateId", "ann")
	for _, c := range got {
		if c.VisitorId == "" || c.VisitorId != got[0].VisitorId {
			t.Errorf("visitor %q, want %q", c.VisitorId, got[0].VisitorId)
		}
	}
	v.noErrors()
}
