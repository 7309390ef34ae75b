package main

import (
	"errors"
	"time"

	"tributary/ingest/publish"
	"tributary/schemas"
)

// kafkaFlags say where Kafka is and how long to wait for it; both commands have them.
type kafkaFlags struct {
	Kafka schemas.Kafka `embed:""`

	PublishTimeout time.Duration `default:"5s" help:"Answer 503 when Kafka has not acknowledged for so long."`
	PublishStall   time.Duration `default:"2s" help:"Answer 503 at once when Kafka has acknowledged nothing at all for so long."`
	PublishBuffer  int           `default:"100000" placeholder:"RECORDS" help:"Hold at most so many unacknowledged records."`
}

// config returns the publisher's configuration and every fault of the flags.
func (f *kafkaFlags) config(topics ...string) (publish.Config, error) {
	c := publish.Default()
	connection, err := f.Kafka.Connection(c.ClientID)
	c.Seeds, c.ClientID, c.TLS, c.SASL = connection.Seeds, connection.ClientID, connection.TLS, connection.SASL
	c.Topics = topics
	c.Timeout, c.StallAfter = f.PublishTimeout, f.PublishStall
	c.MaxBufferedRecords, c.MaxInDoubt = f.PublishBuffer, f.PublishBuffer/2
	return c, errors.Join(err, c.Validate())
}
