// Package clickhousetest has a model of ClickHouse in memory, for tests that need no engine, and the
// contract that keeps the model like the engine.
package clickhousetest

import (
	"cmp"
	"context"
	"encoding/hex"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/clickhouse"
	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// Model keeps in maps what ClickHouse keeps under FINAL: sets that grow, and for each key the row
// of the greatest version, and of equal versions the row that came last.
type Model struct {
	Now     func() time.Time               // the server's clock
	Unequal func(before, row ledger.Entry) // two rows of one entry and version differ; New's fails the test

	mu     sync.Mutex
	clicks map[string]clickhouse.ClickRow
	events map[string]clickhouse.EventRow
	facts  table[factKey, clickhouse.FactRow]
	edges  table[edgeKey, clickhouse.EdgeRow]
	firsts map[string]clickhouse.EdgeRow
	leads  map[string]ledger.Lead
	ledger map[entryKey]ledger.Entry
	dead   map[string]clickhouse.DeadLetterRow

	deferred map[string]clickhouse.Deferred
}

type edgeKey struct {
	workspace string
	a, b      identity.Node
}

type entryKey struct {
	workspace string
	id        ledger.EntryID
}

type factKey struct{ workspace, object, kind, source, event, transaction string }

// New makes an empty one.
func New(tb testing.TB) *Model {
	return &Model{
		Now: time.Now, Unequal: func(before, row ledger.Entry) {
			tb.Fatalf("equal versions, different rows:\n%+v\n%+v", before, row)
		}, clicks: map[string]clickhouse.ClickRow{}, events: map[string]clickhouse.EventRow{},
		facts: newTable[factKey, clickhouse.FactRow](),
		edges: newTable[edgeKey, clickhouse.EdgeRow](), firsts: map[string]clickhouse.EdgeRow{},
		leads:  map[string]ledger.Lead{},
		ledger: map[entryKey]ledger.Entry{}, dead: map[string]clickhouse.DeadLetterRow{},
		deferred: map[string]clickhouse.Deferred{},
	}
}

// Clone returns a copy: what is inserted into one of the two later is not in the other.
func (m *Model) Clone() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Model{
		Now: m.Now, Unequal: m.Unequal, clicks: maps.Clone(m.clicks), events: maps.Clone(m.events), facts: m.facts.clone(),
		edges: m.edges.clone(), firsts: maps.Clone(m.firsts), leads: maps.Clone(m.leads),
		ledger: maps.Clone(m.ledger), dead: maps.Clone(m.dead), deferred: maps.Clone(m.deferred),
	}
}

// Equal reports whether both models hold the same rows.
func (m *Model) Equal(other *Model) bool {
	rows := func(m *Model) []any {
		m.mu.Lock()
		defer m.mu.Unlock()
		return []any{m.clicks, m.events, m.facts.content(), m.edges.content(), m.firsts, m.leads, m.ledger, m.dead,
			m.deferred}
	}
	return reflect.DeepEqual(rows(m), rows(other))
}

// InsertClicks is clickhouse.Store's.
func (m *Model) InsertClicks(_ context.Context, rows []clickhouse.ClickRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		if r.IsPageView() {
			continue // has a table of its own, which nothing looks up
		}
		key := r.Workspace + string(r.ClickId)
		if old, ok := m.clicks[key]; !ok || r.Version() > old.Version() {
			m.clicks[key] = r
		}
	}
	return nil
}

// InsertEvents is clickhouse.Store's.
func (m *Model) InsertEvents(_ context.Context, rows []clickhouse.EventRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		if old, ok := m.events[r.Workspace+r.ID]; !ok || r.ReceivedAt.Before(old.ReceivedAt) {
			m.events[r.Workspace+r.ID] = r
		}
	}
	return nil
}

// InsertFacts is clickhouse.Store's.
func (m *Model) InsertFacts(_ context.Context, rows []clickhouse.FactRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		key := factKey{r.Workspace, r.ObjectID, r.Kind, r.Source, r.EventID, r.TransactionID}
		switch old := m.facts.row(key); {
		case old == nil:
			m.facts.add(key, name{r.Workspace, r.ObjectID}, r)
		case r.ReceivedAt.Before(old.ReceivedAt):
			*old = r
		}
	}
	return nil
}

// InsertEdges is clickhouse.Store's.
func (m *Model) InsertEdges(_ context.Context, rows []clickhouse.EdgeRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		for range 2 {
			key := edgeKey{r.Workspace, r.A, r.B}
			switch old := m.edges.row(key); {
			case old == nil:
				m.edges.add(key, name{r.Workspace, string(r.A)}, r)
			case r.At.Before(old.At) || r.At.Equal(old.At) && r.Carried:
				*old = r
			}
			if r.OneWay {
				break
			}
			r.A, r.B = r.B, r.A
		}
	}
	return nil
}

// InsertFirstNames is clickhouse.Store's.
func (m *Model) InsertFirstNames(_ context.Context, rows []clickhouse.EdgeRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		key := r.Workspace + "\x00" + string(r.A)
		if old, ok := m.firsts[key]; !ok || old.FirstVersion().Cmp(r.FirstVersion()) < 0 {
			m.firsts[key] = r
		}
	}
	return nil
}

// InsertLeads is clickhouse.Store's.
func (m *Model) InsertLeads(_ context.Context, rows []ledger.Lead) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		key := r.Workspace + string(r.ID[:])
		if old, ok := m.leads[key]; !ok || old.Version.Less(r.Version) {
			m.leads[key] = r
		}
	}
	return nil
}

// InsertLedger is clickhouse.Store's.
func (m *Model) InsertLedger(_ context.Context, rows []ledger.Entry) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		net := r.Amount - r.Tax
		for _, p := range r.Products {
			net -= p.Net
		}
		if len(r.Products) > 0 && net != 0 {
			panic(fmt.Sprintf("the products of an entry do not add up to what it moved: %+v", r))
		}
		key := entryKey{r.Workspace, r.ID}
		old, ok := m.ledger[key]
		if ok && old.Version == r.Version && !reflect.DeepEqual(old, r) {
			m.Unequal(old, r)
		}
		if !ok || !r.Version.Less(old.Version) {
			m.ledger[key] = r
		}
	}
	return nil
}

// InsertDeadLetters is clickhouse.Store's.
func (m *Model) InsertDeadLetters(_ context.Context, rows []clickhouse.DeadLetterRow) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		m.dead[fmt.Sprint(r.Topic, r.Partition, r.Offset, r.Step, r.RecordAt.UnixMilli())] = r
	}
	return nil
}

// Names is clickhouse.Store's.
func (m *Model) Names(_ context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cutEdges(workspace, nodes, identity.Edge.IsName), nil
}

// Neighbours is clickhouse.Store's.
func (m *Model) Neighbours(_ context.Context, workspace string, nodes []identity.Node) ([]identity.Edge, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.cutEdges(workspace, nodes, func(identity.Edge) bool { return true }), nil
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

// InsertDeferred is clickhouse.Store's.
func (m *Model) InsertDeferred(_ context.Context, rows []clickhouse.Deferred) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		key := fmt.Sprint(r.Workspace, r.Name, " ", r.Request)
		if old, ok := m.deferred[key]; !ok || !old.Done {
			m.deferred[key] = r
		}
	}
	return nil
}

// Deferred is clickhouse.Store's.
func (m *Model) Deferred(context.Context) ([]clickhouse.Deferred, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []clickhouse.Deferred
	for _, r := range m.deferred {
		if !r.Done && !r.At.After(m.Now()) {
			out = append(out, r)
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

// FixedRates convert every day alike.
type FixedRates map[string]string

// Convert implements ledger.Rates.
func (r FixedRates) Convert(currency string, at time.Time) (fx.Quote, int, bool) {
	exponent, _ := fx.Exponent(currency)
	usd, ok := r[currency]
	if !ok {
		return fx.Quote{}, exponent, false
	}
	return fx.Quote{Rate: fx.Rate{Currency: currency, Date: fx.DateOf(at), USD: decimal.RequireFromString(usd),
		Source: "test"}, Final: true}, exponent, true
}

// Ledger returns all entries, superseded and held ones too, in no particular order.
func (m *Model) Ledger() []ledger.Entry {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.ledger))
}

// AllLeads returns every lead, in no particular order.
func (m *Model) AllLeads() []ledger.Lead {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.leads))
}

// DeadLetters returns every dead letter, in no particular order.
func (m *Model) DeadLetters() []clickhouse.DeadLetterRow {
	m.mu.Lock()
	defer m.mu.Unlock()
	return slices.Collect(maps.Values(m.dead))
}

// Table renders the ledger for comparison and for people.
func (m *Model) Table() string {
	m.mu.Lock()
	defer m.mu.Unlock()
	var lines []string
	for _, e := range m.ledger {
		usd := "-"
		if e.AmountUSD != nil {
			usd = e.AmountUSD.String()
		}
		lines = append(lines, fmt.Sprintf("%-15s %-12s %-10s %8d %s tax %d usd %s  %s %s click %s by %s candidates "+
			"%v sale %s at %s %s",
			e.Kind, e.ObjectID, e.Status, e.Amount, e.Currency, e.Tax, usd, e.MatchRule, e.MatchKey, e.Click.ID,
			e.SupersededBy, e.MatchCandidates, e.SaleID,
			e.OccurredAt.Format(time.RFC3339), hex.EncodeToString(e.Version.Big().Bytes()))+
			fmt.Sprintf(" products %v", e.Products))
	}
	slices.Sort(lines)
	return strings.Join(lines, "\n")
}
