package consume

import (
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// fetched notes what waits in the partitions that records came from. A batch that hangs leaves its
// records in the lag, for they are not handled yet.
func (c *Consumer) fetched(fetches kgo.Fetches) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.ends == nil {
		c.ends = make(map[partition]int64)
	}
	first := make(map[partition]int64) // a partition may be in several fetches
	fetches.EachPartition(func(p kgo.FetchTopicPartition) {
		if len(p.Records) == 0 {
			return
		}
		key := partition{p.Topic, p.Partition}
		if _, known := first[key]; !known {
			first[key] = p.Records[0].Offset
		}
		c.ends[key] = p.HighWatermark
		c.setLag(key, p.HighWatermark-first[key])
	})
}

// handled notes what ClickHouse has acknowledged.
func (c *Consumer) handled(records []*kgo.Record) {
	newest := make(map[string]time.Time)
	last := make(map[partition]int64)
	for _, r := range records {
		if r.Timestamp.After(newest[r.Topic]) {
			newest[r.Topic] = r.Timestamp
		}
		key := partition{r.Topic, r.Partition}
		last[key] = max(last[key], r.Offset)
		c.Metrics.records.WithLabelValues(c.Name, r.Topic).Inc()
	}
	for topic, at := range newest {
		c.Metrics.newest.WithLabelValues(c.Name, topic).Set(float64(at.UnixMilli()) / 1000)
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	for key, offset := range last {
		if end, owned := c.ends[key]; owned {
			c.setLag(key, end-offset-1)
		}
	}
}

// revoked forgets partitions that another consumer has now, whose metric has them.
func (c *Consumer) revoked(partitions map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, numbers := range partitions {
		for _, n := range numbers {
			delete(c.ends, partition{topic, n})
			c.Metrics.lag.DeleteLabelValues(c.Name, topic, strconv.Itoa(int(n)))
		}
	}
}

func (c *Consumer) setLag(p partition, records int64) {
	c.Metrics.lag.WithLabelValues(c.Name, p.topic, strconv.Itoa(int(p.number))).Set(float64(max(0, records)))
}
