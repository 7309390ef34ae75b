//go:build unix

package apache

import (
	"context"
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
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

type broker struct {
	id              int
	dir             string
	address, quorum string // host:port of the two listeners
	secured         string // host:port of the third, "" without one
	mu              sync.Mutex
	life            *process.Process // nil before the first
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
	var id [16]byte
	_, _ = rand.Read(id[:]) // never fails
	c := &Cluster{cfg: cfg, id: base64.RawURLEncoding.EncodeToString(id[:])}
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

// format makes a broker's directory: its settings, and the storage that carries the cluster's id.
func (c *Cluster) format(ctx context.Context, b *broker) error {
	if err := os.MkdirAll(b.dir, 0o755); err != nil {
		return fmt.Errorf("format broker %d: %w", b.id, err)
	}
	for name, text := range map[string]string{"server.properties": c.properties(b), "log4j2.properties": logging} {
		if err := os.WriteFile(filepath.Join(b.dir, name), []byte(text), 0o644); err != nil {
			return fmt.Errorf("format broker %d: %w", b.id, err)
		}
	}
	args := append(c.java(b), "-Xmx128m", "kafka.tools.StorageTool", "format", "--cluster-id", c.id, "--config",
		filepath.Join(b.dir, "server.properties"))
	if s := c.cfg.Secured; s != nil {
		args = append(args, "--add-scram", "SCRAM-SHA-512=[name="+s.User+",password="+s.Password+"]")
	}
	tool := exec.CommandContext(ctx, "java", args...)
	if said, err := tool.CombinedOutput(); err != nil {
		return fmt.Errorf("format broker %d: %w\n%s", b.id, err, said)
	}
	return nil
}

// java returns the options of every JVM: compilers and collectors that leave the cores to
// what is tested.
func (c *Cluster) java(b *broker) []string {
	return []string{"-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-cp", c.cfg.Classpath, "-Dlog4j2.configurationFile=" +
		filepath.Join(b.dir, "log4j2.properties")}
}

// properties as https://kafka.apache.org/documentation/#brokerconfigs describes them.
func (c *Cluster) properties(b *broker) string {
	voters := make([]string, len(c.brokers))
	for i, v := range c.brokers {
		voters[i] = strconv.Itoa(v.id) + "@" + v.quorum
	}
	copies := strconv.Itoa(min(3, len(c.brokers)))
	insync := strconv.Itoa(min(2, len(c.brokers)))
	p := map[string]string{
		"process.roles":              "broker,controller",
		"node.id":                    strconv.Itoa(b.id),
		"controller.quorum.voters":   strings.Join(voters, ","),
		"listeners":                  "PLAINTEXT://" + b.address + ",CONTROLLER://" + b.quorum,
		"advertised.listeners":       "PLAINTEXT://" + b.address,
		"controller.listener.names":  "CONTROLLER",
		"inter.broker.listener.name": "PLAINTEXT",
		"log.dirs":                   filepath.Join(b.dir, "data"),

		// What is promised: an acknowledged record is with two brokers, and nobody leads who may
		// lack it.
		"default.replication.factor":               copies,
		"min.insync.replicas":                      insync,
		"unclean.leader.election.enable":           "false",
		"offsets.topic.replication.factor":         copies,
		"offsets.topic.num.partitions":             "6",
		"transaction.state.log.replication.factor": copies,
		"transaction.state.log.min.isr":            insync,
		"auto.create.topics.enable":                "false",

		// A dead broker is noticed after these 4 s (9 s by default), so that a test of minutes sees
		// many elections.
		"broker.heartbeat.interval.ms":            "500",
		"broker.session.timeout.ms":               "4000",
		"replica.lag.time.max.ms":                 "5000",
		"leader.imbalance.check.interval.seconds": "20", // leaders come home, so that every broker has some to lose
		"group.initial.rebalance.delay.ms":        "0",
		// A broker ends that its controllers do not take within a minute, which a busy machine needs.
		"initial.broker.registration.timeout.ms": "600000",

		// One of three on a small machine. The cleaner alone would take 128 MiB.
		"log.cleaner.dedupe.buffer.size": "8388608",
		"num.network.threads":            "2",
		"num.io.threads":                 "4",
		"background.threads":             "2",
	}
	if s := c.cfg.Secured; s != nil {
		p["listeners"] += ",SECURED://" + b.secured
		p["advertised.listeners"] += ",SECURED://" + b.secured
		p["listener.security.protocol.map"] = "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT,SECURED:SASL_SSL"
		p["listener.name.secured.ssl.keystore.type"] = "PEM"
		p["listener.name.secured.ssl.keystore.location"] = s.KeyPair
		p["listener.name.secured.sasl.enabled.mechanisms"] = "SCRAM-SHA-512"
		p["listener.name.secured.scram-sha-512.sasl.jaas.config"] = "org.apache.kafka.common.security.scram.ScramLoginModule required;"
	}
	maps.Copy(p, c.cfg.Properties)
	var text strings.Builder
	for _, name := range slices.Sorted(maps.Keys(p)) {
		text.WriteString(name + "=" + p[name] + "\n")
	}
	return text.String()
}

// logging goes to standard output, and so into the broker's log file.
const logging = `appender.console.type = Console
appender.console.name = console
appender.console.layout.type = PatternLayout
appender.console.layout.pattern = %d{yyyy-MM-dd HH:mm:ss.SSS}{UTC} %p %c{1}: %m%n
rootLogger.level = info
rootLogger.appenderRef.console.ref = console
`

// begin starts a life of a broker without waiting for it.
func (c *Cluster) begin(b *broker) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	if b.life != nil && b.life.Alive() {
		return fmt.Errorf("start broker %d: it is running (kill or stop it first)", b.id)
	}
	log, err := os.OpenFile(c.Log(b.id), os.O_CREATE|os.O_APPEND|os.O_WRONLY, 0o644)
	if err != nil {
		return fmt.Errorf("start broker %d: %w", b.id, err)
	}
	defer log.Close() // the broker has its own
	heap := strconv.Itoa(c.cfg.HeapMB) + "m"
	cmd := exec.Command("java", append(c.java(b), "-Xms64m", "-Xmx"+heap, "-XX:+ExitOnOutOfMemoryError", "kafka.Kafka",
		filepath.Join(b.dir, "server.properties"))...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = b.dir, log, log
	life, err := process.Start(cmd)
	if err != nil {
		return fmt.Errorf("start broker %d: %w", b.id, err)
	}
	b.life = life
	return nil
}

// waitJoined returns when the cluster lists the broker and the broker itself answers.
func (c *Cluster) waitJoined(ctx context.Context, b *broker) error {
	ctx, cancel := context.WithTimeout(ctx, patience)
	defer cancel()
	client, err := kgo.NewClient(kgo.SeedBrokers(b.address), kgo.DialTimeout(2*time.Second), kgo.RequestRetries(0))
	if err != nil {
		return fmt.Errorf("wait for broker %d: %w", b.id, err)
	}
	defer client.Close()
	admin := kadm.NewClient(client)
	var last error
	for {
		try, stop := context.WithTimeout(ctx, 3*time.Second)
		brokers, err := admin.ListBrokers(try)
		stop()
		if err == nil && slices.ContainsFunc(brokers, func(d kadm.BrokerDetail) bool { return int(d.NodeID) == b.id }) {
			return nil
		}
		if err != nil {
			last = err
		}
		life := b.current()
		select {
		case <-life.Ended():
			return fmt.Errorf("wait for broker %d: it ended: %w; %s says why:\n%s", b.id,
				errors.Join(process.ErrEnded, life.Err()), c.Log(b.id), c.LastLines(b.id, 20))
		case <-ctx.Done():
			return fmt.Errorf("wait for broker %d: not in the cluster after %s; %s says more: %w", b.id, patience, c.Log(b.id),
				errors.Join(context.Cause(ctx), last))
		case <-time.After(100 * time.Millisecond):
		}
	}
}

func (b *broker) current() *process.Process {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.life
}

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
