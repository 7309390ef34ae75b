package chdb

import (
	"fmt"
	"syscall"
)

// freeBytes is the disk space in bytes that an unprivileged process may still
// use on the file system of dir.
func freeBytes(dir string) (uint64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, fmt.Errorf("measure free space of %s: %w", dir, err)
	}
	return uint64(st.Bavail) * uint64(st.Bsize), nil //nolint:unconvert // the fields differ between systems
}
