package process

import "syscall"

// attributes put a process into a group of its own, and have the kernel kill it when the process
// that started it ends, however that happens.
func attributes() *syscall.SysProcAttr {
	return &syscall.SysProcAttr{Setpgid: true, Pdeathsig: syscall.SIGKILL}
}
