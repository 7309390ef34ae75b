package histories

import (
	"bytes"
	"context"
	"reflect"
	"slices"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
	"golang.org/x/sync/errgroup"

	"tributary/processor/ledger"
	"tributary/schemas"
)

// Batches that are handled at the same time book what batches in turn do, though they share sales
// and buyers: each batch has every fourth of some records.
func TestBatchesAtOnceBookTheSame(t *testing.T) {
	const atOnce, records = 4, 40
	all := recorded(t)
	want := byID(bookRecorded(t, all).Ledger())
	var clicks, money []*kgo.Record
	for _, r := range all {
		if r.Topic == schemas.TopicClicks {
			clicks = append(clicks, r)
		} else {
			money = append(money, r)
		}
	}
	h := bookRecorded(t, nil)
	// While a batch inserts that a customer and a subscription came by a click, another may have asked for
	// one of them before and for the other after. So two batches can each know one of two edges of one
	// second. The batch that inserts both asks for them afterwards, and writes the greater version.
	unequal := make(map[ledger.EntryID]ledger.Version)
	h.Unequal = func(_, row ledger.Entry) { unequal[row.ID] = row.Version } // one insert at a time
	letter := func(_ context.Context, r *kgo.Record, step, reason string, cause error) error {
		t.Errorf("dead letter: %s %s %v\n%s", step, reason, cause, r.Value)
		return nil
	}
	var consumers errgroup.Group
	consumers.Go(func() error {
		for batch := range slices.Chunk(clicks, records) {
			if err := h.clicks.Handle(t.Context(), batch, letter); err != nil {
				return err
			}
		}
		return nil
	})
	consumers.Go(func() error {
		for polled := range slices.Chunk(money, records) {
			var dealt [atOnce][]*kgo.Record
			for i, r := range polled {
				dealt[i%atOnce] = append(dealt[i%atOnce], r)
			}
			var batches errgroup.Group
			for _, batch := range dealt {
				batches.Go(func() error { return h.money.Handle(t.Context(), batch, letter) })
			}
			if err := batches.Wait(); err != nil {
				return err
			}
		}
		return nil
	})
	if err := consumers.Wait(); err != nil {
		t.Fatal(err)
	}
	got := byID(h.Ledger())
	if len(got) != len(want) {
		t.Fatalf("%d entries, want %d", len(got), len(want))
	}
	for i := range got {
		if !reflect.DeepEqual(got[i], want[i]) {
			t.Errorf("got\n%+v\nwant\n%+v", got[i], want[i])
		}
		if v, ok := unequal[got[i].ID]; ok && !v.Less(got[i].Version) {
			t.Errorf("two rows have the version that stands:\n%+v", got[i])
		}
	}
}

func byID(entries []ledger.Entry) []ledger.Entry {
	slices.SortFunc(entries, func(a, b ledger.Entry) int { return bytes.Compare(a.ID[:], b.ID[:]) })
	return entries
}
