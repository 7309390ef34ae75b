package backfill

import (
	"testing"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kfake"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// Progress survives in Kafka.
func TestKafkaStore(t *testing.T) {
	cluster, err := kfake.NewCluster(kfake.NumBrokers(1), kfake.SeedTopics(1, schemas.TopicStripe))
	if err != nil {
		t.Fatal(err)
	}
	defer cluster.Close()
	open := func() *KafkaStore {
		c, err := kgo.NewClient(kgo.SeedBrokers(cluster.ListenAddrs()...))
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(c.Close)
		return &KafkaStore{Admin: kadm.NewClient(c), Group: Group("acct_1", true)}
	}
	if _, found, err := open().Load(t.Context()); found || err != nil {
		t.Errorf("%t, %v", found, err)
	}
	for _, want := range []Progress{{Since: 1, Until: 2, Events: 3, Step: 4, After: "ch_1"},
		{Since: 1, Until: 2, Events: 3, Step: 12, Done: true}} {
		if err := open().Save(t.Context(), want); err != nil {
			t.Fatal(err)
		}
		if got, found, err := open().Load(t.Context()); got != want || !found || err != nil {
			t.Errorf("%+v, %t, %v", got, found, err)
		}
	}
}
