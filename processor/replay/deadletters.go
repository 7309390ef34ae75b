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

// Letters is what became of dead letters that were handled again.
type Letters struct {
	Tried    int
	Refused  map[string]int // by reason
	Headless int            // set aside by a program that did not keep a record's headers
}

// HandleLetters handles dead letters again: after a fix of the program that could not read them. One that is refused again stays where it is; one that is
// handled stays too, as a record of what happened.
func HandleLetters(ctx context.Context, store *clickhouse.Store, h *Handlers, since time.Time, reason string, batch int, log *slog.Logger) (*Letters, error) {
	result := &Letters{Refused: make(map[string]int)}
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
	err := EachLetter(ctx, store, since, reason, func(l clickhouse.DeadLetterRow) error {
		r := &kgo.Record{Topic: l.Topic, Partition: l.Partition, Offset: l.Offset, Key: []byte(l.Key), Value: []byte(l.Body), Timestamp: l.At}
		for name, value := range l.Headers {
			r.Headers = append(r.Headers, kgo.RecordHeader{Key: name, Value: []byte(value)})
		}
		if result.Tried++; len(r.Headers) == 0 {
			result.Headless++
			return nil
		}
		if records = append(records, r); len(records) >= batch {
			return handle()
		}
		return nil
	})
	return result, errors.Join(err, handle())
}

// DeadLetterTable sets records aside in the table alone, for whoever handles records without a lane of their own.
func DeadLetterTable(store *clickhouse.Store) consume.DeadLetter {
	return func(ctx context.Context, r *kgo.Record, step, reason string, cause error) error {
		letter := schemas.DeadLetterRecord(r, step, reason, cause)
		letter.Timestamp = time.Now()
		return store.InsertDeadLetters(ctx, []clickhouse.DeadLetterRow{consume.DeadLetterRow(letter)})
	}
}
