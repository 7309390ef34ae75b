package histories

import (
	"syscall"
	"testing"
)

// TestMain ends without what the race detector does at the end of a process: it tells nothing that
// the tests have not told, and was seen to crash while threads of the embedded engine still ran.
func TestMain(m *testing.M) { syscall.Exit(m.Run()) }
