// Package spool keeps entries on disk, in the order in which they came, until they have been
// delivered elsewhere. An edge acknowledges a click out of the spool while Kafka cannot take it.
//
// The promise: when Append returns nil, the entries are written and fsynced. They are read back in
// order after any end of the process, kill -9 and power loss included, at least once.
//
// The directory holds segment files, named by the time at which they were begun, so that their
// names sort by age. Only one segment is written to; one that a process finds when it starts is
// never written to again. A segment is deleted when all that it holds is delivered. See frame.go
// for what is inside.
package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

var (
	// ErrFull says that the entries would take the spool beyond its limit. Nothing of them is kept.
	ErrFull = errors.New("spool is full")
	// ErrLocked says that another process uses the directory.
	ErrLocked = errors.New("spool directory is in use by another process")
	// ErrClosed says that the spool was closed.
	ErrClosed = errors.New("spool is closed")
)

const (
	segmentBytes = 4 << 20     // a segment is ended at this size; reading holds one segment in memory
	groupBytes   = 4 << 20     // entries that wait for one fsync; who comes later waits for the one after it
	spareBytes   = 256 << 10   // of memory that stays for the next group
	reserveBytes = 64 << 20    // disk space that is left to others
	retryAfter   = time.Second // between a failure of the disk and the next attempt

	suffix     = ".spool"
	keptSuffix = ".kept" // delivered as far as it goes, and kept for people to look at
	lockName   = "lock"

	rewriteSuffix = ".new" // a segment that is being rewritten
)

// Config says where a spool is and how large it may become.
type Config struct {
	Dir      string       // made with mode 0700 if it does not exist
	MaxBytes int64        // of all files together
	Logger   *slog.Logger // nil: slog.Default()

	create func(path string) (file, error) // tests; nil: the file system
}

// file is the part of os.File that a segment is written with.
type file interface {
	Write([]byte) (int, error)
	Sync() error
	Truncate(int64) error
	Stat() (fs.FileInfo, error)
	Close() error
}

// Validate reports every fault of c at once, each with a hint.
func (c Config) Validate() error {
	var faults []error
	if c.Dir == "" {
		faults = append(faults, errors.New("spool dir: none given (hint: --spool-dir /var/lib/tributary/spool)"))
	}
	switch info, err := os.Stat(c.Dir); {
	case err == nil && !info.IsDir():
		faults = append(faults, fmt.Errorf("spool dir: %s is no directory (hint: one of this process's own)", c.Dir))
	case err != nil && c.Dir != "" && !errors.Is(err, fs.ErrNotExist):
		faults = append(faults, fmt.Errorf("spool dir: %w (hint: a directory that this user may write to)", err))
	}
	if c.MaxBytes < 2*segmentBytes {
		faults = append(faults, fmt.Errorf("spool limit: %d bytes is too small (hint: at least %d)",
			c.MaxBytes, 2*segmentBytes))
	}
	return errors.Join(faults...)
}

// Spool is safe for concurrent use. One goroutine at a time may drain it (Next, Segment, Remove,
// Rewrite).
type Spool struct {
	cfg  Config
	log  *slog.Logger
	lock *os.File

	mu       sync.Mutex // guards what follows
	filling  *group     // takes entries for the next fsync
	used     int64      // bytes of all files
	writes   int64      // bytes of the group that is being written, until they count as used
	segments []int64    // names of the segments, oldest first; the active one is the last
	failure  error      // of the last commit; nil when it succeeded
	failedAt time.Time
	closed   bool

	writing sync.Mutex // held while the active segment changes; taken before mu
	active  file       // nil: the next commit begins a segment
	size    int64      // of the active segment, fsynced

	activePath string

	wake chan struct{} // the group has entries
	done chan struct{} // the committer has ended
}

// Open locks the directory and finds what an earlier process left there. It returns ErrLocked when
// another process has it.
func Open(cfg Config) (*Spool, error) {
	if err := cfg.Validate(); err != nil {
		return nil, err
	}
	s := &Spool{
		cfg: cfg, log: cfg.Logger, filling: newGroup(nil),
		wake: make(chan struct{}, 1), done: make(chan struct{}),
	}
	if s.log == nil {
		s.log = slog.Default()
	}
	if s.cfg.create == nil {
		s.cfg.create = createFile
	}
	if err := makePrivate(cfg.Dir); err != nil {
		return nil, err
	}
	if err := s.occupy(); err != nil {
		return nil, fmt.Errorf("open spool: %w", err)
	}
	go s.commitGroups()
	return s, nil
}

// find lists the segments that are there. os.ReadDir sorts by name, which is by age.
func (s *Spool) find() error {
	entries, err := os.ReadDir(s.cfg.Dir)
	if err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used, s.segments = 0, nil
	for _, e := range entries {
		info, err := e.Info()
		if errors.Is(err, fs.ErrNotExist) {
			continue // deleted by somebody meanwhile
		}
		if err != nil {
			return err
		}
		if strings.HasSuffix(e.Name(), rewriteSuffix) { // the segment itself is whole
			_ = os.Remove(filepath.Join(s.cfg.Dir, e.Name()))
			continue
		}
		s.used += info.Size()
		name, ok, err := segmentName(e.Name())
		if err != nil {
			return err
		}
		if ok {
			s.segments = append(s.segments, name)
		}
	}
	return nil
}

// Close waits for the fsync under way and releases the directory. What is not drained stays for the
// next Open.
func (s *Spool) Close() error {
	s.mu.Lock()
	if s.closed {
		s.mu.Unlock()
		return nil
	}
	s.closed = true // no add from here on
	s.mu.Unlock()
	close(s.wake)
	<-s.done
	s.writing.Lock()
	defer s.writing.Unlock()
	s.endSegment()
	return s.lock.Close() // which ends the lock
}

// Usage is a spool's state.
type Usage struct {
	Bytes    int64     // of all files
	Room     int64     // bytes that it can still take: the limit's, or the disk's less a reserve
	Segments int       // waiting to be drained
	Oldest   time.Time // when the oldest of them was begun; zero without one
}

// Usage returns the state of the spool. The error says why the spool would refuse an entry now.
func (s *Spool) Usage() (Usage, error) {
	free, err := freeBytes(s.cfg.Dir)
	if err != nil {
		return Usage{}, fmt.Errorf("look at the spool's disk: %w (hint: does --spool-dir still exist?)", err)
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	u := Usage{Bytes: s.used, Segments: len(s.segments)}
	u.Room = max(0, min(s.cfg.MaxBytes-s.used, free-reserveBytes))
	if len(s.segments) > 0 {
		u.Oldest = time.Unix(0, min(s.segments[0], time.Now().UnixNano())) // the clock may have been set back
	}
	switch {
	case s.failure != nil:
		return u, s.failure
	case s.cfg.MaxBytes-s.used < maxEntry:
		return u, fmt.Errorf("%w: %d bytes of %d (hint: --spool-max-bytes)", ErrFull, s.used, s.cfg.MaxBytes)
	case u.Room == 0:
		return u, fmt.Errorf("%w: the disk has %d bytes left (hint: free some, or move --spool-dir)", ErrFull, free)
	}
	return u, nil
}
