// Package recompute books sales and leads anew from everything that bears on them: the names, the facts and the clicks. Who books
// and who explains look at the same.
package recompute

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"golang.org/x/sync/errgroup"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
)

// Rejoiner books the sales and leads that something new bears on. It is called after what is new has been stored, and looks
// everything up again: of two callers that learn the two halves of one sale at the same time, the one that stored last
// sees both. Walk through it: A stores the click, B stores the session; A looks up, B looks up. Whichever lookup comes
// last comes after both inserts, so the row with the greatest version is written by somebody who knew all.
type Recomputer struct {
	Store Store
	Rates ledger.Rates
	// Policies of a workspace; nil: the default everywhere.
	Policies func(workspace string) join.Policies
	// Settle is how long a payment that may be an invoice's is held.
	Settle time.Duration
	Now    func() time.Time
	Log    *slog.Logger
	// Open is set to how many entries are not as good as they may become, by what they lack; nil: nobody asks.
	Open *prometheus.GaugeVec

	progress atomic.Pointer[progress]
	woken    chan struct{}
}

// NewRejoiner makes one that settles held payments after settle.
func NewRecomputer(store Store, rates ledger.Rates, settle time.Duration, log *slog.Logger) *Recomputer {
	return &Recomputer{Store: store, Rates: rates, Settle: settle, Now: time.Now, Log: log, woken: make(chan struct{}, 1)}
}

// progress is how far the money lane has come.
type progress struct {
	at     time.Time // when it last handled a batch
	record time.Time // the latest time of a record in it
}

// idle is how long nothing must have come before the clock, rather than the records, says how late it is.
const idle = 5 * time.Second

// Handled tells that the money lane has stored everything up to a record of this time.
func (r *Recomputer) Handled(record time.Time) {
	r.progress.Store(&progress{at: r.Now(), record: record})
}

// horizon is the time up to which the lane's events are known. While a backlog is read or everything is replayed, that is not
// now: an invoice that was received minutes after its payment lies behind it in the partition, and a payment that were
// settled by the clock would be booked before its invoice is read.
func (r *Recomputer) horizon() time.Time {
	p := r.progress.Load()
	if p == nil || r.Now().Sub(p.at) > idle {
		return r.Now()
	}
	return p.record
}

// Learn stores what a batch tells, whatever else store stores of it, and then books everything that it touches.
func (r *Recomputer) Apply(ctx context.Context, told map[string]*Changes, store func(context.Context) error) error {
	var edges []clickhouse.EdgeRow
	for workspace, n := range told {
		fresh, err := r.fresh(ctx, workspace, n.Edges)
		if err != nil {
			return err
		}
		n.Edges = fresh
		edges = append(edges, rows(workspace, fresh)...)
	}
	inserts, ictx := errgroup.WithContext(ctx)
	inserts.Go(func() error { return store(ictx) })
	inserts.Go(func() error { return r.Store.InsertEdges(ictx, edges) })
	if err := inserts.Wait(); err != nil {
		return err
	}
	for workspace, n := range told {
		changed := slices.Clone(n.Changed)
		near := slices.Clone(changed)
		for _, e := range n.Edges {
			changed = append(changed, e.Changes()...)
			near = append(near, e.A, e.B)
		}
		if err := r.Recompute(ctx, workspace, unique(changed), unique(near)); err != nil {
			return err
		}
	}
	return r.Store.InsertEdges(ctx, carried(edges))
}

// Catalogue learns what an operator says about affiliates, and books whatever it concerns. links are those whose owners it
// names: the ledger knows which sales came by them.
func (r *Recomputer) Catalogue(ctx context.Context, workspace string, edges []identity.Edge, links []string) error {
	told := map[string]*Changes{workspace: {Edges: edges}}
	if err := r.Apply(ctx, told, func(context.Context) error { return nil }); err != nil {
		return err
	}
	// A sale that looked its link up before the edges were stored may be inserted only after the first of these passes asked for
	// it; a batch is over within the pause.
	for pass := range 2 {
		if len(links) == 0 {
			break
		}
		if pass > 0 {
			select {
			case <-ctx.Done():
				return ctx.Err()
			case <-time.After(catalogueVisit):
			}
		}
		sales, err := r.Store.SalesByLink(ctx, workspace, links)
		if err != nil {
			return err
		}
		nodes := make([]identity.Node, len(sales))
		for i, id := range sales {
			nodes[i] = identity.New(identity.Object, id)
		}
		if err := r.Recompute(ctx, workspace, nodes, nil); err != nil {
			return err
		}
	}
	return nil
}

// Settlements learns what Stripe's balance was moved by, as an audit read it, and books whatever it converts. Facts already known change
// nothing.
func (r *Recomputer) Settlements(ctx context.Context, workspace string, settlements []stripe.Fact) error {
	rows := make([]clickhouse.FactRow, len(settlements))
	told := &Changes{}
	for i, f := range settlements {
		rows[i] = clickhouse.FactRow{Workspace: workspace, Fact: f}
		told.Changed = append(told.Changed, Subject(f))
	}
	return r.Apply(ctx, map[string]*Changes{workspace: told}, func(ctx context.Context) error { return r.Store.InsertFacts(ctx, rows) })
}

// catalogueVisit is the pause before sales by link are looked at a second time.
const catalogueVisit = 3 * time.Second

func unique(nodes []identity.Node) []identity.Node {
	slices.Sort(nodes)
	return slices.Compact(nodes)
}

// rejoinChunk bounds how many sales are held in memory at once: a new name may concern every sale of an affiliate.
const rejoinChunk = 1000

// Rejoin books everything that the changed names of one workspace touch. near are names that the walk will likely come to,
// those beside which the changed ones were told: asking for all of them at once saves it most of its steps.
func (r *Recomputer) Recompute(ctx context.Context, workspace string, changed, near []identity.Node) error {
	edges := identity.Remember(r.Store.Edges)
	if len(near) > 0 {
		if _, err := edges(ctx, workspace, near); err != nil {
			return err
		}
	}
	touched, err := identity.Touched(ctx, edges, workspace, changed)
	if err != nil {
		return err
	}
	for chunk := range slices.Chunk(touched, rejoinChunk) {
		if err := r.book(ctx, workspace, edges, chunk); err != nil {
			return err
		}
		edges = identity.Remember(r.Store.Edges)
	}
	return nil
}

// book looks up everything that bears on the touched sales and leads, and writes their rows.
func (r *Recomputer) book(ctx context.Context, workspace string, edges identity.Edges, touched []identity.Node) error {
	var policies join.Policies
	if r.Policies != nil {
		policies = r.Policies(workspace)
	}
	k, err := Load(ctx, r.Store, workspace, edges, touched)
	if err != nil {
		return err
	}
	switch ended, err := r.endHolds(ctx, k); {
	case err != nil:
		return err
	case ended: // whoever learns a name from now on sees that, and books the payment; we must see what they learned before
		if k, err = Load(ctx, r.Store, workspace, identity.Remember(r.Store.Edges), touched); err != nil {
			return err
		}
	}
	k.Rates, k.Policies = r.Rates, policies
	if err := r.bookSales(ctx, k, touched); err != nil {
		return err
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
	return r.creditLeads(ctx, k, leads)
}

func (r *Recomputer) bookSales(ctx context.Context, k *ledger.Evidence, touched []identity.Node) error {
	booked := make(map[identity.Node]bool)
	var entries []ledger.Entry
	for _, n := range touched {
		if booked[n] || n.Type() == identity.Lead {
			continue
		}
		rows, group := k.Book(n)
		for _, member := range group {
			booked[member] = true
		}
		entries = append(entries, rows...)
	}
	return r.Store.InsertLedger(ctx, entries)
}

func (r *Recomputer) creditLeads(ctx context.Context, k *ledger.Evidence, ids [][16]byte) error {
	leads, err := r.Store.Leads(ctx, k.Workspace, ids)
	if err != nil {
		return err
	}
	for i, l := range leads {
		leads[i] = k.CreditLead(l)
	}
	return r.Store.InsertLeads(ctx, leads)
}

// endHolds stores which held payments are to be booked from now on, and tells whether there are any. An invoice of the same customer,
// currency and amount around the same time is likely the same money: then the payment stays held.
//
// The end of a hold is stored, and not decided anew by whoever books the sale: horizons differ between processors, and go back
// at a rewind. Walk through it: A is ahead, and books a payment of which nothing more is known; B, behind, learns the buyer's
// affiliate. If B took the payment for held still, A's poorer row would have the greater version for ever.
func (r *Recomputer) endHolds(ctx context.Context, k *ledger.Evidence) (bool, error) {
	var due []stripe.Fact
	horizon := r.horizon()
	for _, facts := range k.Facts {
		for _, f := range facts {
			if f.Kind == stripe.Payment && !f.Settled && horizon.Sub(f.ReceivedAt) >= r.Settle && !slices.ContainsFunc(facts, func(e stripe.Fact) bool { return e.Kind == stripe.HoldEnded }) {
				due = append(due, f)
			}
		}
	}
	invoices, err := r.invoicesOf(ctx, k.Workspace, due)
	if err != nil {
		return false, err
	}
	var ended []clickhouse.FactRow
	for _, f := range due {
		if slices.ContainsFunc(invoices[f.CustomerID], func(i stripe.Fact) bool {
			return i.Currency == f.Currency && i.Amount == f.Amount && i.OccurredAt.Sub(f.OccurredAt).Abs() <= time.Hour
		}) {
			continue
		}
		ended = append(ended, clickhouse.FactRow{Workspace: k.Workspace, Fact: stripe.Fact{
			ObjectID: f.ObjectID, Kind: stripe.HoldEnded, Source: f.Source, EventID: f.EventID, Account: f.Account, Livemode: f.Livemode,
			CreatedAt: f.CreatedAt, ReceivedAt: f.ReceivedAt, OccurredAt: f.ReceivedAt.Add(r.Settle), Settled: true, Currency: f.Currency,
		}})
	}
	if len(ended) == 0 {
		return false, nil
	}
	return true, r.Store.InsertFacts(ctx, ended)
}

// invoicesOf gives the paid invoices of the customers of some payments, by customer.
func (r *Recomputer) invoicesOf(ctx context.Context, workspace string, payments []stripe.Fact) (map[string][]stripe.Fact, error) {
	var customers []identity.Node
	for _, f := range payments {
		if f.CustomerID != "" {
			customers = append(customers, identity.New(identity.Customer, f.CustomerID))
		}
	}
	if len(customers) == 0 {
		return nil, nil
	}
	edges, err := r.Store.Edges(ctx, workspace, unique(customers))
	if err != nil {
		return nil, err
	}
	var objects []string
	for _, e := range edges {
		if e.B.Type() == identity.Object {
			objects = append(objects, e.B.Value())
		}
	}
	slices.Sort(objects)
	facts, err := r.Store.Facts(ctx, workspace, slices.Compact(objects))
	if err != nil {
		return nil, err
	}
	invoices := make(map[string][]stripe.Fact)
	for _, list := range facts {
		for _, f := range list {
			if f.Kind == stripe.Payment && f.Source == stripe.FromInvoice {
				invoices[f.CustomerID] = append(invoices[f.CustomerID], f)
			}
		}
	}
	return invoices, nil
}

// sweepLimit bounds one pass, and sweepPasses how many follow each other while there is more.
const (
	sweepLimit  = 5000
	sweepPasses = 40
)

// Wake makes the sweep look now: rates have arrived.
func (r *Recomputer) Wake() {
	select {
	case r.woken <- struct{}{}:
	default: // it is awake already
	}
}

// Sweep looks again, from time to time, at what may have become better without anybody noticing: a rate that arrived, a
// payment that settled, a replica that lagged when the two halves of a sale looked for each other. Every processor may
// do it at once. It returns when ctx ends.
func (r *Recomputer) Sweep(ctx context.Context, every time.Duration) error {
	const recent = time.Hour
	var wide, counted time.Time
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-r.woken:
		case <-time.After(every):
		}
		since := r.Now().Add(-recent)
		if r.Now().Sub(wide) > 10*time.Minute {
			wide, since = r.Now(), r.Now().AddDate(0, -3, 0)
		}
		for range sweepPasses {
			seen, err := r.SweepOnce(ctx, since)
			if err != nil && ctx.Err() == nil {
				return fmt.Errorf("sweep ledger: %w", err)
			}
			if err != nil || seen < sweepLimit {
				break
			}
		}
		if r.Open != nil && r.Now().Sub(counted) > time.Minute {
			counted = r.Now()
			if err := r.count(ctx); err != nil && ctx.Err() == nil {
				return fmt.Errorf("count what the ledger lacks: %w", err)
			}
		}
	}
}

// NewOpenMetric makes the gauge for Rejoiner.Open.
func NewOpenMetric() *prometheus.GaugeVec {
	return prometheus.NewGaugeVec(prometheus.GaugeOpts{Name: "processor_ledger_open_entries", Help: "Entries that lack something: rate (no exchange rate for their day, in no sum in USD), certainty (held), click (they name one that is not known). Alert on rate."}, []string{"lacks"})
}

func (r *Recomputer) count(ctx context.Context) error {
	o, err := r.Store.Outstanding(ctx)
	if err != nil {
		return err
	}
	r.Open.WithLabelValues("rate").Set(float64(o.Unconverted))
	r.Open.WithLabelValues("certainty").Set(float64(o.Held))
	r.Open.WithLabelValues("click").Set(float64(o.Waiting))
	return nil
}

func (r *Recomputer) SweepOnce(ctx context.Context, since time.Time) (int, error) {
	sales, err := r.Store.Unfinished(ctx, since, r.Settle, sweepLimit)
	if err != nil {
		return 0, err
	}
	byWorkspace := make(map[string][]identity.Node)
	for _, s := range sales {
		byWorkspace[s.Workspace] = append(byWorkspace[s.Workspace], identity.New(identity.Object, s.ObjectID))
	}
	for workspace, nodes := range byWorkspace {
		switch err := r.Recompute(ctx, workspace, nodes, nil); {
		case errors.Is(err, clickhouse.ErrRejected): // its record was set aside when it came; nothing here is new
			r.Log.Warn("some unfinished sales make rows that ClickHouse cannot take", "workspace", workspace, "error", err)
		case err != nil:
			return 0, err
		}
	}
	return len(sales), nil
}
