package simulation

import (
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"tributary/processor/clickhouse/clickhousetest"
)

// layout is how many replicas ClickHouse has, and which of them a statement goes to.
type layout struct {
	replicas int
	lag      time.Duration // longest time until a row is on the other replicas
	pins     pins
}

// pins is how processors choose a replica.
type pins int

const (
	sameFirst pins = iota // all the same one while it can be reached, then the next
	ownFirst              // each another one
	balanced              // each statement another one
)

func (p pins) String() string { return [...]string{"the same first", "each its own first", "any"}[p] }

func drawLayout(rng *rand.Rand) layout {
	l := layout{replicas: 1 + rng.IntN(3), pins: pins(rng.IntN(3))}
	if l.replicas > 1 {
		l.lag = time.Duration(float64(100*time.Millisecond) * math.Pow(600, rng.Float64())).Round(time.Millisecond)
	}
	return l
}

func (l layout) String() string {
	if l.replicas == 1 {
		return "one ClickHouse"
	}
	return fmt.Sprintf("%d replicas with a lag of %s, asked: %s", l.replicas, l.lag, l.pins)
}

// replica is one ClickHouse: it has what was written to it at once, and what was written to others
// after a while.
type replica struct {
	index   int
	model   *clickhousetest.Model
	started time.Time
	down    time.Time // no answer until then
	coming  []arrival // rows of others
}

func (r *replica) String() string { return fmt.Sprintf("replica %d", r.index+1) }

// write is an insert that was applied.
type write struct {
	at      time.Time
	apply   func(*clickhousetest.Model) error
	reached [3]time.Time // each replica
	synced  bool         // before it was acknowledged
	lost    bool
}

// arrival is a write on its way to a replica.
type arrival struct {
	at    time.Time
	write *write
}

// catchUp applies what has arrived.
func (s *server) catchUp(r *replica) {
	now := time.Now()
	r.coming = slices.DeleteFunc(r.coming, func(a arrival) bool {
		if a.at.After(now) || a.write.lost {
			return a.write.lost
		}
		if err := a.write.apply(r.model); err != nil {
			s.violated("pass a row on: %v", err)
		}
		a.write.reached[r.index] = a.at
		return true
	})
}

// send puts a write on its way to a replica that is up from then on.
func (s *server) send(w *write, to *replica, up time.Time) {
	on := up
	if s.layout.lag > 0 {
		on = up.Add(time.Duration(s.rng.Int64N(int64(s.layout.lag))))
	}
	to.coming = append(to.coming, arrival{on, w})
}

// route returns the replica for a processor's next statement, nil if none can be reached.
func (s *server) route(p *processor) *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.layout.pins == balanced:
		p.replica = s.rng.IntN(len(s.replicas))
	case s.layout.pins == ownFirst && !p.routed:
		p.replica = int(p.name[1]-'0') % len(s.replicas)
	}
	p.routed = true
	return s.reachable(p)
}

// routeUnasked is route, but prefers a replica that has not said to the processor who it is.
func (s *server) routeUnasked(p *processor) *replica {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.replicas {
		if !p.heard[i] {
			p.replica = i
		}
	}
	return s.reachable(p)
}

// reachable returns the replica that a processor chose, or the next one that can be reached.
func (s *server) reachable(p *processor) *replica {
	for range s.replicas {
		if r := s.replicas[p.replica]; !time.Now().Before(r.down) {
			return r
		}
		p.replica = (p.replica + 1) % len(s.replicas)
	}
	return nil
}

func (s *server) start(r *replica) time.Time {
	s.mu.Lock()
	defer s.mu.Unlock()
	return r.started
}

// apply changes a replica or looks into it.
//
// What an operator's command stores is on the disk when it is acknowledged (fsync_after_insert),
// and in no record from which it could be stored again. The other rows are in a record: they may be
// lost, as where a disk does not keep its promise.
func (s *server) apply(r *replica, p *processor, verb string, apply func(*clickhousetest.Model) error) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if time.Now().Before(r.down) {
		return errRefused
	}
	s.catchUp(r)
	if err := apply(r.model); err != nil || verb != "insert" {
		return err
	}
	if err := apply(s.model); err != nil {
		return err
	}
	w := &write{at: time.Now(), apply: apply, synced: p.name == commandName}
	w.reached[r.index] = w.at
	s.journal = append(s.journal, w)
	for _, other := range s.replicas {
		if other != r {
			s.send(w, other, w.at)
		}
	}
	return nil
}

// unreachable lets no statement reach a replica for a while.
func (s *server) unreachable(r *replica, off time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	r.down = time.Now().Add(off)
}

// crash ends a replica. It is back after off, without what reached it within the last lost; it gets
// from the others what these have. What nobody else has is gone.
func (s *server) crash(r *replica, lost, off time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	if now.Sub(r.started) < 5*time.Second {
		return // it has hardly begun
	}
	for _, each := range s.replicas {
		s.catchUp(each)
	}
	r.started, r.down, r.model, r.coming = now.Add(off), now.Add(off), s.newModel(), nil
	s.reset() // what is lost is equal to nothing
	gone := 0
	s.journal = slices.DeleteFunc(s.journal, func(w *write) bool {
		if at := w.reached[r.index]; now.Sub(at) <= lost && !w.synced {
			w.reached[r.index] = time.Time{}
		}
		if w.lost = w.reached == [3]time.Time{}; w.lost {
			gone++
			return true
		}
		if w.reached[r.index].IsZero() {
			s.send(w, r, r.started)
		} else if err := w.apply(r.model); err != nil {
			s.violated("start %s again: %v", r, err)
		}
		if err := w.apply(s.model); err != nil {
			s.violated("start %s again: %v", r, err)
		}
		return false
	})
	s.failure()
	s.note("%s crashes; %d inserts are lost", r, gone)
}
