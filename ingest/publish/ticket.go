package publish

import (
	"sync"
	"sync/atomic"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// ticket counts down the acknowledgements of one Publish. A ticket whose Publish gave up stays with
// its records.
type ticket struct {
	p       *Publisher
	promise func(*kgo.Record, error) // bound once: a method value per record would be garbage per record
	done    chan struct{}            // one signal: all acknowledged, the first failure, or the deadline

	mu      sync.Mutex // guards what follows; taken after a list's
	left    int
	err     error // the first failure
	expired bool  // the deadline has passed
	inDoubt bool  // Publish has returned; the rest is counted in p.inDoubt

	deadline   time.Time
	list       *deadlines
	prev, next *ticket // in list, guarded by its mutex
}

func newTicket(p *Publisher) *ticket {
	t := &ticket{p: p, done: make(chan struct{}, 1), list: p.waiting.pick()}
	t.promise = t.acknowledge
	return t
}

// acknowledge is called by kgo once per record, serially; it must not block.
func (t *ticket) acknowledge(_ *kgo.Record, err error) {
	t.p.finished(err)
	t.mu.Lock()
	t.left--
	first := err != nil && t.err == nil
	if first {
		t.err = err
	}
	signal := first || t.left == 0
	if t.inDoubt {
		t.p.inDoubt.Add(-1)
		signal = false
	}
	t.mu.Unlock()
	if signal {
		t.signal()
	}
}

func (t *ticket) signal() {
	select {
	case t.done <- struct{}{}:
	default: // Publish has been woken already
	}
}

// settle ends the wait: how many acknowledgements are missing, and the first failure. Missing ones
// are in doubt from here.
func (t *ticket) settle() (left int, err error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.left > 0 {
		t.inDoubt = true
		t.p.inDoubt.Add(int64(t.left))
	}
	return t.left, t.err
}

// waiting is all tickets whose Publish waits, by deadline. A timer for each Publish would do too;
// it costs more than all else that Publish does, because the runtime keeps timers in heaps. All
// tickets wait equally long, so a list that is appended to is sorted, and one goroutine looks at
// the first of each.
type waiting struct {
	lists [8]deadlines // several, so that cores rarely meet at one mutex
	turn  atomic.Uint32
}

type deadlines struct {
	mu          sync.Mutex
	first, last *ticket
}

func (w *waiting) pick() *deadlines { return &w.lists[w.turn.Add(1)%uint32(len(w.lists))] }

// add makes t wait until its deadline.
func (l *deadlines) add(t *ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	t.prev, t.next = l.last, nil
	if l.last == nil {
		l.first = t
	} else {
		l.last.next = t
	}
	l.last = t
}

// remove ends t's wait. When it returns, expire no longer knows t, so that t can be used again.
func (l *deadlines) remove(t *ticket) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.unlink(t)
}

func (l *deadlines) unlink(t *ticket) {
	if t.prev == nil && t.next == nil && l.first != t {
		return // expire has been here
	}
	if t.prev == nil {
		l.first = t.next
	} else {
		t.prev.next = t.next
	}
	if t.next == nil {
		l.last = t.prev
	} else {
		t.next.prev = t.prev
	}
	t.prev, t.next = nil, nil
}

// expire wakes every Publish whose deadline has passed. It holds the list's mutex meanwhile:
// without it, the last acknowledgement could wake a Publish, which returns, gives the ticket to
// another Publish, and expire would then wake that one long before its time.
func (w *waiting) expire(now time.Time) {
	for i := range w.lists {
		l := &w.lists[i]
		l.mu.Lock()
		for t := l.first; t != nil && !now.Before(t.deadline); t = l.first {
			l.unlink(t)
			t.mu.Lock()
			t.expired = true
			t.mu.Unlock()
			t.signal()
		}
		l.mu.Unlock()
	}
}
