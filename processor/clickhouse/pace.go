package clickhouse

import (
	"context"
	"fmt"
	"log/slog"
	"maps"
	"sync"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"
	"github.com/prometheus/client_golang/prometheus"
)

// pace limits how often a query over a whole table is run: the larger the table, the less often.
type pace struct {
	mu   sync.Mutex
	next time.Time
}

// A query that took d is not run again for d times idleShare. It runs on one thread, so that it
// takes at most 0.2 % of a core. The pause is longestPause at most: the query may have taken long
// only because the server was busy.
const (
	idleShare    = 500
	longestPause = 15 * time.Minute
)

// wait returns when the query may be run, or an error when ctx ends.
func (p *pace) wait(ctx context.Context) error {
	p.mu.Lock()
	rest := time.Until(p.next)
	p.mu.Unlock()
	if rest <= 0 {
		return nil
	}
	select {
	case <-ctx.Done():
		return fmt.Errorf("wait before reading a whole table again: %w", context.Cause(ctx))
	case <-time.After(rest):
		return nil
	}
}

func (p *pace) took(d time.Duration) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.next = time.Now().Add(ScanPause(d))
}

// ScanPause returns how long to wait before a query over a whole table is run again, if it took so
// long.
func ScanPause(took time.Duration) time.Duration { return min(idleShare*took, longestPause) }

// OpenUnpaced is Open for tests: queries over whole tables may follow each other at once.
func OpenUnpaced(dsn string, log *slog.Logger, reg prometheus.Registerer) (*Store, error) {
	s, err := Open(dsn, log, reg)
	if err == nil {
		s.unpaced = true
	}
	return s, err
}

// paced is Collect for a query over a whole table, of which the result is not urgent: it first
// waits as p says.
func paced[R any](ctx context.Context, s *Store, p *pace, table, text string, args []any,
	scan func(driver.Rows, *R) error,
) ([]R, error) {
	if !s.unpaced {
		if err := p.wait(ctx); err != nil {
			return nil, err
		}
	}
	settings := maps.Clone(lookupSettings)
	settings["max_threads"] = 1
	all, took, err := collect(ctx, s, table, settings, text, args, scan)
	if err == nil {
		p.took(took)
	}
	return all, err
}
