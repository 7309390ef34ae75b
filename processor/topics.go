package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"strconv"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

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
	client, err := kgo.NewClient(connection.Options()...)
	if err != nil {
		return fmt.Errorf("open Kafka client: %w", err)
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
			log.Info("topic is there", "topic", t.Name)
		default:
			return fmt.Errorf("create topic %s at %v: %w (hint: is Kafka reachable there? --kafka-seeds names it)",
				t.Name, connection.Seeds, err)
		}
	}
	return nil
}
