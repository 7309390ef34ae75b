package consume

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"
)

// More records than one batch holds are batches of one size at the same time. Each waits here until
// all have begun, and none would go on if they came one after the other.
func TestBatchesAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, test := range []struct {
		records, most int
		want          []int // sizes of the batches
	}{{1, 10, []int{1}}, {10, 10, []int{10}}, {11, 10, []int{5, 6}}, {20, 10, []int{10, 10}}, {20, 0, []int{20}}} {
		var (
			mu      sync.Mutex
			sizes   []int
			handled []*kgo.Record
			begun   sync.WaitGroup
		)
		begun.Add(len(test.want))
		c := &Consumer{
			MaxRecords: test.most, AtOnce: 2, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
			Handle: func(ctx context.Context, records []*kgo.Record, _ DeadLetter) error {
				begun.Done()
				all := make(chan struct{})
				go func() { begun.Wait(); close(all) }()
				select {
				case <-ctx.Done():
					return context.Cause(ctx)
				case <-all:
				}
				mu.Lock()
				defer mu.Unlock()
				sizes, handled = append(sizes, len(records)), append(handled, records...)
				return nil
			},
		}
		records := make([]*kgo.Record, test.records)
		for i := range records {
			records[i] = &kgo.Record{Offset: int64(i)}
		}
		if err := c.handle(ctx, records); err != nil {
			t.Fatalf("%d records: %v", test.records, err)
		}
		slices.Sort(sizes)
		slices.SortFunc(handled, func(a, b *kgo.Record) int { return int(a.Offset - b.Offset) })
		if !slices.Equal(sizes, test.want) || !slices.Equal(handled, records) {
			t.Errorf("%d records were %v records in batches of %v, want %v", test.records, len(handled), sizes, test.want)
		}
	}
}

// What one of the batches could not store is not committed with the other.
func TestBatchesAtOnceFailTogether(t *testing.T) {
	refused := errors.New("refused")
	c := &Consumer{
		MaxRecords: 1, AtOnce: 2, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
		Handle: func(_ context.Context, records []*kgo.Record, _ DeadLetter) error {
			if records[0].Offset == 1 {
				return refused
			}
			return nil
		},
	}
	if err := c.handle(t.Context(), []*kgo.Record{{Offset: 0}, {Offset: 1}}); !errors.Is(err, refused) {
		t.Errorf("got %v", err)
	}
}
