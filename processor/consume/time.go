package consume

import (
	"iter"
	"math"
	"sort"

	"github.com/twmb/franz-go/pkg/kgo"
)

// byTime returns records in so many batches, nearly of one size, the earliest records first. Rows of
// two batches then hardly have keys among each other: ClickHouse merges such parts in long pieces,
// and others row by row.
//
// Of each partition a batch has the records that follow those of the batch before it, so their
// offsets can be committed after each. Edges have clocks of their own, so the times of a partition
// are not quite in order; a batch may then have other times, but no other order.
func byTime(fetches kgo.Fetches, batches int) iter.Seq[[]*kgo.Record] {
	var lists [][]*kgo.Record // of each partition
	known, total := make(map[partition]int), 0
	fetches.EachPartition(func(f kgo.FetchTopicPartition) {
		p := partition{f.Topic, f.Partition}
		i, ok := known[p]
		if !ok {
			i = len(lists)
			known[p], lists = i, append(lists, nil)
		}
		lists[i] = append(lists[i], f.Records...)
		total += len(f.Records)
	})
	return func(yield func([]*kgo.Record) bool) {
		for n := batches; n > 0 && total > 0; n-- {
			until := int64(math.MaxInt64)
			if n > 1 {
				until = timeOf(lists, total/n)
			}
			var batch []*kgo.Record
			for i, list := range lists {
				end := countUntil(list, until)
				batch, lists[i] = append(batch, list[:end]...), list[end:]
			}
			total -= len(batch)
			if len(batch) > 0 && !yield(batch) {
				return
			}
		}
	}
}

// timeOf returns the earliest time, in Unix milliseconds, until which there are at least count
// records.
func timeOf(lists [][]*kgo.Record, count int) int64 {
	from, to := int64(math.MaxInt64), int64(math.MinInt64)
	for _, list := range lists {
		for _, r := range list {
			from, to = min(from, r.Timestamp.UnixMilli()), max(to, r.Timestamp.UnixMilli())
		}
	}
	return from + int64(sort.Search(int(to-from), func(ms int) bool {
		n := 0
		for _, list := range lists {
			n += countUntil(list, from+int64(ms))
		}
		return n >= count
	}))
}

// countUntil returns how many records of a list are not later than a time in Unix milliseconds.
func countUntil(list []*kgo.Record, until int64) int {
	return sort.Search(len(list), func(i int) bool { return list[i].Timestamp.UnixMilli() > until })
}
