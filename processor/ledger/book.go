package ledger

import (
	"cmp"
	"maps"
	"slices"
	"time"

	"github.com/shopspring/decimal"

	"tributary/processor/fx"
	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// books are the sales of one account and mode that may bear on each other, while their rows are
// computed.
type books struct {
	*Evidence
	accountMode
	crowded bool
	extent  extent
	groups  []*group
	sales   map[string]*sale
	entries []Entry
}

// Book appends to entries all rows of the sale that object belongs to, and of all sales that may
// bear on it. It also returns the objects of all these sales, so that a caller with many changed
// objects books each sale once.
func (k *Evidence) Book(entries []Entry, object identity.Node) (_ []Entry, objects []identity.Node) {
	groups, near, _ := k.Near(object, nil, 4*MostNear)
	for _, b := range k.open(groups, near) {
		entries = slices.Grow(entries, b.most())
		entries = append(entries, b.book(entries[len(entries):])...)
		for _, g := range b.groups {
			objects = append(objects, g.nodes...)
		}
	}
	return entries, append(objects, groups[0]...)
}

// open sorts the evidence on groups, as Near returns them, by account and mode: there is one,
// unless somebody made ids up. Where too many lie near each other, each group is on its own.
func (k *Evidence) open(groups [][]identity.Node, near int) []*books {
	var list []*books
	add := func(crowded bool, groups ...[]identity.Node) {
		var x extent
		var accounts []accountMode
		for _, nodes := range groups {
			for _, n := range nodes {
				facts := k.Facts[n]
				for i := range facts {
					f := &facts[i]
					x.add(f.ReceivedAt)
					if a := (accountMode{f.Account, f.Livemode}); !slices.Contains(accounts, a) {
						accounts = append(accounts, a)
					}
				}
			}
		}
		x.names(k, groups)
		for _, of := range accounts {
			b := &books{Evidence: k, accountMode: of, crowded: crowded, extent: x, sales: map[string]*sale{}}
			for _, nodes := range groups {
				g := k.newGroup(nodes, of)
				k.credit(g)
				b.groups = append(b.groups, g)
			}
			b.explain()
			list = append(list, b)
		}
	}
	if near <= MostNear {
		add(false, groups...)
		return list
	}
	for _, nodes := range groups {
		add(true, nodes)
	}
	return list
}

// credit finds who is credited with the sales of a group.
func (k *Evidence) credit(g *group) {
	times := g.times()
	g.search = join.NewSearch(k.Graph, k.Clicks, g.nodes, times, k.Policies.At(times.First))
	k.divideCredit(g)
}

// book computes the rows of all groups and appends them to empty, a slice of length 0 whose array
// is used again.
func (b *books) book(empty []Entry) []Entry {
	b.entries = empty
	for _, p := range b.payments() {
		b.bookPayment(p)
	}
	for _, i := range b.invoices() {
		b.bookRemainder(i)
	}
	for _, g := range b.groups {
		b.bookMoneyOut(g)
	}
	notes := b.creditNotes()
	products := b.lineProducts(notes)
	for _, id := range sortedKeys(b.sales) {
		b.shareTax(b.sales[id], notes)
		b.shareProducts(b.sales[id], products)
	}
	if b.Hold != nil {
		b.hold(b.Hold(b.livemode))
	}
	for n := range b.entries {
		e := &b.entries[n]
		class := uint64(classBooked)
		var rate rateRank
		if e.Status == Superseded {
			class = classSuperseded
		} else {
			rate = b.convert(e)
		}
		e.Version = newVersion(class, b.crowded, b.extent, rate)
	}
	return b.entries
}

// most is about how many entries there will be: the rows are large, and moving them takes long.
func (b *books) most() int {
	n := 0
	for _, g := range b.groups {
		n += len(g.payments) + len(g.invoices) + len(g.movements)
	}
	return n
}

// bookPayment books a payment, and takes it away from every object under which somebody who knew
// less may have booked it.
func (b *books) bookPayment(p *payment) {
	if p.source == nil {
		if sold := soldBy(p.charged); sold.named() {
			s := b.sale(p.sale())
			s.known, s.named = s.known.plus(sold), true
		}
		b.owe(p)
		return
	}
	e := b.entry(p.group, p.sale(), p.source, p.id, stripe.Payment, "")
	e.OccurredAt, e.Amount, e.charge = p.at, p.amount, p.chargeOf(max(0, p.firstTried()))
	invoices := slices.Concat(p.invoices, p.assumed)
	if p.session == nil && len(invoices) == 0 {
		e.Tax, e.Shipping, e.Discount = p.parts()
	}
	if p.session != nil {
		of := func(whole int64) int64 { return stripe.Share(whole, p.unstated(invoices), p.amount) }
		e.Tax, e.Shipping, e.Discount, e.beyond = of(p.tax), of(p.shipping), of(p.discount), of(p.beyond)
	}
	for _, i := range invoices {
		s := i.parts[p]
		e.Tax, e.Shipping, e.Discount = e.Tax+s.tax, e.Shipping+s.shipping, e.Discount+s.discount
		e.beyond += s.beyond
	}
	facts := p.facts
	for _, i := range invoices {
		facts = append(slices.Clone(facts), i.facts...)
	}
	describe(&e, facts)
	for _, i := range p.former { // the buyer is the same, and the subscription is the invoice's alone
		customer, external := i.buyer()
		e.CustomerID, e.ExternalCustomerID = cmp.Or(e.CustomerID, customer), cmp.Or(e.ExternalCustomerID, external)
	}
	e.divide(p.sold(invoices))
	b.entries = append(b.entries, e)
	s, failed := b.sale(e.SaleID), p.failure(max(0, p.firstTried()))
	s.add(&e, failed)
	for _, i := range invoices {
		s.present(&e, failed, i.presented)
	}
	s.present(&e, failed, p.facts)
	b.bookAgain(p, e)
	for _, f := range p.facts {
		// Without the name of its payment intent, or invoice, this fact alone would be booked under
		// its own object.
		if f.Kind == stripe.Payment && f.ObjectID != p.id && f.ParentID == "" &&
			(f.InvoiceID == "" || f.Source != stripe.FromSession) {
			b.supersede(f.ObjectID, p.id)
		}
	}
}

// owe notes what a payment that is not booked was made of, as its session or its only invoice says:
// what goes back of it takes its share of the tax, as of any other payment. Where the invoice says
// that it was paid, its remainder is that payment.
func (b *books) owe(p *payment) {
	if !p.silent || p.amount <= 0 || len(p.assumed) > 0 {
		return
	}
	owed := paid{amount: p.amount, tax: p.tax, beyond: p.beyond}
	switch {
	case len(p.invoices) == 1:
		i := p.invoices[0]
		if i.source == nil || i.paid > 0 || len(i.payments) > 1 || i.source.Currency != p.currency {
			return
		}
		total, tax := i.lessCredited(i.terms.Total)
		asked := min(i.asked(), total)
		owed.tax, owed.beyond = stripe.Share(tax, min(p.amount, asked), total), max(0, p.amount-asked)
	case len(p.invoices) > 1 || p.session == nil:
		return
	}
	b.sale(p.sale()).paid[pool{currency: p.currency}] = &owed
}

// describe fills in what a row says of the buyer, by the richest source that knows it.
func describe(e *Entry, facts []*stripe.Fact) {
	sorted := make([]*stripe.Fact, 0, len(facts))
	for _, f := range facts {
		if f.Kind == stripe.Payment {
			sorted = append(sorted, f)
		}
	}
	slices.SortFunc(sorted, compareFacts)
	for _, f := range sorted {
		e.CustomerID = cmp.Or(e.CustomerID, f.CustomerID)
		e.ExternalCustomerID = cmp.Or(e.ExternalCustomerID, f.ExternalID)
		e.SubscriptionID = cmp.Or(e.SubscriptionID, f.SubscriptionID)
		e.BillingReason = cmp.Or(e.BillingReason, f.BillingReason)
	}
}

// supersede writes that the payment of an object is booked under another one. It needs only the
// edge between the two, and writes the row whether or not the object was booked before. So the
// order of events does not matter.
func (b *books) supersede(object, by string) {
	id := NewEntryID(b.account, b.livemode, object, stripe.Payment, "")
	for n := range b.entries {
		if b.entries[n].ID == id {
			return
		}
	}
	b.entries = append(b.entries, b.superseded(id, stripe.Payment, object, by))
}

func (b *books) superseded(id EntryID, kind, object, by string) Entry {
	return Entry{
		Workspace: b.Workspace, ID: id, Account: b.account, Livemode: b.livemode, Kind: kind,
		ObjectID: object, SaleID: by, OccurredAt: time.Unix(0, 0).UTC(), ReceivedAt: time.Unix(0, 0).UTC(),
		MatchRule: join.RuleNone, Status: Superseded, SupersededBy: by,
	}
}

// hold gives the entries of an account that no workspace lists their status. Once a workspace lists
// it they are booked there, under the same objects, and superseded here.
func (b *books) hold(status Status) {
	for n := range b.entries {
		switch e := &b.entries[n]; {
		case e.Status == Superseded:
		case status == Superseded:
			*e = b.superseded(e.ID, e.Kind, e.ObjectID, e.ObjectID)
		default:
			e.Status = status
		}
	}
}

// bookRemainder books what an invoice says was paid and no payment explains. It is zero once all
// payments are known. While neither it nor a session of it says that anything was paid there is
// none, and nobody who knew less has booked one.
func (b *books) bookRemainder(i *invoice) {
	if !slices.ContainsFunc(i.facts, func(f *stripe.Fact) bool { return f.Amount != 0 }) {
		return
	}
	e := b.entry(i.group, i.sale(), i.source, i.id, stripe.Payment, "")
	e.Amount = i.remainder
	e.Tax, e.Shipping, e.Discount, e.beyond = i.rest.tax, i.rest.shipping, i.rest.discount, i.rest.beyond
	describe(&e, i.facts)
	e.divide(i.rest.products)
	b.entries = append(b.entries, e)
	s := b.sale(e.SaleID)
	s.add(&e, "")
	s.present(&e, "", i.presented)
	for _, f := range i.facts {
		if f.Source == stripe.FromSession && f.ParentID == "" && f.InvoiceID == "" {
			b.supersede(f.ObjectID, i.id)
		}
	}
}

// entry copies a fact and the credit of its sale.
func (b *books) entry(g *group, sale string, f *stripe.Fact, object, kind, part string) Entry {
	e := Entry{
		Workspace: b.Workspace, ID: NewEntryID(b.account, b.livemode, object, kind, part), Account: b.account,
		Livemode: b.livemode, Kind: kind,
		ObjectID: object, SaleID: sale, OccurredAt: f.OccurredAt, ReceivedAt: f.ReceivedAt, CustomerID: f.CustomerID,
		Currency: f.Currency, Status: Booked,
	}
	c := b.credit(g, sale)
	e.MatchRule, e.MatchKey, e.MatchCandidates = c.Rule, string(c.Key), c.others
	if c.Click != nil {
		e.Click = *c.Click
	} else {
		e.Click.AffiliateID, e.Click.ProgramID = c.AffiliateID, c.ProgramID
	}
	return e
}

// credit is who is credited with all entries of a sale, and the others who could have been.
type credit struct {
	join.Credit
	others []string
}

func (b *books) credit(g *group, sale string) *credit {
	if g.credit != nil {
		return g.credit
	}
	best, others := join.Merge(b.searches(g, sale)...)
	c := &credit{Credit: best}
	for _, o := range others[:min(len(others), 16)] {
		c.others = append(c.others, o.Target())
	}
	if !b.divided(g) {
		g.credit = c
	}
	return c
}

// searches of all groups that are assumed to be one sale, or of the parts of them that are. A group
// that is only known by its refunds says nothing of when the sale was, so the others decide.
func (b *books) searches(of *group, sale string) []*join.Search {
	var selling map[*group]bool // nil: all of them
	if b.divided(of) {
		selling = b.selling(sale)
	}
	var list []*join.Search
	for _, g := range b.groups {
		if g.head() != of.head() || g.silent() && (g != of || g.head() != g) {
			continue
		}
		if selling == nil {
			list = append(list, g.search)
			continue
		}
		for _, id := range slices.Concat(sortedKeys(g.payments), sortedKeys(g.invoices)) {
			if part := g.of(id); selling[part] {
				list = append(list, part.search)
				delete(selling, part)
			}
		}
	}
	if len(list) == 0 {
		return []*join.Search{of.of(sale).search}
	}
	return list
}

// silent reports whether nothing but refunds is known of a group's payments.
func (g *group) silent() bool {
	for _, p := range g.payments {
		if p.source != nil {
			return false
		}
	}
	return len(g.invoices) == 0
}

// convert fills in the USD columns: by what Stripe settled, else by the rate of the movement's own
// day. It returns the rate's fields of the version; the finality is 0 without a rate, 1
// provisional, 2 final, 3 Stripe's own. An amount of 0 needs no rate and waits for none.
func (b *books) convert(e *Entry) rateRank {
	if e.Amount == 0 {
		var zero decimal.Decimal
		e.AmountUSD, e.NetUSD = &zero, &zero
		return rateRank{}
	}
	quote, exponent, published := b.Rates.Convert(e.Currency, e.OccurredAt)
	rank := rateRank{revised: max(0, quote.RevisedAt.Unix())}
	none := rank
	if rank.finality = 1; quote.Final {
		rank.finality = 2
	}
	var reference *fx.Quote
	if published {
		reference = &quote
	}
	if own, ok := b.stripesRate(e, exponent, reference); ok {
		quote, rank.finality = own, 3
	} else if !published {
		return none
	}
	amount, err := fx.USD(e.Amount, exponent, quote.USD)
	if err != nil {
		return none
	}
	net := amount
	if e.Tax != 0 {
		if net, err = fx.USD(e.Amount-e.Tax, exponent, quote.USD); err != nil {
			return none
		}
	}
	e.AmountUSD, e.NetUSD, e.FXRate = &amount, &net, &quote.USD
	e.FXDate, e.FXSource, e.FXFinal = quote.Date.Time(), quote.Source, quote.Final
	return rank
}

func sortedKeys[V any](m map[string]V) []string {
	keys := slices.AppendSeq(make([]string, 0, len(m)), maps.Keys(m))
	slices.Sort(keys)
	return keys
}
