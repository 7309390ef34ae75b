package explain

import (
	"cmp"
	"context"
	"math/big"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/credit"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/processor/stripe"
)

// explainSale explains a group of objects: of the several sales that it may be of, once a payment
// was taken off its invoice, the one of an object that was asked for.
func explainSale(ctx context.Context, store *clickhouse.Store, k *ledger.Evidence, group, asked []identity.Node,
	mentions []Mention,
) (Sale, error) {
	about := group[0]
	if n := slices.IndexFunc(group, func(n identity.Node) bool { return slices.Contains(asked, n) }); n >= 0 {
		about = group[n]
	}
	sale := Sale{DeadLetters: []DeadLetter{}, Candidates: []Candidate{}, Entries: []Entry{}}
	var same []identity.Node
	sale.Canonical, same = k.SaleOf(about, group)
	sale.Objects = ids(same)
	all := ids(group)
	rows, err := Versions(ctx, store, k.Workspace, all)
	if err != nil {
		return sale, err
	}
	rows = slices.DeleteFunc(rows, func(r VersionRow) bool { // another sale's, which has the id of one of these
		f := stripe.Fact{ObjectID: r.ObjectID, Kind: r.Kind}
		return !slices.Contains(group, f.Subject()) &&
			!slices.Contains(group, identity.New(identity.Object, r.SaleID))
	})
	sale.Events, sale.DeadLetters = events(k, group, all, buyers(k.Graph, group), mentions)
	sale.Names = edgesOf(k.Graph, group)
	sale.Policy, sale.Candidates = candidates(k.Evaluate(about))
	sale.Entries = entries(rows, sale)
	return sale, nil
}

// ids of objects, sorted.
func ids(objects []identity.Node) []string {
	list := values(objects)
	slices.Sort(list)
	return slices.Compact(list)
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
