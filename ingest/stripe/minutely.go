package stripe

import (
	"context"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"
)

// minutely writes the first of many equal lines at once, and then one a minute that says how many
// there were.
type minutely struct {
	log     *slog.Logger
	level   slog.Level
	message string
	attrs   []slog.Attr

	mu      sync.Mutex
	count   int64       // since the last line
	latest  []slog.Attr // of the last of them
	waiting bool        // a line was written less than a minute ago
}

func newMinutely(log *slog.Logger, level slog.Level, message string, attrs ...slog.Attr) *minutely {
	return &minutely{log: log, level: level, message: message, attrs: attrs}
}

// add counts one, described by attrs.
func (m *minutely) add(attrs ...slog.Attr) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.count++
	m.latest = attrs
	if !m.waiting {
		m.write()
	}
}

// write writes a line, and comes back after a minute. The caller holds mu.
func (m *minutely) write() {
	attrs := append(slices.Clip(m.attrs), slog.Int64("count", m.count))
	m.log.LogAttrs(context.Background(), m.level, m.message, append(attrs, m.latest...)...)
	m.count, m.waiting = 0, true
	time.AfterFunc(time.Minute, func() {
		m.mu.Lock()
		defer m.mu.Unlock()
		m.waiting = false
		if m.count > 0 {
			m.write()
		}
	})
}

// unlisted remembers the accounts that no workspace lists.
type unlisted struct {
	line *minutely

	mu     sync.Mutex
	counts map[accountMode]int64
}

// maxUnlisted accounts are remembered by name. Their events are signed, but a platform may have
// very many.
const maxUnlisted = 100

func newUnlisted(log *slog.Logger) *unlisted {
	return &unlisted{counts: make(map[accountMode]int64), line: newMinutely(log, slog.LevelError,
		"events of an account that no workspace lists are held: list it in the workspaces file, and they are booked")}
}

func (u *unlisted) add(a accountMode) {
	u.line.add(slog.String("account", a.account), slog.Bool("livemode", a.livemode))
	u.mu.Lock()
	defer u.mu.Unlock()
	if _, known := u.counts[a]; known || len(u.counts) < maxUnlisted {
		u.counts[a]++
	}
}

// warnings names the accounts that s does not list either.
func (u *unlisted) warnings(s *signers) []string {
	u.mu.Lock()
	defer u.mu.Unlock()
	var list []string
	for a, n := range u.counts {
		if s.listed[a] {
			delete(u.counts, a) // a reload has listed it
			continue
		}
		list = append(list, fmt.Sprintf("%d events of account %q (livemode %t), which no workspace lists, are held "+
			"(hint: list it in the workspaces file)", n, a.account, a.livemode))
	}
	slices.Sort(list)
	return list
}
