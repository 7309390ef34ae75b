package schemas

import (
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
)

// Whatever stands in the place of a file, reading it ends, and within its limit.
func TestReadFile(t *testing.T) {
	dir := t.TempDir()
	pipe, text, long := filepath.Join(dir, "pipe"), filepath.Join(dir, "text"), filepath.Join(dir, "long")
	if err := syscall.Mkfifo(pipe, 0o600); err != nil {
		t.Fatal(err)
	}
	for path, content := range map[string]string{text: "12345678", long: "123456789"} {
		if err := os.WriteFile(path, []byte(content), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	for path, want := range map[string]string{
		text: "", long: "larger than 8 bytes", "/dev/zero": "larger than 8 bytes", dir: "is a directory",
		pipe: "", filepath.Join(dir, "none"): "no such file",
	} {
		data, err := readFile(path, 8)
		if (err != nil) != (want != "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", path, err, want)
		}
		if path == text && string(data) != "12345678" {
			t.Errorf("%s: %q", path, data)
		}
	}
	// What a shell puts in the place of a file, as by <(command), is read to its end.
	r, w, err := os.Pipe()
	if err != nil {
		t.Fatal(err)
	}
	defer r.Close()
	if _, err := w.WriteString("secret\n"); err != nil {
		t.Fatal(err)
	}
	w.Close()
	if secret, err := Secret("key", "", fmt.Sprintf("/dev/fd/%d", r.Fd())); err != nil || secret != "secret" {
		t.Errorf("by a pipe: %q %v", secret, err)
	}
	if _, err := ReadWorkspaces(pipe); err == nil {
		t.Error("a pipe that nobody writes to is a workspaces file")
	}
}
