package simulation

import (
	"context"
	"fmt"
	"time"

	"github.com/twmb/franz-go/pkg/kadm"
	"github.com/twmb/franz-go/pkg/kgo"
	"github.com/twmb/franz-go/pkg/kmsg"

	"tributary/schemas"
)

// calm ends all faults, and sees to it that the processors run.
func (r *run) calm() {
	r.note("the faults are over")
	r.server.calm()
	for _, h := range r.answers {
		h.Remove()
	}
	r.startAll()
}

func (r *run) startAll() {
	for i := range r.members {
		r.start(fmt.Sprintf("p%d", i+1))
	}
}

// away lets no processor run until back.
func (r *run) away() {
	r.mu.Lock()
	r.absent = true
	r.mu.Unlock()
	for _, p := range r.all() {
		r.kill(p, 0)
	}
}

func (r *run) back() {
	r.mu.Lock()
	r.absent = false
	r.mu.Unlock()
	r.startAll()
}

// settle waits until everything is handled, and everything was looked at again.
func (r *run) settle() {
	client := r.kafka()
	defer client.Close()
	// A server that is gone may be missed only after a minute: see consume.Servers. What a processor
	// that died has booked under shared names is booked again after two, and twice the lag, by
	// ClickHouse's clock: later where that was fast when it was asked for.
	noticed := 75 * time.Second
	if r.shared > 0 {
		noticed = 2*time.Minute + 2*r.server.layout.lag + r.background + max(0, r.clocks.clickhouse.by)
	}
	time.Sleep(max(0, noticed-time.Since(r.lastFailure())))
	for calm, waited := time.Duration(0), time.Duration(0); calm < 15*time.Second; waited += 5 * time.Second {
		time.Sleep(5 * time.Second)
		busy := r.busy(client, calm >= 10*time.Second)
		if busy == "" {
			calm += 5 * time.Second
			continue
		}
		if calm = 0; waited > drainTimeout {
			r.violated("everything is handled in the end: %s after the faults %s", waited, busy)
			break
		}
	}
	r.note("everything is handled")
	time.Sleep(2*r.server.layout.lag + healing + 2*r.background)
	r.check(true)
	time.Sleep(max(0, time.Until(r.rates.last()), time.Until(r.epoch.Add(dayEnd))) + 3*sweep)
}

// busy says what still goes on, or "". Committed offsets are no measure of it: a commit that fails
// is repeated with the next record of its partition, however long that takes.
func (r *run) busy(client *kgo.Client, thorough bool) string {
	admin := kadm.NewClient(client)
	ctx, cancel := context.WithTimeout(context.Background(), 30*time.Second)
	defer cancel()
	groups, err := admin.DescribeGroups(ctx, schemas.ConsumerGroup)
	if err != nil {
		return err.Error()
	}
	if n := r.evict(ctx, client, groups[schemas.ConsumerGroup].Members); n > 0 {
		return fmt.Sprintf("%d members are dead", n)
	}
	if state := groups[schemas.ConsumerGroup].State; state != "Stable" {
		return "the group is " + state
	}
	for _, p := range r.all() {
		if n := p.handling.Load(); n > 0 && !p.life.over() {
			return fmt.Sprintf("%d batches are being handled by %s", n, p.name)
		}
	}
	if !thorough {
		return ""
	}
	log := r.log()
	stored := rawRows(r.server.current())
	for _, rec := range log {
		if key := r.stored(rec); key != "" && !stored[key] {
			return fmt.Sprintf("%s/%d offset %d is not stored", rec.Topic, rec.Partition, rec.Offset)
		}
	}
	return ""
}

// evict ends the membership of processors that are no more, and says how many there were. A broker
// does so when their session has timed out; kfake keeps one that was killed while it joined for
// ever.
func (r *run) evict(ctx context.Context, client *kgo.Client, members []kadm.DescribedGroupMember) int {
	alive := make(map[string]bool)
	for _, p := range r.all() {
		alive[p.client] = !p.life.over()
	}
	leave := kmsg.NewPtrLeaveGroupRequest()
	leave.Group = schemas.ConsumerGroup
	for _, m := range members {
		if !alive[m.ClientID] {
			dead := kmsg.NewLeaveGroupRequestMember()
			dead.MemberID = m.MemberID
			leave.Members = append(leave.Members, dead)
		}
	}
	if len(leave.Members) == 0 {
		return 0
	}
	r.note("%d dead members are evicted", len(leave.Members))
	if _, err := leave.RequestWith(ctx, client); err != nil {
		r.note("evict: %v", err)
	}
	return len(leave.Members)
}
