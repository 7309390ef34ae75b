package program

import (
	"context"
	"testing"
	"testing/synctest"
	"time"
)

// One request to stop may arrive as several signals; what comes later ends the process.
func TestSignalsOfOneRequest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, first := context.WithCancel(t.Context())
		restored := false
		restoreLater(ctx, func() { restored = true })
		first()
		time.Sleep(SameRequest / 2)
		if restored {
			t.Error("the first request's second signal ends the process")
		}
		time.Sleep(SameRequest)
		synctest.Wait()
		if !restored {
			t.Error("a second request changes nothing")
		}
	})
}
