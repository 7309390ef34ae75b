// Package explain tells a movement's story: what Stripe said about it, which names belong together, who could have been
// credited and why they were or were not, and every version that its row has had.
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

// ErrUnknown says that nothing was ever heard of the object.
var ErrUnknown = errors.New("nothing is known about this object")

// Bounds of one story. Whoever asks for a click of a big campaign wants the newest sales, not a book.
const (
	mostSales    = 50
	mostObjects  = 2000            // looked up to find the newest sales
	mostMentions = 300             // events and dead letters
	mostNeedles  = 200             // ids that bodies are searched for; ClickHouse takes 255
	searchTime   = 8 * time.Second // for the bodies, which have no index
)

// Story is everything about one sale, or about each sale that a name leads to.
type Story struct {
	Asked     string `json:"asked"`
	Workspace string `json:"workspace"`
	Sales     []Sale `json:"sales"` // the newest first
	Leads     []Lead `json:"leads"`
	More      int    `json:"more"` // how many sales are left out
	// Searched is false when the raw events could not all be searched in time: then those that say nothing about money are missing.
	Searched bool `json:"searched"`
}

// Sale is one payment with all that belongs to it.
type Sale struct {
	Canonical  string      `json:"canonical"` // the object under which it is booked
	Objects    []string    `json:"objects"`   // all that stand for it, and its refunds and disputes
	Events     []Event     `json:"events"`    // in the order in which Stripe made them
	Letters    []Letter    `json:"dead_letters"`
	Names      []Name      `json:"names"` // what ties it to whom
	Policy     Policy      `json:"policy"`
	Candidates []Candidate `json:"candidates"` // the credited one first
	Entries    []Entry     `json:"entries"`
}

// Event is one event of Stripe's that speaks of the sale.
type Event struct {
	ID         string    `json:"id"`
	Type       string    `json:"type"` // empty: the raw event was not found in time
	Created    time.Time `json:"created"`
	ReceivedAt time.Time `json:"received_at"`
	APIVersion string    `json:"api_version"`
	Money      []Money   `json:"money"` // empty: it says nothing about money
}

// Money is what an event says about one movement. Amounts are minor units, signed.
type Money struct {
	Kind     string `json:"kind"`
	Object   string `json:"object"`
	Source   string `json:"source"`
	Amount   int64  `json:"amount_minor"`
	Currency string `json:"currency"`
	Certain  bool   `json:"certain"`
}

// Letter is a record that could not be read and speaks of the sale.
type Letter struct {
	Origin string    `json:"origin"` // topic/partition/offset
	Reason string    `json:"reason"`
	At     time.Time `json:"at"`
}

// Name is one edge of the names.
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

// Candidate is a click, an affiliate or a name that could have been credited, and what became of it.
type Candidate struct {
	Verdict     join.Verdict `json:"verdict"`
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

// Entry is one movement with every version that its row has had, the oldest first; the last one stands.
type Entry struct {
	ID       string    `json:"entry_id"`
	Kind     string    `json:"kind"`
	Object   string    `json:"object"`
	Versions []Version `json:"versions"`
}

// Version is one row, and what it knew more than the one before.
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

// Tell gathers the story of object: a Stripe id; an entry's id, in 32 hexadecimal digits; a click's id; or any name as stories
// write them, type:value, like external:user_1. Policies are those that the processors book by.
func Tell(ctx context.Context, store *clickhouse.Store, workspace, object string, policies join.Policies) (*Story, error) {
	story := &Story{Asked: object, Workspace: workspace, Searched: true, Sales: []Sale{}, Leads: []Lead{}}
	from, err := names(ctx, store, workspace, strings.TrimSpace(object))
	if err != nil {
		return nil, err
	}
	edges := identity.Remember(store.Edges)
	touched, err := identity.Touched(ctx, edges, workspace, from)
	if err != nil {
		return nil, err
	}
	if len(touched) > mostObjects {
		story.More, touched = len(touched)-mostObjects, touched[:mostObjects]
	}
	k, err := recompute.Load(ctx, store, workspace, edges, touched)
	if err != nil {
		return nil, err
	}
	k.Policies = policies
	if story.Leads, err = leads(ctx, store, k, touched); err != nil {
		return nil, err
	}
	groups := salesOf(k, touched)
	if len(groups) > mostSales {
		story.More, groups = story.More+len(groups)-mostSales, groups[:mostSales]
	}
	mentions, searched, err := search(ctx, store, k, groups)
	if err != nil {
		return nil, err
	}
	story.Searched = searched
	var bare []Sale // what was asked for, taken for a type of object that it is not; or an object that moved no money
	for _, group := range groups {
		sale, err := tell(ctx, store, k, group, mentions)
		switch {
		case err != nil:
			return nil, err
		case len(sale.Entries) > 0 || len(sale.Names) > 0:
			story.Sales = append(story.Sales, sale)
		case len(sale.Events) > 0 || len(sale.Letters) > 0:
			bare = append(bare, sale)
		}
	}
	if len(story.Sales) == 0 && len(bare) > 0 {
		story.Sales = bare[:1]
	}
	if len(story.Sales) == 0 && len(story.Leads) == 0 {
		return nil, ErrUnknown
	}
	return story, nil
}

// names gives what was asked for as every type of name that it may be.
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
	if id, ok := schemas.ParseClickID(object); ok {
		return []identity.Node{identity.New(identity.Click, id.String())}, nil
	}
	if typ, value, ok := strings.Cut(object, ":"); ok && value != "" {
		return []identity.Node{identity.New(typ, value)}, nil
	}
	var from []identity.Node
	for _, typ := range []string{identity.Object, identity.Movement, identity.Customer, identity.Subscription, identity.External, identity.Reference, identity.Promotion} {
		from = append(from, identity.New(typ, object))
	}
	return from, nil
}

// salesOf sorts the groups of what was touched: those of which something is known, the newest first.
func salesOf(k *ledger.Evidence, touched []identity.Node) [][]identity.Node {
	var groups [][]identity.Node
	newest := make(map[identity.Node]time.Time)
	seen := make(map[identity.Node]bool)
	for _, n := range touched {
		if n.Type() == identity.Lead || seen[n] {
			continue
		}
		group := k.Graph.Group(n)
		slices.Sort(group)
		for _, member := range group {
			seen[member] = true
			for _, f := range k.Facts[member.Value()] {
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
	// What was asked for was tried as every type of name; the type that it really has is the one with company.
	told := make(map[string]bool)
	return slices.DeleteFunc(groups, func(group []identity.Node) bool {
		if told[group[0].Value()] {
			return true
		}
		for _, n := range group {
			told[n.Value()] = true
		}
		return false
	})
}

// search finds the raw events that speak of the groups or of their buyers.
func search(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence, groups [][]identity.Node) (mentions []Mention, searched bool, err error) {
	var ids []string
	for _, group := range groups {
		for _, id := range append(values(group), buyers(k.Graph, group)...) {
			if !slices.Contains(ids, id) && len(ids) < mostNeedles {
				ids = append(ids, id)
			}
		}
	}
	if len(ids) == 0 {
		return nil, true, nil
	}
	sctx, cancel := context.WithTimeout(ctx, searchTime)
	defer cancel()
	mentions, err = Mentions(sctx, store, k.Workspace, ids, mostMentions)
	if err != nil && sctx.Err() != nil && ctx.Err() == nil {
		return nil, false, nil
	}
	return mentions, len(mentions) < mostMentions && len(ids) < mostNeedles, err
}

func values(nodes []identity.Node) []string {
	list := make([]string, len(nodes))
	for i, n := range nodes {
		list[i] = n.Value()
	}
	return list
}

// buyers gives Stripe's objects that say whom a group's sale was made to and by which code, and are of no one sale.
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

func leads(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence, touched []identity.Node) ([]Lead, error) {
	var ids [][16]byte
	for _, n := range touched {
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
		told := Lead{
			ID: hex.EncodeToString(l.ID[:]), Event: l.EventName, ExternalID: l.ExternalID, ReceivedAt: l.ReceivedAt, Mode: l.Mode,
			Rule: string(l.MatchRule), Key: l.MatchKey, AffiliateID: l.Click.AffiliateID,
		}
		if l.Click.ID != (schemas.ClickID{}) {
			told.ClickID = l.Click.ID.String()
		}
		list = append(list, told)
	}
	slices.SortFunc(list, func(a, b Lead) int { return cmp.Or(b.ReceivedAt.Compare(a.ReceivedAt), cmp.Compare(a.ID, b.ID)) })
	return list[:min(len(list), mostSales)], nil
}

func tell(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence, group []identity.Node, mentions []Mention) (Sale, error) {
	sale := Sale{Canonical: k.Canonical(group[0]), Letters: []Letter{}, Candidates: []Candidate{}, Entries: []Entry{}}
	for _, n := range group {
		sale.Objects = append(sale.Objects, n.Value())
	}
	slices.Sort(sale.Objects)
	sale.Objects = slices.Compact(sale.Objects)
	rows, err := Versions(ctx, store, k.Workspace, sale.Objects)
	if err != nil {
		return sale, err
	}
	sale.Events, sale.Letters = events(k, sale.Objects, buyers(k.Graph, group), mentions)
	sale.Names = edgesOf(k.Graph, group)
	sale.Policy, sale.Candidates = candidates(k.Weigh(group[0]))
	sale.Entries = entries(rows, sale)
	return sale, nil
}

// events joins what is known of an event from its facts with the raw one. What mentions the objects and says nothing about money is
// told too: a customer who was named, a session that completed unpaid.
func events(k *ledger.Evidence, objects, buyers []string, mentions []Mention) ([]Event, []Letter) {
	byID := make(map[string]*Event)
	letters := []Letter{}
	for _, id := range objects {
		for _, f := range k.Facts[id] {
			e := byID[f.EventID]
			if e == nil {
				e = &Event{ID: f.EventID, Created: f.CreatedAt, ReceivedAt: f.ReceivedAt, Money: []Money{}}
				byID[f.EventID] = e
			}
			e.Money = append(e.Money, Money{f.Kind, f.ObjectID, f.Source, f.Amount, f.Currency, f.Settled})
		}
	}
	for _, m := range mentions {
		ofSale := slices.ContainsFunc(m.IDs, func(id string) bool { return slices.Contains(objects, id) })
		ofBuyer := slices.ContainsFunc(m.IDs, func(id string) bool { return slices.Contains(buyers, id) })
		if !ofSale && !(ofBuyer && ofNobodysSale(m.What)) {
			continue
		}
		if m.Letter {
			letters = append(letters, Letter{m.ID, m.What, m.Created})
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
			return cmp.Or(boolCompare(a.Kind == stripe.HoldEnded, b.Kind == stripe.HoldEnded), cmp.Compare(a.Kind, b.Kind), cmp.Compare(a.Object, b.Object))
		})
		list = append(list, *e)
	}
	slices.SortFunc(list, func(a, b Event) int {
		return cmp.Or(a.Created.Compare(b.Created), a.ReceivedAt.Compare(b.ReceivedAt), cmp.Compare(a.ID, b.ID))
	})
	return list, letters
}

// ofNobodysSale tells whether a type of event is about a buyer or a code, and not about one sale of theirs.
func ofNobodysSale(eventType string) bool {
	return strings.HasPrefix(eventType, "customer.") || strings.HasPrefix(eventType, "promotion_code.")
}

// boolCompare puts false before true.
func boolCompare(a, b bool) int {
	switch {
	case a == b:
		return 0
	case a:
		return 1
	}
	return -1
}

// candidates says what became of everything that could have been credited.
func candidates(w ledger.Weighing) (Policy, []Candidate) {
	policy := Policy{
		WindowDays: days(w.Policy.Window), Touch: string(cmp.Or(w.Policy.Touch, join.LastTouch)), Follow: string(cmp.Or(w.Policy.Follow, join.LastTouch)),
		RenewalsDays: days(w.Policy.Renewals),
	}
	if policy.WindowDays == 0 {
		policy.WindowDays = days(join.DefaultWindow)
	}
	list := []Candidate{}
	for _, c := range w.List {
		told := Candidate{Verdict: c.Verdict, Rule: string(c.Rule), Key: string(c.Key), AffiliateID: c.AffiliateID, ProgramID: c.ProgramID}
		if c.Click != nil {
			told.ClickID, told.ClickedAt, told.ReceivedAt, told.LinkID = c.Click.ID.String(), &c.Click.ClickedAt, &c.Click.ReceivedAt, c.Click.LinkID
		}
		if told.Why = verdict(w, c, policy); c.Source != "" {
			told.Why += " (" + credit.Explain(c.Source) + ")"
		}
		list = append(list, told)
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
			v.Learned = versionOf(row).Since(versionOf(before), v.residual())
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

// residual tells whether the entry is what a charge's cumulative figure says beyond its refunds.
func (v Version) residual() bool {
	return v.Kind == stripe.Refund && (strings.HasPrefix(v.ObjectID, "ch_") || strings.HasPrefix(v.ObjectID, "py_"))
}

func versionOf(row VersionRow) ledger.Version {
	n, ok := new(big.Int).SetString(row.Version, 10)
	if !ok {
		return ledger.Version{}
	}
	return ledger.VersionOf(n)
}

// edgesOf lists every edge that can be walked from the group, each once and in one direction.
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
