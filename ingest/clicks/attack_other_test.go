//go:build !linux

package clicks

// serveAttacked is the edge of TestAttacks, which measures what only Linux reports.
func serveAttacked() { panic("the attacks run on Linux") }

// sendDeaf is one of their senders.
func sendDeaf([]string) { panic("the attacks run on Linux") }
