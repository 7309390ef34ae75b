package dashboard

import (
	"sync"
	"time"
)

// watched is how long two looks may be apart for the later one to say when a click came.
const watched = 10 * time.Second

// growth remembers, by workspace, when the number of recent clicks was last seen to grow. clicks_hourly knows no finer time
// than the hour, but a page that looks every two seconds does.
type growth struct {
	mu   sync.Mutex
	last map[string]look
}

type look struct {
	since  time.Time // beginning of what was counted
	count  uint64
	at     time.Time
	grewAt time.Time
}

// note takes a count of the clicks since an hour and returns when they were last seen to grow, if they were.
func (g *growth) note(workspace string, since time.Time, count uint64, now time.Time) (time.Time, bool) {
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.last == nil {
		g.last = map[string]look{}
	}
	before, known := g.last[workspace]
	this := look{since: since, count: count, at: now, grewAt: before.grewAt}
	if known {
		gap := now.Sub(before.at)
		if gap < 0 {
			return before.grewAt, !before.grewAt.IsZero()
		}
		if before.since.Equal(since) && count > before.count {
			this.grewAt = time.Time{} // it grew, and when is known only from looks close together
			if gap <= watched {
				this.grewAt = now
			}
		}
	}
	// Names of workspaces come from whoever asks; the memory for them is bounded.
	if !known && len(g.last) >= maxKept {
		clear(g.last)
	}
	g.last[workspace] = this
	return this.grewAt, !this.grewAt.IsZero()
}
