package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"math/big"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// chunk bounds how many objects' names are held at once.
const chunk = 1000

// nearby is how far apart two movements may be that are taken for one because their amounts are
// equal.
const nearby = 24 * time.Hour

// comparison is one look at both sides.
type comparison struct {
	ledger *clickhouse.Store
	scope  Scope
	report *Report
	rows   map[string]*row // by entry id
	under  map[entryKey][]*row
	lines  map[[2]string]*Line
	open   []movement // transactions without an entry, so far
	events events
	types  map[string]bool // of all events that the account has sent; nil until they are asked for
	first  time.Time       // when Stripe made the first of them
}

type entryKey struct{ kind, object string }

// row is an entry with every balance transaction that answers to it.
type row struct {
	BookedRow
	inPeriod bool
	answers  []Transaction
	sum      int64    // of the answers, minor units of the entry's currency
	outside  int64    // of the amount, what was paid or given back outside Stripe, as an event says
	byAmount bool     // its answer was found by the amount alone
	aliases  []string // other objects of the sale; filled in for rows that no answer covers
}

// booked reports whether the row is in the ledger's sums.
func (r *row) booked() bool { return r.Status == "booked" && r.Amount != 0 }

// covered reports whether Stripe's balance, and what events say was paid outside of it, make up the
// whole amount.
func (r *row) covered() bool { return r.sum+r.outside == r.Amount }

// movement is a transaction with the objects that its source goes by, and how many names away each
// of them is.
type movement struct {
	Transaction
	names     map[string]int
	customers []string // whose money it is; several where a customer is an account, too
}

// Compare finds an entry for every transaction, and a transaction for every entry.
//
// A transaction first takes an entry of its own amount under its nearest name; only what is left
// then takes an entry of another amount. Whatever is found by its amount alone, or not at all, is
// never silently equal.
func Compare(ctx context.Context, ledger *clickhouse.Store, scope Scope, transactions []Transaction) (*Report, error) {
	c := &comparison{
		ledger: ledger, scope: scope,
		rows: make(map[string]*row), under: make(map[entryKey][]*row), lines: make(map[[2]string]*Line),
		report: newReport(scope),
	}
	// A day more on either side: an event of a payment and its balance transaction may lie on two
	// sides of midnight.
	from, until := scope.Period.From.AddDate(0, 0, -1), scope.Period.End().AddDate(0, 0, 1)
	rows, err := bookedBetween(ctx, ledger, scope, from, until)
	if err != nil {
		return nil, err
	}
	c.take(rows)
	transactions, err = distinct(transactions)
	if err != nil {
		return nil, err
	}
	sales := c.sales(transactions)
	for part := range slices.Chunk(sales, chunk) {
		if err := c.match(ctx, part); err != nil {
			return nil, err
		}
	}
	if err := c.elsewhere(ctx); err != nil {
		return nil, err
	}
	c.failures()
	if err := c.readEvents(ctx); err != nil {
		return nil, err
	}
	c.transfers()
	c.releases()
	c.pair()
	if err := c.readEarlier(ctx); err != nil {
		return nil, err
	}
	return c.report, c.judge(ctx)
}

// OfAccount returns the transactions of one account; empty: that of the key or dashboard, whose id
// nobody has said. A report of a platform or an organisation may have several accounts' rows.
func OfAccount(transactions []Transaction, account string) ([]Transaction, error) {
	accounts := make(map[string]bool)
	for i := range transactions {
		accounts[transactions[i].Account] = true
	}
	delete(accounts, "")
	found := strings.Join(slices.Sorted(maps.Keys(accounts)), ", ")
	switch {
	case len(accounts) == 0, account == "" && len(accounts) == 1:
		return transactions, nil
	case account == "":
		return nil, fmt.Errorf("the export is of several accounts: %s (hint: --account compares one of them; for the "+
			"platform's own export its own report)", found)
	case !accounts[account]:
		return nil, fmt.Errorf("the export is of %s, and of no transaction of %s (hint: --account)", found, account)
	}
	return slices.DeleteFunc(transactions, func(t Transaction) bool {
		return t.Account != "" && t.Account != account
	}), nil
}

// Uncut returns an error if the API's lists end within the period: they begin with the newest
// transaction, and the oldest page of all must say that no other follows. Two pages may end in the
// same second.
func Uncut(transactions []Transaction, period Period) error {
	if len(transactions) == 0 {
		return nil
	}
	oldest := slices.MinFunc(transactions, func(x, y Transaction) int { return x.Created.Compare(y.Created) }).Created
	if oldest.Before(period.From) ||
		slices.ContainsFunc(transactions, func(t Transaction) bool { return t.End && t.Created.Equal(oldest) }) {
		return nil
	}
	for i := range transactions {
		if t := &transactions[i]; t.More && t.Created.Equal(oldest) {
			return fmt.Errorf("the list goes on after %s of %s: has_more is true (hint: read the following pages, too, "+
				"with starting_after=%s, or let --api do it)", t.ID, dayOf(t.Created), t.ID)
		}
	}
	return nil
}

// distinct returns every balance transaction once: exports of two months may overlap, and one that
// counted twice would answer to an entry that is booked twice. Two descriptions of one make one that
// says what either says, whichever is read first.
func distinct(transactions []Transaction) ([]Transaction, error) {
	list := slices.Clone(transactions)
	slices.SortFunc(list, func(x, y Transaction) int { return cmp.Or(cmp.Compare(x.ID, y.ID), x.fuller(&y)) })
	kept := list[:0]
	for _, t := range list {
		last := len(kept) - 1
		switch {
		case last < 0 || kept[last].ID != t.ID:
			kept = append(kept, t)
		case kept[last].Currency != t.Currency || kept[last].Amount != t.Amount:
			return nil, fmt.Errorf("balance transaction %s is there twice, with different amounts "+
				"(hint: is one of the files changed, or of another account?)", t.ID)
		default:
			kept[last].complete(&t)
		}
	}
	slices.SortStableFunc(kept, func(x, y Transaction) int { return x.Created.Compare(y.Created) })
	partWon(kept)
	return kept, nil
}

// fuller compares two descriptions of one balance transaction; the one that says more is the first.
// The API and the itemised report name what belongs to it and its category, and the balance history
// writes no seconds.
func (t *Transaction) fuller(o *Transaction) int {
	last := func(x, y bool) int {
		switch {
		case x == y:
			return 0
		case x:
			return 1
		}
		return -1
	}
	return cmp.Or(
		last(t.Unnamed, o.Unnamed), last(t.Zoneless, o.Zoneless), o.Created.Compare(t.Created),
		last(t.Presented == "", o.Presented == ""), cmp.Compare(t.Category, o.Category), cmp.Compare(t.Source, o.Source),
		cmp.Compare(t.ChargeID, o.ChargeID), cmp.Compare(t.IntentID, o.IntentID), cmp.Compare(t.CustomerID, o.CustomerID),
		cmp.Compare(t.Presented, o.Presented), cmp.Compare(t.PresentedAmount, o.PresentedAmount),
		cmp.Compare(t.Account, o.Account),
	)
}

// complete fills in what another description of the same balance transaction says.
func (t *Transaction) complete(o *Transaction) {
	for _, text := range []struct{ to, from *string }{
		{&t.Account, &o.Account}, {&t.Source, &o.Source}, {&t.ChargeID, &o.ChargeID}, {&t.IntentID, &o.IntentID},
		{&t.CustomerID, &o.CustomerID},
	} {
		*text.to = cmp.Or(*text.to, *text.from)
	}
	if t.Presented == "" {
		t.Presented, t.PresentedAmount = o.Presented, o.PresentedAmount
	}
	if t.Zoneless && !o.Zoneless {
		t.Created, t.Zoneless = o.Created, false
	}
}

// partWon takes back what the customer saw of a dispute that was won in part, where it was settled
// in another currency than theirs: the export then has the whole claim for the part that came back,
// and how much that is in their currency is not said.
func partWon(list []Transaction) {
	lost := make(map[string]*Transaction) // the largest withdrawal of each dispute
	for i := range list {
		t := &list[i]
		if t.Kind() == stripe.Dispute && (lost[t.Source] == nil || t.Amount < lost[t.Source].Amount) {
			lost[t.Source] = t
		}
	}
	for i := range list {
		t := &list[i]
		claim := lost[t.Source]
		if t.Kind() != stripe.DisputeReversal || claim == nil || t.Presented == t.Currency ||
			t.Presented != claim.Presented || t.PresentedAmount != -claim.PresentedAmount {
			continue
		}
		const most = 5 // a rate does not move by a fifth between the two
		if back := new(big.Int).Mul(big.NewInt(t.Amount), big.NewInt(most)); back.Cmp(new(big.Int).Mul(
			big.NewInt(-claim.Amount), big.NewInt(most-1))) < 0 {
			t.Presented, t.PresentedAmount = "", 0
		}
	}
}

// sales returns the transactions that move a sale's money, in their order, and reports the others.
func (c *comparison) sales(transactions []Transaction) []Transaction {
	var list []Transaction
	for _, t := range transactions {
		in := c.scope.Period.contains(t.Created)
		if in && !c.scope.Complete {
			c.report.covers(t.Created)
		}
		switch {
		case t.Kind() != "" && t.Amount == 0 && t.PresentedAmount == 0: // as a dispute's fee that comes alone
			if in {
				c.report.LeftOut[t.Category+" of nothing"]++
			}
		case t.Kind() != "":
			list = append(list, t)
			if in {
				c.report.Transactions++
			}
		case !in:
		case notSales[t.Category]:
			c.report.LeftOut[t.Category]++
		default:
			c.report.add(Difference{
				Finding: Unread, Day: dayOf(t.Created), Kind: t.Category, Object: t.Source, Stripe: t.ID,
				Currency: t.Currency, Expected: t.Amount,
				Cause: "a category that may or may not be a sale's: look at it in Stripe's dashboard",
			})
		}
	}
	return list
}

func (c *comparison) take(rows []BookedRow) {
	for _, r := range rows {
		if c.rows[r.EntryID] != nil {
			continue
		}
		added := &row{BookedRow: r, inPeriod: c.scope.Period.contains(r.OccurredAt)}
		c.rows[r.EntryID] = added
		k := entryKey{r.Kind, r.ObjectID}
		c.under[k] = append(c.under[k], added)
	}
}

// match gives transactions the entries of their own amount under one of their names.
func (c *comparison) match(ctx context.Context, part []Transaction) error {
	var nodes []identity.Node
	for _, t := range part {
		nodes = append(nodes, nodesOf(t)...)
	}
	slices.Sort(nodes)
	graph, err := identity.Explore(ctx, identity.Remember(c.ledger.Names), c.scope.Workspace, slices.Compact(nodes))
	if err != nil {
		return err
	}
	for _, t := range part {
		m := movement{Transaction: t, names: steps(graph, nodesOf(t)), customers: customersOf(graph, t)}
		if !c.exact(m) {
			c.open = append(c.open, m)
		}
	}
	return nil
}

// nodesOf names whatever a transaction names: its source, and the charge and payment intent behind
// it.
func nodesOf(t Transaction) []identity.Node {
	source := stripe.Fact{ObjectID: t.Source, Kind: t.Kind()}
	if isCharge(t.Source) {
		source.Kind = stripe.Payment
	}
	var nodes []identity.Node
	for _, n := range []identity.Node{
		source.Subject(), identity.New(identity.Object, t.ChargeID), identity.New(identity.Object, t.IntentID),
	} {
		if n.Value() != "" {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// steps returns the objects that belong to the same sale as the nodes, with how many edges away the
// nearest node is.
func steps(graph *identity.Graph, from []identity.Node) map[string]int {
	found, seen := make(map[string]int), make(map[identity.Node]bool)
	for depth := 0; len(from) > 0; depth++ {
		var next []identity.Node
		for _, n := range from {
			if seen[n] {
				continue
			}
			seen[n] = true
			if _, ok := found[n.Value()]; !ok {
				found[n.Value()] = depth
			}
			for _, e := range graph.From(n) {
				if e.B.Belongs() {
					next = append(next, e.B)
				}
			}
		}
		from = next
	}
	return found
}

func customersOf(graph *identity.Graph, t Transaction) []string {
	if t.CustomerID != "" {
		return []string{t.CustomerID}
	}
	var customers []string
	for _, n := range nodesOf(t) {
		for _, e := range graph.From(n) {
			if e.B.Type() == identity.Customer {
				customers = append(customers, e.B.Value())
			}
		}
	}
	return customers
}

// charge returns the charge that a movement is of; empty if it is not said.
func (m *movement) charge() string {
	if isCharge(m.Source) {
		return m.Source
	}
	return m.ChargeID
}

func isCharge(id string) bool { return strings.HasPrefix(id, "ch_") || strings.HasPrefix(id, "py_") }

// candidates returns the entries that a transaction may answer to: of a payment those under any of
// its names that is not another payment of the same sale; of a dispute its own; of a refund its
// own, and what is known of its charge's refunds by the charge alone. What was never captured is no
// refund (see releases).
func (c *comparison) candidates(m movement) []*row {
	kind := m.Kind()
	var list []*row
	if m.Category == notCaptured {
		return nil
	}
	add := func(id string) {
		for _, r := range c.under[entryKey{kind, id}] {
			if r.booked() {
				list = append(list, r)
			}
		}
	}
	ofCharge := kind == stripe.Refund || kind == stripe.RefundReversal
	for _, id := range slices.Sorted(maps.Keys(m.names)) {
		if id == m.Source || kind == stripe.Payment && !m.another(id) || ofCharge && isCharge(id) {
			add(id)
		}
	}
	return list
}

// another reports whether an object is another payment than the one that the movement belongs to.
// An invoice has several, and what one of them lacks another may have too much.
func (m *movement) another(id string) bool {
	switch {
	case isCharge(id):
		return isCharge(m.Source) && id != m.Source && id != m.ChargeID
	case strings.HasPrefix(id, "pi_"):
		return id != cmp.Or(m.IntentID, m.nearestIntent())
	}
	return false
}

// nearestIntent returns the payment intent that fewest names tie to the movement; empty if none
// does.
func (m *movement) nearestIntent() string {
	nearest := ""
	for _, id := range slices.Sorted(maps.Keys(m.names)) {
		if strings.HasPrefix(id, "pi_") && (nearest == "" || m.names[id] < m.names[nearest]) {
			nearest = id
		}
	}
	return nearest
}

// rank says under which of a movement's names its entry is looked for first: the one under which
// the ledger books it. An entry under another name is the one that is there twice.
func (m *movement) rank(r *row) int {
	switch {
	case m.Kind() == stripe.Payment && strings.HasPrefix(r.ObjectID, "pi_"):
		return 0
	case r.ObjectID == m.Source:
		return 1
	}
	return 2
}

// exact gives m the nearest free entry of its own currency and amount, and reports whether there is
// one.
func (c *comparison) exact(m movement) bool {
	var best *row
	for _, r := range c.candidates(m) {
		currency, amount, ok := m.presented(r.Currency)
		if len(r.answers) > 0 || !ok || currency != r.Currency || amount != r.Amount {
			continue
		}
		if best == nil || m.nearer(r, best) {
			best = r
		}
	}
	if best == nil {
		return false
	}
	best.answer(m.Transaction)
	return true
}

func (m *movement) nearer(r, than *row) bool {
	return cmp.Or(
		cmp.Compare(m.rank(r), m.rank(than)), cmp.Compare(m.names[r.ObjectID], m.names[than.ObjectID]),
		cmp.Compare(m.Created.Sub(r.OccurredAt).Abs(), m.Created.Sub(than.OccurredAt).Abs()), r.before(than),
	) < 0
}

// before orders entries by what they say. Their ids are hashes, and come last: entries that differ
// in nothing else may be exchanged.
func (r *row) before(o *row) int {
	return cmp.Or(
		r.OccurredAt.Compare(o.OccurredAt), cmp.Compare(r.ObjectID, o.ObjectID), cmp.Compare(r.Amount, o.Amount),
		cmp.Compare(r.SaleID, o.SaleID), cmp.Compare(r.CustomerID, o.CustomerID), cmp.Compare(r.EntryID, o.EntryID),
	)
}

// closest gives m an entry of another amount, and reports whether there is one. An entry whose
// amount is made up already takes another transaction only if that one names the entry's object
// itself.
func (c *comparison) closest(m movement) bool {
	var best *row
	for _, r := range c.candidates(m) {
		named := r.ObjectID == m.Source ||
			m.Kind() == stripe.Payment && (r.ObjectID == m.ChargeID || r.ObjectID == m.IntentID)
		if len(r.answers) > 0 && r.covered() && !named {
			continue
		}
		free, bestFree := len(r.answers) == 0, best != nil && len(best.answers) == 0
		if best == nil || free && !bestFree || free == bestFree && m.nearer(r, best) {
			best = r
		}
	}
	if best == nil {
		return false
	}
	best.answer(m.Transaction)
	return true
}

func (r *row) answer(t Transaction) {
	r.answers = append(r.answers, t)
	_, amount, _ := t.presented(r.Currency)
	r.sum += amount
}

// presented returns what the customer saw. Where the export does not say, it is what Stripe
// settled, if that is the ledger's currency; otherwise it cannot be compared.
func (t *Transaction) presented(currency string) (string, int64, bool) {
	switch {
	case t.Presented != "":
		return t.Presented, t.PresentedAmount, true
	case t.Currency == currency:
		return t.Currency, t.Amount, true
	}
	return "", 0, false
}

// elsewhere looks for entries of other days under the names of what was not found, and then for
// entries of other amounts.
func (c *comparison) elsewhere(ctx context.Context) error {
	ids := make(map[string]bool)
	for _, m := range c.open {
		for id := range m.names {
			ids[id] = true
		}
	}
	if len(ids) > 0 {
		rows, err := bookedUnder(ctx, c.ledger, c.scope, slices.Sorted(maps.Keys(ids)))
		if err != nil {
			return err
		}
		c.take(rows)
	}
	c.open = slices.DeleteFunc(c.open, c.exact)
	c.open = slices.DeleteFunc(c.open, c.closest)
	// What another period's transactions did not answer to is that period's matter.
	c.open = slices.DeleteFunc(c.open, func(m movement) bool { return !c.scope.Period.contains(m.Created) })
	return nil
}
