// Package explain answers why a ledger entry is as it is: the events that Stripe sent about it, the
// identity edges, the candidates for its credit and why each was credited or not, and every version
// that its row has had.
package explain

import (
	"cmp"
	"context"
	"encoding/hex"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/schemas"
)

// Explain explains an object: a Stripe id; an entry's id of 32 hexadecimal digits; a click's id; or
// any name as explanations write it, type:value, like external:user_1. policies must be those of
// the processors.
func Explain(ctx context.Context, store *clickhouse.Store, workspace, object string,
	policies join.Policies,
) (*Explanation, error) {
	explanation := &Explanation{Asked: object, Workspace: workspace, Searched: true, Sales: []Sale{}, Leads: []Lead{}}
	from, err := names(ctx, store, workspace, strings.TrimSpace(object))
	if err != nil {
		return nil, err
	}
	edges := identity.Remember(store.Names)
	affected, _, err := identity.Touched(ctx, store.Neighbours, workspace, from)
	if err != nil {
		return nil, err
	}
	if len(affected) > maxObjects {
		explanation.More, affected = len(affected)-maxObjects, affected[:maxObjects]
	}
	k, err := recompute.Load(ctx, store, workspace, edges, affected)
	if err != nil {
		return nil, err
	}
	k.Policies = policies
	if explanation.Leads, err = leads(ctx, store, k, affected); err != nil {
		return nil, err
	}
	groups := salesOf(k, affected)
	if len(groups) > maxSales {
		explanation.More, groups = explanation.More+len(groups)-maxSales, groups[:maxSales]
	}
	mentions, searched, err := search(ctx, store, k, groups)
	if err != nil {
		return nil, err
	}
	explanation.Searched = searched
	var bare []Sale // objects without edges and entries: another type of object has the same id, or no money moved
	for _, group := range groups {
		sale, err := explainSale(ctx, store, k, group, from, mentions)
		switch {
		case err != nil:
			return nil, err
		case len(sale.Entries) > 0 || len(sale.Names) > 0:
			explanation.Sales = append(explanation.Sales, sale)
		case len(sale.Events) > 0 || len(sale.DeadLetters) > 0:
			bare = append(bare, sale)
		}
	}
	if len(explanation.Sales) == 0 && len(bare) > 0 {
		explanation.Sales = bare[:1]
	}
	if len(explanation.Sales) == 0 && len(explanation.Leads) == 0 {
		return nil, ErrUnknown
	}
	return explanation, nil
}

// names returns a node for each type of name that object may be.
func names(ctx context.Context, store *clickhouse.Store, workspace, object string) ([]identity.Node, error) {
	if raw, err := hex.DecodeString(object); err == nil && len(raw) == 16 {
		found, err := objectOf(ctx, store, workspace, ledger.EntryID(raw))
		if err != nil {
			return nil, err
		}
		if found != "" {
			object = found
		}
	}
	click := schemas.BareClickID(object)
	if id, ok := schemas.ParseClickID(click); ok {
		return []identity.Node{identity.New(identity.Click, id.String())}, nil
	}
	if typ, value, ok := strings.Cut(object, ":"); ok && value != "" {
		return []identity.Node{identity.New(typ, value)}, nil
	}
	from := identity.Unsorted(object)
	for _, typ := range []string{identity.Customer, identity.Subscription, identity.External} {
		from = append(from, identity.New(typ, object))
	}
	return append(from, identity.New(identity.Reference, click), identity.New(identity.Promotion, object)), nil
}

// salesOf returns the groups of the affected nodes, the newest sale first.
func salesOf(k *ledger.Evidence, affected []identity.Node) [][]identity.Node {
	var groups [][]identity.Node
	newest := make(map[identity.Node]time.Time)
	seen := make(map[identity.Node]bool)
	for _, n := range affected {
		if n.Type() == identity.Lead || seen[n] {
			continue
		}
		group := k.Graph.Group(n)
		slices.Sort(group)
		for _, member := range group {
			seen[member] = true
			for _, f := range k.Facts[member] {
				if f.OccurredAt.After(newest[group[0]]) {
					newest[group[0]] = f.OccurredAt
				}
			}
		}
		groups = append(groups, group)
	}
	slices.SortStableFunc(groups, func(a, b []identity.Node) int {
		return cmp.Or(newest[b[0]].Compare(newest[a[0]]), len(b)-len(a))
	})
	// The object was looked up as every type of name. Of two groups with the same id the larger
	// comes first, and is the right one.
	known := make(map[string]bool)
	return slices.DeleteFunc(groups, func(group []identity.Node) bool {
		if known[group[0].Value()] {
			return true
		}
		for _, n := range group {
			known[n.Value()] = true
		}
		return false
	})
}

// search finds the raw events that mention the groups or their buyers. searched is false if some
// may be missing.
func search(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence,
	groups [][]identity.Node,
) (mentions []Mention, searched bool, err error) {
	var ids []string
	for _, group := range groups {
		for _, id := range append(values(group), buyers(k.Graph, group)...) {
			if !slices.Contains(ids, id) && len(ids) < maxSearched {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, true, nil
	}
	sctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	mentions, err = Mentions(sctx, store, k.Workspace, ids, maxMentions)
	if err != nil && sctx.Err() != nil && ctx.Err() == nil {
		return nil, false, nil
	}
	return mentions, len(mentions) < maxMentions && len(ids) < maxSearched, err
}

func values(nodes []identity.Node) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.Value()
	}
	return list
}

// buyers returns the customers, subscriptions and promotion codes of a group's sale, which many
// sales may share.
func buyers(graph *identity.Graph, group []identity.Node) []string {
	var list []string
	for _, n := range group {
		for _, e := range graph.From(n) {
			switch e.B.Type() {
			case identity.Customer, identity.Subscription, identity.Promotion:
				list = append(list, e.B.Value())
			}
		}
	}
	slices.Sort(list)
	return slices.Compact(list)
}

func leads(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence, affected []identity.Node) ([]Lead, error) {
	var ids [][16]byte
	for _, n := range affected {
		if raw, err := hex.DecodeString(n.Value()); n.Type() == identity.Lead && err == nil && len(raw) == 16 {
			ids = append(ids, [16]byte(raw))
		}
	}
	list := []Lead{}
	rows, err := store.Leads(ctx, k.Workspace, ids)
	if err != nil {
		return nil, err
	}
	for _, l := range rows {
		l = k.CreditLead(l)
		lead := Lead{
			ID: hex.EncodeToString(l.ID[:]), Event: l.EventName, ExternalID: l.ExternalID, ReceivedAt: l.ReceivedAt,
			Mode: l.Mode,
			Rule: string(l.MatchRule), Key: l.MatchKey, AffiliateID: l.Click.AffiliateID,
		}
		if l.Click.ID != (schemas.ClickID{}) {
			lead.ClickID = l.Click.ID.String()
		}
		list = append(list, lead)
	}
	slices.SortFunc(list, func(a, b Lead) int {
		return cmp.Or(b.ReceivedAt.Compare(a.ReceivedAt),
			cmp.Compare(a.ID, b.ID))
	})
	return list[:min(len(list), maxSales)], nil
}
