package recompute

import (
	"context"
	"errors"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// RecomputeSales recomputes sales of any workspaces. A workspace whose rows ClickHouse cannot take
// does not stop the others: its clickhouse.ErrRejected is returned at the end.
func (r *Recomputer) RecomputeSales(ctx context.Context, sales []clickhouse.Sale) error {
	byWorkspace := make(map[string][]identity.Node)
	for _, s := range sales {
		// A refund or dispute whose payment is not known is a sale of its own.
		nodes := byWorkspace[s.Workspace]
		byWorkspace[s.Workspace] = append(nodes, identity.Unsorted(s.ObjectID)...)
	}
	var rejected error
	for workspace, nodes := range byWorkspace {
		switch err := r.Recompute(ctx, workspace, nodes, nil); {
		case errors.Is(err, clickhouse.ErrRejected):
			rejected = errors.Join(rejected, err)
		case err != nil:
			return err
		}
	}
	return rejected
}
