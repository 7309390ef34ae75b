package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"tributary/schemas"
)

type topicsCommand struct {
	kafkaSettings
	Replication int16 `help:"Copies of each partition; -1: as the brokers are configured. With 3, set min.insync.replicas=2 on the brokers." default:"-1"`
}

func (c *topicsCommand) Run(ctx context.Context, log *slog.Logger) error {
	connection, err := c.connection()
	if err != nil {
		return err
	}
	client, err := schemas.DialKafka(ctx, connection.Options()...)
	if err != nil {
		return err
	}
	defer client.Close()
	adm := kadm.NewClient(client)
	for _, t := range schemas.Topics {
		retention := strconv.FormatInt(t.Retention.Milliseconds(), 10)
		_, err := adm.CreateTopic(ctx, t.Partitions, c.Replication, map[string]*string{"retention.ms": &retention},
			t.Name)
		switch {
		case err == nil:
			log.Info("topic created", "topic", t.Name, "partitions", t.Partitions, "retention", t.Retention)
		case errors.Is(err, kerr.TopicAlreadyExists):
			if err := describe(ctx, adm, t, log); err != nil {
				return err
			}
		default:
			return fmt.Errorf("create topic %s at %v: %w", t.Name, connection.Seeds, schemas.WithKafkaHint(err))
		}
	}
	return nil
}

// describe logs what there is of a topic, and warns of fewer partitions than are created: no more
// processors than partitions share the work.
func describe(ctx context.Context, adm *kadm.Client, t schemas.Topic, log *slog.Logger) error {
	found, err := adm.ListTopics(ctx, t.Name)
	if err != nil {
		return fmt.Errorf("find topic %s: %w", t.Name, schemas.WithKafkaHint(err))
	}
	partitions := len(found[t.Name].Partitions)
	if partitions < int(t.Partitions) {
		log.Warn("topic is there with few partitions (hint: kafka-topics.sh --alter --partitions adds some, at any time)",
			"topic", t.Name, "partitions", partitions, "recommended", t.Partitions)
		return nil
	}
	log.Info("topic is there", "topic", t.Name, "partitions", partitions)
	return nil
}
