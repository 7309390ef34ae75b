package publish

import (
	"context"
	"net"
	"time"

	"github.com/twmb/franz-go/pkg/kgo"
)

// admit counts n records in, or says why they are not to be handed to Kafka now.
func (p *Publisher) admit(n int64) (reason string) {
	switch {
	case p.stalled.Load() && !p.mayProbe():
		return reasonStalled
	case p.inDoubt.Load() >= int64(p.cfg.MaxInDoubt):
		return reasonInDoubt
	case p.inFlight.Add(n) > int64(p.cfg.MaxBufferedRecords):
		// All records of a batch are counted at once: one by one, a buffer that is nearly full would
		// take the first of them and refuse the rest.
		p.inFlight.Add(-n)
		return reasonFull
	}
	return ""
}

// mayProbe lets a Publish through the open breaker now and then. What is in flight already may
// never be acknowledged while the rest of Kafka is well: it may all be with one dead leader. With a
// spool a probe that fails costs its sender a tick of watch, without one the whole timeout.
func (p *Publisher) mayProbe() bool {
	every := p.cfg.stallAfter()
	if p.spool == nil {
		every = max(every, time.Second)
	}
	now, last := int64(time.Since(p.started)), p.probed.Load()
	return now-last >= int64(every) && p.probed.CompareAndSwap(last, now)
}

// watch wakes those who have waited long enough, and is the breaker. It opens when somebody waits
// and nothing is acknowledged for StallAfter, and closes with the next acknowledgement: of what kgo
// holds and keeps trying, of a Publish that mayProbe let through, or of the drain. Only when
// nothing is held (Kafka refused it all) does watch ask Kafka itself. It also replaces the client
// when that cannot recover.
func (p *Publisher) watch(ctx context.Context) {
	tick := time.NewTicker(min(max(p.cfg.stallAfter()/16, 5*time.Millisecond), 50*time.Millisecond))
	defer tick.Stop()
	seen, since := int64(-1), time.Now()
	clients := renewal{p: p}
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-tick.C:
			p.turn.Add(1)
			inFlight, acked := p.inFlight.Load(), p.acked.Load()
			waitedFor := inFlight - p.inDoubt.Load()
			switch {
			case inFlight == 0 && p.stalled.Load():
				if p.checkBroker(ctx) == nil && p.stalled.CompareAndSwap(true, false) {
					p.log.Info("kafka answers again")
				}
				since = time.Now()
			case waitedFor <= 0 || acked != seen:
				seen, since = acked, now
			case now.Sub(since) >= p.stallAfter() && p.stalled.CompareAndSwap(false, true):
				p.probed.Store(int64(now.Sub(p.started)))
				p.log.Warn("kafka acknowledges nothing: it is given no new records until it does",
					"for", now.Sub(since).Round(time.Millisecond), "in_flight", inFlight, "spool", p.spool != nil)
			}
			if p.spool != nil && p.stalled.Load() {
				now = now.Add(p.cfg.patience()) // nobody needs to wait for his own deadline
			}
			p.resend(time.Now())
			p.waiting.expire(now) // after the breaker has looked who waits
			clients.look(ctx, time.Now())
		}
	}
}

// stallAfter is how long the breaker waits now. Where a spool makes a false alarm cheap, a refused
// connection is nearly proof: then a sixth of the time is enough for another broker to acknowledge.
func (p *Publisher) stallAfter() time.Duration {
	if p.spool != nil && p.refused.Load() {
		return p.cfg.stallAfter() / 6
	}
	return p.cfg.stallAfter()
}

// connectHook is called for the client's connections.
type connectHook struct{ p *Publisher }

func (h connectHook) OnBrokerConnect(_ kgo.BrokerMetadata, _ time.Duration, _ net.Conn, err error) {
	h.p.refused.Store(err != nil)
}
