package spool

import (
	"errors"
	"fmt"
	"os"
	"time"
)

// errGone says that a segment was fsynced, and that its directory no longer leads to it.
var errGone = errors.New("the segment is gone (hint: nobody else may change --spool-dir)")

// write is commit's, which holds s.writing.
func (s *Spool) write(frames []byte) error {
	if s.size >= segmentBytes {
		s.endSegment()
	}
	if s.active == nil {
		if err := s.beginSegment(); err != nil {
			return fmt.Errorf("begin a spool segment: %w", err)
		}
	}
	n, err := s.active.Write(frames)
	if err == nil {
		err = s.active.Sync()
	}
	if err != nil {
		s.abandon(int64(n))
		return fmt.Errorf("write a spool segment: %w", err)
	}
	if !isAt(s.active, s.activePath) {
		s.endSegment()
		return fmt.Errorf("write a spool segment: %w", errGone)
	}
	s.size += int64(n)
	s.mu.Lock()
	s.used, s.writes = s.used+int64(n), 0
	s.mu.Unlock()
	return nil
}

// abandon ends the active segment after n bytes more were written to it than are fsynced, and takes
// them back: a full disk must not fill further with every attempt. If that fails too, a reader
// delivers the whole entries among them, which does no harm, and stops at the torn one.
func (s *Spool) abandon(n int64) {
	if s.size == 0 {
		s.mu.Lock()
		name := s.segments[len(s.segments)-1]
		s.segments = s.segments[:len(s.segments)-1]
		s.mu.Unlock()
		s.endSegment()
		if err := os.Remove(s.path(name)); err != nil {
			s.log.Warn("delete a spool segment that could not be written", "error", err)
		}
		return
	}
	if s.active.Truncate(s.size) != nil {
		s.grow(n)
	}
	s.endSegment()
}

func (s *Spool) grow(n int64) {
	s.mu.Lock()
	s.used += n
	s.mu.Unlock()
}

// beginSegment makes the next segment. Its directory is fsynced, or a power loss could take the
// file with all its entries.
func (s *Spool) beginSegment() error {
	free, err := freeBytes(s.cfg.Dir)
	if err != nil {
		return fmt.Errorf("%s: %w (hint: make the directory again, or mount its disk)", s.cfg.Dir, err)
	}
	if !s.occupies() {
		if err := s.occupy(); err != nil {
			return err
		}
		s.log.Warn("the spool's directory is another one than before", "dir", s.cfg.Dir)
	}
	if free < reserveBytes {
		return fmt.Errorf("%w: the disk has %d bytes left (hint: free some, or move --spool-dir)", ErrFull, free)
	}
	name := time.Now().UnixNano()
	s.mu.Lock()
	if n := len(s.segments); n > 0 { // also when the clock was set back
		name = max(name, s.segments[n-1]+1)
	}
	s.mu.Unlock()
	f, err := s.cfg.create(s.path(name))
	if err != nil {
		return err
	}
	if err := syncDir(s.cfg.Dir); err != nil {
		_ = f.Close()
		_ = os.Remove(s.path(name))
		return err
	}
	s.active, s.activePath, s.size = f, s.path(name), 0
	s.mu.Lock()
	s.segments = append(s.segments, name)
	s.mu.Unlock()
	return nil
}

func (s *Spool) endSegment() {
	if s.active == nil {
		return
	}
	if err := s.active.Close(); err != nil {
		s.log.Warn("close a spool segment", "error", err)
	}
	s.active, s.size = nil, 0
}
