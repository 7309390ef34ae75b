package clickhousetest

import (
	"cmp"
	"context"
	"maps"
	"slices"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Names is clickhouse.Store's.
func (m *Model) Names(_ context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cutEdges(workspace, nodes, identity.Edge.IsName), nil
}

// OfCatalogue is clickhouse.Store's.
func (m *Model) OfCatalogue(_ context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(m.cutEdges(workspace, nodes, identity.Edge.IsName), func(e identity.Edge) bool {
		return !e.OfCatalogue()
	}), nil
}

// Neighbours is clickhouse.Store's.
func (m *Model) Neighbours(_ context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.deferring(m.cutEdges(workspace, nodes, func(identity.Edge) bool { return true })), nil
}

// deferring leaves the sales and leads out that more than Shared of one type share a name.
func (m *Model) deferring(edges []identity.Edge) []identity.Edge {
	if m.Shared == 0 {
		return edges
	}
	type group struct {
		name identity.Node
		typ  string
	}
	shares := func(e identity.Edge) bool { return !e.IsName() && e.A.Touches(e.B) && e.Beyond == 0 }
	sizes := make(map[group]uint64)
	for _, e := range edges {
		if shares(e) {
			sizes[group{e.A, e.B.Type()}]++
		}
	}
	edges = slices.DeleteFunc(edges, func(e identity.Edge) bool {
		return shares(e) && sizes[group{e.A, e.B.Type()}] > m.Shared
	})
	for g, n := range sizes {
		if n > m.Shared {
			edges = append(edges, identity.Edge{A: g.name, B: identity.New(g.typ, ""), Beyond: n})
		}
	}
	return edges
}

func (m *Model) cutEdges(workspace string, nodes []identity.Node, among func(identity.Edge) bool) []identity.Edge {
	var out []identity.Edge
	asked := make(map[identity.Node]bool, len(nodes))
	for _, n := range nodes {
		if asked[n] {
			continue
		}
		asked[n] = true
		edges := m.edgesFrom(workspace, n, func(e identity.Edge) bool { return n.Standalone() || among(e) })
		if n.Standalone() || len(edges) <= identity.Most {
			out = append(out, edges...)
			continue
		}
		groups := make(map[string][]identity.Edge) // by type of target
		for _, e := range edges {
			groups[e.B.Type()] = append(groups[e.B.Type()], e)
		}
		for _, group := range groups {
			if len(group) <= identity.Most {
				out = append(out, group...)
				continue
			}
			slices.SortFunc(group, func(a, b identity.Edge) int { return cmp.Compare(a.B, b.B) })
			last := slices.Clone(group)
			slices.Reverse(last)
			out = append(out, identity.Cut(group, last, uint64(len(group)))...)
		}
	}
	return append(out, m.firstNames(workspace, nodes)...)
}

// edgesFrom returns the edges from one name that are among some.
func (m *Model) edgesFrom(workspace string, n identity.Node, among func(identity.Edge) bool) []identity.Edge {
	places := m.edges.byName[name{workspace, string(n)}]
	edges := make([]identity.Edge, 0, len(places))
	for _, place := range places {
		if e := m.edges.at(place).Edge; among(e) {
			edges = append(edges, e)
		}
	}
	return edges
}

// EdgesAfter is clickhouse.Store's.
func (m *Model) EdgesAfter(_ context.Context, workspace string, name, after identity.Node,
	limit int) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := m.edgesFrom(workspace, name, func(e identity.Edge) bool { return e.B > after })
	slices.SortFunc(out, func(a, b identity.Edge) int { return cmp.Compare(a.B, b.B) })
	return out[:min(limit, len(out))], nil
}

// Deferred is clickhouse.Store's.
func (m *Model) Deferred(context.Context) ([]clickhouse.Deferred, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []clickhouse.Deferred
	for _, r := range m.deferred {
		now := m.Now()
		if !r.Done && (r.Wait == 0 || !r.at.After(now) || r.at.After(now.Add(24*time.Hour))) {
			out = append(out, r.Deferred)
		}
	}
	return out, nil
}

// FirstNames is clickhouse.Store's.
func (m *Model) FirstNames(_ context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.firstNames(workspace, nodes), nil
}

func (m *Model) firstNames(workspace string, nodes []identity.Node) []identity.Edge {
	found := make(map[identity.Node]identity.Edge) // whoever asks twice is answered once
	for _, n := range nodes {
		if r, ok := m.firsts[workspace+"\x00"+string(n)]; ok {
			found[n] = r.Edge
		}
	}
	return slices.Collect(maps.Values(found))
}

// NamedClicks is clickhouse.Store's.
func (m *Model) NamedClicks(_ context.Context, workspace string, ids []schemas.ClickID) ([]schemas.ClickID, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.DeleteFunc(unique(ids), func(id schemas.ClickID) bool {
		return len(m.edges.byName[name{workspace, string(identity.New(identity.Click, id.String()))}]) == 0
	}), nil
}

func unique(ids []schemas.ClickID) []schemas.ClickID {
	ids = slices.Clone(ids)
	slices.SortFunc(ids, schemas.ClickID.Compare)
	return slices.Compact(ids)
}

// Carried is clickhouse.Store's.
func (m *Model) Carried(_ context.Context, workspace string, edges []identity.Edge) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[edgeKey]identity.Edge) // an edge that is given twice is returned once
	for _, e := range edges {
		key := edgeKey{workspace, e.A, e.B}
		if r := m.edges.row(key); r != nil && r.Carried {
			found[key] = r.Edge
		}
	}
	return slices.Collect(maps.Values(found)), nil
}

// CreditedBy is clickhouse.Store's.
func (m *Model) CreditedBy(_ context.Context, workspace string, links, affiliates []string) ([]identity.Node, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	by := func(of string, c join.Click) bool {
		return of == workspace && c.ID != (schemas.ClickID{}) &&
			(slices.Contains(links, c.LinkID) || slices.Contains(affiliates, c.AffiliateID))
	}
	credited := map[identity.Node]bool{}
	for _, e := range m.ledger {
		if by(e.Workspace, e.Click) && e.Status != ledger.Superseded {
			for _, n := range identity.Unsorted(e.SaleID) {
				credited[n] = true
			}
		}
	}
	for _, l := range m.leads {
		if by(l.Workspace, l.Click) {
			credited[ledger.LeadNode(l.ID)] = true
		}
	}
	return slices.Sorted(maps.Keys(credited)), nil
}

// Facts is clickhouse.Store's.
func (m *Model) Facts(_ context.Context, workspace string, objects []string) (map[string][]stripe.Fact, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[string][]stripe.Fact)
	for _, object := range objects {
		places := m.facts.byName[name{workspace, object}]
		if len(places) == 0 || out[object] != nil {
			continue
		}
		facts := make([]stripe.Fact, len(places))
		for i, place := range places {
			facts[i] = m.facts.at(place).Fact
		}
		out[object] = facts
		slices.SortFunc(facts, func(a, b stripe.Fact) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Source, b.Source),
				cmp.Compare(a.EventID, b.EventID), cmp.Compare(a.TransactionID, b.TransactionID))
		})
	}
	return out, nil
}

// Clicks is clickhouse.Store's.
func (m *Model) Clicks(_ context.Context, workspace string,
	nodes []identity.Node,
) (map[identity.Node]*join.Click, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[identity.Node]*join.Click)
	for _, n := range nodes {
		id, _ := schemas.ParseClickID(n.Value())
		if r, ok := m.clicks[workspace+string(id[:])]; ok {
			out[n] = &join.Click{
				ID: id, ClickedAt: time.UnixMilli(r.ClickedAt).UTC(), ReceivedAt: time.UnixMilli(r.ReceivedAt).UTC(),
				Vouched: r.Vouched,
				LinkID:  r.LinkId, AffiliateID: r.AffiliateId, ProgramID: r.ProgramId, VisitorID: r.VisitorId,
				UTMSource: r.URL.UTM.Source, UTMMedium: r.URL.UTM.Medium, UTMCampaign: r.URL.UTM.Campaign,
				UTMTerm: r.URL.UTM.Term, UTMContent: r.URL.UTM.Content,
				Channel: r.Channel, Country: r.Country, Device: r.Agent.Device,
			}
		}
	}
	return out, nil
}

// Leads is clickhouse.Store's.
func (m *Model) Leads(_ context.Context, workspace string, ids [][16]byte) ([]ledger.Lead, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := []ledger.Lead{}
	for i, id := range ids {
		if l, ok := m.leads[workspace+string(id[:])]; ok && !slices.Contains(ids[:i], id) {
			l.Person, l.Click, l.MatchRule, l.MatchKey, l.Version = "", join.Click{}, "", "", ledger.Version{}
			out = append(out, l)
		}
	}
	return out, nil
}

// Unfinished is clickhouse.Store's.
func (m *Model) Unfinished(_ context.Context, since time.Time, limit int) ([]clickhouse.Sale, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	now, since := m.Now(), since.Truncate(time.Second) // clickhouse-go binds times as whole seconds
	found := make(map[clickhouse.Sale]bool)
	for _, e := range m.ledger {
		waiting := e.Status == ledger.Booked && e.Amount != 0 && e.MatchRule == join.RuleNone &&
			waits(e.MatchKey) && !e.ReceivedAt.Before(since)
		unconverted := e.Status == ledger.Booked && e.Amount != 0 && (e.FXSource == "" || !e.FXFinal &&
			fx.DateOf(e.OccurredAt) < fx.DateOf(now))
		if waiting || unconverted {
			found[clickhouse.Sale{Workspace: e.Workspace, ObjectID: e.SaleID}] = true
		}
	}
	sales := slices.Collect(maps.Keys(found))
	return sales[:min(len(sales), limit)], nil
}

// Outdated is clickhouse.Store's.
func (m *Model) Outdated(_ context.Context, revised func(currency string, day time.Time) int64, limit int) (
	[]clickhouse.Sale, error,
) {
	m.mu.Lock()
	defer m.mu.Unlock()
	found := make(map[clickhouse.Sale]bool)
	for _, e := range m.ledger {
		if e.Status == ledger.Booked && e.Amount != 0 && e.FXSource != "" && e.FXSource != "usd" &&
			revised(e.Currency, fx.DateOf(e.OccurredAt).Time()) > e.Version.Revised() {
			found[clickhouse.Sale{Workspace: e.Workspace, ObjectID: e.SaleID}] = true
		}
	}
	sales := slices.Collect(maps.Keys(found))
	return sales[:min(len(sales), limit)], nil
}

// waits reports whether an entry that is credited to nobody names something, and nobody decided so.
func waits(key string) bool { return key != "" && identity.Node(key).Type() != identity.Correction }

// Outstanding is clickhouse.Store's.
func (m *Model) Outstanding(context.Context) (clickhouse.Outstanding, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var o clickhouse.Outstanding
	for _, e := range m.ledger {
		if e.Status != ledger.Booked || e.Amount == 0 {
			continue
		}
		if e.FXSource == "" {
			o.Unconverted++
		}
		if e.MatchRule == join.RuleNone && waits(e.MatchKey) {
			o.Waiting++
		}
		if e.Version.Crowded() {
			o.Crowded++
		}
	}
	return o, nil
}
