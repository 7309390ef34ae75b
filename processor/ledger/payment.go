package ledger

import (
	"cmp"
	"slices"
	"time"

	"tributary/processor/identity"
	"tributary/processor/join"
	"tributary/processor/stripe"
)

// payment is one payment: a payment intent, a charge without one, a session with neither, or what
// was paid of an invoice outside Stripe.
type payment struct {
	id    string
	facts []*stripe.Fact // what its objects say of it
	// charged are the totals refunded of its charges, from which a charge is known that no event
	// reported as paid.
	charged  []*stripe.Fact
	failed   []*stripe.Fact   // that its charges failed
	tried    []attempt        // by the failures of its charges; none where no charge failed
	charges  []string         // their ids, sorted
	invoices []*invoice       // that it pays, by certain links, the smallest id first
	shares   map[string]int64 // of its invoices, where invoice payments tell them, or they are assumed
	assumed  []*invoice       // that it is assumed to pay
	group    *group

	source                          *stripe.Fact // states the amount; nil: no event does
	session                         *stripe.Fact // states the tax; nil: its invoices do, or none does
	currency, customer              string
	amount, tax, shipping, discount int64
	beyond                          int64 // what was paid beyond the total of its session
	at                              time.Time
	silent                          bool // nothing but its refunds is known
	free                            bool // may be an invoice's that no event ties it to
	awaits                          bool // its session says that an invoice will come
	ours                            bool // it carries our keys, as a sale of the seller's own does
}

// invoice is what one invoice says was paid, and who explains it.
type invoice struct {
	id       string
	facts    []*stripe.Fact // its own, and those of the sessions that stand for it
	payments []*payment     // certain ones, then assumed ones
	silent   *payment       // a payment that is only known by its refunds and is assumed to be this invoice's
	group    *group

	source    *stripe.Fact   // states the amount; nil: no event does
	customer  string         // who owes it
	terms     *stripe.Fact   // states the total and tax, also before anything is paid
	presented []*stripe.Fact // what the buyer saw in its session, which names no payment
	detached  int64          // of it was paid by payments that pay another invoice now
	paid      int64          // all that is said to be paid, what was overpaid included
	due       int64          // the least that it is said to ask for; UnknownAmount: no event says
	remainder int64          // of it that no payment explains
	parts     map[*payment]share
	rest      share
}

// share of an invoice's tax, shipping, discount and products, and of what was paid beyond its total.
type share struct {
	tax, shipping, discount, beyond int64
	products                        parts
}

// group is one group of objects that name each other.
type group struct {
	nodes     []identity.Node
	payments  map[string]*payment
	invoices  map[string]*invoice
	movements []*stripe.Fact            // refunds, reversals, disputes, and figures
	settled   map[string][]*stripe.Fact // what Stripe's balance says, by object
	credited  map[string]*stripe.Fact   // by refund: for which lines of its invoice it was made
	detached  map[string]bool           // invoice payments that were taken off their invoices
	search    *join.Search
	credit    *credit // nil: not asked for yet
	joined    *group  // by assumed links: the one that stands for all of them
}

func (g *group) head() *group {
	for g.joined != nil {
		g = g.joined
	}
	return g
}

// newGroup sorts the facts of one account and mode by payment and invoice.
func (k *Evidence) newGroup(nodes []identity.Node, of accountMode) *group {
	g := &group{
		nodes:    slices.Clone(nodes),
		payments: map[string]*payment{},
		invoices: map[string]*invoice{},
		settled:  map[string][]*stripe.Fact{},
		credited: map[string]*stripe.Fact{},
		detached: map[string]bool{},
	}
	slices.Sort(g.nodes)
	for _, n := range g.nodes {
		typ, id := n.Split()
		payment := k.paymentOf(id)
		facts := k.Facts[n]
		for i := range facts {
			if f := &facts[i]; (accountMode{f.Account, f.Livemode}) == of {
				k.place(g, f, payment)
			}
		}
		switch own := class(id); {
		case typ != identity.Object:
		case own == classInvoice:
			g.invoice(id)
		case own == classCharge && payment != "":
			p := g.payment(payment)
			p.charges = append(p.charges, id) // nodes are sorted
		case own != classInvoicePayment && payment != "":
			g.payment(payment)
		}
	}
	k.link(g)
	for _, p := range g.payments {
		p.read()
		p.customer, p.ours = k.buyer(p.customer), k.credited(p)
	}
	for _, i := range g.invoices {
		if i.read(); i.source != nil {
			i.customer = k.buyer(i.source.CustomerID)
		}
	}
	times := g.times(k)
	g.search = join.NewSearch(k.Graph, k.Clicks, g.nodes, times, k.Policies.At(times.First))
	return g
}

// credited reports whether an event named who is to be credited with a payment itself, and not only
// with its buyer: our keys are in its metadata. A promotion code may stand on anything.
func (k *Evidence) credited(p *payment) bool {
	objects := append(slices.Clone(p.charges), p.id)
	for _, id := range objects {
		for _, e := range k.Graph.From(identity.New(identity.Object, id)) {
			switch e.B.Type() {
			case identity.Click, identity.Reference, identity.External, identity.Affiliate:
				return true
			}
		}
	}
	return false
}

// place gives a fact to whom it is about. id is the payment that the fact's object belongs to, as
// paymentOf returns it.
func (k *Evidence) place(g *group, f *stripe.Fact, id string) {
	switch {
	case f.Kind == stripe.Payment && f.Source == stripe.FromInvoice:
		g.invoice(f.ObjectID).facts = append(g.invoice(f.ObjectID).facts, f)
	case f.Kind == stripe.Payment || f.Kind == stripe.Presented || f.Kind == stripe.Authorization:
		if f.Source == stripe.FromInvoicePayment && f.ParentID != "" {
			id = cmp.Or(k.paymentOf(f.ParentID), f.ParentID)
		}
		if id != "" {
			g.payment(id).facts = append(g.payment(id).facts, f)
		}
		if f.Source == stripe.FromSession && (f.Kind == stripe.Payment || id == "") {
			k.placeSession(g, f, id)
		}
	case f.Kind == stripe.Detached:
		g.detached[f.ObjectID] = true
	case f.Kind == stripe.Credited:
		if known := g.credited[f.ObjectID]; known == nil || compareFacts(f, known) < 0 {
			g.credited[f.ObjectID] = f
		}
	case isSettlement(f.Kind):
		g.settled[f.ObjectID] = append(g.settled[f.ObjectID], f)
	default:
		if id != "" && f.Kind == stripe.RefundedTotal {
			g.payment(id).charged = append(g.payment(id).charged, f)
		} else if id != "" && f.Kind == stripe.Failed {
			g.payment(id).failed = append(g.payment(id).failed, f)
		}
		g.movements = append(g.movements, f)
	}
}

// placeSession gives a session's amount to the invoice that it names, or stands for.
func (k *Evidence) placeSession(g *group, f *stripe.Fact, payment string) {
	invoice := f.InvoiceID
	if payment == "" && invoice == "" {
		for _, e := range k.Graph.From(identity.New(identity.Object, f.ObjectID)) {
			if typ, id := e.B.Split(); typ == identity.Object && class(id) == classInvoice {
				invoice = smaller(invoice, id)
			}
		}
	}
	switch {
	case invoice == "":
	case f.Kind == stripe.Presented:
		g.invoice(invoice).presented = append(g.invoice(invoice).presented, f)
	default:
		g.invoice(invoice).facts = append(g.invoice(invoice).facts, f)
	}
}

func (g *group) payment(id string) *payment {
	p := g.payments[id]
	if p == nil {
		p = &payment{id: id, shares: map[string]int64{}, group: g}
		g.payments[id] = p
	}
	return p
}

func (g *group) invoice(id string) *invoice {
	i := g.invoices[id]
	if i == nil {
		i = &invoice{id: id, due: stripe.UnknownAmount, parts: map[*payment]share{}, group: g}
		g.invoices[id] = i
	}
	return i
}

// link ties payments to the invoices that any event says they pay. A refund that a credit note of
// an invoice names ties its own payment to that invoice.
func (k *Evidence) link(g *group) {
	tie := func(i *invoice, payment string) {
		if p := g.payments[payment]; p != nil && !slices.Contains(p.invoices, i) {
			p.invoices = append(p.invoices, i)
			i.payments = append(i.payments, p)
		}
	}
	for _, id := range sortedKeys(g.invoices) {
		i := g.invoices[id]
		for _, e := range k.Graph.From(identity.New(identity.Object, id)) {
			typ, other := e.B.Split()
			if typ == identity.Object {
				tie(i, k.paymentOf(other))
				continue
			}
			if typ != identity.Movement {
				continue
			}
			for _, e := range k.Graph.From(e.B) {
				if typ, other := e.B.Split(); typ == identity.Object {
					tie(i, k.paymentOf(other))
				}
			}
		}
	}
	for _, id := range sortedKeys(g.payments) {
		p := g.payments[id]
		var largest map[[2]string]int64 // by invoice payment: its event may come twice
		for _, f := range p.facts {
			if f.InvoiceID != "" {
				tie(g.invoice(f.InvoiceID), p.id)
			}
			if f.Source != stripe.FromInvoicePayment {
				continue
			}
			if largest == nil {
				largest = make(map[[2]string]int64)
			}
			key := [2]string{f.InvoiceID, f.ObjectID}
			largest[key] = max(largest[key], f.Amount)
		}
		g.share(p, largest)
		slices.SortFunc(p.invoices, func(a, b *invoice) int { return cmp.Compare(a.id, b.id) })
	}
}

// share notes how much a payment paid of each invoice, by invoice and invoice payment. One that was
// taken off its invoice pays none of it once it pays another; until then it stays where it was.
func (g *group) share(p *payment, paid map[[2]string]int64) {
	if len(paid) == 0 {
		return
	}
	off := map[string]int64{}
	for key, amount := range paid {
		if g.detached[key[1]] {
			off[key[0]] += amount
		} else {
			p.shares[key[0]] += amount
		}
	}
	if len(p.shares) == 0 {
		p.shares = off
	}
	for id, amount := range off {
		if _, pays := p.shares[id]; !pays {
			p.shares[id] = 0
			g.invoice(id).detached += amount
		}
	}
}

// read finds the amount and time of a payment in its facts.
//
// What was captured counts: of all captures the sum, which only grows. A session that names no
// invoice states the amount where no capture is known, or none in the seller's currency. Where
// neither is known, what the payment's invoice payments say.
func (p *payment) read() {
	var explained bool
	for _, f := range p.facts {
		if f.Kind != stripe.Payment {
			continue
		}
		p.customer = cmp.Or(p.customer, f.CustomerID)
		switch {
		case f.Source == stripe.FromInvoicePayment:
		case f.InvoiceID == "" && f.Certain:
			explained = true
		case f.InvoiceID == "" && f.Source == stripe.FromSession:
			p.awaits = true
		}
	}
	p.free = len(p.invoices) == 0 && (!explained || p.awaits)
	captures := p.facts
	if len(p.failed) > 0 {
		p.tried = p.attempts()
		captures = p.tried[max(0, p.firstTried())].captures
	}
	captured := mostCaptured(captures)
	if p.source = p.bestSession(func(f *stripe.Fact) bool { return f.Amount != 0 }); p.source != nil {
		p.amount = p.source.Amount
		if captured != nil && captured.Currency == p.source.Currency {
			p.amount = captured.Amount
		}
		p.divideSession(p.source)
	} else if p.source = captured; captured != nil {
		p.amount = captured.Amount
		p.divideSession(p.bestSession(func(f *stripe.Fact) bool { return f.Currency == captured.Currency }))
	} else if p.source = best(p.facts,
		func(f *stripe.Fact) bool { return f.Source == stripe.FromInvoicePayment }); p.source != nil {
		for _, amount := range p.shares {
			p.amount += amount
		}
	}
	if p.source == nil {
		p.readSilent()
		return
	}
	p.currency, p.at = p.source.Currency, p.when(captures)
	p.readAgain(captured)
}

// bestSession returns the best of the wanted facts of the payment's sessions that name no invoice.
func (p *payment) bestSession(wanted func(*stripe.Fact) bool) *stripe.Fact {
	return best(p.facts, func(f *stripe.Fact) bool {
		return f.Kind == stripe.Payment && f.Source == stripe.FromSession && f.InvoiceID == "" && wanted(f)
	})
}

// divideSession gives the payment its share of the tax, shipping and discount of its session, whose
// total may be more or less than what was captured.
func (p *payment) divideSession(session *stripe.Fact) {
	if session == nil {
		return
	}
	p.session = session
	total := max(session.Total, session.Amount)
	of := func(whole int64) int64 { return stripe.Share(whole, min(p.amount, total), total) }
	p.tax, p.shipping, p.discount = of(session.Tax), of(session.Shipping), of(session.Discount)
	p.beyond = max(0, p.amount-total)
}

// parts returns tax, shipping and discount as the payment intent itself states them, for a payment
// that no session and no invoice states them for.
func (p *payment) parts() (tax, shipping, discount int64) {
	f := best(p.facts, func(f *stripe.Fact) bool {
		return f.Source == stripe.FromPaymentIntent && f.Kind == stripe.Payment && f.Total > 0 && f.Currency == p.currency
	})
	if f == nil {
		return 0, 0, 0
	}
	of := func(whole int64) int64 { return stripe.Share(whole, min(p.amount, f.Total), f.Total) }
	return of(f.Tax), of(f.Shipping), of(f.Discount)
}

// when a payment was made: by its first capture, else as its invoice payments say, else when its
// session was completed.
func (p *payment) when(captures []*stripe.Fact) time.Time {
	first := map[int]time.Time{}
	for _, f := range captures {
		if isCapture(f) && (first[0].IsZero() || f.OccurredAt.Before(first[0])) {
			first[0] = f.OccurredAt
		}
	}
	for _, f := range p.facts {
		order := 1
		switch {
		case f.Kind != stripe.Payment || f.Amount == 0 || isCapture(f):
			continue
		case f.Source == stripe.FromSession:
			order = 2
		}
		if at := first[order]; at.IsZero() || f.OccurredAt.Before(at) {
			first[order] = f.OccurredAt
		}
	}
	for order := range 3 {
		if at := first[order]; !at.IsZero() {
			return at
		}
	}
	return time.Time{}
}

// readSilent reads a payment of which only the refunds are known. It books nothing.
func (p *payment) readSilent() {
	f := best(p.charged, func(f *stripe.Fact) bool { return f.CustomerID != "" })
	if f == nil {
		return
	}
	p.silent, p.free = true, len(p.invoices) == 0
	p.currency, p.customer, p.amount, p.at = f.Currency, f.CustomerID, f.Total, f.OccurredAt
	if f.Captured > 0 {
		p.amount = f.Captured
	}
}

// read finds what an invoice says was paid of it, and for which total and tax it was issued. The
// second may be known first, from an invoice that is not paid yet.
func (i *invoice) read() {
	for _, f := range i.facts {
		if i.source == nil || statesMore(f, i.source) {
			i.source = f
		}
	}
	if i.source == nil {
		return
	}
	i.terms = i.source
	if i.source.Source != stripe.FromInvoice {
		issued := best(i.facts, func(f *stripe.Fact) bool {
			return f.Source == stripe.FromInvoice && f.Currency == i.source.Currency
		})
		if issued != nil {
			i.terms = issued
		}
	}
	for _, f := range i.facts {
		if f.Currency != i.source.Currency {
			continue
		}
		if f.Source == i.source.Source {
			i.paid = max(i.paid, f.Amount)
		}
		if f.Source == stripe.FromInvoice && f.Due != stripe.UnknownAmount &&
			(i.due == stripe.UnknownAmount || f.Due < i.due) {
			i.due = f.Due // credit notes lessen it until it is paid
		}
	}
}

// saysPaid reports whether a fact says that its invoice was paid, if only by the customer's
// balance.
func saysPaid(f *stripe.Fact) bool {
	return f.Amount != 0 || f.Certain && f.Source == stripe.FromInvoice
}

// statesMore reports whether an invoice's fact states more than another: one that says that it was
// paid, then the invoice itself before a session of it, then the one that says that more was paid.
func statesMore(f, than *stripe.Fact) bool {
	if paid, theirs := saysPaid(f), saysPaid(than); paid != theirs {
		return paid
	}
	if own, theirs := f.Source == stripe.FromInvoice, than.Source == stripe.FromInvoice; own != theirs {
		return own
	}
	if f.Amount != than.Amount {
		return f.Amount > than.Amount
	}
	return compareFacts(f, than) < 0
}

// explained by a payment of an invoice, in the invoice's currency: all that a payment of this
// invoice alone moved; of a payment of several invoices its share, or, where no event states it, so
// much of what its other shares leave as the invoices before this one need.
func (i *invoice) explained(p *payment) int64 {
	if amount, known := i.share(p); known || p.source == nil {
		return amount
	}
	if p.currency != i.source.Currency {
		return i.paid // what cannot be compared is not booked twice
	}
	left := p.amount
	for _, amount := range p.shares {
		left -= amount
	}
	for _, other := range p.invoices {
		need := min(max(0, left), other.open(p))
		if other == i {
			return need
		}
		if _, known := p.shares[other.id]; !known {
			left -= need
		}
	}
	return 0
}

// share returns how much of an invoice a payment paid, and reports whether that is known.
func (i *invoice) share(p *payment) (amount int64, known bool) {
	amount, known = p.shares[i.id]
	if p.source == nil {
		return 0, false
	}
	if p.currency == i.source.Currency && len(p.invoices) == 1 && len(p.assumed) == 0 {
		return p.amount, true
	}
	return amount, known
}

// overpaid is what an invoice says was paid beyond what was due: 0 where it does not say.
func (i *invoice) overpaid() int64 {
	if i.due == stripe.UnknownAmount {
		return 0
	}
	return max(0, i.paid-i.due)
}

// open is what is left of an invoice for a payment, by the shares of all others that are known.
func (i *invoice) open(p *payment) int64 {
	left := i.paid
	for _, other := range i.payments {
		if other != p && i.source != nil {
			amount, _ := i.share(other)
			left -= amount
		}
	}
	return max(0, left)
}

// sale is the id under which a payment's sale is known: its invoice, the first by id of several, else
// the payment itself.
func (p *payment) sale() string {
	id := ""
	if len(p.invoices) > 0 {
		id = p.invoices[0].id
	}
	for _, i := range p.assumed {
		if id == "" || i.id < id {
			id = i.id
		}
	}
	return cmp.Or(id, p.id)
}

// sale is the id under which an invoice's remainder is sold: the invoice itself, unless a payment
// that is only known by its refunds paid several.
func (i *invoice) sale() string {
	if i.silent != nil {
		return i.silent.sale()
	}
	return i.id
}

// times of a group's payments, by all sources. A payment that is only known by its refunds was made
// in the hour of its charge.
func (g *group) times(k *Evidence) join.Times {
	var at join.Times
	widen := func(t time.Time) {
		if t.After(at.Last) {
			at.Last = t
		}
		if at.First.IsZero() || t.Before(at.First) {
			at.First = t
		}
	}
	for _, p := range g.payments {
		for _, f := range p.facts {
			if f.Kind == stripe.Payment && f.Amount != 0 { // a session may be days before its payment
				widen(f.OccurredAt)
			}
		}
	}
	for _, i := range g.invoices {
		for _, f := range i.facts {
			if f.Amount != 0 { // an invoice may be issued a month before it is paid
				widen(f.OccurredAt)
			}
		}
	}
	if !at.First.IsZero() {
		return at
	}
	for _, n := range g.nodes {
		for _, e := range k.Graph.From(n) {
			if t, ok := e.B.HourTime(); ok {
				widen(t)
				widen(t.Add(time.Hour))
			}
		}
	}
	return at
}
