package program

import (
	"errors"
	"fmt"
	"net/netip"
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
