package publish

import (
	"sync/atomic"

	"github.com/twmb/franz-go/pkg/kgo"
)

// leastBusy sends records to the partition with the fewest unacknowledged ones, and looks for it
// again with every batch and every turn.
//
// kgo.LeastBackupPartitioner alone looks with every batch only, which is too rarely when a leader
// is dead. Walk through it: kgo has begun a batch for one of that broker's partitions, and waits
// before it sends to the broker again. The batch stays unsent and open, and takes every record that
// comes, up to MaxBatchBytes, while other brokers are idle.
type leastBusy struct{ turn *atomic.Uint32 }

// ForTopic returns the partitioner of one topic.
func (p leastBusy) ForTopic(topic string) kgo.TopicPartitioner {
	return &leastBusyTopic{kgo.LeastBackupPartitioner().ForTopic(topic).(batchPartitioner), p.turn, 0}
}

// batchPartitioner is the interfaces that kgo's own partitioner implements, and that kgo looks for.
type batchPartitioner interface {
	kgo.TopicBackupPartitioner
	kgo.TopicPartitionerOnNewBatch
}

// leastBusyTopic is used by one goroutine at a time.
type leastBusyTopic struct {
	batchPartitioner
	turn *atomic.Uint32
	seen uint32 // the turn in which the partition was chosen
}

// PartitionByBackup chooses one of n partitions for r.
func (p *leastBusyTopic) PartitionByBackup(r *kgo.Record, n int, backup kgo.TopicBackupIter) int {
	if now := p.turn.Load(); now != p.seen {
		p.seen = now
		p.OnNewBatch() // forgets the choice
	}
	return p.batchPartitioner.PartitionByBackup(r, n, backup)
}
