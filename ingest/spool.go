package main

import (
	"errors"
	"time"

	"tributary/ingest/publish"
)

// spoolFlags say what a success promises, and where clicks and leads go that Kafka cannot take.
type spoolFlags struct {
	Ack string `enum:"durable,enqueue" default:"durable" help:"What a success promises. durable: all in-sync replicas of Kafka have the click, or it is fsynced to the spool. enqueue (fast): it is in this process's memory on its way to Kafka; kill -9, a crash or a power loss loses the clicks of the last milliseconds, and during an outage of Kafka without a spool all clicks that are in memory."`

	SpoolDir      string        `placeholder:"DIR" help:"Keep here, fsynced, what Kafka cannot take, and deliver it when Kafka is back; a directory of this process's own, on a disk that outlives it. Without it, clicks are answered 503 while Kafka is away, and a beacon does not retry."`
	SpoolMaxBytes int64         `default:"4294967296" placeholder:"BYTES" help:"Limit of the spool; beyond it, 503. An hour at 1,000 clicks a second takes about 1.5 GB."`
	SpoolAfter    time.Duration `default:"300ms" help:"With a spool, wait for Kafka no longer than this before a click goes to the spool."`
}

// validate refuses limits of a spool that is not there: who sets them believes that there is one.
func (f *spoolFlags) validate() error {
	if f.SpoolDir == "" && (f.SpoolMaxBytes != 4<<30 || f.SpoolAfter != 300*time.Millisecond) {
		return errors.New("spool: --spool-max-bytes or --spool-after is given and there is no spool (hint: --spool-dir)")
	}
	return nil
}

// maxInDoubt bounds the memory of an outage where there is a spool: each record in doubt holds some
// 5 KB.
const maxInDoubt = 5000

func (f *spoolFlags) apply(c *publish.Config) {
	if c.Ack = f.Ack; c.Ack == publish.AckEnqueue {
		c.Linger = 5 * time.Millisecond // nobody waits, and larger batches are cheaper
	}
	c.SpoolDir, c.SpoolMaxBytes, c.SpoolAfter = f.SpoolDir, f.SpoolMaxBytes, f.SpoolAfter
	if f.SpoolDir != "" {
		c.MaxInDoubt = min(c.MaxInDoubt, maxInDoubt)
	}
	// Rows are keyed by click and lead ids and converge in any order, so that no partition needs to
	// be a certain one.
	c.AnyPartition = true
}
