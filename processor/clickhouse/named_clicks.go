package clickhouse

import (
	"context"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/identity"
	"tributary/schemas"
)

// Bounds of one lookup of named clicks.
const (
	clickGap       = time.Minute // between two ids begins another range
	maxClickRanges = 100
	maxNamedClicks = 10_000 // in the ranges, of the batch or not
)

// NamedClicks returns those of the clicks that some edge begins at: sales and leads that came
// before their click. Most batches have none, and one query says so, however large they are: ids
// are ordered by time, so that those of a batch lie in one short range of the key, and a few
// stragglers in ranges of their own. Where that would read too much, the ids are asked for one by
// one.
func (s *Store) NamedClicks(
	ctx context.Context, workspace string, ids []schemas.ClickID,
) ([]schemas.ClickID, error) {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, schemas.ClickID.Compare)
	ids = slices.Compact(ids)
	named, complete, err := s.namedInRanges(ctx, workspace, clickRanges(ids))
	if err == nil && !complete {
		named, err = Lookup(ctx, s, "identities", ids, func(chunk []schemas.ClickID) (string, []any) {
			names := make([]string, len(chunk))
			for i, id := range chunk {
				names[i] = clickKey(id)
			}
			keys, argument := list(names)
			return `SELECT DISTINCT key FROM identities WHERE workspace = ? AND key IN (` + keys + `)`,
				[]any{workspace, argument}
		}, scanClickKey)
	}
	return slices.DeleteFunc(named, func(id schemas.ClickID) bool {
		_, ours := slices.BinarySearchFunc(ids, id, schemas.ClickID.Compare)
		return !ours
	}), err
}

// clickRange is the first and the last id of a range.
type clickRange struct{ first, last schemas.ClickID }

// clickRanges returns the ranges of sorted ids between which there are gaps in time longer than
// clickGap.
func clickRanges(ids []schemas.ClickID) []clickRange {
	var ranges []clickRange
	for _, id := range ids {
		if n := len(ranges); n > 0 && id.Time().Sub(ranges[n-1].last.Time()) <= clickGap {
			ranges[n-1].last = id
		} else {
			ranges = append(ranges, clickRange{id, id})
		}
	}
	return ranges
}

// namedInRanges returns the named clicks in the ranges, and whether these are all.
func (s *Store) namedInRanges(ctx context.Context, workspace string, ranges []clickRange) (
	named []schemas.ClickID, complete bool, err error,
) {
	switch {
	case len(ranges) == 0:
		return nil, true, nil
	case len(ranges) > maxClickRanges:
		return nil, false, nil
	}
	conditions := make([]string, len(ranges))
	args := []any{workspace}
	for i, r := range ranges {
		conditions[i] = "key BETWEEN ? AND ?"
		args = append(args, clickKey(r.first), clickKey(r.last))
	}
	named, err = Collect(ctx, s, "identities", `SELECT DISTINCT key FROM identities
WHERE workspace = ? AND (`+strings.Join(conditions, " OR ")+`) LIMIT ?`, append(args, maxNamedClicks+1), scanClickKey)
	return named, len(named) <= maxNamedClicks, err
}

func clickKey(id schemas.ClickID) string { return string(identity.New(identity.Click, id.String())) }

func scanClickKey(rows driver.Rows, id *schemas.ClickID) error {
	var key identity.Node
	err := rows.Scan((*string)(&key))
	*id, _ = schemas.ParseClickID(key.Value())
	return err
}
