package main

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/cenkalti/backoff/v5"
	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"

	"tributary/schemas"
)

type topicsCommand struct {
	kafkaSettings
	Replication int16 `help:"Copies of each partition; -1: as the brokers are configured. With 3, set min.insync.replicas=2 on the brokers." default:"-1"`
}

// Run creates what is missing, and says of every topic which of its settings lose records.
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
		// What the brokers' defaults may have otherwise.
		settings := map[string]*string{"retention.ms": kadm.StringPtr(strconv.FormatInt(t.Retention.Milliseconds(), 10)),
			"retention.bytes": kadm.StringPtr("-1"), cleanupPolicy: kadm.StringPtr("delete")}
		_, err := adm.CreateTopic(ctx, t.Partitions, c.Replication, settings, t.Name)
		switch {
		case err == nil:
			log.Info("topic created", "topic", t.Name, "partitions", t.Partitions, "retention", t.Retention)
		case !errors.Is(err, kerr.TopicAlreadyExists):
			return fmt.Errorf("create topic %s at %v: %w", t.Name, connection.Seeds, schemas.WithKafkaHint(err))
		}
	}
	return describeTopics(ctx, adm, log)
}

// describeTopics logs what there is of each topic, and warns of what is not as it should be. It
// returns an error if one is compacted: Kafka deletes records of it that nobody has read.
func describeTopics(ctx context.Context, adm *kadm.Client, log *slog.Logger) error {
	var names []string
	for _, t := range schemas.Topics {
		names = append(names, t.Name)
	}
	found, settings, err := readTopics(ctx, adm, names)
	if err != nil {
		return err
	}
	var faults []error
	for _, t := range schemas.Topics {
		partitions, replicas := found[t.Name].Partitions, 0
		for _, p := range partitions {
			replicas = max(replicas, len(p.Replicas))
		}
		log.Info("topic is there", "topic", t.Name, "partitions", len(partitions), "replicas", replicas)
		// No more processors than partitions share the work.
		if len(partitions) < int(t.Partitions) {
			log.Warn("topic has few partitions (hint: kafka-topics --alter --partitions adds some, at any time)",
				"topic", t.Name, "partitions", len(partitions), "recommended", t.Partitions)
		}
		at := slices.IndexFunc(settings, func(r kadm.ResourceConfig) bool { return r.Name == t.Name })
		if at < 0 || settings[at].Err != nil {
			log.Warn("settings of topic cannot be read (hint: allow this user DescribeConfigs)", "topic", t.Name)
			continue
		}
		for _, fault := range topicFaults(t, replicas, settings[at].Configs) {
			log.Warn(fault, "topic", t.Name)
		}
		if compacted(settings[at].Configs) {
			faults = append(faults, fmt.Errorf("topic %s has %s=compact: Kafka keeps the newest record of a key only, and "+
				"deletes others that were accepted (hint: kafka-configs --alter --entity-type topics --entity-name %[1]s "+
				"--add-config %[2]s=delete, then processor backfill for Stripe's events)", t.Name, cleanupPolicy))
		}
	}
	return errors.Join(faults...)
}

// topicsPatience is how long a broker may take to know a topic that another one has made.
const topicsPatience = 30 * time.Second

// readTopics returns partitions and settings of topics. A broker that does not know yet what another
// one has made a moment ago is asked again.
func readTopics(ctx context.Context, adm *kadm.Client, names []string) (
	found kadm.TopicDetails, settings kadm.ResourceConfigs, err error,
) {
	settings, err = backoff.Retry(ctx, func() (kadm.ResourceConfigs, error) {
		var err error
		found, err = adm.ListTopics(ctx, names...)
		if err = cmp.Or(err, found.Error()); err != nil {
			return nil, unlessNew(fmt.Errorf("find topics %s: %w", strings.Join(names, ", "), schemas.WithKafkaHint(err)))
		}
		settings, err := adm.DescribeTopicConfigs(ctx, names...)
		for _, s := range settings {
			if errors.Is(s.Err, kerr.UnknownTopicOrPartition) {
				err = s.Err
			}
		}
		if err != nil {
			return nil, unlessNew(fmt.Errorf("read the settings of topics: %w", schemas.WithKafkaHint(err)))
		}
		return settings, nil
	}, backoff.WithMaxElapsedTime(topicsPatience))
	return found, settings, err
}

// unlessNew makes an error final, unless it may be that of a broker that does not know a new topic
// yet.
func unlessNew(err error) error {
	if errors.Is(err, kerr.UnknownTopicOrPartition) || errors.Is(err, kerr.LeaderNotAvailable) {
		return err
	}
	return backoff.Permanent(err)
}

const cleanupPolicy = "cleanup.policy"

// leastMessage is Kafka's own max.message.bytes: batches of the edge and large events of Stripe
// need it.
const leastMessage = 1_048_588

func settingOf(configs []kadm.Config, name string) string {
	for _, c := range configs {
		if c.Key == name {
			return c.MaybeValue()
		}
	}
	return ""
}

func compacted(configs []kadm.Config) bool {
	return strings.Contains(settingOf(configs, cleanupPolicy), "compact")
}

// topicFaults returns what settings of a topic lose, in words.
func topicFaults(t schemas.Topic, replicas int, configs []kadm.Config) (list []string) {
	number := func(name string, below int64) (int64, bool) {
		n, err := strconv.ParseInt(settingOf(configs, name), 10, 64)
		return n, err == nil && n >= 0 && n < below
	}
	if ms, short := number("retention.ms", t.Retention.Milliseconds()); short {
		list = append(list, fmt.Sprintf("retention.ms=%d keeps records for %s only, and %s is recommended: a longer outage of "+
			"the processor or of ClickHouse loses them", ms, time.Duration(ms)*time.Millisecond, t.Retention))
	}
	if size, bounded := number("retention.bytes", 1<<62); bounded {
		list = append(list, fmt.Sprintf("retention.bytes=%d deletes records of a partition that is larger, however new they "+
			"are (hint: -1)", size))
	}
	if insync, few := number("min.insync.replicas", 2); few && replicas > 1 {
		list = append(list, fmt.Sprintf("min.insync.replicas=%d: what one broker alone has acknowledged is lost with its disk "+
			"(hint: 2)", insync))
	}
	if settingOf(configs, "unclean.leader.election.enable") == "true" {
		list = append(list, "unclean.leader.election.enable=true: a broker that lacks acknowledged records may become the "+
			"leader (hint: false)")
	}
	if size, small := number("max.message.bytes", leastMessage); small {
		list = append(list, fmt.Sprintf("max.message.bytes=%d is less than %d: large batches and events are refused", size,
			leastMessage))
	}
	return list
}
