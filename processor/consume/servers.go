package consume

import (
	"context"
	"log/slog"
	"sync"
	"time"

	"tributary/processor/clickhouse"
)

// Servers notices when another server of ClickHouse answers than before, or the same one after a
// restart, or that one which answered does not any more. Rows that were acknowledged may be
// missing: a server that lost its power has lost what it had not synced, and a replica lacks what
// the one that is gone had not passed on.
//
// That one is gone is noticed late, because a balancer may choose the others for a while. Walk
// through it: a cannot be reached, and b answers, which is noticed at once; then b crashes, and a
// answers again, within a minute. It may be the turn of one of two that a balancer chooses from.
// Only when b has been silent for a minute is it known to be gone, with what it had not synced. So
// nothing is settled that was handled since a minute before the last answer of any such server
// (SettledUntil).
type Servers struct {
	Ask func(context.Context) (clickhouse.Server, error) // tries once
	// Changed is called when another server answers: it makes the consumers read again. It must not
	// call the Servers.
	Changed func()
	Log     *slog.Logger

	mu   sync.Mutex
	last string
	seen map[string]sighting
}

// sighting is when a server was started, and when it answered last, both by our own clock.
type sighting struct {
	started, answered time.Time
	missed            bool // the partitions were read again since it answered
}

const (
	// askEvery is how often a server is asked who it is, and askTimeout how long it may take to
	// answer: what it says of its uptime is as exact as that.
	askEvery   = 5 * time.Second
	askTimeout = time.Second
	// startSlack is by how much later a server may seem to have been started when it is asked again.
	// It counts whole seconds.
	startSlack = askTimeout + time.Second
	// alternating is how long ago a server may have answered to be one of several that a balancer
	// chooses from: that one answers and then another is no change.
	alternating = time.Minute
	// unsynced is how long before its end what a server acknowledged may have been in its memory
	// only, as in recompute.
	unsynced = time.Minute
)

// Begin learns which server answers. It must be called before anything is written, so that a server
// which is started again just after that is noticed. It returns an error only when ctx ends.
func (s *Servers) Begin(ctx context.Context) error {
	for s.last == "" {
		s.look(ctx)
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(askEvery / 10):
		}
	}
	return nil
}

// Run asks until ctx ends. A server that does not answer is asked again.
func (s *Servers) Run(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(askEvery):
			s.look(ctx)
		}
	}
}

func (s *Servers) look(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, askTimeout)
	defer cancel()
	server, err := s.Ask(ctx)
	now := time.Now()
	if err != nil {
		return // the statements that are retried say so
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sight(server, now)
}

// sight notes that a server answered, and calls Changed if rows may be missing: before SettledUntil
// passes those rows, so that who asks for it finds the rewind asked for.
func (s *Servers) sight(server clickhouse.Server, now time.Time) {
	old, known := s.seen[server.Name]
	started := now.Add(-server.Uptime)
	restarted := known && started.Sub(old.started) > startSlack
	switched := s.last != "" && s.last != server.Name && (!known || now.Sub(old.answered) > alternating)
	gone := false
	for name, other := range s.seen {
		if name != server.Name && now.Sub(other.answered) > alternating {
			delete(s.seen, name)
			gone = gone || !other.missed
		}
	}
	if restarted || switched || gone {
		s.Log.Warn("another ClickHouse answers, or the same one after a restart; the partitions are read again", "server",
			server.Name, "before", s.last, "uptime", server.Uptime, "one is gone", gone)
		s.Changed()
		for name, other := range s.seen {
			other.missed = true
			s.seen[name] = other
		}
	}
	if !known || restarted {
		old.started = started
	}
	if s.seen == nil {
		s.seen = make(map[string]sighting)
	}
	old.answered, old.missed = now, false
	s.last, s.seen[server.Name] = server.Name, old
}

// SettledUntil returns until when no server that is gone unnoticed can have lost what was handled.
func (s *Servers) SettledUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	oldest := time.Now()
	for _, seen := range s.seen {
		if !seen.missed && seen.answered.Before(oldest) {
			oldest = seen.answered
		}
	}
	return oldest.Add(-unsynced)
}
