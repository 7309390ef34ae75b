package main

import (
	"bytes"
	"log/slog"
	"net"
	"strconv"
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

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

// A broker that has not heard yet of a topic that another one has just made is asked again, for the
// topic and for its settings.
func TestTopicsThatABrokerDoesNotKnowYet(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(cluster.Close)
	asked := map[int16]int{}
	cluster.ControlKey(kmsg.Metadata.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		topics := request.(*kmsg.MetadataRequest).Topics
		if len(topics) < len(schemas.Topics) || asked[request.Key()] > 1 {
			return nil, nil, false
		}
		asked[request.Key()]++
		host, port, err := net.SplitHostPort(cluster.ListenAddrs()[0])
		if err != nil {
			return nil, err, true
		}
		broker := kmsg.NewMetadataResponseBroker()
		broker.Host = host
		number, err := strconv.ParseInt(port, 10, 32)
		if err != nil {
			return nil, err, true
		}
		broker.Port = int32(number)
		response := request.ResponseKind().(*kmsg.MetadataResponse)
		response.Brokers = append(response.Brokers, broker)
		for _, topic := range topics {
			unknown := kmsg.NewMetadataResponseTopic()
			unknown.Topic, unknown.ErrorCode = topic.Topic, kerr.UnknownTopicOrPartition.Code
			response.Topics = append(response.Topics, unknown)
		}
		return response, nil, true
	})
	cluster.ControlKey(kmsg.DescribeConfigs.Int16(), func(request kmsg.Request) (kmsg.Response, error, bool) {
		cluster.KeepControl()
		if asked[request.Key()] > 0 {
			return nil, nil, false
		}
		asked[request.Key()]++
		response := request.ResponseKind().(*kmsg.DescribeConfigsResponse)
		for _, resource := range request.(*kmsg.DescribeConfigsRequest).Resources {
			unknown := kmsg.NewDescribeConfigsResponseResource()
			unknown.ResourceType, unknown.ResourceName = resource.ResourceType, resource.ResourceName
			unknown.ErrorCode = kerr.UnknownTopicOrPartition.Code
			response.Resources = append(response.Resources, unknown)
		}
		return response, nil, true
	})
	command := topicsCommand{Replication: 1}
	command.Kafka.Seeds = cluster.ListenAddrs()
	var said bytes.Buffer
	if err := command.Run(t.Context(), slog.New(slog.NewTextHandler(&said, nil))); err != nil {
		t.Fatalf("%v\n%s", err, said.String())
	}
	metadata, configs := asked[kmsg.Metadata.Int16()], asked[kmsg.DescribeConfigs.Int16()]
	if metadata != 2 || configs != 1 || strings.Contains(said.String(), "WARN") {
		t.Errorf("asked %v\n%s", asked, said.String())
	}
}
