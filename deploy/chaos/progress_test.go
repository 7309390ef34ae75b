//go:build unix && proof

package chaos

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"tributary/schemas"
)

// watch looks at how far the processors have committed, and remembers when a partition that had
// records waiting went without a commit.
type watch struct {
	site  *site
	story *story

	mu     sync.Mutex
	behind time.Duration // how long the partition that waits longest has waited
	halts  []halt
	marks  []mark // faults that were done alone
	alone  bool
}

// halt is a time in which one partition had records waiting and nothing was committed.
type halt struct {
	partition  string
	began, end time.Time
}

type mark struct {
	kind string
	at   time.Time
}

// mark begins the measurement of a fault of a processor. Among other faults it would measure those.
func (w *watch) mark(kind string) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.alone {
		w.marks = append(w.marks, mark{kind, time.Now()})
	}
}

// waitProgress returns when every partition that has records waiting is being committed again.
func (w *watch) waitProgress(ctx context.Context, within time.Duration) error {
	sleep(ctx, time.Second) // the fault shows
	for deadline := time.Now().Add(within); ; sleep(ctx, 100*time.Millisecond) {
		w.mu.Lock()
		behind := w.behind
		w.mu.Unlock()
		if behind < time.Second {
			return nil
		}
		if time.Now().After(deadline) {
			return fmt.Errorf("a partition with records waiting has not been committed for %s, and nothing is broken",
				round(behind))
		}
	}
}

// run looks until ctx ends. A halt below a second is the ordinary pace of batches.
func (w *watch) run(ctx context.Context) {
	type position struct {
		committed int64
		since     time.Time // of the last commit, or of the last moment with nothing waiting
	}
	positions := make(map[string]position)
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
			return
		case <-time.After(250 * time.Millisecond):
		}
		try, cancel := context.WithTimeout(ctx, 5*time.Second)
		ends, err := w.site.cluster.Admin().ListEndOffsets(try, schemas.TopicClicks, schemas.TopicStripe, schemas.TopicLeads)
		if err != nil {
			cancel()
			continue
		}
		committed, err := w.site.cluster.Admin().FetchOffsets(try, schemas.ConsumerGroup)
		cancel()
		if err != nil {
			continue
		}
		now := time.Now()
		behind := time.Duration(0)
		for topic, partitions := range ends {
			for id, end := range partitions {
				if end.Err != nil {
					continue
				}
				at := int64(0)
				if c, ok := committed.Lookup(topic, id); ok && c.At > 0 {
					at = c.At
				}
				name := fmt.Sprintf("%s/%d", topic, id)
				p, known := positions[name]
				if known && at == p.committed && at < end.Offset {
					behind = max(behind, now.Sub(p.since))
					continue
				}
				if known && at > p.committed && now.Sub(p.since) > time.Second {
					w.mu.Lock()
					w.halts = append(w.halts, halt{name, p.since, now})
					w.mu.Unlock()
					if now.Sub(p.since) > 10*time.Second {
						w.story.note("%s goes on after %s without a commit", name, round(now.Sub(p.since)))
					}
				}
				positions[name] = position{at, now}
			}
		}
		w.mu.Lock()
		w.behind = behind
		w.mu.Unlock()
	}
}

// summary returns for each kind of fault of a processor how long the partition that waited longest
// was without a commit, and the same of everything that was done at once.
func (w *watch) summary() string {
	w.mu.Lock()
	defer w.mu.Unlock()
	waits := make(map[string][]time.Duration)
	for _, m := range w.marks {
		longest := time.Duration(0)
		for _, h := range w.halts {
			// A halt that began shortly before was caused by it all the same: it begins with the
			// last commit.
			if h.end.After(m.at) && h.began.Before(m.at.Add(2*time.Second)) {
				longest = max(longest, h.end.Sub(m.at))
			}
		}
		waits[m.kind] = append(waits[m.kind], longest)
	}
	var b strings.Builder
	b.WriteString("without progress, one fault at a time:\n")
	for _, kind := range slices.Sorted(maps.Keys(waits)) {
		all := waits[kind]
		slices.Sort(all)
		fmt.Fprintf(&b, "  %-32s %d times, p50 %s, longest %s\n", kind, len(all), round(all[len(all)/2]),
			round(all[len(all)-1]))
	}
	longest := halt{}
	for _, h := range w.halts {
		if h.end.Sub(h.began) > longest.end.Sub(longest.began) {
			longest = h
		}
	}
	fmt.Fprintf(&b, "and under all of them: at the longest %s (%s)", round(longest.end.Sub(longest.began)),
		longest.partition)
	return b.String()
}

func round(d time.Duration) time.Duration { return d.Round(100 * time.Millisecond) }
