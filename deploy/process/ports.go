//go:build unix

package process

import (
	"fmt"
	"math/rand/v2"
	"net"
	"strconv"
)

// Ports are taken from below those that systems give to outgoing connections (from 32768 on Linux,
// 49152 on macOS): such a port may go to another client while its owner is being restarted.
const (
	lowestPort  = 15000
	highestPort = 32000
)

// Addresses returns n loopback addresses on which nobody listens.
func Addresses(n int) ([]string, error) {
	addresses := make([]string, 0, n)
	var held []net.Listener
	defer func() {
		for _, l := range held {
			_ = l.Close()
		}
	}()
	for range 50 * (n + 1) {
		if len(addresses) == n {
			return addresses, nil
		}
		address := net.JoinHostPort("127.0.0.1", strconv.Itoa(lowestPort+rand.IntN(highestPort-lowestPort)))
		l, err := net.Listen("tcp", address)
		if err != nil {
			continue
		}
		held = append(held, l) // until all are found, so that none is found twice
		addresses = append(addresses, address)
	}
	return nil, fmt.Errorf("find %d free ports from %d to %d on 127.0.0.1: too many are taken",
		n, lowestPort, highestPort)
}

// Ports returns the first of n consecutive ports on which nobody listens on 127.0.0.1.
func Ports(n int) (first int, err error) {
search:
	for range 200 {
		first = lowestPort + rand.IntN(highestPort-lowestPort-n)
		for port := first; port < first+n; port++ {
			l, err := net.Listen("tcp", net.JoinHostPort("127.0.0.1", strconv.Itoa(port)))
			if err != nil {
				continue search
			}
			_ = l.Close()
		}
		return first, nil
	}
	return 0, fmt.Errorf("find %d consecutive free ports from %d to %d on 127.0.0.1: too many are taken",
		n, lowestPort, highestPort)
}
