package consume

import (
	"context"
	"errors"
	"log/slog"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/clickhouse/clickhousetest"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/recompute"
)

// More records than one batch holds are batches of one size at the same time. Each waits here until
// all have begun, and none would go on if they came one after the other.
func TestBatchesAtOnce(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	for _, test := range []struct {
		records, most int
		want          []int // sizes of the batches
	}{{1, 10, []int{1}}, {10, 10, []int{10}}, {11, 10, []int{5, 6}}, {20, 10, []int{10, 10}},
		{22, 10, []int{6, 8, 8}}, {30, 10, []int{10, 10, 10}}, {20, 0, []int{20}}} {
		var (
			mu      sync.Mutex
			sizes   []int
			handled []*kgo.Record
			begun   sync.WaitGroup
		)
		begun.Add(len(test.want))
		c := &Consumer{
			MaxRecords: test.most, AtOnce: 3, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
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

// clickLookups counts the lookups of clicks.
type clickLookups struct {
	recompute.Reader
	n atomic.Int32
}

func (c *clickLookups) Clicks(ctx context.Context, workspace string, nodes []identity.Node) (
	map[identity.Node]*join.Click, error,
) {
	c.n.Add(1)
	return c.Reader.Clicks(ctx, workspace, nodes)
}

// Batches at the same time look their clicks up by one query, whichever comes first to it; one that
// has no clicks keeps none of the others waiting.
func TestBatchesAtOnceLookClicksUpTogether(t *testing.T) {
	store := &clickLookups{Reader: clickhousetest.New(t)}
	c := &Consumer{
		MaxRecords: 1, AtOnce: 4, Log: slog.New(slog.DiscardHandler), Metrics: NewMetrics(prometheus.NewRegistry()),
		Handle: func(ctx context.Context, records []*kgo.Record, _ DeadLetter) error {
			customer := identity.New(identity.Customer, string(records[0].Value))
			clicks := map[string]string{"cus_a": "a", "cus_b": "b"}
			edges := func(_ context.Context, _ string, nodes []identity.Node) ([]identity.Edge, error) {
				var found []identity.Edge
				for _, n := range nodes {
					if click := clicks[n.Value()]; click != "" && n == customer {
						found = append(found, identity.Edge{A: n, B: identity.New(identity.Click, click)})
					}
				}
				return found, nil
			}
			if clicks[customer.Value()] == "" {
				return nil
			}
			_, err := recompute.Load(ctx, store, "default", edges, []identity.Node{customer})
			return err
		},
	}
	var records []*kgo.Record
	for _, customer := range []string{"cus_a", "cus_b", "cus_c"} {
		records = append(records, &kgo.Record{Value: []byte(customer)})
	}
	err := c.handle(t.Context(), records)
	if n := store.n.Load(); err != nil || n != 1 {
		t.Errorf("%d lookups of clicks, want 1: %v", n, err)
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
