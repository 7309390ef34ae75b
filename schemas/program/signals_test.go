package program

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// One request to stop may arrive as several signals; what comes later ends the process.
func TestSignalsOfOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, first := context.WithCancel(t.Context())
		var restored atomic.Bool
		restoreLater(ctx, func() { restored.Store(true) })
		first()
		time.Sleep(SameRequest / 2)
		if restored.Load() {
			t.Error("the first request's second signal ends the process")
		}
		time.Sleep(SameRequest)
		synctest.Wait()
		if !restored.Load() {
			t.Error("a second request changes nothing")
		}
	})
}
