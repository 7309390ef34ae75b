package chdbtest

import (
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
)

const directoryPrefix = "tributary-chdb-"

// memory is a file system in memory, which Linux has. Files on a disk take a tenth more CPU time.
const memory = "/dev/shm"

// root returns the directory of all data directories: in memory where 4 GiB are free there, as in
// no container of Docker's, else where TMPDIR says.
func root() string {
	var stat syscall.Statfs_t
	if err := syscall.Statfs(memory, &stat); err != nil || stat.Bavail*uint64(stat.Bsize) < 4<<30 {
		return os.TempDir()
	}
	return memory
}

// removeOld deletes the data directories of test processes that are gone. A
// test process cannot delete its own: no code of this package runs at its end.
func removeOld(root string) {
	found, _ := filepath.Glob(filepath.Join(root, directoryPrefix+"*"))
	for _, dir := range found {
		text, _, _ := strings.Cut(strings.TrimPrefix(filepath.Base(dir), directoryPrefix), "-")
		pid, err := strconv.Atoi(text)
		if err == nil && syscall.Kill(pid, 0) == syscall.ESRCH {
			_ = os.RemoveAll(dir)
		}
	}
}
