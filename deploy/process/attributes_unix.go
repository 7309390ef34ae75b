//go:build unix && !linux

package process

import "syscall"

// attributes put a process into a group of its own. Only Linux kills the children of a test that panicked; elsewhere they go
// on until they are ended by hand.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
