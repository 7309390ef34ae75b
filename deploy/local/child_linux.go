package main

import "syscall"

// attributes put a child into a process group of its own, so that Ctrl-C in the terminal reaches the supervisor alone
// and it can stop the others in order; and have the kernel kill it when the supervisor dies, however that happens.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
