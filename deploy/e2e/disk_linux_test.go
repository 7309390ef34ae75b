//go:build proof

package e2e

import (
	"errors"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// smallDisk is a file system of its own of that many bytes.
func smallDisk(t *testing.T, size string) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size="+size); err != nil {
		if errors.Is(err, syscall.EPERM) && os.Getenv("CI_REAL_SERVICES") != "1" {
			t.Skip("a disk of its own wants the right to mount one (CAP_SYS_ADMIN)")
		}
		t.Fatalf("mount a disk of its own, which wants CAP_SYS_ADMIN: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Error(err)
		}
	})
	return dir
}

// fill leaves that many bytes of the disk free. Removing the file that it returns mends it.
func fill(t *testing.T, dir string, left int64) string {
	t.Helper()
	var disk syscall.Statfs_t
	if err := syscall.Statfs(dir, &disk); err != nil {
		t.Fatal(err)
	}
	name := filepath.Join(dir, "somebody-elses")
	file, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	block := make([]byte, 1<<20)
	for free := int64(disk.Bavail) * disk.Bsize; free > left; free -= int64(len(block)) {
		if _, err := file.Write(block[:min(int64(len(block)), free-left)]); err != nil {
			if errors.Is(err, syscall.ENOSPC) { // others write too
				return name
			}
			t.Fatal(err)
		}
	}
	return name
}

// The disk fills up, first as far as the engine still takes it, then to the last byte, and is
// emptied again: what was accepted is there, and nobody had to do anything else.
func TestFullDisk(t *testing.T) {
	s := newSite(t)
	s.data = smallDisk(t, "900m")
	s.start()
	s.waitReady()
	l := s.load()
	time.Sleep(2 * time.Second)

	filler := fill(t, s.data, 100<<20)
	for deadline := time.Now().Add(limit); !strings.Contains(s.life.said.String(),
		"Not enough space"); time.Sleep(50 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("nobody says that the disk is full")
		}
	}
	// Kafka has room, so edge and webhook go on accepting.
	s.insist(func() (answer, error) { return s.click([]byte(plainClick)) })
	time.Sleep(time.Second)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	filler = fill(t, s.data, 0)
	for deadline := time.Now().Add(limit); ; time.Sleep(50 * time.Millisecond) {
		if got, err := s.click([]byte(plainClick)); err == nil && got.status == http.StatusServiceUnavailable {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("clicks are accepted though Kafka cannot write them")
		}
	}
	time.Sleep(2 * time.Second)
	if err := os.Remove(filler); err != nil {
		t.Fatal(err)
	}
	s.waitReady()
	s.insist(func() (answer, error) { return s.click([]byte(plainClick)) })
	l.finish()
	s.kill()
	s.start() // what is not whole on the disk would be found now
	s.waitReady()
	s.hasClicks(l.clicks)
}
