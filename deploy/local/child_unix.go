//go:build unix && !linux

package main

import "syscall"

// attributes put a child into a process group of its own, so that Ctrl-C in the terminal reaches the supervisor alone
// and it can stop the others in order. Only Linux kills the children of a supervisor that was killed itself; here they
// go on, and the next start says which ports they hold.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true}
}
