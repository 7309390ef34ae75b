package publish

import (
	"sync/atomic"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"
)

// backlog is the number of unacknowledged records of each partition.
type backlog []int64

func (b *backlog) Rem() int { return len(*b) }

func (b *backlog) Next() (int, int64) {
	last := len(*b) - 1
	n := (*b)[last]
	*b = (*b)[:last]
	return last, n
}

// A batch that is never sent, because its leader is dead, takes records for one turn at most.
func TestLeastBusy(t *testing.T) {
	var turn atomic.Uint32
	topic := leastBusy{&turn}.ForTopic(topic).(batchPartitioner)
	pick := func(unacknowledged ...int64) int {
		b := backlog(unacknowledged)
		return topic.PartitionByBackup(&kgo.Record{}, len(unacknowledged), &b)
	}
	if got := pick(3, 0, 1); got != 1 {
		t.Fatalf("partition %d, want 1, the least busy", got)
	}
	if got := pick(0, 40, 1); got != 1 {
		t.Errorf("partition %d, want 1 still: what comes together stays together", got)
	}
	turn.Add(1)
	if got := pick(0, 40, 1); got != 0 {
		t.Errorf("partition %d after a turn, want 0", got)
	}
	topic.OnNewBatch()
	if got := pick(2, 40, 1); got != 2 {
		t.Errorf("partition %d for a new batch, want 2", got)
	}
}
