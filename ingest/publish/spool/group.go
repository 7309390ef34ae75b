package spool

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// group is the entries that one fsync makes durable.
type group struct {
	frames []byte
	done   chan struct{} // closed when err is final
	err    error
}

func newGroup(buf []byte) *group { return &group{frames: buf[:0], done: make(chan struct{})} }

// Append keeps the entries, all or none, and returns nil once they are fsynced. The entries' memory
// is copied. After ErrFull and ErrClosed nothing is kept; after another error, or when ctx ends
// first, they may or may not be.
func (s *Spool) Append(ctx context.Context, entries ...[]byte) error {
	for {
		g, added, err := s.add(entries)
		if err != nil {
			return err
		}
		select {
		case <-g.done:
			if added {
				return g.err
			}
		case <-ctx.Done():
			return fmt.Errorf("wait for the spool's disk: %w", ctx.Err())
		}
	}
}

// add puts the entries into the group that the next fsync makes durable, if it has room for them.
func (s *Spool) add(entries [][]byte) (g *group, added bool, err error) {
	size := 0
	for _, e := range entries {
		if len(e) == 0 || len(e) > maxEntry {
			return nil, false, fmt.Errorf("spool an entry: %d bytes is not between 1 and %d", len(e), maxEntry)
		}
		size += frameHeader + len(e)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	g = s.filling
	switch {
	case s.closed:
		return nil, false, ErrClosed
	case s.failure != nil && time.Since(s.failedAt) < retryAfter:
		return nil, false, s.failure // a dead disk answers slowly, or is full: it is tried once a second
	case s.used+s.writes+int64(len(g.frames)+size) > s.cfg.MaxBytes:
		return nil, false, ErrFull
	case len(g.frames) > 0 && len(g.frames)+size > groupBytes:
		return g, false, nil
	}
	for _, e := range entries {
		g.frames = appendFrame(g.frames, e)
	}
	select {
	case s.wake <- struct{}{}:
	default: // the committer has not yet come for this group
	}
	return g, true, nil
}

// commitGroups writes group after group. While one fsync is under way, the next group fills, so
// that the busier the edge is, the more entries share an fsync.
func (s *Spool) commitGroups() {
	defer close(s.done)
	var spare []byte
	for range s.wake {
		s.mu.Lock()
		g := s.filling
		s.filling, s.writes = newGroup(spare), int64(len(g.frames))
		s.mu.Unlock()

		g.err = s.commit(g.frames)
		spare, g.frames = g.frames, nil
		if cap(spare) > spareBytes {
			spare = nil
		}
		s.mu.Lock()
		s.failure, s.failedAt, s.writes = g.err, time.Now(), 0
		s.mu.Unlock()
		close(g.done)
	}
}

// commit writes frames behind the active segment and fsyncs them. After any failure the segment is
// ended: what fsync failed to write, the kernel may have dropped from its cache, and a second fsync
// would report success without it.
func (s *Spool) commit(frames []byte) error {
	if len(frames) == 0 {
		return nil
	}
	s.writing.Lock()
	defer s.writing.Unlock()
	err := s.write(frames)
	if errors.Is(err, errGone) { // nothing is wrong with the disk: another segment may do
		s.log.Error("the spool segment that is written to was deleted by someone else")
		err = s.write(frames)
	}
	return err
}
