package consume

import (
	"context"
	"encoding/hex"
	"fmt"
	"log/slog"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// Rejoiner books the sales and leads that something new bears on. It is called after what is new has been stored, and looks
// everything up again: of two callers that learn the two halves of one sale at the same time, the one that stored last
// sees both. Walk through it: A stores the click, B stores the session; A looks up, B looks up. Whichever lookup comes
// last comes after both inserts, so the row with the greatest version is written by somebody who knew all.
type Rejoiner struct {
	Store Store
	Rates join.Rates
	// Settle is how long a payment that may be an invoice's is held.
	Settle time.Duration
	Now    func() time.Time
	Log    *slog.Logger

	progress atomic.Pointer[progress]
}

// progress is how far the money lane has come.
type progress struct {
	at     time.Time // when it last handled a batch
	record time.Time // the latest time of a record in it
}

// idle is how long nothing must have come before the clock, rather than the records, says how late it is.
const idle = 5 * time.Second

// Handled tells that the money lane has stored everything up to a record of this time.
func (r *Rejoiner) Handled(record time.Time) {
	r.progress.Store(&progress{at: r.Now(), record: record})
}

// horizon is the time up to which the lane's events are known. While a backlog is read or everything is replayed, that is not
// now: an invoice that was received minutes after its payment lies behind it in the partition, and a payment that were
// settled by the clock would be booked before its invoice is read.
func (r *Rejoiner) horizon() time.Time {
	p := r.progress.Load()
	if p == nil || r.Now().Sub(p.at) > idle {
		return r.Now()
	}
	return p.record
}

// Rejoin books everything that the changed names of one workspace touch. near are names that the walk will likely come to,
// those beside which the changed ones were told: asking for all of them at once saves it most of its steps.
func (r *Rejoiner) Rejoin(ctx context.Context, workspace string, changed, near []identity.Node) error {
	edges := identity.Remember(r.Store.Edges)
	if len(near) > 0 {
		if _, err := edges(ctx, workspace, near); err != nil {
			return err
		}
	}
	touched, err := identity.Touched(ctx, edges, workspace, changed)
	if err != nil || len(touched) == 0 {
		return err
	}
	graph, err := identity.Explore(ctx, edges, workspace, touched)
	if err != nil {
		return err
	}
	var objects []string
	var leads [][16]byte
	seen := make(map[identity.Node]bool)
	for _, n := range touched {
		if n.Type() == identity.Lead {
			var id [16]byte
			if _, err := hex.Decode(id[:], []byte(n.Value())); err == nil {
				leads = append(leads, id)
			}
			continue
		}
		for _, member := range graph.Group(n) {
			if !seen[member] {
				seen[member] = true
				objects = append(objects, member.Value())
			}
		}
	}
	k := &join.Knowledge{Workspace: workspace, Graph: graph, Rates: r.Rates}
	lookups, lctx := errgroup.WithContext(ctx)
	lookups.Go(func() (err error) { k.Clicks, err = r.Store.Clicks(lctx, workspace, graph.Clicks()); return err })
	lookups.Go(func() (err error) { k.Facts, err = r.Store.Facts(lctx, workspace, objects); return err })
	if err := lookups.Wait(); err != nil {
		return err
	}
	if k.Settle, err = r.settled(ctx, workspace, k.Facts); err != nil {
		return err
	}
	if err := r.bookSales(ctx, k, touched); err != nil {
		return err
	}
	return r.creditLeads(ctx, k, leads)
}

func (r *Rejoiner) bookSales(ctx context.Context, k *join.Knowledge, touched []identity.Node) error {
	booked := make(map[identity.Node]bool)
	var entries []join.Entry
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

func (r *Rejoiner) creditLeads(ctx context.Context, k *join.Knowledge, ids [][16]byte) error {
	leads, err := r.Store.Leads(ctx, k.Workspace, ids)
	if err != nil {
		return err
	}
	for i, l := range leads {
		leads[i] = k.CreditLead(l, identity.New(identity.Lead, hex.EncodeToString(l.ID[:])))
	}
	return r.Store.InsertLeads(ctx, leads)
}

// settled decides which held payments may be booked by now. An invoice of the same customer, currency and amount around
// the same time is likely the same money: then it stays held.
func (r *Rejoiner) settled(ctx context.Context, workspace string, facts map[string][]stripe.Fact) (func(stripe.Fact) bool, error) {
	free, horizon := make(map[string]bool), r.horizon()
	for _, list := range facts {
		for _, f := range list {
			if f.Kind != stripe.Payment || f.Settled || horizon.Sub(f.ReceivedAt) < r.Settle {
				continue
			}
			claimed, err := r.Store.InvoicePaidAround(ctx, workspace, f)
			if err != nil {
				return nil, err
			}
			free[f.EventID] = !claimed
		}
	}
	return func(f stripe.Fact) bool { return free[f.EventID] }, nil
}

// sweepLimit bounds one pass; the next one goes on.
const sweepLimit = 5000

// Sweep looks again, from time to time, at what may have become better without anybody noticing: a rate that arrived, a
// payment that settled, a replica that lagged when the two halves of a sale looked for each other. Every processor may
// do it at once. It returns when ctx ends.
func (r *Rejoiner) Sweep(ctx context.Context, every time.Duration) error {
	const recent = time.Hour
	wide := time.Time{}
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-time.After(every):
		}
		since := r.Now().Add(-recent)
		if r.Now().Sub(wide) > 10*time.Minute {
			wide, since = r.Now(), r.Now().AddDate(0, -3, 0)
		}
		if err := r.sweep(ctx, since); err != nil && ctx.Err() == nil {
			return fmt.Errorf("sweep ledger: %w", err)
		}
	}
}

func (r *Rejoiner) sweep(ctx context.Context, since time.Time) error {
	sales, err := r.Store.Unfinished(ctx, since, r.Settle, sweepLimit)
	if err != nil {
		return err
	}
	byWorkspace := make(map[string][]identity.Node)
	for _, s := range sales {
		byWorkspace[s.Workspace] = append(byWorkspace[s.Workspace], identity.New(identity.Object, s.ObjectID))
	}
	for workspace, nodes := range byWorkspace {
		if err := r.Rejoin(ctx, workspace, nodes, nil); err != nil {
			return err
		}
	}
	return nil
}
