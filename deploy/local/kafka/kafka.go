// Package kafka runs one Kafka broker on a loopback port, for laptops and tests: franz-go's kfake,
// an implementation of the Kafka protocol in Go, with its state in a data directory.
//
// What it promises: a record that was acknowledged, and an offset that was committed, survive kill
// -9 of this process, because both are written to their files before the answer is sent. They
// survive a power cut only with [Config.Sync], as with Kafka itself, which leaves flushing to the
// kernel and relies on replicas. Here is one broker without replicas: keep no data here that
// matters.
package kafka

import (
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strconv"
	"time"

	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// longestSession is how long a group waits for a member that no longer answers, whatever the member
// asked for. Clients ask for 45 s by default, so that a long pause does not cost them their
// partitions; on a laptop nobody wants to wait for that after a kill. It is three of the default
// heartbeats (3 s) and a little more.
const longestSession = 10 * time.Second

// Config of a broker.
type Config struct {
	// Addr is host:port to listen on and to advertise. The host should be a loopback address:
	// nobody is asked for a password here.
	Addr string
	// DataDir holds topics, records and groups. It is made if need be.
	DataDir string
	// Sync flushes every batch to the disk before it is acknowledged (fsync of two files). Without
	// it, acknowledged records survive the end of this process but not of the machine.
	Sync bool
	// Logger receives what goes wrong. Optional.
	Logger kfake.Logger
}

// Broker is a running broker.
type Broker struct {
	cluster *kfake.Cluster
	lock    *os.File
}

// Start loads what is in the data directory, listens and answers. Topics are made by nobody but
// those who ask for them by CreateTopics: a misspelt name is an error and not a new topic.
func Start(cfg Config) (*Broker, error) {
	_, portText, err := net.SplitHostPort(cfg.Addr)
	if err != nil {
		return nil, fmt.Errorf("read address %q: %w (hint: host:port)", cfg.Addr, err)
	}
	port, err := strconv.Atoi(portText)
	if err != nil {
		return nil, fmt.Errorf("read port of %q: %w", cfg.Addr, err)
	}
	if err := os.MkdirAll(cfg.DataDir, 0o700); err != nil {
		return nil, fmt.Errorf("make data directory: %w", err)
	}
	lock, err := lockDir(cfg.DataDir)
	if err != nil {
		return nil, err
	}

	options := []kfake.Opt{
		kfake.NumBrokers(1),
		kfake.Ports(port),
		// kfake would listen on 127.0.0.1 whatever the host; what it listens on is also what it
		// advertises.
		kfake.ListenFn(func(network, _ string) (net.Listener, error) { return net.Listen(network, cfg.Addr) }),
		kfake.ClusterID("tributary-local"),
		kfake.DataDir(cfg.DataDir),
		kfake.GroupMinSessionTimeout(time.Second),
		kfake.BrokerConfigs(map[string]string{
			// The newer consumer protocol takes these from the broker and not from the client.
			"group.consumer.session.timeout.ms":    strconv.FormatInt(longestSession.Milliseconds(), 10),
			"group.consumer.heartbeat.interval.ms": "2000",
			// A webhook body is at most 1 MiB, and its record has a key and headers too.
			"message.max.bytes": strconv.Itoa(2 << 20),
		}),
	}
	if cfg.Sync {
		options = append(options, kfake.SyncWrites())
	}
	if cfg.Logger != nil {
		options = append(options, kfake.WithLogger(cfg.Logger))
	}
	cluster, err := kfake.NewCluster(options...)
	if err != nil {
		_ = lock.Close()
		return nil, fmt.Errorf("start Kafka on %s with data in %s: %w", cfg.Addr, cfg.DataDir, err)
	}
	shortenSessions(cluster)
	return &Broker{cluster: cluster, lock: lock}, nil
}

// shortenSessions caps the session timeout that members of classic groups ask for. A longer one is
// granted as [longestSession]; refusing it, as a maximum in the broker's settings would, ends the
// consumer with an error.
func shortenSessions(cluster *kfake.Cluster) {
	cluster.ControlKey(kmsg.JoinGroup.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		join := request.(*kmsg.JoinGroupRequest)
		if limit := int32(longestSession.Milliseconds()); join.SessionTimeoutMillis > limit {
			join.SessionTimeoutMillis = limit
		}
		return nil, nil, false
	})
}

// Addr is the address that clients use as their seed.
func (b *Broker) Addr() string { return b.cluster.ListenAddrs()[0] }

// Close stops answering and writes down what makes the next start quick. Skipping it loses nothing.
func (b *Broker) Close() {
	b.cluster.Close()
	_ = b.lock.Close()
}

// patience is how long Start waits for another process to let go of the data directory: a process
// that was just killed may still be on its way out when the next one starts.
const patience = 5 * time.Second

// lockDir keeps a second broker out of the directory: two would write over each other's segments.
// The lock ends with the process, however it ends.
func lockDir(dir string) (*os.File, error) {
	f, err := os.OpenFile(filepath.Join(dir, "lock"), os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, fmt.Errorf("open lock of data directory: %w", err)
	}
	for deadline := time.Now().Add(patience); ; time.Sleep(50 * time.Millisecond) {
		err := tryLock(f)
		if err == nil {
			return f, nil
		}
		if time.Now().After(deadline) {
			_ = f.Close()
			return nil, fmt.Errorf("lock data directory %s: %w (hint: if another broker uses it, stop that one or give "+
				"this one another --data)", dir, err)
		}
	}
}
