package recompute

import (
	"context"
	crand "crypto/rand"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promauto"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// NameMetrics are the metrics of names that very many sales, leads or clicks share.
type NameMetrics struct {
	cut      prometheus.Counter
	deferred prometheus.Gauge
}

// NewNameMetrics registers them.
func NewNameMetrics(reg prometheus.Registerer) *NameMetrics {
	auto := promauto.With(reg)
	return &NameMetrics{
		cut: auto.NewCounter(prometheus.CounterOpts{Name: "processor_recompute_cut_names_total",
			Help: fmt.Sprintf("Names with more than %d edges of one type that a sale was looked up by: not all of them "+
				"were looked at.", identity.Most)}),
		deferred: auto.NewGauge(prometheus.GaugeOpts{Name: "processor_recompute_deferred_names",
			Help: "Names whose sales and leads are still to be booked again in the background."}),
	}
}

// deferNames leaves what lies under names to Background. It is stored before the offsets of the
// records are committed that ask for it.
func (r *Recomputer) deferNames(ctx context.Context, workspace string, names []identity.Node) error {
	if len(names) == 0 {
		return nil
	}
	return r.cfg.Store.InsertDeferred(ctx, requestsFor(workspace, names, 0))
}

// requestsFor returns rows that ask Background to book what lies under names. They are due when
// they have been stored for wait.
func requestsFor(workspace string, names []identity.Node, wait time.Duration) []clickhouse.Deferred {
	rows := make([]clickhouse.Deferred, 0, len(names))
	for _, n := range unique(slices.Clone(names)) {
		rows = append(rows, clickhouse.Deferred{Workspace: workspace, Name: n, Request: crand.Text(), Wait: wait})
	}
	return rows
}

// Background books the sales and leads under names that too many of them share for the records that
// ask for it to wait. It works at most half of the time, so that others' money does not wait for
// it. Every processor may do it at once. It returns when ctx ends.
func (r *Recomputer) Background(ctx context.Context, every time.Duration) error {
	for {
		if err := r.bookDeferred(ctx, true); err != nil && ctx.Err() == nil {
			return fmt.Errorf("book under deferred names: %w", err)
		}
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
	}
}

// Finish does for a command what LookAgain and Background do for a processor. It returns when
// everything was looked at again, and all deferred names are booked.
func (r *Recomputer) Finish(ctx context.Context) error {
	if err := r.lookAtRest(ctx); err != nil {
		return err
	}
	return r.bookDeferred(ctx, false)
}

// bookDeferred books under all deferred names. With pauses it rests as long as it works.
func (r *Recomputer) bookDeferred(ctx context.Context, pauses bool) error {
	for {
		read := time.Now()
		rows, err := r.cfg.Store.Deferred(ctx)
		if err != nil {
			return err
		}
		rows = append(rows, r.marks.toDoAgain()...)
		requests := make(map[deferredName][]clickhouse.Deferred)
		for _, d := range rows {
			n := deferredName{d.Workspace, d.Name}
			requests[n] = append(requests[n], d)
		}
		generation := r.marks.generation()
		if r.cfg.Metrics != nil {
			r.cfg.Metrics.deferred.Set(float64(len(requests)))
		}
		if len(rows) == 0 {
			return nil
		}
		for len(requests) > 0 {
			workspace, names, finished := takeSome(requests)
			if err := r.bookUnder(ctx, workspace, names, pauses); err != nil {
				return err
			}
			// A request that came after these were read is not among them: it is done again.
			if err := r.noteFinished(ctx, generation, read, workspace, names, finished); err != nil {
				return err
			}
			if pauses {
				break // others may have finished some meanwhile
			}
		}
	}
}

// noteFinished stores that requests for names of a workspace are done, and asks for the same again if
// what was booked is lost: later than the last of it reaches a disk and all replicas. Requests that may
// have another name by now are not noted: they are read again, and done once more.
func (r *Recomputer) noteFinished(ctx context.Context, generation int, read time.Time, workspace string,
	names []identity.Node, finished []clickhouse.Deferred,
) error {
	if r.cfg.Kept == nil {
		return r.cfg.Store.InsertDeferred(ctx, done(finished))
	}
	if r.marks.renamed(read) {
		return nil
	}
	again := requestsFor(workspace, names, 2*(unsynced+r.cfg.ReplicaLag))
	if err := r.cfg.Store.InsertDeferred(ctx, slices.Concat(done(finished), again)); err != nil {
		return err
	}
	r.marks.finish(generation, finished, again)
	return nil
}

// deferredName is a name under which something is to be booked.
type deferredName struct {
	workspace string
	name      identity.Node
}

// maxNames is how many names are booked under at once.
const maxNames = 100

// takeSome removes at most maxNames names of one workspace, and returns them with their requests.
// Which ones is left to chance, so that several processors do not do the same.
func takeSome(requests map[deferredName][]clickhouse.Deferred) (
	workspace string, names []identity.Node, taken []clickhouse.Deferred,
) {
	for n, asked := range requests {
		if len(names) == 0 {
			workspace = n.workspace
		}
		if n.workspace == workspace && len(names) < maxNames {
			names, taken = append(names, n.name), append(taken, asked...)
			delete(requests, n)
		}
	}
	return workspace, names, taken
}

// bookUnder books all sales and leads under names, page by page, and those that the names credit.
func (r *Recomputer) bookUnder(ctx context.Context, workspace string, names []identity.Node, pauses bool) error {
	credited, err := r.creditedBy(ctx, workspace, names)
	if err != nil {
		return err
	}
	found := under{sales: credited, seen: make(map[identity.Node]bool)}
	for _, n := range names {
		found.add(n)
	}
	for len(found.shared) > 0 {
		n := found.shared[0]
		found.shared = found.shared[1:]
		for after, more := identity.Node(""), true; more; {
			edges, err := r.cfg.Store.EdgesAfter(ctx, workspace, n, after, chunkSize)
			if err != nil {
				return err
			}
			for _, e := range edges {
				if after = e.B; n.Touches(e.B) {
					found.add(e.B)
				}
			}
			more = len(edges) >= chunkSize
			if len(found.sales) < chunkSize {
				continue
			}
			if err := r.bookPage(ctx, workspace, found.sales, pauses); err != nil {
				return err
			}
			found.sales = nil
		}
	}
	return r.bookPage(ctx, workspace, found.sales, pauses)
}

// under is what was found under some names so far.
type under struct {
	sales  []identity.Node // and leads, to be booked
	shared []identity.Node // names whose edges are still to be read
	seen   map[identity.Node]bool
}

// add adds a sale or lead, or a name with its alias.
func (u *under) add(n identity.Node) {
	switch {
	case n == "" || u.seen[n]:
	case n.Standalone():
		u.sales = append(u.sales, n)
	default:
		u.seen[n] = true
		u.shared = append(u.shared, n)
		u.add(n.Alias())
	}
}

// bookPage books sales and leads. With pauses it rests as long as that took.
func (r *Recomputer) bookPage(ctx context.Context, workspace string, sales []identity.Node, pauses bool) error {
	start := time.Now()
	err := r.bookAll(ctx, workspace, identity.Remember(r.cfg.Store.Names), unique(sales))
	if errors.Is(err, clickhouse.ErrRejected) {
		r.cfg.Log.Warn("some deferred sales make rows that ClickHouse cannot take", "error", err)
		err = nil
	}
	if err != nil || !pauses {
		return err
	}
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-time.After(time.Since(start)):
		return nil
	}
}
