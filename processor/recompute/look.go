package recompute

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// secondLooks are the names, sales and leads that were changed too recently to be sure that every
// replica of ClickHouse showed what else bears on them. They are looked at again twice the
// replicas' lag after they were changed.
//
// Two processors that store two halves of one sale on two replicas may both look in vain. Let d be
// the lag: what is stored at t is seen by whoever looks at t+d or later. Of all that bears on a
// sale, let the last row but for clicks be stored at t. Its second look, at t+2d, sees everything
// stored until t+d. A click stored still later sees by its first look all the rest, and so reaches
// the sale; it may not see itself, so that the sales and leads which a click reached are looked at
// again too. A click that reached nothing is not: a name that leads to it was not visible yet, and
// whoever stored that name looks again.
//
// The list is in memory. A processor that dies leaves it to the next owner of its partitions: until
// their second look, edges are not marked as carried, and Consumer.advanceBase keeps the rewind
// from passing their records.
type secondLooks struct {
	mu    sync.Mutex
	queue []look // by time
	bytes int
	room  chan struct{} // closed when bytes has shrunk; nil: nobody waits
}

// look is what one batch changed in one workspace.
type look struct {
	at         time.Time
	batch      time.Time // when the batch began
	generation int       // of the marks, then
	workspace  string
	nodes      []identity.Node
	edges      []clickhouse.EdgeRow // to be marked as carried
}

// maxLookBytes bounds the memory of all second looks. Beyond it batches wait for the oldest looks.
const maxLookBytes = 64 << 20

// maxLookNodes bounds the names of one lookup.
const maxLookNodes = 2000

// size is about how many bytes of memory a look takes.
func (l *look) size() int {
	n := 0
	for _, node := range l.nodes {
		n += 16 + len(node)
	}
	return n + len(l.edges)*edgeBytes
}

// edgeBytes is about what an edge takes beside its names, which are mostly those of nodes.
const edgeBytes = 160

// toLookAt returns the names of a second look: those that changed. Clicks among them are replaced
// by the sales and leads that were booked, unless that makes more names.
func toLookAt(changed, booked []identity.Node) []identity.Node {
	if len(booked) > len(changed) {
		return changed
	}
	nodes := slices.Clone(booked)
	for _, n := range changed {
		if n.Type() != identity.Click {
			nodes = append(nodes, n)
		}
	}
	return unique(nodes)
}

// add appends a look, and waits while there are too many. It returns an error only when ctx ends.
func (s *secondLooks) add(ctx context.Context, l look) error {
	l.edges = carried(l.edges)
	if len(l.nodes) == 0 && len(l.edges) == 0 {
		return nil
	}
	for {
		s.mu.Lock()
		if s.bytes < maxLookBytes {
			l.at = time.Now()
			s.queue = append(s.queue, l)
			s.bytes += l.size()
			s.mu.Unlock()
			return nil
		}
		if s.room == nil {
			s.room = make(chan struct{})
		}
		room := s.room
		s.mu.Unlock()
		select {
		case <-ctx.Done():
			return fmt.Errorf("wait for second looks: %w", context.Cause(ctx))
		case <-room:
		}
	}
}

// due joins the oldest second looks of one workspace and generation that are older than age, and
// returns them with their number. If there are none it returns the time until the next one is due.
func (s *secondLooks) due(age time.Duration) (next look, n int, wait time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if len(s.queue) == 0 {
		return look{}, 0, age
	}
	if wait := time.Until(s.queue[0].at.Add(age)); wait > 0 {
		return look{}, 0, wait
	}
	next = s.queue[0]
	next.nodes, next.edges = nil, nil
	for _, l := range s.queue {
		if time.Since(l.at) < age || l.workspace != next.workspace || l.generation != next.generation ||
			n > 0 && len(next.nodes)+len(l.nodes) > maxLookNodes {
			break
		}
		next.nodes, next.edges, n = append(next.nodes, l.nodes...), append(next.edges, l.edges...), n+1
	}
	return next, n, 0
}

// rest reports whether anything is still to be looked at.
func (s *secondLooks) rest() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.queue) > 0
}

// done removes the first n looks.
func (s *secondLooks) done(n int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for i := range s.queue[:n] {
		s.bytes -= s.queue[i].size()
		s.queue[i] = look{} // the queue's array lives on
	}
	s.queue = s.queue[n:]
	if s.room != nil {
		close(s.room)
		s.room = nil
	}
}

// unsynced is how long ClickHouse may keep acknowledged rows in memory only: Linux writes dirty
// pages after 30 seconds (vm.dirty_expire_centisecs).
const unsynced = time.Minute

// SettledUntil returns the time before which every change has had its second look and is on
// ClickHouse's disk.
func (r *Recomputer) SettledUntil() time.Time {
	until := time.Now().Add(-unsynced)
	if at, ok := r.marks.oldest(); ok && at.Before(until) {
		until = at
	}
	r.looks.mu.Lock()
	defer r.looks.mu.Unlock()
	if len(r.looks.queue) > 0 && r.looks.queue[0].at.Before(until) {
		until = r.looks.queue[0].at
	}
	return until
}

// LookAgain recomputes what was changed a second time, twice Config.ReplicaLag later. It returns
// nil when ctx ends.
func (r *Recomputer) LookAgain(ctx context.Context) error {
	for r.cfg.ReplicaLag > 0 && ctx.Err() == nil {
		if err := r.lookOnce(ctx); err != nil && ctx.Err() == nil {
			return err
		}
	}
	return nil
}

// lookAtRest does for a command what LookAgain does for a processor: it returns when everything was
// looked at again.
func (r *Recomputer) lookAtRest(ctx context.Context) error {
	if r.looks.rest() {
		r.cfg.Log.Info("waiting until all replicas have what was stored, to book it once more",
			"longest", 2*r.cfg.ReplicaLag)
	}
	for r.looks.rest() {
		if err := r.lookOnce(ctx); err != nil {
			return err
		}
	}
	return nil
}

// lookOnce looks again at what is due, or waits until something is.
func (r *Recomputer) lookOnce(ctx context.Context) error {
	l, n, wait := r.looks.due(2 * r.cfg.ReplicaLag)
	if n == 0 {
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
			return nil
		}
	}
	err := r.Recompute(ctx, l.workspace, unique(l.nodes), nil)
	if errors.Is(err, clickhouse.ErrRejected) {
		// The first look wrote these rows or made their record a dead letter; what is new came with
		// another record.
		r.cfg.Log.Warn("a second look makes rows that ClickHouse cannot take", "error", err)
		err = nil
	}
	if err == nil {
		err = r.mark(ctx, l.generation, l.batch, l.edges)
	}
	if err != nil {
		return fmt.Errorf("look again: %w", err)
	}
	r.looks.done(n)
	return nil
}

// ReplicaLag sets Config.ReplicaLag. It must be called before everything else.
func (r *Recomputer) ReplicaLag(lag time.Duration) { r.cfg.ReplicaLag = lag }
