package main

import (
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/twmb/franz-go/pkg/sasl"
	"github.com/twmb/franz-go/pkg/sasl/plain"
	"github.com/twmb/franz-go/pkg/sasl/scram"

	"tributary/ingest/publish"
)

// kafkaFlags say where Kafka is and how long to wait for it; both commands have them.
type kafkaFlags struct {
	KafkaSeeds    []string `default:"127.0.0.1:9092" placeholder:"HOST:PORT,…" help:"Any brokers of the cluster."`
	KafkaTLS      bool     `name:"kafka-tls" help:"Connect with TLS."`
	KafkaCA       string   `name:"kafka-ca" placeholder:"FILE" help:"Trust these certificates (PEM) instead of the system's; implies --kafka-tls."`
	KafkaSASL     string   `name:"kafka-sasl" enum:"none,plain,scram-sha-256,scram-sha-512" default:"none" help:"Authenticate so: ${enum}."`
	KafkaUser     string   `help:"SASL user."`
	KafkaPassword string   `help:"SASL password; better given as TRIBUTARY_KAFKA_PASSWORD."`

	PublishTimeout time.Duration `default:"5s" help:"Answer 503 when Kafka has not acknowledged for so long."`
	PublishStall   time.Duration `default:"2s" help:"Answer 503 at once when Kafka has acknowledged nothing at all for so long."`
	PublishBuffer  int           `default:"100000" placeholder:"RECORDS" help:"Hold at most so many unacknowledged records."`
}

// config gives the publisher's configuration and every fault of the flags.
func (f *kafkaFlags) config(topics ...string) (publish.Config, error) {
	c := publish.Default()
	c.Seeds, c.Topics = f.KafkaSeeds, topics
	c.Timeout, c.StallAfter = f.PublishTimeout, f.PublishStall
	c.MaxBufferedRecords, c.MaxInDoubt = f.PublishBuffer, f.PublishBuffer/2

	var faults []error
	if f.KafkaTLS || f.KafkaCA != "" {
		c.TLS = &tls.Config{MinVersion: tls.VersionTLS12}
	}
	if f.KafkaCA != "" {
		pem, err := os.ReadFile(f.KafkaCA)
		if err != nil {
			faults = append(faults, fmt.Errorf("kafka ca: %w (hint: a PEM file)", err))
		} else if c.TLS.RootCAs = x509.NewCertPool(); !c.TLS.RootCAs.AppendCertsFromPEM(pem) {
			faults = append(faults, fmt.Errorf("kafka ca: %s holds no certificate (hint: it begins with -----BEGIN CERTIFICATE-----)", f.KafkaCA))
		}
	}
	mechanism, err := f.mechanism()
	c.SASL = mechanism
	return c, errors.Join(append(faults, err, c.Validate())...)
}

func (f *kafkaFlags) mechanism() (sasl.Mechanism, error) {
	switch {
	case f.KafkaSASL == "none" && f.KafkaUser == "":
		return nil, nil
	case f.KafkaSASL == "none":
		return nil, errors.New("kafka user: given without a mechanism (hint: --kafka-sasl scram-sha-512)")
	case f.KafkaUser == "" || f.KafkaPassword == "":
		return nil, fmt.Errorf("kafka sasl: %s needs a user and a password (hint: --kafka-user and TRIBUTARY_KAFKA_PASSWORD)", f.KafkaSASL)
	}
	auth := scram.Auth{User: f.KafkaUser, Pass: f.KafkaPassword}
	switch f.KafkaSASL {
	case "plain":
		return plain.Auth{User: f.KafkaUser, Pass: f.KafkaPassword}.AsMechanism(), nil
	case "scram-sha-256":
		return auth.AsSha256Mechanism(), nil
	default:
		return auth.AsSha512Mechanism(), nil
	}
}
