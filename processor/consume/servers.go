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
//
// That the partitions were read again says nothing of what is handled afterwards: behind a balancer
// a may be written to after b has answered, and be gone before it says again who it is. Nor need a
// server that is written to ever have been asked who it is: over HTTP each statement says which one
// answered it (Answered). Such an answer does not say whether the server was restarted before it. So
// nothing is settled that a server may have taken since it was asked last, and one that answers
// statements and is not asked for fifteen minutes counts as gone.
type Servers struct {
	Ask func(context.Context) (clickhouse.Server, error) // tries once
	// Answered returns which servers answered statements since it was called before, by
	// clickhouse.Server.Display, and when last. Optional.
	Answered func() map[string]time.Time
	// Changed is called when another server answers: it makes the consumers read again. It must not
	// call the Servers.
	Changed func()
	Log     *slog.Logger

	mu   sync.Mutex
	last string
	seen map[string]sighting // by name, or by unasked
}

// sighting is when a server was started, and when it answered and was asked last, by our own clock.
type sighting struct {
	display           string
	started, answered time.Time
	asked             time.Time // zero: never
	again             time.Time // when the partitions were read again last, for another server's sake
}

// unasked is the key of a server that answered statements and has not said yet who it is.
func unasked(display string) string { return "display name " + display }

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
	// unheard is how long ago a server may have been asked that answers statements still.
	unheard = 15 * time.Minute
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
	asked := time.Now()
	server, err := s.Ask(ctx)
	if err != nil {
		return // the statements that are retried say so
	}
	if time.Since(asked) > askTimeout {
		return // this process was paused: what the answer says is of before
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.sight(server, asked)
}

// sight notes that server answered when it was asked now, and calls Changed if rows may be missing.
// It does so before SettledUntil passes those rows: whoever reads that time then knows that the
// rewind has been asked for.
func (s *Servers) sight(server clickhouse.Server, now time.Time) {
	old, known := s.seen[server.Name]
	started := now.Add(-server.Uptime)
	restarted := known && started.Sub(old.started) > startSlack
	switched := s.last != "" && s.last != server.Name && (!known || now.Sub(old.answered) > alternating)
	if s.seen == nil {
		s.seen = make(map[string]sighting)
	}
	s.sightStatements(server)
	gone := false
	for name, other := range s.seen {
		if name != server.Name && (now.Sub(other.answered) > alternating || now.Sub(other.settled()) > unheard) {
			delete(s.seen, name)
			gone = true
		}
	}
	if restarted || switched || gone {
		s.Log.Warn("another ClickHouse answers, or the same one after a restart; the partitions are read again", "server",
			server.Name, "before", s.last, "uptime", server.Uptime, "one is gone", gone)
		s.Changed()
		for name, other := range s.seen {
			other.again = now
			s.seen[name] = other
		}
	}
	if !known || restarted {
		old.started = started
	}
	old.display, old.answered, old.asked = server.Display, now, now
	s.last, s.seen[server.Name] = server.Name, old
}

// sightStatements notes which servers answered statements, beside one that is being sighted. Of
// several servers with one display name it is not known which.
func (s *Servers) sightStatements(server clickhouse.Server) {
	if s.Answered == nil {
		return
	}
	for display, at := range s.Answered() {
		if display == server.Display {
			continue
		}
		name, servers := unasked(display), 0
		for other, seen := range s.seen {
			if seen.display == display && other != unasked(display) {
				name, servers = other, servers+1
			}
		}
		if servers > 1 {
			continue
		}
		seen := s.seen[name]
		seen.display = display
		if at.After(seen.answered) {
			seen.answered = at
		}
		s.seen[name] = seen
	}
	delete(s.seen, unasked(server.Display))
}

// settled returns the time before which the rewind of a restart that is noticed from now on reaches.
// Of a server that never said who it is, it is not known how often it was restarted.
func (s sighting) settled() time.Time {
	if s.asked.IsZero() {
		return s.answered
	}
	return s.asked
}

// SettledUntil returns until when no server that is gone unnoticed can have lost what was handled.
func (s *Servers) SettledUntil() time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	until := time.Now().Add(-unsynced)
	for _, seen := range s.seen {
		since := seen.settled().Add(-unsynced)
		if seen.again.After(since) {
			since = seen.again
		}
		if since.Before(until) {
			until = since
		}
	}
	return until
}
