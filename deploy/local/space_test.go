package main

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

// The demo ends when the data directory holds too much, and a stop of everything after that is no
// fault.
func TestDemoIsCapped(t *testing.T) {
	terminal, err := os.Create(filepath.Join(t.TempDir(), "terminal"))
	if err != nil {
		t.Fatal(err)
	}
	defer terminal.Close()
	said := func() string {
		text, err := os.ReadFile(terminal.Name())
		if err != nil {
			t.Fatal(err)
		}
		return string(text)
	}
	s := &supervisor{Run: &Run{Data: t.TempDir(), MaxDataMiB: 1}, out: newOutput(terminal), lookEvery: time.Millisecond}
	demo, err := s.start(task{
		name: "demo", path: filepath.Join(binaries(t), "loadgen"), args: []string{"demo"}, env: os.Environ(),
		mayEnd: true, stopWithin: limit,
	})
	if err != nil {
		t.Fatal(err)
	}
	done := make(chan struct{})
	go func() {
		s.capDemo(t.Context(), demo)
		close(done)
	}()
	write := func(name string, kib int) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(s.Data, name), make([]byte, kib<<10), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	write("little", 900)
	select {
	case <-done:
		t.Fatalf("the demo stopped below the limit:\n%s", said())
	case <-time.After(50 * time.Millisecond):
	}
	write("more", 200)
	select {
	case <-done:
	case <-time.After(limit):
		t.Fatal("the demo goes on above the limit")
	}
	if !strings.Contains(said(), "--max-data-mib") {
		t.Errorf("nothing says why:\n%s", said())
	}
	s.stop(nil)
	if pid, _ := demo.pid(); pid != 0 {
		t.Errorf("the demo still runs as %d", pid)
	}
}
