package process

import "syscall"

// attributes put a process into a group of its own, and have the kernel kill it when the test ends, however that happens: a
// panic runs no cleanup.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
