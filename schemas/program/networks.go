package program

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
)

// Networks reads the networks of --trusted-proxies, and reports every fault at once.
func Networks(texts []string) ([]netip.Prefix, error) {
	var networks []netip.Prefix
	var faults []error
	for _, text := range texts {
		n, err := network(text)
		if err != nil {
			faults = append(faults, fmt.Errorf("trusted proxies: %w", err))
			continue
		}
		networks = append(networks, n)
	}
	return networks, errors.Join(faults...)
}

// network reads one network. IPv4 addresses that are written in IPv6 are IPv4, as those of
// connections are. A network in which visitors live is refused: each of them could name any address
// as his own. The largest networks of one owner are 10.0.0.0/8 and fc00::/7 (RFC 1918, RFC 4193).
func network(text string) (netip.Prefix, error) {
	const mapped = 96 // bits before the IPv4 address
	n, err := netip.ParsePrefix(text)
	if err != nil {
		return n, fmt.Errorf("%w (hint: 10.0.0.0/8, or 192.0.2.7/32 for one address)", err)
	}
	if n.Addr().Is4In6() && n.Bits() >= mapped {
		n = netip.PrefixFrom(n.Addr().Unmap(), n.Bits()-mapped)
	}
	if n = n.Masked(); n.Bits() < 7 || n.Bits() < 8 && n.Addr().Is4() {
		return n, fmt.Errorf("%s holds visitors, who could then name any address as their own "+
			"(hint: name your proxies' networks only, such as 10.0.0.0/8)", text)
	}
	return n, nil
}

// ParseAddress reads an address as a proxy writes it into X-Forwarded-For, some with a port, and
// returns its canonical form.
func ParseAddress(text string) (address netip.Addr, ok bool) {
	if a, err := netip.ParseAddr(strings.Trim(text, "[]")); err == nil {
		return CanonicalAddress(a), true
	}
	if ap, err := netip.ParseAddrPort(text); err == nil {
		return CanonicalAddress(ap.Addr()), true
	}
	return netip.Addr{}, false
}

// nat64 is the prefix under which a machine that speaks only IPv6 sees the addresses of IPv4 (RFC
// 6052 §2.1).
var nat64 = netip.MustParsePrefix("64:ff9b::/96")

// CanonicalAddress returns the one form of an address that has several: an IPv4 address within
// IPv6, mapped (::ffff:192.0.2.1) or translated (64:ff9b::192.0.2.1), is that IPv4 address. Else
// all visitors of IPv4 would be one /64 to limits, and one network to the identity hash.
func CanonicalAddress(a netip.Addr) netip.Addr {
	if nat64.Contains(a) {
		b := a.As16()
		return netip.AddrFrom4([4]byte(b[12:]))
	}
	return a.Unmap().WithZone("")
}
