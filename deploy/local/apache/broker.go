package apache

import (
	"context"
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

type broker struct {
	id              int
	dir             string
	address, quorum string // host:port of the two listeners
	secured         string // host:port of the third, "" without one
	mu              sync.Mutex
	life            *process.Process // nil before the first
}

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
