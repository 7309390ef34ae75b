package replay

import (
	"context"
	"errors"
	"log/slog"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
	"tributary/processor/consume"
	"tributary/schemas"
)

// DeadLetters is what became of dead letters that were handled again.
type DeadLetters struct {
	Tried     int
	Refused   map[string]int // by reason
	NoHeaders int            // stored by a version that did not keep a record's headers: these cannot be handled
}

// HandleDeadLetters handles the dead letters again that were set aside since then, for one reason
// or (if empty) for any. A dead letter stays in its table, whether it is refused again or handled.
func HandleDeadLetters(ctx context.Context, store *clickhouse.Store, h *Handlers, since time.Time, reason string,
	batch int, log *slog.Logger) (
	*DeadLetters, error,
) {
	result := &DeadLetters{Refused: make(map[string]int)}
	refused := func(_ context.Context, _ *kgo.Record, _, reason string, _ error) error {
		result.Refused[reason]++
		return nil
	}
	var records []*kgo.Record
	handle := func() error {
		err := h.Handle(ctx, records, refused, log)
		records = nil
		return err
	}
	err := eachDeadLetter(ctx, store, since, reason, func(row clickhouse.DeadLetterRow) error {
		if row.Reason == consume.LostUnread || row.Reason == consume.LostEnd {
			result.Tried++
			result.Refused[row.Reason]++ // there is no record
			return nil
		}
		r := &kgo.Record{
			Topic: row.Topic, Partition: row.Partition, Offset: row.Offset,
			Key: []byte(row.Key), Value: []byte(row.Body), Timestamp: row.At,
		}
		for name, value := range row.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		if result.Tried++; len(r.Headers) == 0 {
			result.NoHeaders++
			return nil
		}
		if row.Reason == consume.ThinReason {
			snapshot, err := h.snapshot(ctx, r)
			if err != nil {
				return err
			}
			if r = snapshot; r == nil {
				result.Refused[consume.ThinReason]++
				return nil
			}
		}
		if records = append(records, r); len(records) >= batch {
			return handle()
		}
		return nil
	})
	return result, errors.Join(err, handle())
}

// snapshot returns the snapshot of a thin event; nil if there is none to be had: without a key, or
// because Stripe refuses.
func (h *Handlers) snapshot(ctx context.Context, r *kgo.Record) (*kgo.Record, error) {
	if h.Thin == nil {
		return nil, nil
	}
	snapshot, err := h.Thin.Snapshot(ctx, r)
	if err != nil && ctx.Err() == nil {
		h.Thin.Log.Warn("fetch what a thin event leaves out", "topic", r.Topic, "partition", r.Partition, "offset", r.Offset,
			"error", err)
		return nil, nil
	}
	return snapshot, err
}

// DeadLetterTable sets records aside in the table of dead letters only, for programs that do not
// produce to Kafka.
func DeadLetterTable(store *clickhouse.Store) consume.DeadLetter {
	return func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
		record := schemas.DeadLetterRecord(r, step, reason, cause)
		record.Timestamp = time.Now()
		return store.InsertDeadLetters(ctx, []clickhouse.DeadLetterRow{consume.DeadLetterRow(record)})
	}
}
