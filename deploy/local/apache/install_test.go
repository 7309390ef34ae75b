//go:build unix

package apache

import (
	"os"
	"path/filepath"
	"testing"
)

// TestCheck: a jar that was altered, added or left out is not run.
func TestCheck(t *testing.T) {
	const sums = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad  a.jar\n" // of abc
	for name, files := range map[string]map[string]string{
		"altered":  {"a.jar": "abd"},
		"added":    {"a.jar": "abc", "b.jar": ""},
		"left out": {},
		"renamed":  {"b.jar": "abc"},
		"":         {"a.jar": "abc"},
	} {
		dir := t.TempDir()
		for file, content := range files {
			if err := os.WriteFile(filepath.Join(dir, file), []byte(content), 0o600); err != nil {
				t.Fatal(err)
			}
		}
		if err := check(dir, sums); (err == nil) != (name == "") {
			t.Errorf("%q: %v", name, err)
		}
	}
}
