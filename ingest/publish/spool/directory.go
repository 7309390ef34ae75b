package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
)

// Try returns why a spool could not be kept in dir: this user may not write there or make it
// private, or it holds a file that is none of a spool's. It leaves nothing behind. The notes tell
// of what may end: another process has the directory, which may be the program that runs already,
// or its disk is full.
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
// what visitors sent. What it makes is there after a power loss, too; syncing the directory itself
// does not put its name on the disk (fsync(2)).
func makePrivate(dir string) error {
	above, err := existing(dir)
	if err == nil {
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return fmt.Errorf("make spool directory: %w (hint: --spool-dir names one that this user may write to)", err)
	}
	for made := filepath.Clean(dir); made != above; {
		made = filepath.Dir(made)
		if err := syncDir(made); err != nil && !errors.Is(err, fs.ErrPermission) { // which may be unreadable
			return fmt.Errorf("make spool directory: %w (hint: is the disk in order?)", err)
		}
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

func syncDir(dir string) error {
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close())
}
