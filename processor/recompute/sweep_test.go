package recompute_test

import (
	"context"
	"log/slog"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/recompute"
)

// A processor that counts no more shows no count: its last one would never become less, and alert
// for ever. Elected again, it shows what is open then, at once.
func TestOpenEntriesAreOfWhoCounts(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		ctx, stop := context.WithCancel(t.Context())
		var elected atomic.Bool
		open, registry := recompute.NewOpenMetric(), prometheus.NewRegistry()
		registry.MustRegister(open)
		r := recompute.New(recompute.Config{Store: clickhousetest.New(t), Log: slog.New(slog.DiscardHandler), Open: open,
			Elected: elected.Load})
		ended := make(chan error, 1)
		go func() { ended <- r.Sweep(ctx, 10*time.Second) }()
		for i, now := range []bool{false, true, false, true} {
			elected.Store(now)
			time.Sleep(11 * time.Second)
			synctest.Wait()
			families, err := registry.Gather()
			if err != nil {
				t.Fatal(err)
			}
			if shown := len(families) > 0; shown != now {
				t.Errorf("step %d: elected %t, and the metric is shown: %t", i, now, shown)
			}
		}
		stop()
		if err := <-ended; err != nil {
			t.Error(err)
		}
	})
}
