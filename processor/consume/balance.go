package consume

import (
	"fmt"
	"maps"
	"slices"

	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"
)

// wholeBalancer balances as the one that it wraps, but never without one of the group's topics.
//
// The consumers are members of one group, each with topics of its own, so the leader asks Kafka
// also for topics that it does not consume itself. Without this balancer: a broker that has just
// started answers LEADER_NOT_AVAILABLE for clicks.v1; kgo logs that and balances the other topics;
// the members that consume clicks are assigned nothing, which is no error; and no click is read
// until some member joins or leaves.
type wholeBalancer struct{ kgo.GroupBalancer }

// MemberBalancer implements kgo.GroupBalancer.
func (b wholeBalancer) MemberBalancer(
	members []kmsg.JoinGroupResponseMember,
) (kgo.GroupMemberBalancer, map[string]struct{}, error) {
	inner, topics, err := b.GroupBalancer.MemberBalancer(members)
	if err != nil {
		return nil, nil, err
	}
	return &wholeMembers{inner, topics}, topics, nil
}

type wholeMembers struct {
	kgo.GroupMemberBalancer
	topics map[string]struct{} // of all members
}

// BalanceOrError implements kgo.GroupMemberBalancerOrError. After an error the leader joins again,
// a little later.
func (m *wholeMembers) BalanceOrError(partitions map[string]int32) (kgo.IntoSyncAssignment, error) {
	for _, topic := range slices.Sorted(maps.Keys(m.topics)) {
		if partitions[topic] == 0 {
			return nil, fmt.Errorf("balance: Kafka did not say which partitions %s has", topic)
		}
	}
	if inner, ok := m.GroupMemberBalancer.(kgo.GroupMemberBalancerOrError); ok {
		return inner.BalanceOrError(partitions)
	}
	return m.Balance(partitions), nil
}
