package loopback

import (
	"net/http"
	"time"
)

// NewServer returns a server of h that no sender holds up: a head has 10 s to arrive and a whole
// request 30 s, an answer has two minutes to be made and taken, and a connection may wait as long
// for its next request. A head has at most 32 KiB.
func NewServer(h http.Handler) *http.Server {
	return &http.Server{
		Handler:           h,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      2 * time.Minute,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    32<<10 - headerSlop,
	}
}

// headerSlop is what net/http adds to MaxHeaderBytes.
const headerSlop = 4 << 10
