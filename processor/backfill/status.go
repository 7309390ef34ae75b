package backfill

import (
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
)

// Status is how far the backfill of an account is.
type Status struct {
	Account  string // empty: the key's own
	Livemode bool
	Progress
}

// All returns how far all backfills are that were ever begun and that Kafka remembers.
func All(ctx context.Context, admin *kadm.Client) ([]Status, error) {
	groups, err := admin.ListGroups(ctx)
	if err != nil {
		return nil, fmt.Errorf("list backfills: %w", err)
	}
	var all []Status
	for _, group := range groups.Groups() {
		name, isOne := strings.CutPrefix(group, groupPrefix)
		if !isOne {
			continue
		}
		mode, account, _ := strings.Cut(name, "-")
		progress, found, err := (&KafkaStore{Admin: admin, Group: group}).Load(ctx)
		if err != nil {
			return nil, err
		}
		if found {
			if account == platform {
				account = ""
			}
			all = append(all, Status{account, mode == live, progress})
		}
	}
	return all, nil
}

// String says for people what is done.
func (s Status) String() string {
	day := func(seconds int64) string { return time.Unix(seconds, 0).UTC().Format(time.DateOnly) }
	text := fmt.Sprintf("%s to %s: ", day(s.Since), day(s.Until-1))
	if s.Done {
		return text + "everything that Stripe has is in Kafka"
	}
	return text + fmt.Sprintf("%d of %d lists are in Kafka, reading %s", s.Step, len(lists)+1, name(s.Step))
}
