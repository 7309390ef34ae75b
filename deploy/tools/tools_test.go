package tools

import (
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestDir(t *testing.T) {
	root := t.TempDir()
	inner := filepath.Join(root, "a", "b")
	if err := os.MkdirAll(inner, 0o700); err != nil {
		t.Fatal(err)
	}
	write := func(dir, text string) {
		t.Helper()
		if err := os.WriteFile(filepath.Join(dir, "go.mod"), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	t.Chdir(inner)
	if dir, err := Dir(); !errors.Is(err, errOutside) {
		t.Errorf("outside every module: %q, %v", dir, err)
	}
	write(root, "module tributary\n\ngo 1.26\n")
	if dir, err := Dir(); err != nil || filepath.Base(dir) != ".tools" {
		t.Errorf("inside: %q, %v", dir, err)
	}
	for _, other := range []string{"module tributary/evil\n", "module other\n", "// module tributary\n", ""} {
		write(filepath.Join(root, "a"), other)
		if dir, err := Dir(); !errors.Is(err, errOutside) {
			t.Errorf("%q: %q, %v", other, dir, err)
		}
	}
	if err := os.Remove(filepath.Join(root, "a", "go.mod")); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(root, 0o777); err != nil {
		t.Fatal(err)
	}
	if dir, err := Dir(); !errors.Is(err, ErrNotTrusted) || !strings.Contains(err.Error(), "(hint: chmod o-w)") {
		t.Errorf("in a directory that everybody may write: %q, %v", dir, err)
	}
}
