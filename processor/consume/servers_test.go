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
		"another, and the first is gone":      {concat(repeat(3, one), repeat(20, two)), 2},
		"back after a minute":                 {concat(repeat(3, one), repeat(20, two), repeat(3, one)), 3},
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
	statements := map[string]time.Time{}
	s.Answered = func() map[string]time.Time {
		all := statements
		statements = map[string]time.Time{}
		return all
	}
	answers := func(name string, seconds int, missing bool) time.Time {
		later := time.Duration(seconds) * time.Second
		now := began.Add(later)
		server := clickhouse.Server{Name: name, Display: "the " + name, Uptime: time.Hour + later}
		missed = false
		if s.sight(server, now); missed != missing {
			t.Errorf("%s answers after %d s: read again %t, want %t", name, seconds, missed, missing)
		}
		return now
	}
	settled := func(seconds int) {
		t.Helper()
		if got := s.SettledUntil().Sub(began); got != time.Duration(seconds)*time.Second {
			t.Errorf("settled until %s, want %d s", got, seconds)
		}
	}
	minute := int(unsynced / time.Second)
	answers("a", 0, false)
	answers("b", 5, true)
	answers("b", 10, false)
	settled(10 - minute)
	answers("b", 61, true)
	settled(61 - minute) // a is gone, and what it took after b had answered is read again
	answers("a", 100, true)
	answers("b", 105, false)
	answers("a", 110, false)
	answers("a", 165, false)
	settled(100) // b may be gone, with what it has taken since the partitions were read again
	answers("a", 166, true)
	settled(166 - minute)

	statements["the c"] = began.Add(167 * time.Second)
	answers("a", 170, false)
	settled(167 - minute) // it has not said yet who it is
	statements["the c"] = began.Add(172 * time.Second)
	answers("a", 175, false)
	answers("a", 232, false)
	settled(172 - minute)
	answers("a", 233, true) // and never will
	settled(233 - minute)

	statements["the d"] = began.Add(234 * time.Second)
	answers("a", 235, false)
	answers("d", 240, true)
	statements["the a"] = began.Add(290 * time.Second)
	answers("d", 295, false)
	answers("d", 350, false) // a has answered statements since it was asked
	settled(240)
	answers("d", 351, true)
	settled(351 - minute)

	// A server that answers statements may have been restarted since it was asked.
	answers("f", 355, true)
	for seconds := 360; seconds <= 1240; seconds += 10 {
		statements["the d"] = began.Add(time.Duration(seconds) * time.Second)
		answers("f", seconds+2, false)
	}
	settled(355)
	statements["the d"] = began.Add(1260 * time.Second)
	answers("f", 1262, true) // d was asked too long ago, and its statements may be any server's from now on
	settled(1262 - minute)
}
