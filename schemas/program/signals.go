package program

import (
	"context"
	"os"
	"os/signal"
	"syscall"
	"time"
)

// SameRequest is how long another signal counts as the first one again: make and timeout send theirs
// to a process and to its group, so that one request to stop arrives twice.
const SameRequest = time.Second

// Interruptible returns a context that the first SIGINT or SIGTERM ends, for an orderly stop. Another
// one, later than SameRequest, finds the default behaviour: it ends the process at once.
func Interruptible() context.Context {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	restoreLater(ctx, stop)
	return ctx
}

// restoreLater calls restore when SameRequest has passed since ctx ended.
func restoreLater(ctx context.Context, restore func()) {
	context.AfterFunc(ctx, func() {
		time.Sleep(SameRequest)
		restore()
	})
}
