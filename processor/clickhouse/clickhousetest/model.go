// Package clickhousetest has a model of ClickHouse in memory, for tests that need no engine, and
// the contract that keeps the model like the engine.
package clickhousetest

import (
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
	"tributary/processor/ledger"
)

// Model keeps in maps what ClickHouse keeps under FINAL: sets that grow, and for each key the row
// of the greatest version, and of equal versions the row that came last.
type Model struct {
	Now     func() time.Time               // the server's clock
	Unequal func(before, row ledger.Entry) // two rows of one entry and version differ; New's fails the test
	// Shared is how many sales or leads of one type may share a name before they are left to
	// Recomputer.Background; 0: identity.Most.
	Shared uint64

	mu     sync.Mutex
	clicks map[string]clickhouse.ClickRow
	events map[string]clickhouse.EventRow
	facts  table[factKey, clickhouse.FactRow]
	edges  table[edgeKey, clickhouse.EdgeRow]
	firsts map[string]clickhouse.EdgeRow
	leads  map[string]ledger.Lead
	ledger map[entryKey]ledger.Entry
	dead   map[string]clickhouse.DeadLetterRow

	deferred map[string]deferred
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
		deferred: map[string]deferred{},
	}
}

// Clone returns a copy: what is inserted into one of the two later is not in the other.
func (m *Model) Clone() *Model {
	m.mu.Lock()
	defer m.mu.Unlock()
	return &Model{
		Now: m.Now, Unequal: m.Unequal, Shared: m.Shared,
		clicks: maps.Clone(m.clicks), events: maps.Clone(m.events), facts: m.facts.clone(),
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

// deferred is a request, and when it is due by the server's clock.
type deferred struct {
	clickhouse.Deferred
	at time.Time
}

// InsertDeferred is clickhouse.Store's.
func (m *Model) InsertDeferred(_ context.Context, rows []clickhouse.Deferred) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range rows {
		key := fmt.Sprint(r.Workspace, r.Name, " ", r.Request)
		if old, ok := m.deferred[key]; !ok || !old.Done {
			m.deferred[key] = deferred{r, m.Now().Add(r.Wait)}
		}
	}
	return nil
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
