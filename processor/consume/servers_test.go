package consume

import (
	"context"
	"errors"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"tributary/processor/clickhouse"
)

// A restart and another server are noticed; a server that is slow, away for a while, or one of
// several behind a balancer is not one of these.
func TestServersChanged(t *testing.T) {
	type answer struct {
		name    string
		started time.Duration // since the test began
		err     error
		takes   time.Duration
	}
	const old = -time.Hour
	one, two := answer{name: "a", started: old}, answer{name: "b", started: old}
	repeat := func(n int, list ...answer) (all []answer) {
		for range n {
			all = append(all, list...)
		}
		return all
	}
	concat := func(lists ...[]answer) (all []answer) {
		for _, l := range lists {
			all = append(all, l...)
		}
		return all
	}
	for name, c := range map[string]struct {
		answers []answer
		changes int
	}{
		"the same":  {repeat(50, one), 0},
		"a restart": {concat(repeat(3, one), repeat(3, answer{name: "a", started: 8 * time.Second})), 1},
		"a restart unanswered": {concat(repeat(2, one), repeat(30, answer{err: errors.New("refused")}),
			repeat(2, answer{name: "a", started: 100 * time.Second})), 1},
		"another":                             {concat(repeat(3, one), repeat(3, two)), 1},
		"back after a minute":                 {concat(repeat(3, one), repeat(20, two), repeat(3, one)), 2},
		"back at once, and the other is gone": {concat(repeat(3, one), repeat(3, two), repeat(20, one)), 2},
		"a balancer":                          {repeat(30, one, two, one, one, two), 1},
		"away":                                {concat(repeat(3, one), repeat(30, answer{err: errors.New("refused")}), repeat(3, one)), 0},
		"slow": {concat(repeat(3, one), repeat(3, answer{name: "a", started: old, takes: time.Hour}),
			repeat(3, one)), 0},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				began, changes := time.Now(), 0
				var asked atomic.Int64
				s := &Servers{Log: slog.New(slog.DiscardHandler), Changed: func() { changes++ }}
				s.Ask = func(ctx context.Context) (clickhouse.Server, error) {
					a := c.answers[min(int(asked.Add(1))-1, len(c.answers)-1)]
					select {
					case <-ctx.Done():
						return clickhouse.Server{}, ctx.Err()
					case <-time.After(a.takes + 137*time.Millisecond):
					}
					return clickhouse.Server{Name: a.name, Uptime: (time.Since(began) - a.started).Truncate(time.Second)}, a.err
				}
				if err := s.Begin(t.Context()); err != nil {
					t.Fatal(err)
				}
				ctx, stop := context.WithCancel(t.Context())
				ended := make(chan error)
				go func() { ended <- s.Run(ctx) }()
				for int(asked.Load()) < len(c.answers)+2 {
					time.Sleep(askEvery)
				}
				stop()
				if err := <-ended; err != nil || changes != c.changes {
					t.Errorf("noticed %d times, want %d; %v", changes, c.changes, err)
				}
			})
		})
	}
}

// Nothing is settled that a server may have lost which is gone, before its loss is noticed.
func TestServersSettledUntil(t *testing.T) {
	began := time.Now().Add(-time.Hour)
	missed := false
	s := &Servers{Log: slog.New(slog.DiscardHandler), Changed: func() { missed = true }}
	answers := func(name string, seconds int, missing bool) time.Time {
		later := time.Duration(seconds) * time.Second
		now, server := began.Add(later), clickhouse.Server{Name: name, Uptime: time.Hour + later}
		missed = false
		if s.sight(server, now); missed != missing {
			t.Errorf("%s answers after %d s: read again %t, want %t", name, seconds, missed, missing)
		}
		return now
	}
	settled := func(want time.Time) {
		t.Helper()
		if got := s.SettledUntil(); !got.Equal(want.Add(-unsynced)) {
			t.Errorf("settled until %s, want a minute before %s", got, want)
		}
	}
	answers("a", 0, false)
	answers("b", 5, true)
	lastOfB := answers("b", 10, false)
	settled(lastOfB) // the partitions are read again since a has answered
	answers("a", 15, false)
	answers("a", 70, false)
	settled(lastOfB) // b may be gone
	settled(answers("a", 71, true))
}
