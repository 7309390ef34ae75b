package chdbtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const directoryPrefix = "tributary-chdb-"

// removeOld deletes the data directories of test processes that are gone. A
// test process cannot delete its own: no code of this package runs at its end.
func removeOld() {
	found, _ := filepath.Glob(filepath.Join(os.TempDir(), directoryPrefix+"*"))
	for _, dir := range found {
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), directoryPrefix), "-")
		pid, err := strconv.Atoi(text)
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
}
