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
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
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

// Try returns why a spool could not be kept in dir: this user may not write there or make it
// private, or it holds a file that is none of a spool's. It leaves nothing behind. The notes tell of
// what may end: another process has the directory, which may be the program that runs already, or
// its disk is full.
func Try(dir string) (notes []string, err error) {
	there, err := existing(dir)
	if err != nil {
		return nil, fmt.Errorf("spool dir: %w (hint: a directory that this user may write to)", err)
	}
	probe, err := os.MkdirTemp(there, "check-")
	if err != nil {
		return nil, fmt.Errorf("spool dir: %w (hint: a directory that this user may write to)", err)
	}
	if err := os.Remove(probe); err != nil {
		return nil, fmt.Errorf("spool dir: %w (hint: a directory that this user may write to)", err)
	}
	if free, err := freeBytes(there); err == nil && free < reserveBytes {
		notes = append(notes, fmt.Sprintf("spool dir: the disk of %s has %d bytes left, and the spool leaves %d to others: "+
			"it keeps nothing now (hint: make room)", there, free, reserveBytes))
	}
	if there != filepath.Clean(dir) {
		return notes, nil
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("spool dir: %w (hint: a directory that this user may read)", err)
	}
	for _, e := range entries {
		if _, _, err := segmentName(e.Name()); err != nil {
			return nil, fmt.Errorf("spool dir: %w", err)
		}
	}
	info, err := os.Stat(dir)
	if err == nil && info.Mode().Perm()&0o077 != 0 {
		err = os.Chmod(dir, info.Mode().Perm()) // the owner may
	}
	if err != nil {
		return nil, fmt.Errorf("spool dir: %w (hint: it holds visitors' data; chmod 700)", err)
	}
	if lock, err := os.OpenFile(filepath.Join(dir, lockName), os.O_RDWR, 0); err == nil {
		defer lock.Close()
		if tryLock(lock) != nil {
			notes = append(notes, fmt.Sprintf("spool dir: %s is in use now (hint: no fault if it is by this program, running; "+
				"two cannot share one)", dir))
		}
	} else if !errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("spool dir: %w (hint: this user must be able to write to its files)", err)
	}
	return notes, nil
}

// existing returns dir, or the nearest directory above it that exists.
func existing(dir string) (string, error) {
	for dir = filepath.Clean(dir); ; dir = filepath.Dir(dir) {
		_, err := os.Stat(dir)
		if !errors.Is(err, fs.ErrNotExist) || dir == filepath.Dir(dir) {
			return dir, err
		}
	}
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

// group is the entries that one fsync makes durable.
type group struct {
	frames []byte
	done   chan struct{} // closed when err is final
	err    error
}

func newGroup(buf []byte) *group { return &group{frames: buf[:0], done: make(chan struct{})} }

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

// occupy locks the directory and finds what is in it.
func (s *Spool) occupy() error {
	lock, err := os.OpenFile(filepath.Join(s.cfg.Dir, lockName), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return fmt.Errorf("%w (hint: this user must be able to write to --spool-dir)", err)
	}
	if err := tryLock(lock); err != nil {
		_ = lock.Close()
		return fmt.Errorf("%s: %w: %w (hint: each process needs a --spool-dir of its own)", s.cfg.Dir, ErrLocked, err)
	}
	if err := s.find(); err != nil {
		_ = lock.Close()
		return err
	}
	if s.lock != nil {
		_ = s.lock.Close()
	}
	s.lock = lock
	return nil
}

// occupies reports whether the directory is still the one that was locked: somebody may have
// removed it, or mounted a disk over it.
func (s *Spool) occupies() bool { return isAt(s.lock, filepath.Join(s.cfg.Dir, lockName)) }

// isAt reports whether path leads to f.
func isAt(f interface{ Stat() (fs.FileInfo, error) }, path string) bool {
	own, err := f.Stat()
	if err != nil {
		return false
	}
	there, err := os.Stat(path)
	return err == nil && os.SameFile(own, there)
}

// makePrivate makes the directory, or takes the rights of others from one that exists: it holds
// what visitors sent.
func makePrivate(dir string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return fmt.Errorf("make spool directory: %w (hint: --spool-dir names one that this user may write to)", err)
	}
	info, err := os.Stat(dir)
	if err != nil {
		return fmt.Errorf("make spool directory: %w", err)
	}
	if info.Mode().Perm()&0o077 != 0 {
		if err := os.Chmod(dir, 0o700); err != nil { // #nosec G302 -- a directory
			return fmt.Errorf("make spool directory private: %w (hint: it holds visitors' data; chmod 700)", err)
		}
	}
	return nil
}

func createFile(path string) (file, error) {
	return os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
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

// path is where the segment of that name is.
func (s *Spool) path(name int64) string { return filepath.Join(s.cfg.Dir, segmentFile(name)) }

// segmentFile is the file of a segment. 19 digits hold every int64, so that files sort as numbers
// do.
func segmentFile(name int64) string { return fmt.Sprintf("%019d%s", name, suffix) }

// segmentName returns which segment a file is, and whether it is one.
func segmentName(file string) (name int64, ok bool, err error) {
	text, ok := strings.CutSuffix(file, suffix)
	if !ok {
		return 0, false, nil
	}
	name, err = strconv.ParseInt(text, 10, 64)
	if err != nil || segmentFile(name) != file {
		return 0, false, fmt.Errorf("%s is not a name that a spool gives (hint: move the file elsewhere)", file)
	}
	return name, true, nil
}

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
	case s.used+int64(len(g.frames)+size) > s.cfg.MaxBytes:
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
		s.filling = newGroup(spare)
		s.mu.Unlock()

		g.err = s.commit(g.frames)
		spare, g.frames = g.frames, nil
		if cap(spare) > spareBytes {
			spare = nil
		}
		s.mu.Lock()
		s.failure, s.failedAt = g.err, time.Now()
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
	s.grow(int64(n))
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

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
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
