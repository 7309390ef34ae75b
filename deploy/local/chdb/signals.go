package chdb

import (
	"fmt"
	"runtime"
	"unsafe"

	"github.com/ebitengine/purego"
)

const (
	highestSignal = 31
	// sigactionSize is at least sizeof(struct sigaction) everywhere: 152
	// bytes with glibc, 16 on macOS.
	sigactionSize = 256
	// sigsetSize is at least sizeof(sigset_t): 128 bytes with glibc, 4 on
	// macOS.
	sigsetSize = 128
)

// signalKeeper puts the Go runtime's signal handlers back after libchdb took
// them away.
//
// In versions of libchdb, chdb_set_signal_handlers_enabled(0), which asks it not
// to install handlers of its own, and every chdb_connect after it reset SIGSEGV,
// SIGBUS, SIGFPE and others to their default action. A Go program needs those:
// without them a nil dereference kills the process instead of panicking.
//
// libchdb also blocks SIGPIPE in the thread that boots it, which children
// started from that thread would inherit; the thread's mask is restored too.
type signalKeeper struct {
	sigaction func(signal int32, action, old unsafe.Pointer) int32
	sigmask   func(how int32, set, old unsafe.Pointer) int32
}

func newSignalKeeper() (*signalKeeper, error) {
	k := new(signalKeeper)
	for name, function := range map[string]any{"sigaction": &k.sigaction, "pthread_sigmask": &k.sigmask} {
		address, err := purego.Dlsym(purego.RTLD_DEFAULT, name)
		if err != nil {
			return nil, fmt.Errorf("find %s in libc: %w", name, err)
		}
		purego.RegisterFunc(function, address)
	}
	return k, nil
}

// around calls f and restores each handler that f changed. Handlers that f
// left alone are not touched, so that a signal.Notify made by another
// goroutine meanwhile survives.
func (k *signalKeeper) around(f func()) {
	type action [sigactionSize]byte
	runtime.LockOSThread()
	defer runtime.UnlockOSThread()
	mask := new([sigsetSize]byte)
	if k.sigmask(0, nil, unsafe.Pointer(mask)) == 0 {
		defer k.sigmask(setMask(), unsafe.Pointer(mask), nil)
	}
	before := new([highestSignal + 1]action)
	known := [highestSignal + 1]bool{}
	for s := 1; s <= highestSignal; s++ {
		known[s] = k.sigaction(int32(s), nil, unsafe.Pointer(&before[s])) == 0
	}
	f()
	// Only the handler, the first field, is compared: glibc adds flags of its
	// own to whatever it returns.
	handler := func(a *action) uintptr { return *(*uintptr)(unsafe.Pointer(a)) }
	for s := 1; s <= highestSignal; s++ {
		if !known[s] {
			continue
		}
		after := new(action)
		if k.sigaction(int32(s), nil, unsafe.Pointer(after)) == 0 && handler(after) != handler(&before[s]) {
			k.sigaction(int32(s), unsafe.Pointer(&before[s]), nil)
		}
	}
}

// setMask is the constant SIG_SETMASK of <signal.h>.
func setMask() int32 {
	if runtime.GOOS == "darwin" {
		return 3
	}
	return 2
}
