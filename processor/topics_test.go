package main

import (
	"bytes"
	"log/slog"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// Topics are created with what the promises need, whatever the brokers' defaults are, and what an
// operator has set since is named, with what it loses.
func TestSettingsOfTopicsAreNamed(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(3), kfake.BrokerConfigs(map[string]string{
		"log.cleanup.policy": "compact", "min.insync.replicas": "2"}))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	command := topicsCommand{Replication: 3}
	command.Kafka.Seeds = cluster.ListenAddrs()
	run := func() (string, error) {
		var said bytes.Buffer
		err := command.Run(t.Context(), slog.New(slog.NewTextHandler(&said, nil)))
		return said.String(), err
	}
	for range 2 { // what was created, and what is there
		if said, err := run(); err != nil || strings.Contains(said, "WARN") {
			t.Fatalf("%v\n%s", err, said)
		}
	}
	client, err := kgo.NewClient(kgo.SeedBrokers(command.Kafka.Seeds...))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(client.Close)
	for _, c := range []struct{ setting, value, usual, word string }{
		{"retention.ms", "3600000", "7776000000", "for 1h0m0s only, and 2160h0m0s is recommended"},
		{"retention.ms", "-1", "7776000000", ""},
		{"retention.bytes", "1000", "-1", "however new they are"},
		{"min.insync.replicas", "1", "2", "is lost with its disk"},
		{"unclean.leader.election.enable", "true", "false", "may become the leader"},
		{"max.message.bytes", "100000", "1048588", "large batches and events are refused"},
		{"cleanup.policy", "compact,delete", "delete", "processor backfill"},
		{"cleanup.policy", "compact", "delete", "processor backfill"},
	} {
		set := func(value string) {
			answers, err := kadm.NewClient(client).AlterTopicConfigs(t.Context(),
				[]kadm.AlterConfig{{Name: c.setting, Value: &value}}, schemas.TopicStripe)
			if err != nil || answers[0].Err != nil {
				t.Fatal(err, answers)
			}
		}
		set(c.value)
		said, err := run()
		if err != nil {
			said += err.Error()
		}
		if failed := err != nil; failed != strings.Contains(c.value, "compact") {
			t.Errorf("%s=%s: %v", c.setting, c.value, err)
		}
		if named := strings.Contains(said, c.setting+"="); named != (c.word != "") || !strings.Contains(said, c.word) {
			t.Errorf("%s=%s is not named:\n%s", c.setting, c.value, said)
		}
		set(c.usual)
	}
	if said, err := run(); err != nil || strings.Contains(said, "WARN") {
		t.Errorf("%v\n%s", err, said)
	}
}
