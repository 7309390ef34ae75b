package recompute

import (
	"context"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Store is what the consumers need of ClickHouse; clickhouse.Store is the real one. Every method
// returns an error only when ctx ends, and an insert also clickhouse.ErrRejected, of rows that can
// never be stored: a failed lookup is never an empty answer.
type Store interface {
	StoreReader
	StoreWriter
}

// StoreWriter inserts. Inserts may be repeated, reordered and run beside each other.
type StoreWriter interface {
	InsertClicks(context.Context, []clickhouse.ClickRow) error
	InsertEvents(context.Context, []clickhouse.EventRow) error
	InsertFacts(context.Context, []clickhouse.FactRow) error
	InsertEdges(context.Context, []clickhouse.EdgeRow) error
	InsertFirstNames(context.Context, []clickhouse.EdgeRow) error
	InsertLeads(context.Context, []ledger.Lead) error
	InsertLedger(context.Context, []ledger.Entry) error
	InsertDeadLetters(context.Context, []clickhouse.DeadLetterRow) error
	InsertDeferred(context.Context, []clickhouse.Deferred) error
}

// StoreReader is what a Recomputer looks up.
type StoreReader interface {
	Names(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
	Neighbours(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
	EdgesAfter(ctx context.Context, workspace string, name, after identity.Node, limit int) ([]identity.Edge, error)
	Deferred(ctx context.Context) ([]clickhouse.Deferred, error)
	FirstNames(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
	NamedClicks(ctx context.Context, workspace string, ids []schemas.ClickID) ([]schemas.ClickID, error)
	Carried(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error)
	CreditedBy(ctx context.Context, workspace string, links, affiliates []string) ([]identity.Node, error)
	Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error)
	Clicks(ctx context.Context, workspace string, nodes []identity.Node) (map[identity.Node]*join.Click, error)
	OfCatalogue(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
	Leads(ctx context.Context, workspace string, ids [][16]byte) ([]ledger.Lead, error)
	Unfinished(ctx context.Context, since time.Time, limit int) ([]clickhouse.Sale, error)
	Outdated(ctx context.Context, revised func(currency string, day time.Time) int64, limit int) ([]clickhouse.Sale, error)
	Outstanding(ctx context.Context) (clickhouse.Outstanding, error)
}
