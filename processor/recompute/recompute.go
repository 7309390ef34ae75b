// Package recompute books sales and leads anew from everything that bears on them: the names, the
// facts and the clicks. The explanation of a sale looks up the same.
package recompute

import (
	"context"
	"encoding/hex"
	"log/slog"
	"maps"
	"slices"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/schemas"
)

// Config is what a Recomputer works with.
type Config struct {
	Store Store
	Rates ledger.Rates
	// Policies of a workspace; nil: the default everywhere.
	Policies func(workspace string) join.Policies
	// Released returns the workspace that books in one mode what is held in another, and whether there
	// is one (workspace.File.Released); nil: what is held stays so.
	Released func(held string, livemode bool) (workspace string, listed bool)
	// ReplicaLag is the longest time after which a row that one replica acknowledged is visible on all
	// others. If it is not 0, LookAgain must run, or Finish after what a command changed.
	ReplicaLag time.Duration
	// Kept returns the time before which no server of ClickHouse can have lost what it acknowledged
	// (consume.Servers.SettledUntil). If it is not nil, Mark must run, and Forget be called when a
	// server may have lost something; nil: nothing is ever lost.
	Kept func() time.Time
	// BatchTime is the longest time from a batch's lookups to its last insert; 0: 3 s.
	BatchTime time.Duration
	// Elected reports whether this processor is the one that sweeps and counts; nil: it is. That
	// two do it at once, or nobody for a moment, does no harm.
	Elected func() bool
	// Now is the clock; nil: time.Now.
	Now func() time.Time
	Log *slog.Logger
	// Open is set to the number of entries that may still change for the better, by what they lack.
	// Optional.
	Open *prometheus.GaugeVec
	// Metrics are of names that very many share. Optional.
	Metrics *NameMetrics
}

// Recomputer books the sales and leads that something new bears on. It is called after what is new
// has been stored, and looks everything up again: of two callers that learn the two halves of one
// sale at the same time, the one that stored last sees both. Walk through it: A stores the click, B
// stores the session; A looks up, B looks up. Whichever lookup comes last comes after both inserts,
// so the row with the greatest version is written by somebody who knew all. Where replicas lag,
// that holds for the second look (look.go).
type Recomputer struct {
	cfg   Config
	woken chan struct{} // Sweep
	rates chan struct{} // RestateRates
	looks secondLooks
	marks marks
}

// New makes a Recomputer.
func New(cfg Config) *Recomputer {
	if cfg.Now == nil {
		cfg.Now = time.Now
	}
	if cfg.BatchTime == 0 {
		cfg.BatchTime = 3 * time.Second
	}
	return &Recomputer{cfg: cfg, woken: make(chan struct{}, 1), rates: make(chan struct{}, 1)}
}

// Apply stores the edges of a batch, calls store for its other rows, and then recomputes the sales
// and leads that may change by them.
func (r *Recomputer) Apply(ctx context.Context, batch map[string]*Changes, store func(context.Context) error) error {
	generation, began := r.marks.generation(), time.Now()
	var edges []clickhouse.EdgeRow
	for workspace, n := range batch {
		fresh, err := r.fresh(ctx, workspace, n.Edges)
		if err != nil {
			return err
		}
		n.Edges = fresh
		edges = append(edges, rows(workspace, fresh)...)
	}
	inserts, ictx := errgroup.WithContext(ctx)
	inserts.Go(func() error { return store(ictx) })
	inserts.Go(func() error { return r.cfg.Store.InsertEdges(ictx, edges) })
	if err := inserts.Wait(); err != nil {
		return err
	}
	// In one order, so that batches at the same time ask for the clicks of one workspace (Together).
	for _, workspace := range slices.Sorted(maps.Keys(batch)) {
		n := batch[workspace]
		changed := append(changedBy(n.Edges), n.Changed...)
		near := append(make([]identity.Node, 0, len(n.Changed)+4*len(n.Edges)), n.Changed...)
		for _, e := range n.Edges {
			if hours := e.B.Near(); hours != nil {
				near = append(append(near, e.A), hours...)
			} else {
				near = append(near, e.A, e.B)
			}
		}
		touched, err := r.recompute(ctx, workspace, unique(changed), near)
		if err != nil {
			return err
		}
		if r.cfg.ReplicaLag > 0 {
			err := r.looks.add(ctx, look{batch: began, generation: generation, workspace: workspace,
				nodes: toLookAt(changed, touched), edges: rows(workspace, n.Edges)})
			if err != nil {
				return err
			}
		}
	}
	if r.cfg.ReplicaLag > 0 {
		return nil // the second look marks them
	}
	return r.mark(ctx, generation, began, carried(edges))
}

// unique returns nodes without repetitions, in the order in which each comes first. Sorted, as many
// of them as a batch has would take six times as long: they differ in their last characters only.
func unique(nodes []identity.Node) []identity.Node {
	seen := make(map[identity.Node]struct{}, len(nodes))
	return slices.DeleteFunc(nodes, func(n identity.Node) bool {
		_, again := seen[n]
		seen[n] = struct{}{}
		return again
	})
}

// chunkSize bounds how many sales are held in memory at once: a new name may concern every sale of
// an affiliate. A full batch of events fits: of a sale whose session is in one chunk and whose
// payment in another everything would be looked up, and written, twice.
const chunkSize = 5000

// Recompute writes again all sales and leads of one workspace that the changed names may change.
// near are names that the walk will likely reach, because the batch mentions them beside the
// changed ones: looking them all up at once saves most of its steps. The sales and leads under a
// name that too many share are left to Background.
func (r *Recomputer) Recompute(ctx context.Context, workspace string, changed, near []identity.Node) error {
	_, err := r.recompute(ctx, workspace, changed, near)
	return err
}

// recompute returns the sales and leads that it booked.
func (r *Recomputer) recompute(ctx context.Context, workspace string, changed, near []identity.Node) ([]identity.Node,
	error,
) {
	memory := make(identity.Memory)
	names := memory.Of(r.cfg.Store.Names)
	asked := make(map[identity.Node]bool, 2*len(changed)) // by the walk from what changed, or at once
	for _, n := range changed {
		asked[n] = !n.Standalone()
	}
	near = slices.DeleteFunc(near, func(n identity.Node) bool {
		if !n.LeadsOn() || asked[n] {
			return true
		}
		asked[n] = true
		return false
	})
	neighbours := make(identity.Memory)
	var touched, many []identity.Node
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) {
		touched, many, err = identity.Touched(lctx, neighbours.Of(r.cfg.Store.Neighbours), workspace, changed)
		return err
	})
	lookups.Go(func() (err error) {
		if len(near) > 0 {
			_, err = names(lctx, workspace, near)
		}
		return err
	})
	if err := lookups.Wait(); err != nil {
		return nil, err
	}
	for n, edges := range neighbours {
		memory[n] = slices.DeleteFunc(edges, func(e identity.Edge) bool { return !e.IsName() })
	}
	if err := r.deferNames(ctx, workspace, many); err != nil {
		return nil, err
	}
	return touched, r.bookAll(ctx, workspace, names, touched)
}

// bookAll books sales and leads, chunkSize at a time, and then all sales of the buyers whose first
// sale is an earlier one than was known. names may have its earlier answers in memory.
func (r *Recomputer) bookAll(ctx context.Context, workspace string, names identity.Edges,
	touched []identity.Node) error {
	var firstSales []identity.Edge
	for chunk := range slices.Chunk(touched, chunkSize) {
		edges, err := r.book(ctx, workspace, names, chunk)
		if err != nil {
			return err
		}
		firstSales = append(firstSales, edges...)
		names = identity.Remember(r.cfg.Store.Names)
	}
	if len(firstSales) == 0 {
		return nil
	}
	return r.bookBuyers(ctx, workspace, firstSales)
}

// bookBuyers stores when buyers paid first, and books all sales of theirs. It is stored before
// their sales are looked up, like everything new (Recomputer).
func (r *Recomputer) bookBuyers(ctx context.Context, workspace string, firstSales []identity.Edge) error {
	if err := r.cfg.Store.InsertEdges(ctx, rows(workspace, firstSales)); err != nil {
		return err
	}
	buyers := make([]identity.Node, len(firstSales))
	for i, e := range firstSales {
		buyers[i] = e.A
	}
	touched, many, err := identity.Touched(ctx, r.cfg.Store.Neighbours, workspace, unique(buyers))
	if err != nil {
		return err
	}
	if err := r.deferNames(ctx, workspace, many); err != nil {
		return err
	}
	for chunk := range slices.Chunk(touched, chunkSize) {
		if _, err := r.book(ctx, workspace, identity.Remember(r.cfg.Store.Names), chunk); err != nil {
			return err
		}
	}
	return nil
}

// book looks up everything that bears on the touched sales and leads, and writes their rows. It
// returns when buyers paid first, as far as only all of it together says so.
func (r *Recomputer) book(ctx context.Context, workspace string, edges identity.Edges, touched []identity.Node) (
	[]identity.Edge, error,
) {
	var policies join.Policies
	if r.cfg.Policies != nil {
		policies = r.cfg.Policies(workspace)
	}
	k, err := Load(ctx, r.cfg.Store, workspace, edges, touched)
	if err != nil {
		return nil, err
	}
	if r.cfg.Metrics != nil {
		r.cfg.Metrics.cut.Add(float64(k.Graph.Cut()))
	}
	k.Rates, k.Policies, k.Hold = r.cfg.Rates, policies, r.hold(workspace)
	if err := r.bookSales(ctx, k, touched); err != nil {
		return nil, err
	}
	var leads [][16]byte
	for _, n := range touched {
		var id [16]byte
		if n.Type() == identity.Lead {
			if _, err := hex.Decode(id[:], []byte(n.Value())); err == nil {
				leads = append(leads, id)
			}
		}
	}
	return k.FirstSales(), r.creditLeads(ctx, k, leads)
}

// hold returns Evidence.Hold for a workspace.
func (r *Recomputer) hold(workspace string) func(livemode bool) ledger.Status {
	if _, _, held := schemas.ParseHeldWorkspace(workspace); !held {
		return nil
	}
	return func(livemode bool) ledger.Status {
		if r.cfg.Released != nil {
			if _, listed := r.cfg.Released(workspace, livemode); listed {
				return ledger.Superseded
			}
		}
		return ledger.Held
	}
}

func (r *Recomputer) bookSales(ctx context.Context, k *ledger.Evidence, touched []identity.Node) error {
	booked := make(map[identity.Node]bool, 2*len(touched))
	entries := make([]ledger.Entry, 0, len(touched)) // a sale has a few names, and mostly one entry
	for _, n := range touched {
		if booked[n] || n.Type() == identity.Lead {
			continue
		}
		var group []identity.Node
		entries, group = k.Book(entries, n)
		for _, member := range group {
			booked[member] = true
		}
	}
	return r.cfg.Store.InsertLedger(ctx, entries)
}

func (r *Recomputer) creditLeads(ctx context.Context, k *ledger.Evidence, ids [][16]byte) error {
	leads, err := r.cfg.Store.Leads(ctx, k.Workspace, ids)
	if err != nil {
		return err
	}
	for i, l := range leads {
		leads[i] = k.CreditLead(l)
	}
	return r.cfg.Store.InsertLeads(ctx, leads)
}
