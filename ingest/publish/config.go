package publish

import (
	"crypto/tls"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/twmb/franz-go/pkg/sasl"

	"tributary/ingest/publish/spool"
)

// Config is what a Publisher needs to know. Start from Default.
type Config struct {
	Seeds    []string // host:port of any brokers of the cluster, as schemas.Kafka has checked them
	ClientID string   // shown in the brokers' logs and quotas
	Topics   []string // topics that Ready requires; a missing one is a reason not to be ready

	// AnyPartition lets a record go to whichever partition has least to do, whatever its key: what
	// is sent together stays together, and a dead leader's partitions are left alone. Records of
	// one key are then in no order.
	AnyPartition bool

	// Timeout is how long one Publish waits for Kafka's acknowledgement.
	Timeout time.Duration
	// StallAfter is how long records may be in flight without a single acknowledgement before the
	// publisher refuses new ones at once. It should outlast a leader election (a second or two) and
	// stay below Timeout.
	StallAfter time.Duration

	// Ack is the promise: AckDurable or AckEnqueue.
	Ack string

	// SpoolDir is where records go that Kafka cannot take; "": nowhere, they are refused. No two
	// processes share one.
	SpoolDir      string
	SpoolMaxBytes int64 // of the files in SpoolDir
	// SpoolAfter replaces StallAfter where there is a spool, and five times SpoolAfter replaces
	// Timeout: nobody needs to wait any longer for a Kafka that acknowledges nothing, or nothing of
	// one partition.
	SpoolAfter time.Duration

	// Linger is how long the first record of a batch waits for others.
	Linger time.Duration

	MaxBufferedRecords int // records handed over and not yet acknowledged; beyond it Publish refuses
	MaxBufferedBytes   int // bytes of keys, values and headers of the same
	MaxBatchBytes      int // bytes of one batch before compression; a single larger record is refused
	MaxInDoubt         int // records whose Publish has timed out and whose fate is unknown; beyond it Publish refuses

	TLS  *tls.Config    // nil: plain TCP
	SASL sasl.Mechanism // nil: no authentication

	Registry *prometheus.Registry // nil: metrics are kept but not exposed
	Logger   *slog.Logger         // nil: slog.Default()
}

// The promises that Publish can give.
const (
	AckDurable = "durable" // all in-sync replicas have the records, or this machine's disk
	AckEnqueue = "enqueue" // the records are in this process's memory; what ends it before they arrive loses them
)

// Default is a Config for one edge with some hundred MiB of memory to spare. Seeds and Topics are
// left to the caller.
func Default() Config {
	return Config{
		ClientID:           "tributary-ingest",
		Timeout:            5 * time.Second,
		StallAfter:         2 * time.Second,
		Ack:                AckDurable,
		SpoolMaxBytes:      4 << 30,
		SpoolAfter:         300 * time.Millisecond,
		Linger:             500 * time.Microsecond,
		MaxBufferedRecords: 100_000,
		MaxBufferedBytes:   256 << 20,
		MaxBatchBytes:      1_000_012, // below the brokers' default message.max.bytes even if nothing compresses
		MaxInDoubt:         50_000,
	}
}

// Validate reports every fault of c at once, each with a hint.
func (c Config) Validate() error {
	var faults []error
	fault := func(format string, args ...any) { faults = append(faults, fmt.Errorf(format, args...)) }
	if c.Timeout <= 0 {
		fault("publish timeout: %s is not positive (hint: 5s)", c.Timeout)
	}
	if c.StallAfter <= 0 || c.StallAfter > c.Timeout {
		fault("publish stall: %s is not between 0 and the publish timeout %s (hint: 2s)",
			c.StallAfter, c.Timeout)
	}
	if c.MaxBufferedRecords < 1000 {
		fault("publish buffer: %d records cannot hold one batch of events (hint: at least 1000)", c.MaxBufferedRecords)
	}
	if c.MaxBufferedBytes < 4<<20 {
		fault("publish buffer: %d bytes cannot hold one batch of events (hint: at least 4194304)", c.MaxBufferedBytes)
	}
	if c.MaxBatchBytes < 64<<10 || c.MaxBatchBytes > c.MaxBufferedBytes {
		fault("publish batch: %d bytes is not between 65536 and the buffer's %d (hint: 1000012)",
			c.MaxBatchBytes, c.MaxBufferedBytes)
	}
	if c.MaxInDoubt < 1 || c.MaxInDoubt > c.MaxBufferedRecords {
		fault("publish in doubt: %d is not between 1 and the buffer's %d records (hint: half of it)",
			c.MaxInDoubt, c.MaxBufferedRecords)
	}
	if c.Ack != AckDurable && c.Ack != AckEnqueue {
		fault("ack: %q is no promise (hint: %s or %s)", c.Ack, AckDurable, AckEnqueue)
	}
	if c.SpoolDir != "" {
		faults = append(faults, spool.Config{Dir: c.SpoolDir, MaxBytes: c.SpoolMaxBytes}.Validate())
		if c.SpoolAfter <= 0 || c.SpoolAfter > c.Timeout {
			fault("spool after: %s is not between 0 and the publish timeout %s (hint: 300ms)", c.SpoolAfter, c.Timeout)
		}
	}
	return errors.Join(faults...)
}

// patience is how long a Publish waits for Kafka.
func (c Config) patience() time.Duration {
	if c.SpoolDir != "" {
		return min(c.Timeout, 5*c.SpoolAfter)
	}
	return c.Timeout
}

func (c Config) stallAfter() time.Duration {
	if c.SpoolDir != "" {
		return c.SpoolAfter
	}
	return c.StallAfter
}
