// Package send sends traffic to Tributary: clicks and leads to the edge, Stripe
// events to the webhook.
package send

import (
	"fmt"
	"net"
	"net/url"
	"strings"
)

// Target completes an address to a URL without trailing slash: 127.0.0.1:8080 becomes
// http://127.0.0.1:8080.
//
// Only this machine is accepted unless remote is true: generated sales in somebody's ledger are
// hard to get out again.
func Target(address string, remote bool) (string, error) {
	if !strings.Contains(address, "://") {
		address = "http://" + address
	}
	u, err := url.Parse(address)
	if err != nil {
		return "", fmt.Errorf("read address: %w (hint: give host:port or http://host:port)", err)
	}
	if u.Scheme != "http" && u.Scheme != "https" || u.Host == "" {
		return "", fmt.Errorf("read address %q: not http or https (hint: give host:port or http://host:port)", address)
	}
	if err := Local(u.Hostname(), remote); err != nil {
		return "", err
	}
	return strings.TrimRight(u.String(), "/"), nil
}

// Local refuses a host that is not this machine, unless remote is true.
func Local(host string, remote bool) error {
	if ip := net.ParseIP(host); remote || host == "localhost" || ip != nil && ip.IsLoopback() {
		return nil
	}
	return fmt.Errorf("refuse target %s: it is not this machine (hint: --allow-remote, if the traffic "+
		"really belongs there)", host)
}
