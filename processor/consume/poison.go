package consume

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"log/slog"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
)

// chunks splits records so that each chunk has at most maxBytes (0: no limit). A single record may
// be larger.
func chunks(records []*kgo.Record, maxBytes int) iter.Seq[[]*kgo.Record] {
	return func(yield func([]*kgo.Record) bool) {
		begin, size := 0, 0
		for i, r := range records {
			n := len(r.Key) + len(r.Value)
			if maxBytes > 0 && i > begin && size+n > maxBytes {
				if !yield(records[begin:i]) {
					return
				}
				begin, size = i, 0
			}
			size += n
		}
		if begin < len(records) {
			yield(records[begin:])
		}
	}
}

// maxPoison is how many records of one batch may be poison. If more are rejected, and more than
// half of the batch, a column likely has another type than this program expects: after a migration
// the same records are good.
const maxPoison = 10

// Quarantine handles records. If some of them make rows that can never be stored, it finds them by
// bisection, handles all others, and sets them aside as dead letters. Handling is idempotent, so
// halves may be handled again.
func Quarantine(ctx context.Context, records []*kgo.Record, handle Handler, deadLetter DeadLetter,
	log *slog.Logger,
) error {
	wait := backoff.NewExponentialBackOff()
	wait.MaxInterval = 30 * time.Second
	for {
		poison, err := bisect(ctx, records, handle, deadLetter)
		if err != nil {
			return err
		}
		if len(poison) <= maxPoison || 2*len(poison) <= len(records) {
			for _, p := range poison {
				if err := deadLetter(ctx, p.record, "load", "rejected", p.cause); err != nil {
					return err
				}
			}
			return nil
		}
		log.Error("ClickHouse rejects most of a batch, so nothing is set aside (hint: run processor migrate, the "+
			"tables may be another version's)",
			"records", len(records), "rejected", len(poison), "error", poison[0].cause)
		select {
		case <-ctx.Done():
			return fmt.Errorf("ClickHouse rejects most of a batch: %w", poison[0].cause)
		case <-time.After(wait.NextBackOff()):
		}
	}
}

// rejection is a record that makes rows which cannot be stored.
type rejection struct {
	record *kgo.Record
	cause  error
}

// bisect returns the records that are rejected when they are handled alone.
func bisect(ctx context.Context, records []*kgo.Record, handle Handler, deadLetter DeadLetter) ([]rejection, error) {
	err := handle(ctx, records, deadLetter)
	switch {
	case err == nil || !errors.Is(err, clickhouse.ErrRejected):
		return nil, err
	case len(records) == 1:
		return []rejection{{records[0], err}}, nil
	}
	half := len(records) / 2
	first, err := bisect(ctx, records[:half], handle, deadLetter)
	if err != nil {
		return nil, err
	}
	second, err := bisect(ctx, records[half:], handle, deadLetter)
	return append(first, second...), err
}
