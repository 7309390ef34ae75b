//go:build unix && !linux

package process

import "syscall"

// attributes put a process into a group of its own. Only Linux can end the children of a process
// that was killed; elsewhere they go on, and the next start says which ports they hold.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
