// Package ledger books money: from all facts of a sale, everything that names it, and the rates, it computes the sale's
// rows. No I/O, no clock, no goroutine: same knowledge, same rows; more knowledge, greater versions.
package ledger

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// Rates answers with the rate of a movement's own day.
type Rates interface {
	Convert(currency string, at time.Time) (fx.Quote, int, bool) // the quote and Stripe's exponent of the currency
}

// Evidence is all that is known about some sales of one workspace.
type Evidence struct {
	Workspace string
	Graph     *identity.Graph
	Facts     map[string][]stripe.Fact // by object id
	Clicks    map[identity.Node]*join.Click
	Rates     Rates
	Policies  join.Policies
}

// rank orders the sources of one payment by how much they know.
func rank(source string) uint64 {
	switch source {
	case stripe.FromInvoice:
		return 5
	case stripe.FromSession:
		return 4
	case stripe.FromInvoicePayment:
		return 3
	case stripe.FromPaymentIntent:
		return 2
	case stripe.FromCharge:
		return 1
	}
	return 0
}

// outranks is the total order of facts about one movement: certain over held, the richer source, the earlier event, the
// earlier delivery, and at last the event's id.
func outranks(a, b *stripe.Fact) bool {
	if a.Settled != b.Settled {
		return a.Settled
	}
	if ra, rb := rank(a.Source), rank(b.Source); ra != rb {
		return ra > rb
	}
	if !a.CreatedAt.Equal(b.CreatedAt) {
		return a.CreatedAt.Before(b.CreatedAt)
	}
	if !a.ReceivedAt.Equal(b.ReceivedAt) {
		return a.ReceivedAt.Before(b.ReceivedAt)
	}
	return a.EventID < b.EventID
}

func best(facts []stripe.Fact) *stripe.Fact {
	var top *stripe.Fact
	for i := range facts {
		if top == nil || outranks(&facts[i], top) {
			top = &facts[i]
		}
	}
	return top
}

// class of a Stripe id decides which object of a payment is canonical: the invoice if there is one, else the payment
// intent, else the charge or the session.
func class(id string) int {
	switch {
	case strings.HasPrefix(id, "in_"):
		return 0
	case strings.HasPrefix(id, "pi_"):
		return 1
	case strings.HasPrefix(id, "cs_"):
		return 3
	}
	return 2
}

// sale is one payment's group of names while its rows are computed.
type sale struct {
	*Evidence
	account   string
	livemode  bool
	canonical []string // more than one only where several invoices share a payment
	objects   []string
	charges   int
	payments  map[string][]stripe.Fact // by canonical object
	movements []stripe.Fact            // refunds, reversals, disputes, cumulative figures
	settled   map[string][]stripe.Fact // what Stripe's balance says, by object
	freed     map[string]bool          // canonical objects whose payment is no longer held
	ended     int                      // facts that say so
	top       *stripe.Fact             // the payment that refunds inherit from; nil if no event told of one
	found     *join.Search
	knowledge int
	entries   []Entry
}

func newSale(k *Evidence) *sale {
	return &sale{Evidence: k, payments: make(map[string][]stripe.Fact), settled: make(map[string][]stripe.Fact), freed: make(map[string]bool)}
}

// Book computes all rows of the sale that object belongs to, and names the group's objects, so that a caller with many
// changed objects books each sale once.
func (k *Evidence) Book(object identity.Node) (entries []Entry, group []identity.Node) {
	group = k.Graph.Group(object)
	s := newSale(k)
	if !s.gather(group) {
		return nil, group
	}
	s.attribute(group)
	s.bookPayments()
	s.bookRefunds()
	return s.entries, group
}

// gather sorts the facts by the canonical object of their payment. It tells whether there are any.
func (s *sale) gather(group []identity.Node) bool {
	var facts []stripe.Fact
	for _, n := range group {
		id := n.Value()
		facts = append(facts, s.Facts[id]...)
		if n.Type() == identity.Object {
			s.objects = append(s.objects, id)
		}
	}
	if len(facts) == 0 {
		return false
	}
	s.account, s.livemode = facts[0].Account, facts[0].Livemode
	slices.SortFunc(s.objects, func(a, b string) int {
		if d := class(a) - class(b); d != 0 {
			return d
		}
		return strings.Compare(a, b)
	})
	for _, id := range s.objects {
		if len(s.canonical) == 0 || class(id) == 0 {
			s.canonical = append(s.canonical, id)
		}
		if class(id) == 2 {
			s.charges++
		}
	}
	for _, f := range facts {
		switch {
		case f.Kind == stripe.Payment:
			c := s.canonicalOf(f.ObjectID)
			s.payments[c] = append(s.payments[c], f)
		case f.Kind == stripe.HoldEnded:
			// Whoever told the payment: it is the same money, and certain for a richer telling that comes later too.
			s.freed[s.canonicalOf(f.ObjectID)] = true
			s.ended++
		case isSettlement(f.Kind):
			s.settled[f.ObjectID] = append(s.settled[f.ObjectID], f)
		default:
			s.movements = append(s.movements, f)
		}
	}
	for _, c := range s.canonical {
		if f := best(s.payments[c]); f != nil && (s.top == nil || outranks(f, s.top)) {
			s.top = f
		}
	}
	return true
}

func (s *sale) canonicalOf(id string) string {
	if len(s.canonical) == 0 || slices.Contains(s.canonical, id) {
		return id // a refund may name no payment at all
	}
	return s.canonical[0]
}

// attribute finds who is to be credited with the sale.
func (s *sale) attribute(group []identity.Node) {
	var at join.Times
	for _, facts := range s.payments {
		for _, f := range facts {
			if f.OccurredAt.After(at.Last) {
				at.Last = f.OccurredAt
			}
			if at.First.IsZero() || f.OccurredAt.Before(at.First) {
				at.First = f.OccurredAt
			}
		}
	}
	from := slices.Clone(group)
	slices.Sort(from)
	s.found = join.NewSearch(s.Graph, s.Clicks, from, at, s.Policies.At(at.First))
	s.knowledge = s.found.Knowledge
	for _, n := range group {
		s.knowledge += len(s.Facts[n.Value()])
	}
	s.knowledge -= s.ended // it depends on who was ahead whether a hold ended or was never needed; the version's class says it
}

// Weighing is everything that could have been credited with a sale, and by which bounds it was judged.
type Weighing struct {
	// First and Last are when the sale happened, by all its sources; zero: no source told.
	First, Last time.Time
	Policy      join.Policy
	List        []join.Weighed // the credited one first
}

// Weigh tells what could have been credited with the sale that object belongs to, and why it was or was not.
func (k *Evidence) Weigh(object identity.Node) Weighing {
	group := k.Graph.Group(object)
	s := newSale(k)
	if !s.gather(group) {
		return Weighing{}
	}
	s.attribute(group)
	return Weighing{First: s.found.At.First, Last: s.found.At.Last, Policy: s.found.Policy, List: s.found.Weighed()}
}

// Canonical gives the object under which the sale that object belongs to is booked; empty if nothing is known of it.
func (k *Evidence) Canonical(object identity.Node) string {
	s := newSale(k)
	if !s.gather(k.Graph.Group(object)) || len(s.canonical) == 0 {
		return ""
	}
	return s.canonical[0]
}

// candidates lists whoever else could have been credited; the same click by another road is nobody else.
func (s *sale) candidates() []string {
	var others []string
	for i, c := range s.found.Found {
		if i == 0 || c.Same(s.found.Found[0]) {
			continue
		}
		if others = append(others, c.Target()); len(others) == 16 {
			break
		}
	}
	return others
}

func (s *sale) bookPayments() {
	for _, c := range s.canonical {
		f := best(s.payments[c])
		if f == nil {
			continue
		}
		e := s.entry(f, c, stripe.Payment)
		class := uint64(classBooked)
		if !f.Settled && !s.freed[c] {
			e.Status, class = Held, classHeld
		}
		finality := s.convert(&e)
		e.Version.pushFact(class, rank(f.Source), f.CreatedAt, f.ReceivedAt)
		s.pushCredit(&e, finality)
		s.entries = append(s.entries, e)
	}
	s.supersede()
}

// pushCredit ends the version of an entry that has the sale's credit.
func (s *sale) pushCredit(e *Entry, finality uint64) {
	e.Version.pushCredit(s.knowledge, s.found.Earliness, finality)
}

// supersede takes the payment away from every object under which somebody who knew less may have booked it: any payment
// intent, and any object that a fact names. It needs the alias alone, so it does not matter who comes first, and the
// money stands under the canonical object, which the same call books.
func (s *sale) supersede() {
	for _, id := range s.objects {
		if slices.Contains(s.canonical, id) || class(id) != 1 && !slices.ContainsFunc(s.Facts[id], func(f stripe.Fact) bool { return f.Kind == stripe.Payment }) {
			continue
		}
		canonical := s.canonical[0]
		e := Entry{
			Workspace: s.Workspace, ID: NewEntryID(s.account, id, stripe.Payment), Account: s.account, Livemode: s.livemode,
			Kind: stripe.Payment, ObjectID: id, SaleID: canonical, OccurredAt: time.Unix(0, 0).UTC(), ReceivedAt: time.Unix(0, 0).UTC(),
			MatchRule: join.RuleNone, Status: Superseded, SupersededBy: canonical,
		}
		e.Version.push(2, classSuperseded)
		e.Version.push(3, uint64(3-class(canonical))) // an intent's invoice outranks a session's intent
		e.Version.hi, e.Version.lo = e.Version.lo<<59, 0
		s.entries = append(s.entries, e)
	}
}

// bookRefunds books every refund, reversal and dispute of the sale, and for each charge what its cumulative figure says
// beyond them.
func (s *sale) bookRefunds() {
	byID := make(map[string][]stripe.Fact)
	cumulative := make(map[string][]stripe.Fact)
	for _, f := range s.movements {
		if f.Kind == stripe.RefundedTotal {
			cumulative[f.ObjectID] = append(cumulative[f.ObjectID], f)
		} else {
			byID[f.Kind+" "+f.ObjectID] = append(byID[f.Kind+" "+f.ObjectID], f)
		}
	}
	known, failed := make(map[string]int64), make(map[string][]*stripe.Fact)
	for _, key := range sortedKeys(byID) {
		f := best(byID[key])
		switch charge := s.chargeOf(f); f.Kind {
		case stripe.Refund:
			known[charge] += -f.Amount
		case stripe.RefundReversal:
			failed[charge] = append(failed[charge], f)
		}
		e := s.entry(f, f.ObjectID, f.Kind)
		taxRank := s.inherit(&e)
		finality := s.convert(&e)
		e.Version.pushFact(classBooked, taxRank, f.CreatedAt, f.ReceivedAt)
		s.pushCredit(&e, finality)
		s.entries = append(s.entries, e)
	}
	for _, charge := range sortedKeys(cumulative) {
		s.bookResidual(charge, cumulative[charge], known[charge], failed[charge])
	}
}

// bookResidual books what a charge's cumulative figures say beyond the refunds that were told one by one. It is zero once all of
// them are known. A refund that failed is no longer in the figures that Stripe told after it: there it must be missed, or
// another refund of as much would be taken for it.
func (s *sale) bookResidual(charge string, figures []stripe.Fact, known int64, failed []*stripe.Fact) {
	var residual, reversed int64
	for _, f := range failed {
		reversed += f.Amount
	}
	for _, figure := range figures {
		missed := int64(0)
		for _, f := range failed {
			if f.OccurredAt.Before(figure.OccurredAt) {
				missed += f.Amount
			}
		}
		residual = max(residual, figure.Amount-known+missed)
	}
	// The order is the version's: the larger figure, and of equal ones (a refund failed and another was made) the one that
	// reached us sooner after it was true.
	top := slices.MaxFunc(figures, func(a, b stripe.Fact) int {
		if d := cmp.Compare(a.Amount, b.Amount); d != 0 {
			return d
		}
		if d := cmp.Compare(b.ReceivedAt.Sub(b.CreatedAt), a.ReceivedAt.Sub(a.CreatedAt)); d != 0 {
			return d
		}
		if outranks(&a, &b) {
			return 1
		}
		return -1
	})
	e := s.entry(&top, charge, stripe.Refund)
	e.Amount = -residual
	s.inherit(&e)
	finality := s.convert(&e)
	e.Version.pushResidual(top.Amount+known+reversed, top.CreatedAt, top.ReceivedAt)
	s.pushCredit(&e, finality)
	s.entries = append(s.entries, e)
}

// chargeOf names the charge that a refund belongs to. A refund that only names the payment intent belongs to its charge,
// where there is just one.
func (s *sale) chargeOf(f *stripe.Fact) string {
	if class(f.ParentID) == 2 || s.charges != 1 {
		return f.ParentID
	}
	for _, id := range s.objects {
		if class(id) == 2 {
			return id
		}
	}
	return f.ParentID
}

// entry copies a fact and the sale's credit.
func (s *sale) entry(f *stripe.Fact, object, kind string) Entry {
	e := Entry{
		Workspace: s.Workspace, ID: NewEntryID(f.Account, object, kind), Account: f.Account, Livemode: f.Livemode, Kind: kind,
		ObjectID: object, SaleID: s.canonicalOf(object), OccurredAt: f.OccurredAt, ReceivedAt: f.ReceivedAt,
		CustomerID: f.CustomerID, ExternalCustomerID: f.ExternalID, SubscriptionID: f.SubscriptionID, BillingReason: f.BillingReason,
		Currency: f.Currency, Amount: f.Amount, Tax: f.Tax, Shipping: f.Shipping, Discount: f.Discount,
		Status: Booked, MatchCandidates: s.candidates(),
	}
	c := s.found.Best()
	e.MatchRule, e.MatchKey = c.Rule, string(c.Key)
	if c.Click != nil {
		e.Click = *c.Click
	} else {
		e.Click.AffiliateID, e.Click.ProgramID = c.AffiliateID, c.ProgramID
	}
	return e
}

// inherit gives a refund or dispute what it has from its sale: the customer, the reason for its credit, and its share of
// the tax, which Stripe does not tell. It returns the rank of the source that the tax came from.
func (s *sale) inherit(e *Entry) uint64 {
	if e.MatchRule != join.RuleNone {
		e.MatchRule, e.MatchKey = join.RuleSale, e.SaleID
	}
	if s.top == nil {
		return 0
	}
	if e.CustomerID == "" {
		e.CustomerID = s.top.CustomerID
	}
	e.ExternalCustomerID, e.SubscriptionID = s.top.ExternalID, s.top.SubscriptionID
	if s.top.Tax != 0 && e.Currency == s.top.Currency {
		e.Tax, e.TaxDerived = stripe.Share(s.top.Tax, e.Amount, s.top.Amount), true
	}
	return rank(s.top.Source)
}

// convert fills in the USD columns: by what Stripe settled, else by the rate of the movement's own day. The finality that it
// returns is the version's last field: 0 no rate, 1 provisional, 2 final, 3 Stripe's own.
func (s *sale) convert(e *Entry) uint64 {
	quote, exponent, published := s.Rates.Convert(e.Currency, e.OccurredAt)
	finality := uint64(1)
	if quote.Final {
		finality = 2
	}
	var reference *fx.Quote
	if published {
		reference = &quote
	}
	if own, ok := s.stripesRate(e, exponent, reference); ok {
		quote, finality = own, 3
	} else if !published {
		return 0
	}
	amount, err := fx.USD(e.Amount, exponent, quote.USD)
	if err != nil {
		return 0
	}
	net, err := fx.USD(e.Amount-e.Tax, exponent, quote.USD)
	if err != nil {
		return 0
	}
	e.AmountUSD, e.NetUSD, e.FXRate = &amount, &net, &quote.USD
	e.FXDate, e.FXSource, e.FXFinal = quote.Date.Time(), quote.Source, quote.Final
	return finality
}

func sortedKeys[V any](m map[string]V) []string {
	keys := make([]string, 0, len(m))
	for k := range m {
		keys = append(keys, k)
	}
	slices.Sort(keys)
	return keys
}
