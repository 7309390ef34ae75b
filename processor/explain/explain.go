// Package explain answers why a ledger entry is as it is: the events that Stripe sent about it, the
// identity edges, the candidates for its credit and why each was credited or not, and every version
// that its row has had.
package explain

import (
	"cmp"
	"context"
	"encoding/hex"
	"errors"
	"math/big"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// ErrUnknown is returned when nothing is stored about the object.
var ErrUnknown = errors.New("nothing is known about this object")

// Bounds of one explanation: of a click with very many sales the newest are explained.
const (
	maxSales    = 50
	maxObjects  = 2000            // looked up to find the newest sales
	maxMentions = 300             // events and dead letters
	maxSearched = 200             // ids that bodies are searched for; ClickHouse takes 255
	searchTime  = 8 * time.Second // for the bodies, which have no index
)

// Explanation is all that is known about one sale, or about each sale that a name leads to.
type Explanation struct {
	Asked     string `json:"asked"`
	Workspace string `json:"workspace"`
	Sales     []Sale `json:"sales"` // the newest first
	Leads     []Lead `json:"leads"`
	More      int    `json:"more"` // how many sales are left out
	// Searched is false if the raw events could not all be searched in time: then those without an
	// amount are missing.
	Searched bool `json:"searched"`
}

// Sale is one payment with all that belongs to it.
type Sale struct {
	Canonical   string       `json:"canonical"` // the object under which it is booked
	Objects     []string     `json:"objects"`   // all objects of the same payment, and its refunds and disputes
	Events      []Event      `json:"events"`    // in the order in which Stripe made them
	DeadLetters []DeadLetter `json:"dead_letters"`
	Names       []Name       `json:"names"` // the edges that lead from it
	Policy      Policy       `json:"policy"`
	Candidates  []Candidate  `json:"candidates"` // the credited one first
	Entries     []Entry      `json:"entries"`
}

// Event is one event of Stripe that mentions the sale.
type Event struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"` // empty: the raw event was not found in time
	Created    time.Time `json:"created"`
	ReceivedAt time.Time `json:"received_at"`
	APIVersion string    `json:"api_version"`
	Money      []Money   `json:"money"` // empty: no amount is read from it
}

// Money is a fact of an event about one movement. Amounts are minor units, signed.
type Money struct {
	Kind     string `json:"kind"`
	Object   string `json:"object"`
	Source   string `json:"source"`
	Amount   int64  `json:"amount_minor"`
	Total    int64  `json:"total_minor"` // of an invoice, of an unpaid session, and what was authorised
	Currency string `json:"currency"`
	Certain  bool   `json:"certain"`
}

// DeadLetter is a record that could not be read and mentions the sale.
type DeadLetter struct {
	Origin string    `json:"origin"` // topic/partition/offset
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Name is one identity edge.
type Name struct {
	From   string    `json:"from"`
	To     string    `json:"to"`
	Source string    `json:"source"`
	At     time.Time `json:"at"`
}

// Policy is the attribution policy that was in force when the sale happened.
type Policy struct {
	WindowDays   int    `json:"window_days"`
	Touch        string `json:"touch"`
	Follow       string `json:"follow"`
	RenewalsDays int    `json:"renewals_days"` // 0: always
}

// Candidate is a click, an affiliate or a name that could have been credited, and the outcome.
type Candidate struct {
	Outcome     join.Outcome `json:"verdict"` // the name that readers of the API know
	Why         string       `json:"why"`
	Rule        string       `json:"rule"`
	Key         string       `json:"key"`
	ClickID     string       `json:"click_id"`
	ClickedAt   *time.Time   `json:"clicked_at"`
	ReceivedAt  *time.Time   `json:"received_at"` // when the click reached us
	AffiliateID string       `json:"affiliate_id"`
	ProgramID   string       `json:"program_id"`
	LinkID      string       `json:"link_id"`
}

// Entry is one movement with every version that its row has had, the oldest first; the last one
// stands.
type Entry struct {
	ID       string    `json:"entry_id"`
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Versions []Version `json:"versions"`
}

// Version is one row, and what was learned since the one before.
type Version struct {
	VersionRow
	Learned ledger.Learned `json:"learned"` // empty for the first
	Because string         `json:"because"`
	Changes []string       `json:"changes"`
}

// Lead is a lead that the name leads to.
type Lead struct {
	ID          string    `json:"lead_id"`
	Event       string    `json:"event"`
	ExternalID  string    `json:"external_id"`
	ReceivedAt  time.Time `json:"received_at"`
	Mode        string    `json:"mode"`
	Rule        string    `json:"rule"`
	Key         string    `json:"key"`
	ClickID     string    `json:"click_id"`
	AffiliateID string    `json:"affiliate_id"`
}

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
		sale, err := explainSale(ctx, store, k, group, mentions)
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
		found, err := ObjectOf(ctx, store, workspace, ledger.EntryID(raw))
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

func explainSale(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence, group []identity.Node,
	mentions []Mention,
) (Sale, error) {
	sale := Sale{Canonical: k.SaleOf(group[0]), DeadLetters: []DeadLetter{}, Candidates: []Candidate{},
		Entries: []Entry{}}
	for _, n := range group {
		sale.Objects = append(sale.Objects, n.Value())
	}
	slices.Sort(sale.Objects)
	sale.Objects = slices.Compact(sale.Objects)
	rows, err := Versions(ctx, store, k.Workspace, sale.Objects)
	if err != nil {
		return sale, err
	}
	rows = slices.DeleteFunc(rows, func(r VersionRow) bool { // another sale's, which has the id of one of these
		f := stripe.Fact{ObjectID: r.ObjectID, Kind: r.Kind}
		return !slices.Contains(group, f.Subject()) &&
			!slices.Contains(group, identity.New(identity.Object, r.SaleID))
	})
	sale.Events, sale.DeadLetters = events(k, group, sale.Objects, buyers(k.Graph, group), mentions)
	sale.Names = edgesOf(k.Graph, group)
	sale.Policy, sale.Candidates = candidates(k.Evaluate(group[0]))
	sale.Entries = entries(rows, sale)
	return sale, nil
}

// events joins each event's facts with its raw row. Events that mention the objects without an
// amount are listed too: a customer who was named, a session that completed unpaid.
func events(
	k *ledger.Evidence,
	group []identity.Node,
	objects, buyers []string,
	mentions []Mention,
) ([]Event, []DeadLetter) {
	byID := make(map[string]*Event)
	letters := []DeadLetter{}
	for _, n := range group {
		for _, f := range k.Facts[n] {
			e := byID[f.EventID]
			if e == nil {
				e = &Event{ID: f.EventID, Created: f.CreatedAt, ReceivedAt: f.ReceivedAt, Money: []Money{}}
				byID[f.EventID] = e
			}
			e.Money = append(e.Money, Money{f.Kind, f.ObjectID, f.Source, f.Amount, f.Total, f.Currency, f.Certain})
		}
	}
	for _, m := range mentions {
		ofSale := slices.ContainsFunc(m.IDs, func(id string) bool { return slices.Contains(objects, id) })
		ofBuyer := slices.ContainsFunc(m.IDs, func(id string) bool { return slices.Contains(buyers, id) })
		if !ofSale && !(ofBuyer && isOfNoSale(m.What)) {
			continue
		}
		if m.DeadLetter {
			letters = append(letters, DeadLetter{m.ID, m.What, m.Created})
			continue
		}
		e := byID[m.ID]
		if e == nil {
			e = &Event{ID: m.ID, Created: m.Created, ReceivedAt: m.ReceivedAt, Money: []Money{}}
			byID[m.ID] = e
		}
		e.Type, e.APIVersion = m.What, m.APIVersion
	}
	list := make([]Event, 0, len(byID))
	for _, e := range byID {
		slices.SortFunc(e.Money, func(a, b Money) int {
			return cmp.Or(cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Object, b.Object))
		})
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Event) int {
		return cmp.Or(a.Created.Compare(b.Created), a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, letters
}

// isOfNoSale reports whether a type of event is about a buyer or a code, and not about one of their
// sales.
func isOfNoSale(eventType string) bool {
	return strings.HasPrefix(eventType, "customer.") || strings.HasPrefix(eventType, "promotion_code.")
}

// candidates returns the policy of a sale and the outcome of each candidate.
func candidates(w ledger.Evaluation) (Policy, []Candidate) {
	policy := Policy{
		WindowDays: days(w.Policy.Window), Touch: string(cmp.Or(w.Policy.Touch, join.LastTouch)),
		Follow:       string(cmp.Or(w.Policy.Follow, join.LastTouch)),
		RenewalsDays: days(w.Policy.Renewals),
	}
	if policy.WindowDays == 0 {
		policy.WindowDays = days(join.DefaultWindow)
	}
	list := []Candidate{}
	for _, c := range w.List {
		candidate := Candidate{Outcome: c.Outcome, Rule: string(c.Rule), Key: string(c.Key), AffiliateID: c.AffiliateID,
			ProgramID: c.ProgramID}
		if c.Click != nil {
			candidate.ClickID, candidate.ClickedAt, candidate.ReceivedAt, candidate.LinkID = c.Click.ID.String(),
				&c.Click.ClickedAt, &c.Click.ReceivedAt, c.Click.LinkID
		}
		if candidate.Why = outcome(w, c, policy); c.Source != "" {
			candidate.Why += " (" + credit.Explain(c.Source) + ")"
		}
		list = append(list, candidate)
	}
	return policy, list
}

func days(d time.Duration) int { return int(d / (24 * time.Hour)) }

func entries(rows []VersionRow, sale Sale) []Entry {
	byID := make(map[string]*Entry)
	var order []string
	for _, row := range rows {
		e := byID[row.EntryID]
		if e == nil {
			e = &Entry{ID: row.EntryID, Kind: row.Kind, Object: row.ObjectID}
			byID[row.EntryID] = e
			order = append(order, row.EntryID)
		}
		v := Version{VersionRow: row, Because: "first booked: " + first(row), Changes: []string{}}
		if n := len(e.Versions); n > 0 {
			before := e.Versions[n-1].VersionRow
			v.Learned = versionOf(row).Since(versionOf(before))
			v.Because, v.Changes = because(v.Learned, before, row, sale), changes(before, row)
		}
		e.Versions = append(e.Versions, v)
	}
	list := make([]Entry, 0, len(order))
	for _, id := range order {
		list = append(list, *byID[id])
	}
	return list
}

func versionOf(row VersionRow) ledger.Version {
	n, ok := new(big.Int).SetString(row.Version, 10)
	if !ok {
		return ledger.Version{}
	}
	return ledger.VersionOf(n)
}

// edgesOf returns every edge that can be walked from the group, each once and in one direction.
func edgesOf(graph *identity.Graph, group []identity.Node) []Name {
	list := []Name{}
	seen := make(map[identity.Node]bool)
	pairs := make(map[[2]identity.Node]bool)
	queue := slices.Clone(group)
	for i := 0; i < len(queue); i++ {
		n := queue[i]
		if seen[n] {
			continue
		}
		seen[n] = true
		for _, e := range graph.From(n) {
			if !pairs[[2]identity.Node{e.B, e.A}] {
				pairs[[2]identity.Node{e.A, e.B}] = true
				list = append(list, Name{string(e.A), string(e.B), e.Source, e.At})
			}
			queue = append(queue, e.B)
		}
	}
	slices.SortFunc(list, func(a, b Name) int {
		return cmp.Or(a.At.Compare(b.At), cmp.Compare(a.From, b.From), cmp.Compare(a.To, b.To))
	})
	return slices.CompactFunc(list, func(a, b Name) bool { return a.From == b.From && a.To == b.To })
}
