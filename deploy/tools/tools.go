// Package tools finds what make tools has installed.
package tools

import (
	"bufio"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"syscall"
)

// errOutside is returned by [Dir] when the working directory is not inside this project.
var errOutside = errors.New("the working directory is not inside the Tributary project")

// module is the name that this project's go.mod gives it.
const module = "tributary"

// Dir returns the .tools directory of this project: the one beside the first go.mod that is found
// in the working directory and its parents. It may not exist. Another module's directory is not
// used, nor is one that belongs to somebody else: what lies there is loaded and executed.
func Dir() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for !isFile(filepath.Join(dir, "go.mod")) {
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", errOutside
		}
		dir = parent
	}
	found := filepath.Join(dir, ".tools")
	if !isModule(filepath.Join(dir, "go.mod")) {
		return "", errOutside
	}
	return found, Trust(dir)
}

// ErrNotTrusted is returned for what lies where another user could have put it.
var ErrNotTrusted = errors.New("it is not loaded, because another user could have put it there")

// Trust returns ErrNotTrusted unless a file or directory belongs to this user or to root and not
// everybody may write to it.
func Trust(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	owner, ok := info.Sys().(*syscall.Stat_t)
	switch {
	case !ok || owner.Uid != 0 && int(owner.Uid) != os.Getuid():
		return fmt.Errorf("%s belongs to another user: %w (hint: chown it, or be that user)", path, ErrNotTrusted)
	case info.Mode().Perm()&0o002 != 0:
		return fmt.Errorf("everybody may write to %s: %w (hint: chmod o-w)", path, ErrNotTrusted)
	}
	return nil
}

func isFile(path string) bool {
	info, err := os.Stat(path)
	return err == nil && info.Mode().IsRegular()
}

// isModule reports whether a go.mod is this project's.
func isModule(path string) bool {
	f, err := os.Open(path)
	if err != nil {
		return false
	}
	defer f.Close()
	for lines := bufio.NewScanner(f); lines.Scan(); {
		if name, ok := strings.CutPrefix(strings.TrimSpace(lines.Text()), "module "); ok {
			return strings.Trim(strings.TrimSpace(name), `"`) == module
		}
	}
	return false
}
