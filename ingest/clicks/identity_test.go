package clicks

import (
	"bytes"
	"net/netip"
	"testing"
	"time"
)

func TestIdentity(t *testing.T) {
	noon := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	ids := newIdentities([]byte("a secret of the edges"))
	var last lastIdentity // of one connection, which several visitors may share
	hash := func(at time.Time, addr, agent, host string) []byte {
		want := ids.append(nil, nil, at, netip.MustParseAddr(addr), agent, host)
		for range 2 {
			if got := ids.append(nil, &last, at, netip.MustParseAddr(addr), agent, host); !bytes.Equal(got, want) {
				t.Errorf("%s %s %s %s: %x on a connection with others, want %x", at, addr, agent, host, got, want)
			}
		}
		return want
	}
	base := hash(noon, "203.0.113.7", "Firefox", "shop.example")
	if len(base) != 8 {
		t.Fatalf("%d bytes, want 8", len(base))
	}
	same := map[string][]byte{
		"later that day":        hash(noon.Add(11*time.Hour), "203.0.113.7", "Firefox", "shop.example"),
		"an address of its /24": hash(noon, "203.0.113.200", "Firefox", "shop.example"),
	}
	for name, h := range same {
		if !bytes.Equal(h, base) {
			t.Errorf("%s: another hash", name)
		}
	}
	others := map[string][]byte{
		"the next day":   hash(noon.Add(12*time.Hour), "203.0.113.7", "Firefox", "shop.example"),
		"another /24":    hash(noon, "203.0.114.7", "Firefox", "shop.example"),
		"another agent":  hash(noon, "203.0.113.7", "Chrome", "shop.example"),
		"another site":   hash(noon, "203.0.113.7", "Firefox", "news.example"),
		"shifted fields": hash(noon, "203.0.113.7", "Firefoxshop", ".example"),
		"another secret": newIdentities(nil).append(nil, nil, noon, netip.MustParseAddr("203.0.113.7"),
			"Firefox", "shop.example"),
		"an IPv6 address": hash(noon, "2001:db8:1::1", "Firefox", "shop.example"),
	}
	for name, h := range others {
		if bytes.Equal(h, base) {
			t.Errorf("%s: the same hash", name)
		}
	}
	if !bytes.Equal(hash(noon, "2001:db8:1::1", "", ""), hash(noon, "2001:db8:1:ffff::9", "", "")) ||
		bytes.Equal(hash(noon, "2001:db8:1::1", "", ""), hash(noon, "2001:db8:2::1", "", "")) {
		t.Error("IPv6 is not cut to /48")
	}
	if got := ids.append(nil, nil, noon, netip.Addr{}, "x", "y"); got != nil {
		t.Errorf("a hash %x of no address", got)
	}
}
