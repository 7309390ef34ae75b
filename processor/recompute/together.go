package recompute

import (
	"context"
	"sync"

	"tributary/processor/identity"
	"tributary/processor/join"
)

// Together lets batches that are handled at the same time look up their clicks, and what the
// catalogue says of them, by one query each. The clicks of a full batch are in nearly all granules of
// a million: the query of one batch reads all of them, and that of all together reads no more.
//
// The query comes when all of them have asked or ended. So it comes after whatever each stored
// before it asked, and finds what a query of its own would have found (Recomputer).
type Together struct {
	ctx     context.Context // of all batches; that of one lookup may end sooner
	mu      sync.Mutex
	working int // batches that have not ended
	waiting []*clicksLookup
}

type clicksLookup struct {
	store     Reader
	workspace string
	nodes     []identity.Node
	done      chan struct{} // closed when found and err are set
	found     evidentClicks
	err       error
}

type togetherKey struct{}

// WithTogether returns a context for so many batches. Each must call End when it has ended, however
// it ends: the others wait for it.
func WithTogether(ctx context.Context, batches int) (context.Context, *Together) {
	t := &Together{ctx: ctx, working: batches}
	return context.WithValue(ctx, togetherKey{}, t), t
}

// End notes that one batch asks for nothing any more.
func (t *Together) End() {
	t.mu.Lock()
	t.working--
	ready := t.ready()
	t.mu.Unlock()
	t.lookUp(ready)
}

// ready returns the lookups that wait, if all batches that have not ended wait. A batch that looks
// up several things at once may wait several times: then the others are asked without the rest.
func (t *Together) ready() []*clicksLookup {
	if len(t.waiting) < t.working {
		return nil
	}
	ready := t.waiting
	t.waiting = nil
	return ready
}

// lookUp begins to answer lookups, by one query for each workspace. It waits for none of them: by the
// error of a batch that calls End the queries of the others end, and the error comes after End.
func (t *Together) lookUp(lookups []*clicksLookup) {
	workspaces := make(map[string][]*clicksLookup)
	for _, l := range lookups {
		workspaces[l.workspace] = append(workspaces[l.workspace], l)
	}
	for workspace, lookups := range workspaces {
		go func() {
			var nodes []identity.Node
			for _, l := range lookups {
				nodes = append(nodes, l.nodes...)
			}
			found, err := lookUpClicks(t.ctx, lookups[0].store, workspace, nodes)
			for _, l := range lookups {
				if l.found, l.err = found, err; len(lookups) > 1 && err == nil {
					l.found.clicks = among(found.clicks, l.nodes)
				}
				close(l.done)
			}
		}()
	}
}

// among returns the clicks of some nodes: what a batch did not ask for is no evidence of its sales.
func among(clicks map[identity.Node]*join.Click, nodes []identity.Node) map[identity.Node]*join.Click {
	asked := make(map[identity.Node]*join.Click, len(nodes))
	for _, n := range nodes {
		if c := clicks[n]; c != nil {
			asked[n] = c
		}
	}
	return asked
}

// clicks returns the clicks among nodes. With a context of WithTogether it looks them up with those
// of the other batches. What is found is shared by all that asked for it, and changed by nobody.
func clicks(ctx context.Context, store Reader, workspace string, nodes []identity.Node) (evidentClicks, error) {
	t, _ := ctx.Value(togetherKey{}).(*Together)
	if t == nil || len(nodes) == 0 {
		return lookUpClicks(ctx, store, workspace, nodes)
	}
	l := &clicksLookup{store: store, workspace: workspace, nodes: nodes, done: make(chan struct{})}
	t.mu.Lock()
	t.waiting = append(t.waiting, l)
	ready := t.ready()
	t.mu.Unlock()
	t.lookUp(ready)
	select {
	case <-l.done:
		return l.found, l.err
	case <-ctx.Done():
		return evidentClicks{}, ctx.Err()
	}
}
