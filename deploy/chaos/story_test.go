//go:build unix && proof

package chaos

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// story is the log of the faults, for whoever has to explain a failure.
type story struct {
	began time.Time

	file *os.File // the same as events, in case the test does not end

	mu     sync.Mutex
	events []event
	kills  map[string]int // by target
	faults []string
}

// event is one thing that was done to somebody.
type event struct {
	at   time.Time
	text string
}

func newStory(t *testing.T, dir string) *story {
	t.Helper()
	file, err := os.Create(filepath.Join(dir, "schedule"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { file.Close() })
	return &story{began: time.Now(), file: file, kills: make(map[string]int)}
}

// note writes an event down.
func (s *story) note(format string, args ...any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := event{time.Now(), fmt.Sprintf(format, args...)}
	s.events = append(s.events, e)
	_, _ = s.file.WriteString(s.line(e)) // what cannot be written is printed in the end all the same
}

func (s *story) line(e event) string {
	return fmt.Sprintf("%s +%.3fs %s\n", e.at.UTC().Format("15:04:05.000"), e.at.Sub(s.began).Seconds(), e.text)
}

// killed notes an event that was a kill -9.
func (s *story) killed(target, format string, args ...any) {
	s.mu.Lock()
	s.kills[target]++
	s.mu.Unlock()
	s.note(format, args...)
}

// fail notes what must not happen. The test goes on, and fails in the end.
func (s *story) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.note("FAULT: %s", text)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.faults = append(s.faults, text)
}

// schedule is every event with its time since the start.
func (s *story) schedule() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	var b strings.Builder
	for _, e := range s.events {
		b.WriteString(s.line(e))
	}
	return b.String()
}

// failures are what must not have happened.
func (s *story) failures() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.faults)
}

// toll returns the number of kills, and how many there were of each target.
func (s *story) toll() (total int, byTarget string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var parts []string
	for _, target := range slices.Sorted(maps.Keys(s.kills)) {
		total += s.kills[target]
		parts = append(parts, fmt.Sprintf("%s %d", target, s.kills[target]))
	}
	return total, strings.Join(parts, ", ")
}
