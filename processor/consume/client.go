package consume

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"slices"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// closeTimeout is how long a consumer tries to leave its group. A coordinator that does not answer
// removes the member by itself, when its session ends.
const closeTimeout = 5 * time.Second

func (c *Consumer) close() {
	defer time.AfterFunc(closeTimeout, c.cancel).Stop()
	c.client.CloseAllowingRebalance() // Close would wait for a poll that never comes
}

func (c *Consumer) group() string { return cmp.Or(c.Group, schemas.ConsumerGroup) }

// fetchPartitionBytes lets all of a topic's partitions (twelve, by default) be in one fetch. Clicks
// of one time then are in one batch, and ClickHouse merges parts whose keys hardly overlap. It must
// not be less than a producer's batch takes compressed: Kafka would give one such batch a fetch.
const fetchPartitionBytes = 512 << 10

// fetchedAhead is how many times the MaxBytes of a batch may be fetched before the batch is handled.
// Clicks as sites send them shrink to a tenth, so that fetches of all partitions are half as much.
const fetchedAhead = 4

// open makes the client. It joins the group at once: the broker may have assigned partitions, and
// kgo ask where to begin, before NewClient has returned. rewind then waits until c.client is set:
// without that it asked by no client, or by the one of a topic that was made again.
func (c *Consumer) open() error {
	opened := make(chan struct{})
	c.decompressor = NewDecompressor(cmp.Or(c.MaxBytes*fetchedAhead, math.MaxInt))
	opts := []kgo.Opt{
		kgo.SeedBrokers(c.Seeds...),
		kgo.ConsumerGroup(c.group()),
		kgo.ConsumeTopics(c.Topics...),
		kgo.Balancers(wholeBalancer{kgo.CooperativeStickyBalancer()}),
		kgo.BlockRebalanceOnPoll(),
		kgo.DisableAutoCommit(),
		kgo.ConsumeResetOffset(kgo.NewOffset().AtStart()),
		kgo.AdjustFetchOffsetsFn(func(ctx context.Context, offsets map[string]map[int32]kgo.Offset) (
			map[string]map[int32]kgo.Offset, error,
		) {
			<-opened
			return c.rewind(ctx, offsets)
		}),
		kgo.OnPartitionsAssigned(c.onAssigned),
		kgo.OnPartitionsRevoked(c.onRevoked),
		kgo.OnPartitionsLost(c.onRevoked),
		kgo.SessionTimeout(10 * time.Second),
		kgo.HeartbeatInterval(time.Second),
		kgo.RebalanceTimeout(30 * time.Second),
		kgo.FetchMaxWait(250 * time.Millisecond),
		kgo.FetchMaxPartitionBytes(fetchPartitionBytes), // compressed: some ten times as much in memory, once for each broker
		kgo.FetchMaxBytes(8 << 20),
		// A broker answers a session in the session's own order, and other requests in theirs.
		kgo.DisableFetchSessions(),
		kgo.ConsumePreferringLagFn(anyOrder),
		kgo.WithDecompressor(c.decompressor),
		kgo.RequiredAcks(kgo.AllISRAcks()),
		kgo.ProducerBatchMaxBytes(MaxRecordBytes),
		kgo.ProducerLinger(0),
	}
	if c.Instance != "" {
		opts = append(opts, kgo.InstanceID(c.Instance+"-"+c.Name))
	}
	clientCtx, cancel := context.WithCancel(context.Background())
	client, err := kgo.NewClient(append(append(opts, kgo.WithContext(clientCtx)), c.Options...)...)
	if err != nil {
		cancel()
		return fmt.Errorf("open Kafka client of %s: %w", c.Name, err)
	}
	c.client, c.cancel = client, cancel
	close(opened)
	return nil
}

// anyOrder puts the partitions of a request into any order. Where many records wait, the first
// partitions take the decompressor's room. If these were always the same, Stripe's events would wait
// behind a backlog of public leads. kgo begins each request with another partition, but counts those,
// too, that it does not send: it was seen to begin with every second partition only.
func anyOrder(_ map[string]map[int32]int64, topics []string, partitions map[string][]int32) (
	[]string, map[string][]int32,
) {
	topics, partitions = slices.Clone(topics), maps.Clone(partitions) // kgo's own must stay as they are
	rand.Shuffle(len(topics), func(i, j int) { topics[i], topics[j] = topics[j], topics[i] })
	for topic, numbers := range partitions {
		numbers = slices.Clone(numbers)
		rand.Shuffle(len(numbers), func(i, j int) { numbers[i], numbers[j] = numbers[j], numbers[i] })
		partitions[topic] = numbers
	}
	return topics, partitions
}

func (c *Consumer) onAssigned(_ context.Context, _ *kgo.Client, added map[string][]int32) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.refused.err = nil
	if c.assigned == nil {
		c.assigned = make(map[partition]bool)
	}
	for topic, numbers := range added {
		for _, number := range numbers {
			c.assigned[partition{topic, number}] = true
		}
	}
}

// onRevoked forgets the partitions: their next owner may read them further than this one has.
func (c *Consumer) onRevoked(_ context.Context, _ *kgo.Client, removed map[string][]int32) {
	c.revoked(removed)
	c.mu.Lock()
	defer c.mu.Unlock()
	for topic, numbers := range removed {
		for _, number := range numbers {
			p := partition{topic, number}
			delete(c.assigned, p)
			delete(c.next, p)
			delete(c.again, p)
		}
	}
}
