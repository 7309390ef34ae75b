package recompute

import (
	"context"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
)

// progress is how far the money lane has come.
type progress struct {
	at     time.Time // when it last handled a batch
	record time.Time // the latest time of a record in it
}

// idle is how long nothing must have come before the clock, rather than the records, says how late it is.
const idle = 5 * time.Second

// HandledAll says that everything received until now has been handled.
func (r *Recomputer) HandledAll() { r.Handled(r.cfg.Now()) }

// Handled tells that the money lane has stored everything up to a record of this time.
func (r *Recomputer) Handled(record time.Time) {
	r.progress.Store(&progress{at: r.cfg.Now(), record: record})
}

// horizon is the time up to which the lane's events are known. While a backlog is read or everything is replayed, that is not
// now: an invoice that was received minutes after its payment lies behind it in the partition, and a payment that were
// settled by the clock would be booked before its invoice is read.
func (r *Recomputer) horizon() time.Time {
	p := r.progress.Load()
	if p == nil || r.cfg.Now().Sub(p.at) > idle {
		return r.cfg.Now()
	}
	return p.record
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
			if f.Kind == stripe.Payment && !f.Settled && horizon.Sub(f.ReceivedAt) >= r.cfg.Settle && !slices.ContainsFunc(facts, func(e stripe.Fact) bool { return e.Kind == stripe.HoldEnded }) {
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
			CreatedAt: f.CreatedAt, ReceivedAt: f.ReceivedAt, OccurredAt: f.ReceivedAt.Add(r.cfg.Settle), Settled: true, Currency: f.Currency,
		}})
	}
	if len(ended) == 0 {
		return false, nil
	}
	return true, r.cfg.Store.InsertFacts(ctx, ended)
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
	edges, err := r.cfg.Store.Edges(ctx, workspace, unique(customers))
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
	facts, err := r.cfg.Store.Facts(ctx, workspace, slices.Compact(objects))
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
