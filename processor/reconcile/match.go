package reconcile

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/explain"
	"tributary/processor/identity"
	"tributary/processor/stripe"
)

// ErrDifferences says that the books are not equal; the report says where.
var ErrDifferences = errors.New("the ledger and Stripe differ")

// Scope is whose books are compared.
type Scope struct {
	Workspace, Account string
	Livemode           bool
	Period             Period
}

// Finding says what kind of difference it is.
type Finding string

// The findings.
const (
	Missing      Finding = "missing"      // Stripe moved money that the ledger has no entry for
	Unknown      Finding = "not_stripe's" // the ledger has an entry that no balance transaction answers to
	Amount       Finding = "amount"       // both have it, with other amounts
	Currency     Finding = "currency"     // both have it, in other currencies
	Day          Finding = "day"          // both have it, on other days; the sums of the period are right
	Uncomparable Finding = "uncomparable" // the export does not say what the customer saw; no difference, but nothing is proved
	Paired       Finding = "paired"       // a charge that names no invoice, and an invoice of that amount that names no charge; no difference
	Outside      Finding = "outside"      // paid or given back outside Stripe; no difference
)

// mentionLimit bounds how many records a cause is looked for in.
const mentionLimit = 20

// remarks are no differences: what they speak of is in neither sum.
var remarks = map[Finding]bool{Uncomparable: true, Outside: true, Paired: true}

// Difference is one finding. Amounts are minor units of Currency, signed.
type Difference struct {
	Finding  Finding `json:"finding"`
	Day      string  `json:"day"` // UTC
	Kind     string  `json:"kind"`
	Object   string  `json:"object"`      // of the ledger, else of Stripe
	Stripe   string  `json:"transaction"` // txn_…
	Currency string  `json:"currency"`
	Expected int64   `json:"stripe_minor"`
	Booked   int64   `json:"ledger_minor"`
	Cause    string  `json:"likely_cause"`
}

// Line is one day's sum in one currency, minor units.
type Line struct {
	Day      string `json:"day"`
	Currency string `json:"currency"`
	Stripe   int64  `json:"stripe_minor"`
	Ledger   int64  `json:"ledger_minor"`
}

// Report is the comparison.
type Report struct {
	Scope        Scope          `json:"-"`
	Transactions int            `json:"transactions"`
	LeftOut      map[string]int `json:"left_out"` // balance transactions that are no sales, by category
	Entries      int            `json:"entries"`
	Lines        []Line         `json:"days"`
	Differences  []Difference   `json:"differences"`
}

// Err is ErrDifferences when anything differs.
func (r *Report) Err() error {
	n := 0
	for _, d := range r.Differences {
		if !remarks[d.Finding] {
			n++
		}
	}
	switch n {
	case 0:
		return nil
	case 1:
		return fmt.Errorf("%w in one place", ErrDifferences)
	}
	return fmt.Errorf("%w in %d places", ErrDifferences, n)
}

// causes bounds for how many findings the raw events are searched: each search reads every body.
const causes = 100

// chunk bounds how many objects' names are held at once.
const chunk = 1000

// books is one comparison under way.
type books struct {
	ledger *clickhouse.Store
	scope  Scope
	report *Report
	rows   map[entryKey]*row
	lines  map[[2]string]*Line
	missed []missed
}

type entryKey struct{ kind, object string }

// row is an entry with everything at Stripe that answers to it.
type row struct {
	BookedRow
	inPeriod bool
	sum      int64
	answers  []Transaction
	paired   bool // by its amount alone
	outside  bool // no charge of Stripe's is behind it
}

// missed is a transaction without an entry, with the objects that its source goes by.
type missed struct {
	Transaction
	objects []string
}

// Compare finds an entry for every transaction, and a transaction for every entry.
func Compare(ctx context.Context, ledger *clickhouse.Store, scope Scope, transactions []Transaction) (*Report, error) {
	b := &books{
		ledger: ledger, scope: scope, rows: make(map[entryKey]*row), lines: make(map[[2]string]*Line),
		report: &Report{Scope: scope, LeftOut: make(map[string]int), Lines: []Line{}, Differences: []Difference{}},
	}
	// A day more on either side: paid_at of an invoice and the charge behind it may lie on two sides of midnight.
	rows, err := Booked(ctx, ledger, scope.Workspace, scope.Account, scope.Livemode, scope.Period.From.AddDate(0, 0, -1), scope.Period.End().AddDate(0, 0, 1))
	if err != nil {
		return nil, err
	}
	b.take(rows)
	var sales []Transaction
	for _, t := range transactions {
		switch {
		case !scope.Period.contains(t.Created):
		case t.Kind() == "":
			b.report.LeftOut[t.Category]++
		default:
			sales = append(sales, t)
		}
	}
	b.report.Transactions = len(sales)
	for part := range slices.Chunk(sales, chunk) {
		if err := b.match(ctx, part); err != nil {
			return nil, err
		}
	}
	if err := b.elsewhere(ctx); err != nil {
		return nil, err
	}
	if err := b.unnamed(ctx); err != nil {
		return nil, err
	}
	if err := b.judge(ctx); err != nil {
		return nil, err
	}
	return b.report, nil
}

func (b *books) take(rows []BookedRow) {
	for _, r := range rows {
		k := entryKey{r.Kind, r.ObjectID}
		if b.rows[k] == nil {
			b.rows[k] = &row{BookedRow: r, inPeriod: b.scope.Period.contains(r.OccurredAt)}
		}
	}
}

// match finds the entries of some transactions by the names that their sources go by.
func (b *books) match(ctx context.Context, part []Transaction) error {
	var nodes []identity.Node
	for _, t := range part {
		nodes = append(nodes, nodesOf(t)...)
	}
	slices.Sort(nodes)
	graph, err := identity.Explore(ctx, identity.Remember(b.ledger.Edges), b.scope.Workspace, slices.Compact(nodes))
	if err != nil {
		return err
	}
	for _, t := range part {
		objects := make(map[string]bool)
		for _, n := range nodesOf(t) {
			for _, member := range graph.Group(n) {
				objects[member.Value()] = true
			}
		}
		if r := b.find(t, objects); r != nil {
			b.answer(r, t)
			continue
		}
		m := missed{Transaction: t}
		for id := range objects {
			m.objects = append(m.objects, id)
		}
		slices.Sort(m.objects)
		b.missed = append(b.missed, m)
	}
	return nil
}

// nodesOf names whatever a transaction names: its source as a movement and as an object, and the charge behind it.
func nodesOf(t Transaction) []identity.Node {
	var nodes []identity.Node
	typ := identity.Object
	if t.Kind() != stripe.Payment {
		typ = identity.Movement
	}
	for _, n := range []identity.Node{identity.New(typ, t.Source), identity.New(identity.Object, t.ChargeID), identity.New(identity.Object, t.IntentID)} {
		if n.Value() != "" {
			nodes = append(nodes, n)
		}
	}
	return nodes
}

// find gives the entry of a transaction: a payment's under any of its names, a refund's or dispute's under its own id, or what its
// charge was refunded beyond the refunds known one by one.
func (b *books) find(t Transaction, objects map[string]bool) *row {
	kind := t.Kind()
	if kind != stripe.Payment {
		if r := b.rows[entryKey{kind, t.Source}]; r != nil {
			return r
		}
		if kind != stripe.Refund {
			return nil
		}
	}
	var found *row
	for id := range objects {
		r := b.rows[entryKey{kind, id}]
		if r == nil || r.Status == "superseded" || kind == stripe.Refund && (r.Amount == 0 || !isCharge(id)) {
			continue
		}
		if found == nil || r.Status == "booked" && found.Status != "booked" || r.Status == found.Status && r.ObjectID < found.ObjectID {
			found = r
		}
	}
	if found != nil && found.Status != "booked" {
		return nil
	}
	return found
}

func isCharge(id string) bool { return strings.HasPrefix(id, "ch_") || strings.HasPrefix(id, "py_") }

func (b *books) answer(r *row, t Transaction) {
	r.answers = append(r.answers, t)
	_, amount, _ := t.presented(r.Currency)
	r.sum += amount
}

// presented gives what the customer saw. Where the export does not say, it is what Stripe settled, if that is the ledger's
// currency; otherwise it cannot be compared.
func (t *Transaction) presented(currency string) (string, int64, bool) {
	switch {
	case t.Presented != "":
		return t.Presented, t.PresentedAmount, true
	case t.Currency == currency:
		return t.Currency, t.Amount, true
	}
	return "", 0, false
}

// elsewhere looks for entries of other days under the names of what was not found.
func (b *books) elsewhere(ctx context.Context) error {
	var ids []string
	for _, m := range b.missed {
		ids = append(ids, m.objects...)
	}
	if len(ids) == 0 {
		return nil
	}
	rows, err := BookedUnder(ctx, b.ledger, b.scope.Workspace, ids)
	if err != nil {
		return err
	}
	b.take(rows)
	still := b.missed[:0]
	for _, m := range b.missed {
		objects := make(map[string]bool, len(m.objects))
		for _, id := range m.objects {
			objects[id] = true
		}
		if r := b.find(m.Transaction, objects); r != nil {
			b.answer(r, m.Transaction)
		} else {
			still = append(still, m)
		}
	}
	b.missed = still
	return nil
}

// unnamed looks at the invoices and credit notes that nothing answers to: no charge of Stripe's may be behind them. From API basil
// on a charge does not name its invoice, so that one of the same amount and day is likely behind the invoice.
func (b *books) unnamed(ctx context.Context) error {
	var open []*row
	for _, r := range b.rows {
		if len(r.answers) == 0 && r.Status == "booked" && r.Amount != 0 && (strings.HasPrefix(r.ObjectID, "in_") || strings.HasPrefix(r.ObjectID, "cn_")) {
			open = append(open, r)
		}
	}
	slices.SortFunc(open, func(x, y *row) int { return strings.Compare(x.ObjectID, y.ObjectID) })
	for part := range slices.Chunk(open, chunk) {
		nodes := make([]identity.Node, len(part))
		for i, r := range part {
			nodes[i] = identity.New(identity.Object, r.ObjectID)
		}
		graph, err := identity.Explore(ctx, identity.Remember(b.ledger.Edges), b.scope.Workspace, nodes)
		if err != nil {
			return err
		}
		for i, r := range part {
			r.outside = !slices.ContainsFunc(graph.Group(nodes[i]), func(n identity.Node) bool {
				return n.Type() == identity.Object && (isCharge(n.Value()) || strings.HasPrefix(n.Value(), "pi_"))
			})
		}
	}
	for _, r := range open {
		at := slices.IndexFunc(b.missed, func(m missed) bool {
			currency, amount, ok := m.presented(r.Currency)
			return r.outside && ok && m.Kind() == r.Kind && currency == r.Currency && amount == r.Amount && m.Created.Sub(r.OccurredAt).Abs() <= 24*time.Hour
		})
		if at >= 0 {
			r.paired, r.outside = true, false
			b.answer(r, b.missed[at].Transaction)
			b.missed = slices.Delete(b.missed, at, at+1)
		}
	}
	return nil
}

func (b *books) line(day, currency string) *Line {
	k := [2]string{day, currency}
	if b.lines[k] == nil {
		b.lines[k] = &Line{Day: day, Currency: currency}
	}
	return b.lines[k]
}

// judge writes the sums and the findings.
func (b *books) judge(ctx context.Context) error {
	searched := 0
	for _, m := range b.missed {
		d := Difference{Finding: Missing, Day: dayOf(m.Created), Kind: m.Kind(), Object: m.Source, Stripe: m.ID}
		d.Currency, d.Expected, _ = m.presented(m.Currency)
		b.line(d.Day, d.Currency).Stripe += d.Expected
		if searched++; searched <= causes {
			var err error
			if d.Cause, err = b.whyMissing(ctx, m); err != nil {
				return err
			}
		}
		b.report.Differences = append(b.report.Differences, d)
	}
	for _, r := range b.rows {
		b.judgeRow(r)
	}
	for _, l := range b.lines {
		b.report.Lines = append(b.report.Lines, *l)
	}
	slices.SortFunc(b.report.Lines, func(x, y Line) int { return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Currency, y.Currency)) })
	slices.SortFunc(b.report.Differences, func(x, y Difference) int {
		return cmp.Or(cmp.Compare(x.Day, y.Day), cmp.Compare(x.Finding, y.Finding), cmp.Compare(x.Object, y.Object), cmp.Compare(x.Kind, y.Kind), cmp.Compare(x.Stripe, y.Stripe))
	})
	return nil
}

func (b *books) judgeRow(r *row) {
	booked := r.Status == "booked" && r.Amount != 0
	if booked && r.inPeriod {
		b.report.Entries++
		b.line(dayOf(r.OccurredAt), r.Currency).Ledger += r.Amount
	}
	d := Difference{Day: dayOf(r.OccurredAt), Kind: r.Kind, Object: r.ObjectID, Currency: r.Currency, Expected: r.sum, Booked: r.Amount}
	if len(r.answers) == 0 {
		if !booked || !r.inPeriod {
			return
		}
		d.Finding, d.Cause = Unknown, "no balance transaction in the export: another account's, or the export ends too early"
		if r.outside {
			d.Finding, d.Cause = Outside, "no charge of Stripe's is behind it: paid or given back outside Stripe"
			b.line(d.Day, r.Currency).Ledger -= r.Amount
		}
		b.report.Differences = append(b.report.Differences, d)
		return
	}
	d.Stripe = r.answers[0].ID
	comparable, sameCurrency, sameDay := true, true, true
	for _, t := range r.answers {
		currency, amount, ok := t.presented(r.Currency)
		if !ok {
			comparable = false
			continue
		}
		b.line(dayOf(t.Created), currency).Stripe += amount
		sameCurrency = sameCurrency && currency == r.Currency
		sameDay = sameDay && dayOf(t.Created) == dayOf(r.OccurredAt)
	}
	switch {
	case !comparable:
		d.Finding, d.Expected = Uncomparable, 0
		d.Cause = "the export does not say what the customer saw; export customer_facing_amount and customer_facing_currency, or read the API with expanded sources"
		if booked && r.inPeriod { // take it out of the sums again: the other side cannot be summed
			b.line(dayOf(r.OccurredAt), r.Currency).Ledger -= r.Amount
		}
	case !sameCurrency:
		d.Finding, d.Cause = Currency, fmt.Sprintf("Stripe's charge is in %s: ask processor explain %s which event said %s", r.answers[0].Presented, r.ObjectID, r.Currency)
	case r.sum != r.Amount:
		d.Finding, d.Cause = Amount, whyAmount(r)
	case !sameDay:
		d.Finding = Day
		d.Cause = fmt.Sprintf("booked at %s, Stripe's balance moved at %s: an event told late, or midnight between the two", r.OccurredAt.UTC().Format(time.DateTime), r.answers[0].Created.Format(time.DateTime))
	case r.paired:
		d.Finding, d.Cause = Paired, "charge "+r.answers[0].Source+" names no invoice, and this invoice of the same amount no charge: subscribe the endpoint to invoice_payment.paid"
	default:
		return
	}
	b.report.Differences = append(b.report.Differences, d)
}

func whyAmount(r *row) string {
	if len(r.answers) > 1 {
		var ids []string
		for _, t := range r.answers {
			ids = append(ids, t.ID)
		}
		return "several balance transactions answer to one entry: " + strings.Join(ids, ", ")
	}
	return "an event that tells the rest has not come, or another source of the amount was better: ask processor explain " + r.ObjectID
}

func (b *books) whyMissing(ctx context.Context, m missed) (string, error) {
	for _, id := range m.objects {
		if r := b.rows[entryKey{m.Kind(), id}]; r != nil && r.Status == "held" {
			return fmt.Sprintf("held as %s: no workspace lists its account", id), nil
		}
	}
	mentions, err := explain.Mentions(ctx, b.ledger, b.scope.Workspace, []string{m.Source}, mentionLimit)
	if err != nil {
		return "", err
	}
	if len(mentions) == 0 {
		return "no event speaks of it: the endpoint is not subscribed to its events, or it is from before the endpoint", nil
	}
	var types []string
	for _, mention := range mentions {
		if mention.DeadLetter {
			return fmt.Sprintf("set aside as a dead letter (%s): %s", mention.ID, mention.What), nil
		}
		if !slices.Contains(types, mention.What) {
			types = append(types, mention.What)
		}
	}
	return "heard of by " + strings.Join(types, ", ") + ", none of which moves this money: subscribe the endpoint to the events that do", nil
}
