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

// marks are the edges of which everything that they concern is booked, until the servers of
// ClickHouse are known to have kept it. Only then is an edge marked as carried: what was lost
// before is booked again when its records are read again, and a mark would prevent that.
//
// Walk through it: a batch stores a new name of a customer, and pauses. The server loses its power,
// with the name in its memory, and is back. The batch goes on: it looks the customer's older sales
// up, finds no name and so nobody to credit, and marks the edge. Five seconds later the server's
// restart is noticed, and the records are read again. If the mark had been stored, the edge would
// not be fresh, and the older sales would stay credited to nobody.
//
// Until then this processor knows from its memory which edges it has carried (known): an event of a
// returning customer would book all of the customer's sales again. What waits, and what is known, are
// in memory. A processor that dies leaves edges without a mark: they are carried once more by whoever
// reports them next.
//
// A request to book under a name is noted as done at once, in one insert with another request for
// the same that is not due before the loss would be known (again). That one is done when the servers
// are known to have kept what was booked, without booking anything; when this processor notices a
// loss, at once; and when it dies before either, by another processor.
//
// Marks and requests write names a minute and more after their records were read. Walk through it:
// a record is read, its person is erased, what arrives late of the person is redacted, and only
// then the mark is written, which stores the erased name again. So once the list of erased names
// has grown, nothing is written of what was read before, or in the minute after (erased).
type marks struct {
	mu        sync.Mutex
	queue     []booked // by time
	bytes     int      // of the edges in queue
	known     carriedEdges
	forgotten int                   // how often what was stored became uncertain
	grown     time.Time             // when the list of erased names grew last
	finished  []finished            // by time
	lost      []clickhouse.Deferred // requests to do at once
}

// finished are requests for the case that what was booked for others is lost.
type finished struct {
	at       time.Time // when it was booked
	requests []clickhouse.Deferred
}

// booked are edges of one batch that are to be marked.
type booked struct {
	batch time.Time // when the batch began
	at    time.Time // when everything was booked
	edges packedEdges
}

// maxMarkBytes bounds the memory of the edges that wait for their mark. Beyond it those of newer
// batches get none: in a backlog of minutes the older ones then are marked in their time. As long as
// they are known, they are not carried again.
const maxMarkBytes = 32 << 20

// markEvery is how often edges are marked that are known to be kept.
const markEvery = time.Second

// generation returns a number that changes when what was stored before becomes uncertain.
func (m *marks) generation() int {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.forgotten
}

// add notes that edges of a batch that began at a time are carried, by work which began in a
// generation.
func (m *marks) add(generation int, batch time.Time, edges []clickhouse.EdgeRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if generation != m.forgotten {
		return
	}
	now := time.Now()
	b := booked{batch: batch, at: now}
	if !m.mayBeErased(batch) {
		for i := range edges {
			m.known.add(now, edges[i].Workspace, edges[i].Edge)
		}
		if m.bytes < maxMarkBytes {
			b.edges = pack(edges)
			m.bytes += b.edges.size()
		}
	}
	m.queue = append(m.queue, b) // without edges, too: it holds the rewind, for its second look may be lost
}

// forget drops all: some of what was booked may be lost.
func (m *marks) forget() {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.queue, m.known, m.bytes = nil, carriedEdges{}, 0
	m.forgotten++
	for _, f := range m.finished {
		m.lost = append(m.lost, f.requests...)
	}
	m.finished = nil
}

// erased drops what names somebody: the list of erased names has grown. The batches still hold the
// rewind, and their edges are carried once more by whoever reports them next. The requests are stored
// under the names that the erasure gave them, and are done when they are due.
func (m *marks) erased() {
	m.mu.Lock()
	defer m.mu.Unlock()
	for i := range m.queue {
		m.queue[i].edges = packedEdges{}
	}
	m.known, m.bytes, m.finished, m.lost = carriedEdges{}, 0, nil, nil
	m.grown = time.Now()
}

// mayBeErased reports whether what was read at a time may name somebody who is erased. Until a minute
// after the list grew it is left out: a batch is read some seconds before it begins, and an erasure
// renames what is stored for half a minute after a processor may have read the list.
func (m *marks) mayBeErased(read time.Time) bool { return read.Before(m.grown.Add(unsynced)) }

// renamed reports whether requests that were read at a time may have other names by now.
func (m *marks) renamed(read time.Time) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.mayBeErased(read)
}

// finish notes that requests are done (done), and which requests repeat them if what was booked for
// them is lost (again). generation is the value of forgotten when the work began: if it has grown
// since, the work may be lost, and the requests are repeated at once.
func (m *marks) finish(generation int, done, again []clickhouse.Deferred) {
	m.mu.Lock()
	defer m.mu.Unlock()
	ids := make(map[string]bool, len(done))
	for _, r := range done {
		ids[r.Request] = true
	}
	m.lost = slices.DeleteFunc(m.lost, func(r clickhouse.Deferred) bool { return ids[r.Request] })
	if generation != m.forgotten {
		m.lost = append(m.lost, again...)
		return
	}
	m.finished = append(m.finished, finished{time.Now(), again})
}

// toDoAgain returns the requests of what may be lost. A request is returned until finish is called
// for it.
func (m *marks) toDoAgain() []clickhouse.Deferred {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Clone(m.lost)
}

// needless removes and returns the requests of what was booked before a time, and is kept.
func (m *marks) needless(before time.Time) (requests []clickhouse.Deferred) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for len(m.finished) > 0 && m.finished[0].at.Before(before) {
		requests = append(requests, m.finished[0].requests...)
		m.finished[0] = finished{} // the list's array lives on
		m.finished = m.finished[1:]
	}
	return done(requests)
}

// done returns requests as done.
func done(requests []clickhouse.Deferred) []clickhouse.Deferred {
	requests = slices.Clone(requests)
	for i := range requests {
		requests[i].Done = true
	}
	return requests
}

// has reports whether an edge that became true no later than this one is known to be carried.
func (m *marks) has(workspace string, e identity.Edge) bool {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.known.has(time.Now(), workspace, e)
}

// take removes and returns the edges that were booked before a time.
func (m *marks) take(before time.Time) (edges []clickhouse.EdgeRow) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.known.forgetOld(time.Now())
	for len(m.queue) > 0 && m.queue[0].at.Before(before) {
		edges = m.queue[0].edges.appendTo(edges)
		m.bytes -= m.queue[0].edges.size()
		m.queue[0] = booked{} // the queue's array lives on
		m.queue = m.queue[1:]
	}
	return edges
}

// oldest returns when the batch was handled that waits longest to be kept, with what its second look
// booked.
func (m *marks) oldest() (at time.Time, ok bool) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if len(m.queue) == 0 {
		return time.Time{}, false
	}
	return m.queue[0].batch, true
}

// mark marks edges as carried: at once, or when the servers are known to have kept what was booked.
func (r *Recomputer) mark(ctx context.Context, generation int, batch time.Time, edges []clickhouse.EdgeRow) error {
	if r.cfg.Kept == nil {
		return r.cfg.Store.InsertEdges(ctx, edges)
	}
	r.marks.add(generation, batch, edges)
	return nil
}

// Mark marks the edges of which everything is booked and kept, and the requests to book again what is
// kept. It returns nil when ctx ends.
func (r *Recomputer) Mark(ctx context.Context) error {
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(markEvery):
		}
		kept := r.cfg.Kept()
		err := r.cfg.Store.InsertDeferred(ctx, r.marks.needless(kept))
		if err == nil {
			err = r.cfg.Store.InsertEdges(ctx, r.marks.take(kept))
		}
		if errors.Is(err, clickhouse.ErrRejected) {
			r.cfg.Log.Warn("ClickHouse cannot take marks of names that it took", "error", err)
			err = nil
		}
		if err != nil && ctx.Err() == nil {
			return fmt.Errorf("mark names as carried: %w", err)
		}
	}
}

// Erased is to be called when the list of erased names has grown: what waits to be written under a
// name is left out.
func (r *Recomputer) Erased() { r.marks.erased() }

// Forget is to be called when ClickHouse may have lost what it had acknowledged, before the records
// are read again: what waits to be marked is booked again with them.
func (r *Recomputer) Forget() { r.marks.forget() }
