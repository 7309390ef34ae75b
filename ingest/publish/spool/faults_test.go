package spool

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"
)

// faultyFile fails as a test wants, after it has done what a real file would have done until then.
type faultyFile struct {
	*os.File
	f *faults
}

type faults struct {
	mu    sync.Mutex
	write error // after half of the bytes
	sync  error
	asked int           // calls of Write and Sync
	block chan struct{} // Sync waits for it; nil: it does not
}

func (f *faults) calls() int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.asked
}

func (f *faults) set(write, sync error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write, f.sync = write, sync
}

func (f *faultyFile) Write(b []byte) (int, error) {
	f.f.mu.Lock()
	defer f.f.mu.Unlock()
	f.f.asked++
	if f.f.write != nil {
		n, _ := f.File.Write(b[:len(b)/2])
		return n, f.f.write
	}
	return f.File.Write(b)
}

func (f *faultyFile) Sync() error {
	f.f.mu.Lock()
	f.f.asked++
	block, err := f.f.block, f.f.sync
	f.f.mu.Unlock()
	if block != nil {
		<-block
	}
	if err != nil {
		return err
	}
	return f.File.Sync()
}

func faulty(dir string) (Config, *faults) {
	f := &faults{}
	cfg := config(dir)
	cfg.create = func(path string) (file, error) {
		real, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		return &faultyFile{real, f}, err
	}
	return cfg, f
}

// After a failed write or fsync nothing is promised, what was promised before is there, and the
// next entries go to another file: a second fsync of the first would report success for what the
// kernel has dropped.
func TestDiskFails(t *testing.T) {
	for name, f := range map[string]struct{ write, sync error }{
		"no space": {write: syscall.ENOSPC}, "fsync": {sync: syscall.EIO},
	} {
		t.Run(name, func(t *testing.T) {
			dir := t.TempDir()
			cfg, faults := faulty(dir)
			s := open(t, cfg)
			if err := s.Append(t.Context(), []byte("before")); err != nil {
				t.Fatal(err)
			}
			faults.set(f.write, f.sync)
			if err := s.Append(t.Context(), []byte("not promised")); !errors.Is(err, f.write) && !errors.Is(err, f.sync) {
				t.Fatalf("Append: %v", err)
			}
			if _, err := s.Usage(); err == nil {
				t.Error("Usage reports no fault")
			}
			begin, asked := time.Now(), faults.calls()
			for range 1000 {
				if s.Append(t.Context(), []byte("refused")) == nil {
					t.Fatal("Append succeeded on a dead disk")
				}
			}
			asked = faults.calls() - asked
			if tries := int(time.Since(begin)/retryAfter) + 1; asked > 2*tries { // a write and a sync each
				t.Errorf("the dead disk was asked %d times by 1000 entries", asked)
			}
			faults.set(nil, nil)
			for deadline := time.Now().Add(3 * time.Minute); ; time.Sleep(50 * time.Millisecond) {
				err := s.Append(t.Context(), []byte("after"))
				if err == nil {
					break
				}
				if time.Now().After(deadline) {
					t.Fatalf("the spool does not recover: %v", err)
				}
			}
			if n := len(segments(t, dir)); n != 2 {
				t.Errorf("%d segments, want one before and one after", n)
			}
			if _, err := s.Usage(); err != nil {
				t.Errorf("Usage: %v", err)
			}
			if got, damaged, torn := drain(t, s); fmt.Sprint(got) != "[before after]" || damaged != 0 || torn != 0 {
				t.Errorf("%q, %d damaged, %d torn", got, damaged, torn)
			}
		})
	}
	t.Run("from the start", func(t *testing.T) {
		dir := t.TempDir()
		cfg, faults := faulty(dir)
		faults.set(syscall.ENOSPC, nil)
		s := open(t, cfg)
		if err := s.Append(t.Context(), []byte("x")); !errors.Is(err, syscall.ENOSPC) {
			t.Errorf("Append: %v, want ENOSPC", err)
		}
		if n := len(segments(t, dir)); n != 0 {
			t.Errorf("%d files are left of a segment that could not be written", n)
		}
	})
}

// A disk that hangs holds a bounded number of bytes, and its callers no longer than they want.
func TestDiskHangs(t *testing.T) {
	cfg, faults := faulty(t.TempDir())
	faults.block = make(chan struct{})
	s := open(t, cfg)
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if err := s.Append(ctx, []byte("waits")); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("Append: %v, want the deadline", err)
	}
	for range 10 * groupBytes / maxEntry {
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		_ = s.Append(ctx, make([]byte, maxEntry))
		cancel()
	}
	s.mu.Lock()
	if n := len(s.filling.frames); n > groupBytes {
		t.Errorf("%d bytes wait for the disk, more than %d", n, groupBytes)
	}
	s.mu.Unlock()
	close(faults.block)
	if err := s.Append(t.Context(), []byte("after")); err != nil {
		t.Errorf("Append when the disk is back: %v", err)
	}
}

// The limit holds also while a group is being written that does not count as used yet, and may be
// reached to the byte, as may the end of a segment.
func TestFullWhileWriting(t *testing.T) {
	dir := t.TempDir()
	cfg, faults := faulty(dir)
	cfg.MaxBytes = 2 * segmentBytes
	faults.block = make(chan struct{})
	s := open(t, cfg)
	var wg sync.WaitGroup
	var kept atomic.Int64
	offer := func(size int) {
		wg.Go(func() {
			switch err := s.Append(t.Context(), make([]byte, size-frameHeader)); {
			case err == nil:
				kept.Add(int64(size))
			case !errors.Is(err, ErrFull):
				t.Errorf("Append: %v", err)
			}
		})
	}
	offer(1 << 20)
	for faults.calls() < 2 { // the write, and the fsync that hangs
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		offer(1 << 20)
	}
	for s.waiting() < 3<<20 {
		time.Sleep(time.Millisecond)
	}
	close(faults.block)
	wg.Wait()
	faults.mu.Lock()
	faults.block = make(chan struct{})
	faults.mu.Unlock()
	asked := faults.calls()
	offer(1 << 20) // five of eight MiB are in the files when this one is there
	for faults.calls() < asked+2 {
		time.Sleep(time.Millisecond)
	}
	for range 3 {
		offer(1 << 20)
	}
	for s.waiting() < 3<<20 {
		time.Sleep(time.Millisecond)
	}
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	if err := s.Append(ctx, []byte("x")); !errors.Is(err, ErrFull) { // eight MiB are taken to the byte
		t.Errorf("Append: %v, want ErrFull", err)
	}
	close(faults.block)
	wg.Wait()
	var sizes []int64
	for _, path := range segments(t, dir) {
		info, err := os.Stat(path)
		if err != nil {
			t.Fatal(err)
		}
		sizes = append(sizes, info.Size())
	}
	if kept.Load() != cfg.MaxBytes || !slices.Equal(sizes, []int64{segmentBytes, segmentBytes}) {
		t.Errorf("%d bytes are kept in segments of %d, of a limit of %d", kept.Load(), sizes, cfg.MaxBytes)
	}
}

// waiting is how many bytes wait for the next fsync.
func (s *Spool) waiting() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.filling.frames)
}

// steppingFile calls step in the middle of each write and around each fsync.
type steppingFile struct {
	*os.File
	step func()
}

func (f *steppingFile) Write(b []byte) (int, error) {
	n, err := f.File.Write(b[:len(b)/2])
	if err != nil {
		return n, err
	}
	f.step()
	more, err := f.File.Write(b[n:])
	return n + more, err
}

func (f *steppingFile) Sync() error {
	f.step()
	err := f.File.Sync()
	f.step()
	return err
}

// A process may be killed at each step: what it leaves then has everything that was promised, in its
// order, and nothing that is damaged.
func TestKilledAtEachStep(t *testing.T) {
	dir := t.TempDir()
	cfg := config(dir)
	const entries = 6
	entry := func(i int) []byte { return bytes.Repeat([]byte{'a' + byte(i)}, segmentBytes/3) }
	promised, steps := 0, 0
	step := func() {
		steps++
		left := t.TempDir()
		if err := os.CopyFS(left, os.DirFS(dir)); err != nil {
			t.Error(err)
			return
		}
		s := open(t, config(left))
		got, damaged, _ := drain(t, s)
		_ = s.Close()
		if len(got) < promised || damaged != 0 {
			t.Errorf("killed at step %d: %d entries of %d promised, %d bytes damaged", steps, len(got), promised,
				damaged)
		}
		for i, e := range got {
			if e != string(entry(i)) {
				t.Errorf("killed at step %d: entry %d is another one", steps, i)
			}
		}
	}
	cfg.create = func(path string) (file, error) {
		f, err := os.OpenFile(path, os.O_CREATE|os.O_EXCL|os.O_WRONLY, 0o600)
		step()
		return &steppingFile{f, step}, err
	}
	s := open(t, cfg)
	for i := range entries {
		if err := s.Append(t.Context(), entry(i)); err != nil {
			t.Fatal(err)
		}
		promised++
	}
	if n := len(segments(t, dir)); n != 2 || steps != n+3*entries {
		t.Errorf("%d segments after %d steps", n, steps)
	}
}

// What is fsynced into a file that somebody has deleted is lost with the process. It is not
// promised: another file takes it.
func TestActiveSegmentIsDeleted(t *testing.T) {
	dir := t.TempDir()
	s := open(t, config(dir))
	for _, entry := range []string{"lost", "kept"} {
		for _, path := range segments(t, dir) {
			if err := os.Remove(path); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Append(t.Context(), []byte(entry)); err != nil {
			t.Fatal(err)
		}
	}
	if got, _, _ := drain(t, s); fmt.Sprint(got) != "[kept]" {
		t.Errorf("%q, want what was appended last", got)
	}
	if u, err := s.Usage(); err != nil || u.Bytes != 0 || u.Segments != 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// A directory that is moved away takes nothing any more, and says so. One that is put in its place
// is taken over, with what is in it, and is locked like the first.
func TestDirectoryGoes(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "spool")
	s := open(t, config(dir))
	if err := s.Append(t.Context(), []byte("first")); err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(dir, dir+".old"); err != nil {
		t.Fatal(err)
	}
	if err := s.Append(t.Context(), []byte("nowhere")); err == nil || !strings.Contains(err.Error(), "(hint: ") {
		t.Fatalf("Append without a directory: %v, want an error with a hint", err)
	}
	if _, err := s.Usage(); err == nil {
		t.Error("Usage finds nothing wrong")
	}

	other := open(t, config(dir)) // makes the directory and leaves something there
	if err := other.Append(t.Context(), []byte("other's")); err != nil {
		t.Fatal(err)
	}
	time.Sleep(retryAfter)
	if err := s.Append(t.Context(), []byte("x")); !errors.Is(err, ErrLocked) {
		t.Errorf("Append into another process's directory: %v, want ErrLocked", err)
	}
	if err := other.Close(); err != nil {
		t.Fatal(err)
	}
	time.Sleep(retryAfter)
	if err := s.Append(t.Context(), []byte("second")); err != nil {
		t.Fatalf("Append into the directory that is there now: %v", err)
	}
	if _, err := Open(config(dir)); !errors.Is(err, ErrLocked) {
		t.Errorf("another Open: %v, want ErrLocked", err)
	}
	if got, _, _ := drain(t, s); fmt.Sprint(got) != "[other's second]" {
		t.Errorf("%q", got)
	}
	if u, err := s.Usage(); err != nil || u.Bytes != 0 {
		t.Errorf("usage %+v, %v", u, err)
	}
}

// A directory that this user may not use is refused with the reason.
func TestDirectoryIsNotOurs(t *testing.T) {
	dir := t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, lockName), 0o700); err != nil { // as little to be opened as another's file
		t.Fatal(err)
	}
	if _, err := Open(config(dir)); err == nil || !strings.Contains(err.Error(), "(hint: ") {
		t.Errorf("Open: %v, want an error with a hint", err)
	}
}
