package access

import (
	"net/http"
	"net/netip"
	"slices"
	"strings"

	"tributary/schemas/program"
)

// clientAddress is the connection's address, unless that is a trusted proxy's. Then X-Forwarded-For
// is read from right to left, and the first address that is no trusted proxy's counts: what stands
// further left was written by that client itself.
func clientAddress(r *http.Request, trusted []netip.Prefix) netip.Addr {
	peer, err := netip.ParseAddrPort(r.RemoteAddr)
	if err != nil {
		return netip.Addr{}
	}
	address := program.CanonicalAddress(peer.Addr())
	isTrusted := func(a netip.Addr) bool {
		return slices.ContainsFunc(trusted, func(p netip.Prefix) bool { return p.Contains(a) })
	}
	hops := strings.Split(strings.Join(r.Header.Values("X-Forwarded-For"), ","), ",")
	for _, hop := range slices.Backward(hops) {
		if !isTrusted(address) {
			break
		}
		next, ok := program.ParseAddress(strings.TrimSpace(hop))
		if !ok {
			break // an unreadable hop: what is left of it cannot be placed
		}
		address = next
	}
	return address
}
