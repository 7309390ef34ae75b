package publish

import (
	"bytes"
	"context"
	"log/slog"
	"strings"
	"testing"
	"time"
)

// A publisher that ends with records in its spool says where they are; another one that is given
// the directory delivers them, and says nothing when it ends.
func TestSpoolIsLeft(t *testing.T) {
	dir := t.TempDir()
	end := func(seed string, work func(p *Publisher)) string {
		t.Helper()
		var log bytes.Buffer
		cfg := spooling(dir, seed)
		cfg.Logger = slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelWarn}))
		p, err := New(cfg)
		if err != nil {
			t.Fatal(err)
		}
		work(p)
		ctx, cancel := context.WithTimeout(t.Context(), 200*time.Millisecond) // Kafka is away for longer
		defer cancel()
		_ = p.Close(ctx)
		return log.String()
	}
	log := end("127.0.0.1:1", func(p *Publisher) {
		if err := put(t.Context(), p, record("left")); err != nil {
			t.Error(err)
		}
	})
	if !strings.Contains(log, "the spool still holds records") || !strings.Contains(log, dir) {
		t.Errorf("the first says %q", log)
	}
	seed := cluster(t).ListenAddrs()[0]
	log = end(seed, func(p *Publisher) { waitDrained(t, p) })
	if strings.Contains(log, "still holds") {
		t.Errorf("the second says %q", log)
	}
	if got := storedAtLeast(t, seed, 1); got["left"] != 1 {
		t.Errorf("Kafka has %v", got)
	}
}
