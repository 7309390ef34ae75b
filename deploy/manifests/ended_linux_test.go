package manifests

import "syscall"

// ended ends a process with the test that started it, however the test ends.
var ended = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
