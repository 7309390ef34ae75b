package consume

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse"
)

func TestChunks(t *testing.T) {
	record := func(size int) *kgo.Record { return &kgo.Record{Value: make([]byte, size)} }
	for _, c := range []struct {
		sizes    []int
		maxBytes int
		want     []int
	}{
		{nil, 10, nil},
		{[]int{4, 4, 4}, 10, []int{2, 1}},
		{[]int{11, 1, 12}, 10, []int{1, 1, 1}}, // one alone may be larger
		{[]int{10, 10}, 10, []int{1, 1}},
		{[]int{5, 5, 5}, 0, []int{3}},
	} {
		var records []*kgo.Record
		for _, size := range c.sizes {
			records = append(records, record(size))
		}
		var got []int
		for chunk := range chunks(records, c.maxBytes) {
			got = append(got, len(chunk))
		}
		if !slices.Equal(got, c.want) {
			t.Errorf("%v by %d: %v, want %v", c.sizes, c.maxBytes, got, c.want)
		}
	}
}

// Whatever is poison is found and set aside, and everything else is handled, whatever the batch.
func TestQuarantine(t *testing.T) {
	for _, c := range []struct {
		records int
		poison  []int64
	}{{1, nil}, {1, []int64{0}}, {8, []int64{0, 7}}, {100, []int64{50}}, {1000, []int64{1, 2, 3, 500, 999}},
		{3, []int64{0, 1, 2}}} {
		var records []*kgo.Record
		for i := range c.records {
			records = append(records, &kgo.Record{Offset: int64(i)})
		}
		handled, aside := map[int64]bool{}, []int64{}
		handle := func(_ context.Context, batch []*kgo.Record, _ DeadLetter) error {
			for _, r := range batch {
				if slices.Contains(c.poison, r.Offset) {
					return fmt.Errorf("insert: %w", clickhouse.ErrRejected)
				}
			}
			for _, r := range batch {
				handled[r.Offset] = true
			}
			return nil
		}
		letter := func(_ context.Context, r *kgo.Record, step, reason string, cause error) error {
			if step != "load" || reason != "rejected" || !errors.Is(cause, clickhouse.ErrRejected) {
				t.Errorf("set aside at %s for %s: %v", step, reason, cause)
			}
			aside = append(aside, r.Offset)
			return nil
		}
		if err := Quarantine(t.Context(), records, handle, letter, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
		if len(handled) != c.records-len(c.poison) || !slices.Equal(aside, append([]int64{}, c.poison...)) {
			t.Errorf("%d records, poison %v: %d handled, %v set aside", c.records, c.poison, len(handled), aside)
		}
	}
}

// A table of another shape rejects everything: that is waited out, and nothing is set aside that is
// good once it is migrated.
func TestQuarantineWaitsForSchema(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var records []*kgo.Record
		for i := range 40 {
			records = append(records, &kgo.Record{Offset: int64(i)})
		}
		began, handled := time.Now(), 0
		handle := func(_ context.Context, batch []*kgo.Record, _ DeadLetter) error {
			if time.Since(began) < 5*time.Minute {
				return clickhouse.ErrRejected
			}
			handled += len(batch)
			return nil
		}
		letter := func(_ context.Context, r *kgo.Record, _, _ string, _ error) error {
			t.Errorf("record %d is set aside", r.Offset)
			return nil
		}
		if err := Quarantine(t.Context(), records, handle, letter, slog.New(slog.DiscardHandler)); err != nil ||
			handled != 40 {
			t.Errorf("%v, %d handled", err, handled)
		}
	})
}
