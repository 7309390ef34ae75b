package access

import (
	"net/netip"
	"sync"
	"time"

	"golang.org/x/time/rate"
)

const (
	attempts      = 10               // to log in, at once
	attemptsEvery = 30 * time.Second // one more
	maxLimiters   = 20_000
)

// limits bounds attempts to log in, by any text.
type limits struct {
	mu   sync.Mutex // guards what follows
	byID map[string]*rate.Limiter
	last time.Time // the latest time that was given
	// rest is shared by all who come while byID is full of others who have tried lately.
	rest *rate.Limiter
}

func newLimits() *limits {
	return &limits{byID: make(map[string]*rate.Limiter), rest: newLimiter()}
}

func newLimiter() *rate.Limiter { return rate.NewLimiter(rate.Every(attemptsEvery), attempts) }

// allow counts an attempt and reports whether it may be made.
func (l *limits) allow(id string, now time.Time) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	// A takes its time, B takes a later one and is first at the lock. A limiter that is given A's time
	// after B's goes back to it, and counts the time between them once more.
	if now.Before(l.last) {
		now = l.last
	}
	l.last = now
	limiter := l.byID[id]
	if limiter == nil {
		if len(l.byID) >= maxLimiters {
			l.forget(now)
		}
		if len(l.byID) >= maxLimiters {
			return l.rest.AllowN(now, 1)
		}
		limiter = newLimiter()
		l.byID[id] = limiter
	}
	return limiter.AllowN(now, 1)
}

// forget drops those who may try as often as somebody new.
func (l *limits) forget(now time.Time) {
	for id, limiter := range l.byID {
		if limiter.TokensAt(now) >= attempts {
			delete(l.byID, id)
		}
	}
}

// network returns what one person can have many addresses of: an IPv4 address, or a /64 of IPv6.
func network(a netip.Addr) string {
	if a.Is6() {
		if prefix, err := a.Prefix(64); err == nil {
			return prefix.String()
		}
	}
	return a.String()
}
