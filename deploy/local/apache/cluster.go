//go:build unix

package apache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/deploy/process"
)

// Config of a Cluster.
type Config struct {
	Classpath  string            // from Install
	Dir        string            // the brokers' data, settings and logs; made when absent
	Brokers    int               // how many [3]
	HeapMB     int               // of each broker's JVM [384]
	Properties map[string]string // over those of the package: see server.properties in each broker's directory
	Secured    *Secured          // nil: one listener for clients, open to this machine
}

// Cluster is some brokers on loopback, numbered from 1. Its methods are safe for concurrent use,
// those of one broker one at a time.
type Cluster struct {
	cfg     Config
	id      string // of the cluster: 16 random bytes in base64
	brokers []*broker
	admin   *kadm.Client
	client  *kgo.Client
}

// patience is how long one broker may take to start. Alone it takes 3 s; on a machine that does
// much else it was seen to take more than 90 s.
const patience = 5 * time.Minute

// Start formats and starts the brokers and returns when all of them have joined. The caller closes
// the cluster.
func Start(ctx context.Context, cfg Config) (*Cluster, error) {
	if cfg.Brokers == 0 {
		cfg.Brokers = 3
	}
	if cfg.HeapMB == 0 {
		cfg.HeapMB = 384
	}
	dir, err := filepath.Abs(cfg.Dir)
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	cfg.Dir = dir
	addresses, err := process.Addresses(3 * cfg.Brokers)
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	c := &Cluster{cfg: cfg, id: clusterID()}
	for n := range cfg.Brokers {
		b := &broker{id: n + 1, dir: filepath.Join(dir, "broker-"+strconv.Itoa(n+1)), address: addresses[3*n],
			quorum: addresses[3*n+1]}
		if cfg.Secured != nil {
			b.secured = addresses[3*n+2]
		}
		c.brokers = append(c.brokers, b)
	}
	c.client, err = kgo.NewClient(kgo.SeedBrokers(c.Seeds()...), kgo.MetadataMinAge(100*time.Millisecond),
		kgo.DialTimeout(2*time.Second))
	if err != nil {
		return nil, fmt.Errorf("start Kafka: %w", err)
	}
	c.admin = kadm.NewClient(c.client)
	if err := c.startAll(ctx); err != nil {
		c.Close()
		return nil, err
	}
	return c, nil
}

// clusterID returns a new cluster's id: a random UUID in base64. As in Kafka's Uuid.randomUuid, none
// begins with a dash, which kafka-storage would read as the next flag.
func clusterID() string {
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	id[0] &= 0x7f           // the first digit is one of the alphabet's first half
	return base64.RawURLEncoding.EncodeToString(id[:])
}

func (c *Cluster) startAll(ctx context.Context) error {
	errs := make([]error, len(c.brokers))
	var starting sync.WaitGroup
	for i, b := range c.brokers {
		starting.Go(func() {
			if errs[i] = c.format(ctx, b); errs[i] == nil {
				errs[i] = c.begin(b)
			}
		})
	}
	starting.Wait()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	for _, b := range c.brokers {
		if err := c.waitJoined(ctx, b); err != nil {
			return err
		}
	}
	return nil
}

// Seeds are the addresses of all brokers, host:port.
func (c *Cluster) Seeds() []string {
	seeds := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		seeds[i] = b.address
	}
	return seeds
}

// SecuredSeeds are the addresses of all brokers' secured listeners, host:port.
func (c *Cluster) SecuredSeeds() []string {
	seeds := make([]string, len(c.brokers))
	for i, b := range c.brokers {
		seeds[i] = b.secured
	}
	return seeds
}

// Brokers are the numbers of all brokers, dead ones included.
func (c *Cluster) Brokers() []int {
	ids := make([]int, len(c.brokers))
	for i, b := range c.brokers {
		ids[i] = b.id
	}
	return ids
}

// Admin returns a client for administrative requests, which the cluster closes when it ends.
func (c *Cluster) Admin() *kadm.Client { return c.admin }

func (c *Cluster) broker(id int) *broker { return c.brokers[id-1] }

// PID returns the process id of the broker's JVM.
func (c *Cluster) PID(id int) int { return c.broker(id).current().PID() }

// Kill ends a broker by kill -9.
func (c *Cluster) Kill(id int) { c.broker(id).current().Kill() }

// Stop ends a broker in order: it hands its leaderships over first. If ctx ends before that, the
// broker is killed.
func (c *Cluster) Stop(ctx context.Context, id int) error {
	if err := c.broker(id).current().Stop(ctx); err != nil {
		return fmt.Errorf("stop broker %d: %w", id, err)
	}
	return nil
}

// Suspend freezes a broker: its connections stay open and nothing is answered, as by a machine that
// swaps.
func (c *Cluster) Suspend(id int) error { return c.broker(id).current().Suspend() }

// Resume lets a suspended broker go on; it learns what it missed from the others.
func (c *Cluster) Resume(id int) error { return c.broker(id).current().Resume() }

// Begin starts a broker that was killed or stopped, with its old data, and does not wait for it.
func (c *Cluster) Begin(id int) error { return c.begin(c.broker(id)) }

// Restart starts a broker that was killed or stopped, with its old data, and waits until it has
// joined.
func (c *Cluster) Restart(ctx context.Context, id int) error {
	if err := c.Begin(id); err != nil {
		return err
	}
	return c.WaitJoined(ctx, id)
}

// WaitJoined returns when a broker that was begun answers and is in the cluster.
func (c *Cluster) WaitJoined(ctx context.Context, id int) error {
	return c.waitJoined(ctx, c.broker(id))
}

// ErrNoLeader says that a partition has no leader now: an election is due, or too few brokers run.
var ErrNoLeader = errors.New("the partition has no leader")

// Leader returns the broker that leads a partition, as the cluster says now.
func (c *Cluster) Leader(ctx context.Context, topic string, partition int32) (int, error) {
	listed, err := c.admin.ListTopics(ctx, topic)
	if err != nil {
		return 0, fmt.Errorf("ask for the leader of %s/%d: %w", topic, partition, err)
	}
	detail, ok := listed[topic].Partitions[partition]
	switch {
	case listed[topic].Err != nil:
		return 0, fmt.Errorf("ask for the leader of %s/%d: %w", topic, partition, listed[topic].Err)
	case !ok:
		return 0, fmt.Errorf("ask for the leader of %s/%d: there is no such partition", topic, partition)
	case detail.Leader < 0:
		return 0, fmt.Errorf("ask for the leader of %s/%d: %w", topic, partition, ErrNoLeader)
	}
	return int(detail.Leader), nil
}

// Log is the file of the output of a broker, of all its starts.
func (c *Cluster) Log(id int) string { return filepath.Join(c.broker(id).dir, "log") }

// LastLines of a broker's log.
func (c *Cluster) LastLines(id, n int) string {
	text, err := os.ReadFile(c.Log(id))
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimRight(string(text), "\n"), "\n")
	return strings.Join(lines[max(0, len(lines)-n):], "\n")
}

// Close kills the brokers that run. Its files stay.
func (c *Cluster) Close() {
	var ending sync.WaitGroup
	for _, b := range c.brokers {
		if life := b.current(); life != nil {
			ending.Go(life.Kill)
		}
	}
	ending.Wait()
	c.client.Close()
}
