package spool

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// Segment is one file of entries.
type Segment struct {
	Entries [][]byte // in the order in which they came; they share one memory
	Damaged int      // bytes that are neither an entry nor an unfinished write at the end
	Torn    int      // bytes of an unfinished write at the end, which nobody was promised

	Name int64 // by age; never 0

	size int64
}

// Next reads the oldest segment behind the one of that name, 0 for the oldest of all, into buf,
// which it may replace. It returns nil when there is none. A segment that is being written to is
// ended first.
func (s *Spool) Next(after int64, buf []byte) (*Segment, []byte, error) {
	s.writing.Lock()
	s.mu.Lock()
	at, found := slices.BinarySearch(s.segments, after)
	if found {
		at++
	}
	if at == len(s.segments) {
		s.mu.Unlock()
		s.writing.Unlock()
		return nil, buf, nil
	}
	name, last := s.segments[at], at == len(s.segments)-1
	s.mu.Unlock()
	if last {
		s.endSegment()
	}
	s.writing.Unlock()

	data, err := readFile(s.path(name), buf)
	if errors.Is(err, fs.ErrNotExist) {
		s.log.Error("a spool segment was deleted by someone else", "file", s.path(name))
		s.writing.Lock() // else what is just being written would count twice
		defer s.writing.Unlock()
		if err := s.find(); err != nil {
			return nil, buf, fmt.Errorf("look for spool segments: %w", err)
		}
		return &Segment{Name: name}, buf, nil
	}
	if err != nil {
		return nil, buf, fmt.Errorf("read a spool segment: %w", err)
	}
	seg := &Segment{Name: name, size: int64(len(data))}
	seg.Entries, seg.Damaged, seg.Torn = parse(data)
	return seg, data, nil
}

// readFile is os.ReadFile into memory that is kept.
func readFile(path string, buf []byte) ([]byte, error) {
	f, err := os.Open(path)
	if err != nil {
		return buf, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return buf, err
	}
	if int64(cap(buf)) < info.Size() {
		buf = make([]byte, info.Size())
	}
	buf = buf[:info.Size()]
	_, err = f.ReadAt(buf, 0)
	return buf, err
}

// Remove deletes a segment that was delivered. With keep, or if it is damaged, its file is renamed
// instead, and waits for people: it still counts against the limit.
func (s *Spool) Remove(seg *Segment, keep bool) error {
	path := s.path(seg.Name)
	if keep || seg.Damaged > 0 {
		s.log.Error("a spool segment is kept for inspection", "file", path+keptSuffix, "damaged_bytes", seg.Damaged)
		if err := os.Rename(path, path+keptSuffix); err != nil {
			return fmt.Errorf("keep a spool segment: %w", err)
		}
		s.forget(seg.Name, 0)
		return nil
	}
	if err := os.Remove(path); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete a spool segment: %w", err)
	}
	s.forget(seg.Name, seg.size)
	return nil
}

func (s *Spool) forget(name, freed int64) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.used -= freed
	if at, found := slices.BinarySearch(s.segments, name); found {
		s.segments = slices.Delete(s.segments, at, at+1)
	}
}

// Rewrite leaves only the given entries, at least one, in a segment whose others are delivered. It
// keeps its place and its age. A process that ends meanwhile leaves the segment as it was or as it
// shall be.
func (s *Spool) Rewrite(seg *Segment, entries [][]byte) error {
	var frames []byte
	for _, e := range entries {
		frames = appendFrame(frames, e)
	}
	path := s.path(seg.Name)
	f, err := os.OpenFile(path+rewriteSuffix, os.O_CREATE|os.O_TRUNC|os.O_WRONLY, 0o600)
	if err != nil {
		return fmt.Errorf("rewrite a spool segment: %w", err)
	}
	_, err = f.Write(frames)
	if err = errors.Join(err, f.Sync(), f.Close()); err == nil {
		err = os.Rename(path+rewriteSuffix, path)
	}
	if err != nil {
		_ = os.Remove(path + rewriteSuffix)
		return fmt.Errorf("rewrite a spool segment: %w", err)
	}
	s.grow(int64(len(frames)) - seg.size)
	if err := syncDir(s.cfg.Dir); err != nil {
		return fmt.Errorf("rewrite a spool segment: %w", err)
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
