package backfill

import (
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"tributary/schemas"
)

// Progress is how far a backfill is. It is written after the records of a page are acknowledged: a
// page may be written twice, which changes nothing, and is never left out.
type Progress struct {
	Since, Until int64  // the period, Unix seconds: where it is another, it is another backfill
	Events       int64  // from when on Stripe still had events, when it began
	Step         int    // index of the list; the events are behind the last
	After        string // the last object of the last page that was written; empty: the list has not begun
	Done         bool
	At           int64 // when it was so, Unix seconds; 0 of a backfill from before 2026-11-26
}

// The name of a consumer group that keeps progress: the prefix, the mode and the account.
const (
	groupPrefix = schemas.ConsumerGroup + "-backfill-"
	live, test  = "live", "test"
	platform    = "platform" // the account that the key belongs to
)

// Group returns the consumer group in which the progress of an account's backfill is kept.
func Group(account string, livemode bool) string {
	mode := test
	if livemode {
		mode = live
	}
	return groupPrefix + mode + "-" + cmp.Or(account, platform)
}

// Store keeps progress where a crash cannot lose it.
type Store interface {
	Load(context.Context) (Progress, bool, error)
	Save(context.Context, Progress) error
}

// KafkaStore keeps progress as the metadata of an offset, in a consumer group that nobody consumes
// with.
type KafkaStore struct {
	Admin *kadm.Client
	Group string
}

// Load returns what was saved last; false: nothing.
func (k *KafkaStore) Load(ctx context.Context) (Progress, bool, error) {
	var p Progress
	offsets, err := k.Admin.FetchOffsets(ctx, k.Group)
	if errors.Is(err, kerr.GroupIDNotFound) {
		return p, false, nil
	}
	if err != nil {
		return p, false, fmt.Errorf("read the backfill's progress: %w", err)
	}
	offset, found := offsets.Lookup(schemas.TopicStripe, 0)
	if !found || offset.Metadata == "" {
		return p, false, offset.Err
	}
	if err := json.Unmarshal([]byte(offset.Metadata), &p); err != nil {
		return p, false, fmt.Errorf("read the backfill's progress: %w", err)
	}
	return p, true, nil
}

// Save returns when Kafka has acknowledged it.
func (k *KafkaStore) Save(ctx context.Context, p Progress) error {
	text, err := json.Marshal(p)
	if err != nil {
		return err
	}
	offsets := kadm.Offsets{}
	offsets.Add(kadm.Offset{Topic: schemas.TopicStripe, Partition: 0, LeaderEpoch: -1, Metadata: string(text)})
	if err := k.Admin.CommitAllOffsets(ctx, k.Group, offsets); err != nil {
		return fmt.Errorf("save the backfill's progress: %w", err)
	}
	return nil
}
