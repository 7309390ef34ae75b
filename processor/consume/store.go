package consume

import (
	"context"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/load"
	"tributary/processor/stripe"
)

// Store is what the lanes need of ClickHouse; load.Store is the real one. Every method returns an error only when ctx ends:
// a failed lookup is never an empty answer. Inserts may be repeated, reordered and run beside each other.
type Store interface {
	InsertClicks(context.Context, []load.ClickRow) error
	InsertEvents(context.Context, []load.EventRow) error
	InsertFacts(context.Context, []load.FactRow) error
	InsertEdges(context.Context, []load.EdgeRow) error
	InsertLeads(context.Context, []join.Lead) error
	InsertLedger(context.Context, []join.Entry) error
	InsertDeadLetters(context.Context, []load.DeadLetterRow) error

	Edges(ctx context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error)
	Carried(ctx context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error)
	SalesByLink(ctx context.Context, workspace string, links []string) ([]string, error)
	Facts(ctx context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error)
	Clicks(ctx context.Context, workspace string, nodes []identity.Node) (map[identity.Node]*join.Click, error)
	Leads(ctx context.Context, workspace string, ids [][16]byte) ([]join.Lead, error)
	Unfinished(ctx context.Context, since time.Time, settle time.Duration, limit int) ([]load.Sale, error)
	Outstanding(ctx context.Context) (load.Outstanding, error)
}
