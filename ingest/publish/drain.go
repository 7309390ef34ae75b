package publish

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/twmb/franz-go/pkg/kerr"
	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/ingest/publish/spool"
)

const (
	drainEvery   = 100 * time.Millisecond // how often an empty spool is looked at
	drainRecords = 2000                   // in Kafka's hands at a time
	drainBytes   = 1 << 20                // of their entries
	drainRetry   = time.Second            // after Kafka refused
)

// drainSpool delivers the spool's records in their order, oldest first, until ctx ends. While Kafka
// is away it waits with a few of them in Kafka's client, which tries them until Kafka is back.
func (p *Publisher) drainSpool(ctx context.Context) {
	var buf []byte
	for pause(ctx, drainEvery) {
		for ctx.Err() == nil { // an open breaker is no obstacle: the drain may be what closes it
			seg, memory, err := p.spool.Oldest(buf)
			buf = memory
			if err != nil {
				p.log.Error("drain the spool", "error", err)
				pause(ctx, drainRetry)
				break
			}
			if seg == nil {
				break
			}
			p.drainSegment(ctx, seg)
		}
	}
}

// drainSegment delivers one segment and deletes its file. A process that ends in between begins the
// segment again at its next start: what is delivered twice is the same row.
func (p *Publisher) drainSegment(ctx context.Context, seg *spool.Segment) {
	if seg.Torn > 0 {
		p.log.Warn("a spool segment ends in an unfinished write, which nobody was promised", "bytes", seg.Torn)
	}
	p.metrics.spoolDamaged.Add(float64(seg.Damaged))
	keep := false
	for entries := seg.Entries; len(entries) > 0; {
		n := chunk(entries)
		records, kept := p.parseEntries(entries[:n])
		begin := time.Now()
		refused, err := p.deliver(ctx, records)
		if err == nil {
			var never int
			never, err = p.deliverAlone(ctx, refused)
			kept += never
		}
		if ctx.Err() != nil {
			return
		}
		if err != nil {
			p.log.Warn("drain the spool: Kafka refused; trying again", "error", err)
			if !pause(ctx, drainRetry) {
				return
			}
			continue
		}
		p.metrics.spoolDrained.Add(float64(n - kept))
		p.metrics.spoolUndeliverable.Add(float64(kept))
		keep = keep || kept > 0
		entries = entries[n:]
		// A pause half as long as Kafka took: a third of its time is left to those who wait for an
		// answer.
		if !pause(ctx, min(time.Since(begin)/2, drainEvery)) {
			return
		}
	}
	if err := p.spool.Remove(seg, keep); err != nil {
		p.log.Error("drain the spool", "error", err)
		pause(ctx, drainRetry)
	}
}

func (p *Publisher) parseEntries(entries [][]byte) (records []*kgo.Record, unreadable int) {
	records = make([]*kgo.Record, 0, len(entries))
	for _, e := range entries {
		r, err := parseEntry(e)
		if err != nil {
			p.log.Error("read a spool entry", "error", err)
			unreadable++
			continue
		}
		records = append(records, r)
	}
	return records, unreadable
}

// chunk returns how many of the entries go to Kafka together.
func chunk(entries [][]byte) int {
	bytes := 0
	for i, e := range entries {
		if bytes += len(e); i == drainRecords || i > 0 && bytes > drainBytes {
			return i
		}
	}
	return len(entries)
}

// deliver hands records to Kafka and waits for as long as it takes. It returns those that Kafka
// will never take; err is any other failure, after which all of them are to be delivered again.
func (p *Publisher) deliver(ctx context.Context, records []*kgo.Record) ([]*kgo.Record, error) {
	if len(records) == 0 {
		return nil, nil
	}
	var (
		mu      sync.Mutex // guards what follows
		left    = len(records)
		refused []*kgo.Record
		failed  error
	)
	done := make(chan struct{})
	p.inFlight.Add(int64(left))
	for _, r := range records {
		p.client.TryProduce(context.Background(), r, func(r *kgo.Record, err error) {
			p.finished(err)
			mu.Lock()
			defer mu.Unlock()
			switch {
			case err == nil:
			case unacceptable(err):
				refused = append(refused, r)
			default:
				failed = err
			}
			if left--; left == 0 {
				close(done)
			}
		})
	}
	select {
	case <-done:
		return refused, failed
	case <-ctx.Done():
		return nil, ctx.Err()
	}
}

// deliverAlone delivers each record by itself: a broker refuses a whole batch for one record, or
// for the sum of all. It returns how many Kafka will never take.
func (p *Publisher) deliverAlone(ctx context.Context, records []*kgo.Record) (refused int, err error) {
	for _, r := range records {
		again, err := p.deliver(ctx, []*kgo.Record{r})
		if err != nil {
			return 0, err
		}
		if len(again) > 0 {
			p.log.Error("kafka will not take a record of the spool", "topic", r.Topic, "bytes", len(r.Value))
			refused++
		}
	}
	return refused, nil
}

// unacceptable reports whether Kafka refuses this record whenever it is sent, so that it would stop
// all behind it.
func unacceptable(err error) bool {
	return errors.Is(err, kerr.MessageTooLarge) || errors.Is(err, kerr.RecordListTooLarge) ||
		errors.Is(err, kerr.InvalidRecord) || errors.Is(err, kerr.InvalidTimestamp)
}

// pause waits for d and reports whether ctx goes on.
func pause(ctx context.Context, d time.Duration) bool {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-t.C:
		return true
	}
}
