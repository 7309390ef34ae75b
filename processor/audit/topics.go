package audit

import (
	"context"
	"maps"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/processor/replay"
)

// fromTopics handles again what the processors have committed.
func (a *Audit) fromTopics(ctx context.Context, h *replay.Handlers, r *Report) error {
	begin, end, err := a.Topics.Committed(ctx, r.Since)
	if err != nil {
		return err
	}
	oldest, newest, err := a.Topics.Bounds(ctx, time.Time{}, time.Time{})
	if err != nil {
		return err
	}
	r.whole, r.end, r.newest = r.Since, end, newest
	uncommitted := int64(0)
	for _, topic := range slices.Sorted(maps.Keys(begin)) {
		for _, partition := range slices.Sorted(maps.Keys(begin[topic])) {
			first := begin[topic][partition]
			if first > 0 && first == oldest[topic][partition] {
				r.leaveOut("%s/%d below offset %d, which Kafka no longer has: --from tables reads the raw events",
					topic, partition, first)
			}
			uncommitted += max(0, newest[topic][partition]-max(end[topic][partition], first))
		}
	}
	if uncommitted > 0 {
		r.leaveOut("%d records that no processor has committed yet", uncommitted)
	}
	cut, created, others := beginnings(begin, oldest)
	var first time.Time // of all records in partitions that have every record since they were created
	err = a.read(ctx, h, begin, end, func(records []*kgo.Record) {
		r.Records += len(records)
		for _, record := range records {
			p, at := partition{record.Topic, record.Partition}, record.Timestamp
			if cut[p] && at.After(r.whole) {
				r.whole = at
			}
			if created[p] && (first.IsZero() || at.Before(first)) {
				first = at
			}
			delete(cut, p)
			delete(created, p)
		}
	})
	switch {
	case len(cut) > 0 || others == 0 && first.IsZero():
		r.whole = r.Until // of a partition no record is left, or there never was any
	case first.After(r.whole):
		r.whole = first
	}
	if r.whole.After(r.Since) {
		r.leaveOut("rows that no record explains, but for ledger entries, of before %s, when Kafka's records begin",
			r.whole.Format(time.DateTime))
	}
	return err
}

type partition struct {
	topic string
	id    int32
}

// beginnings returns the partitions that are read from their first record on, and how many are not:
// cut are those of which Kafka has deleted older records, created the others. A row that was received
// before the first record of a partition may have had a record there that is gone: deleted from one
// that is cut, or lost with its topic, if the topic was created anew.
func beginnings(begin, oldest replay.Offsets) (cut, created map[partition]bool, others int) {
	cut, created = make(map[partition]bool), make(map[partition]bool)
	for topic, offsets := range begin {
		for id, offset := range offsets {
			switch first := oldest[topic][id]; {
			case offset != first:
				others++
			case first > 0:
				cut[partition{topic, id}] = true
			default:
				created[partition{topic, id}] = true
			}
		}
	}
	return cut, created, others
}

// unrecorded returns the rows that no record explains. If there are some, it looks again after two
// steps. It handles the records that came after those of the audit, because a row may be stored
// before the offset of its record is committed. And it books leads again whose row has a greater
// version, because more may have become known about a lead after its record was handled.
func (a *Audit) unrecorded(ctx context.Context, h *replay.Handlers, r *Report) ([]Finding, error) {
	findings, err := unrecorded(ctx, a.Live, a.ShadowDB, r.whole, r.Until)
	if err != nil || len(findings) == 0 {
		return findings, err
	}
	if err := a.read(ctx, h, r.end, r.newest, func([]*kgo.Record) {}); err != nil {
		return nil, err
	}
	leads, err := greaterLeads(ctx, a.Live, a.ShadowDB)
	if err != nil {
		return nil, err
	}
	for workspace, nodes := range leads {
		if err := h.Recomputer.Recompute(ctx, workspace, nodes, nil); err != nil {
			return nil, err
		}
	}
	return unrecorded(ctx, a.Live, a.ShadowDB, r.whole, r.Until)
}

// read handles the records of [begin, end) again. seen is called with each batch of them.
func (a *Audit) read(ctx context.Context, h *replay.Handlers, begin, end replay.Offsets,
	seen func([]*kgo.Record)) error {
	deadLetter := replay.DeadLetterTable(a.Shadow)
	return a.Topics.Read(ctx, begin, end, a.Batch, func(records []*kgo.Record) error {
		seen(records)
		return h.Handle(ctx, records, deadLetter, a.Log)
	}, func(replay.Offsets) error { return nil })
}
