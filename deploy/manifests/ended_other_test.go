//go:build !linux

package manifests

import "syscall"

var ended *syscall.SysProcAttr
