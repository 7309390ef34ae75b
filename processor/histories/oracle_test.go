package histories

import (
	"cmp"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"tributary/deploy/loadgen/traffic"
	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/schemas"
)

// oracle is what an endpoint's events can say of a World, found without the processor's code.
type oracle struct {
	sales    map[string]*trueSale   // by id
	saleOf   map[string]*trueSale   // by any object's id
	chargeOf map[string]string      // of refunds
	captures map[string][]time.Time // by payment intent: the events of it or of its charges that money moved
	failures map[string][]time.Time // by payment intent: the events that a charge of it failed
	shared   map[string]time.Time   // by payment intent or record: when its invoice payment was paid
	session  map[string]time.Time   // by payment intent: of a paid session that names it
	taxed    map[string]bool        // sales whose tax is known: by session or invoice
	invoices map[string]time.Time   // paid, by the latest event that says so
	amounts  map[string]int64       // that they say was paid
	currency map[string]string      // of payment intents
	links    map[[2]string]bool     // payment intent or charge, and invoice
	refunds  map[string]bool        // refund objects by id, and " failed" behind the id of those that failed
	figures  map[string][]time.Time // by charge: when events said how much of it was refunded
	moved    map[string]bool        // balance transactions
	owed     map[string]bool        // invoices of which an event says who owes them
	unmoved  map[string]*trueSale   // by invoice: a session says that it was paid, and nothing moved
	noted    map[string]string      // the invoices of credit notes, by their refund
	lessened map[string]bool        // invoices that credit notes lessened before they were paid
	vague    map[string]bool        // customers whose payments were attached or taken off without an event that says so
	moves    bool                   // events say which invoices payments are attached to, and taken off
}

// trueSale is a sale with all its movements.
type trueSale struct {
	id       string
	payments []traffic.Movement
	out      []traffic.Movement
	unsure   string // why its rows cannot be reported from the events
}

// stripeObject is what the oracle reads of any of Stripe's objects.
type stripeObject struct {
	ID, Object, Invoice, Charge, Status, Currency string
	Customer                                      string
	CustomerAccount                               string `json:"customer_account"`
	PaymentIntent                                 string `json:"payment_intent"`
	PaymentStatus                                 string `json:"payment_status"`
	Captured                                      *bool
	AmountReceived                                int64  `json:"amount_received"`
	OutOfBandAmount                               int64  `json:"out_of_band_amount"`
	AmountPaid                                    int64  `json:"amount_paid"`
	AmountOverpaid                                int64  `json:"amount_overpaid"`
	AmountTotal                                   int64  `json:"amount_total"`
	AmountRefunded                                *int64 `json:"amount_refunded"`
	Payment                                       struct {
		PaymentIntent string `json:"payment_intent"`
	}
	Total             int64
	StatusTransitions struct {
		PaidAt int64 `json:"paid_at"`
	} `json:"status_transitions"`
	BalanceTransactions []struct{ ID string } `json:"balance_transactions"`
	Refund, Type        string                // of a credit note
}

// report is one event of a World, read.
type report struct {
	traffic.Delivery
	object stripeObject
}

// reports of a World, each event once.
func reports(tb testing.TB, w *traffic.World) []report {
	tb.Helper()
	var list []report
	seen := map[string]bool{}
	for _, d := range w.Deliveries {
		if seen[d.EventID] {
			continue
		}
		seen[d.EventID] = true
		var e struct{ Data struct{ Object stripeObject } }
		if err := json.Unmarshal(d.Body, &e); err != nil {
			tb.Fatalf("%v: %s", err, d.Body)
		}
		list = append(list, report{d, e.Data.Object})
	}
	return list
}

// listen reads what a subscription receives of a World's reports.
func listen(w *traffic.World, all []report, sub subscription) *oracle {
	o := &oracle{
		sales: map[string]*trueSale{}, saleOf: map[string]*trueSale{}, chargeOf: map[string]string{},
		captures: map[string][]time.Time{}, failures: map[string][]time.Time{},
		shared: map[string]time.Time{}, session: map[string]time.Time{},
		taxed: map[string]bool{}, invoices: map[string]time.Time{}, amounts: map[string]int64{},
		currency: map[string]string{}, links: map[[2]string]bool{},
		refunds: map[string]bool{}, figures: map[string][]time.Time{}, moved: map[string]bool{},
		owed: map[string]bool{}, unmoved: map[string]*trueSale{},
		noted: map[string]string{}, lessened: map[string]bool{}, vague: map[string]bool{},
	}
	o.moves = !slices.ContainsFunc([]string{"checkout.session.completed", "invoice.paid", "invoice_payment.paid",
		"invoice_payment.detached"}, func(event string) bool { return !sub.receives(event) })
	for _, m := range w.Delivered(sub.receives) {
		s := o.sales[m.Sale]
		if s == nil {
			s = &trueSale{id: m.Sale}
			o.sales[m.Sale] = s
		}
		for _, id := range append([]string{m.Object, m.Sale}, m.Aliases...) {
			o.saleOf[id] = s
		}
		if m.Kind == traffic.Payment {
			s.payments = append(s.payments, m)
		} else {
			s.out = append(s.out, m)
		}
	}
	for _, r := range all {
		if r.object.Object == "refund" {
			o.chargeOf[r.object.ID] = r.object.Charge
		}
		if sub.receives(r.Type) {
			o.note(r.Delivery, r.object)
		}
	}
	for refund, invoice := range o.noted {
		for _, s := range o.sales {
			for _, m := range s.payments {
				if o.refunds[refund] && m.Charge == o.chargeOf[refund] {
					o.links[[2]string{m.Object, invoice}] = true
				}
			}
		}
	}
	o.doubt()
	return o
}

// note keeps what one event says.
func (o *oracle) note(d traffic.Delivery, x stripeObject) {
	earliest := func(m map[string]time.Time, id string) {
		if at := m[id]; id != "" && (at.IsZero() || d.Created.Before(at)) {
			m[id] = d.Created
		}
	}
	switch x.Object {
	case "payment_intent":
		if d.Type == "payment_intent.succeeded" {
			o.captures[x.ID] = append(o.captures[x.ID], d.Created)
			o.currency[x.ID] = x.Currency
		}
		o.links[[2]string{x.ID, x.Invoice}] = true
	case "charge":
		if x.AmountRefunded != nil && (d.Type == "charge.refunded" || d.Type == "charge.updated") {
			o.figures[x.ID] = append(o.figures[x.ID], d.Created)
		}
		if (d.Type == "charge.succeeded" || d.Type == "charge.captured") && (x.Captured == nil || *x.Captured) {
			o.captures[x.PaymentIntent] = append(o.captures[x.PaymentIntent], d.Created)
			o.currency[x.PaymentIntent] = x.Currency
		}
		if d.Type == "charge.failed" && (x.Captured == nil || *x.Captured) { // others were declined, and moved nothing
			o.refunds[x.ID] = true
			o.failures[x.PaymentIntent] = append(o.failures[x.PaymentIntent], d.Created)
		}
		o.links[[2]string{x.PaymentIntent, x.Invoice}] = true
	case "checkout.session":
		if x.PaymentStatus == "paid" {
			if x.Invoice != "" && o.saleOf[x.Invoice] == nil {
				o.unmoved[x.Invoice] = &trueSale{id: x.Invoice, payments: []traffic.Movement{{
					Object: x.Invoice, Sale: x.Invoice, Customer: cmp.Or(x.Customer, x.CustomerAccount),
					OccurredAt: d.Created,
				}}}
			}
			earliest(o.session, x.PaymentIntent)
			earliest(o.invoices, x.Invoice)
			o.amounts[x.Invoice] = max(o.amounts[x.Invoice], x.AmountTotal)
		}
		// A session that completes unpaid states the tax of its payment intent.
		id := cmp.Or(x.Invoice, x.PaymentIntent, x.ID)
		if s := o.saleOf[id]; s != nil && (x.PaymentStatus == "paid" || id == x.PaymentIntent) {
			o.taxed[s.id] = true
		}
		o.links[[2]string{x.PaymentIntent, x.Invoice}] = true
	case "invoice":
		o.owed[x.ID] = true
		if x.AmountPaid > 0 && x.Status == "paid" {
			o.invoices[x.ID] = time.Unix(x.StatusTransitions.PaidAt, 0).UTC()
			o.amounts[x.ID] = x.AmountPaid + x.AmountOverpaid
		}
		if s := o.saleOf[x.ID]; s != nil && x.Total != 0 {
			o.taxed[s.id] = true
		}
		o.links[[2]string{x.PaymentIntent, x.ID}] = true
	case "invoice_payment":
		paidAt := time.Unix(x.StatusTransitions.PaidAt, 0).UTC()
		o.shared[cmp.Or(x.Payment.PaymentIntent, x.ID)] = paidAt
		o.links[[2]string{cmp.Or(x.Payment.PaymentIntent, x.ID), x.Invoice}] = true
	case "refund":
		o.refunds[x.ID] = true
		if x.Status == "failed" || x.Status == "canceled" {
			o.refunds[x.ID+" failed"] = true
		}
	case "credit_note":
		o.lessened[x.Invoice] = o.lessened[x.Invoice] || x.Type == "pre_payment"
		if x.Refund != "" {
			o.noted[x.Refund] = x.Invoice
		}
		o.refunds[x.ID] = x.OutOfBandAmount > 0
		o.refunds[x.ID+" failed"] = o.refunds[x.ID+" failed"] || x.Status == "void"
	case "dispute":
		for _, t := range x.BalanceTransactions {
			o.moved[t.ID] = true
		}
	}
}

// reported returns when a payment was made, as far as the events say, and whether they name it at
// all. What a payment intent captures after a charge of it failed is another payment.
func (o *oracle) reported(m traffic.Movement) (at time.Time, ok bool) {
	failed := func(by time.Time) (n int) {
		for _, f := range o.failures[m.Object] {
			if f.Before(by) {
				n++
			}
		}
		return n
	}
	for _, c := range slices.SortedFunc(slices.Values(o.captures[m.Object]), time.Time.Compare) {
		if failed(c) == failed(m.OccurredAt) {
			return c, true
		}
	}
	if failed(m.OccurredAt) > 0 {
		return time.Time{}, false
	}
	for _, known := range []map[string]time.Time{o.shared, o.session} {
		if at, ok := known[m.Object]; ok {
			return at, true
		}
	}
	return time.Time{}, false
}

// unknowable returns why no event of the subscription says that a movement happened; "" if one
// does.
func (o *oracle) unknowable(m traffic.Movement) string {
	switch m.Kind {
	case traffic.Payment:
		_, named := o.reported(m)
		if _, paid := o.invoices[m.Sale]; !named && !paid {
			return "no event says that its payment intent, charge, session or invoice was paid"
		}
	case traffic.Refund:
		if !o.refunds[m.Object] && len(o.figures[o.chargeOf[m.Object]]) == 0 {
			return "no event says that its charge was refunded"
		}
	case traffic.RefundReversal:
		if !o.refunds[m.Object+" failed"] && len(o.figures[o.chargeOf[m.Object]]) == 0 {
			return "no event says that the refund failed"
		}
	default:
		if !o.moved[m.Balance] {
			return "no event holds its balance transaction"
		}
	}
	return ""
}

// creditUnknowable returns why the events do not say who is to be credited with a sale; "" if they
// do.
func (o *oracle) creditUnknowable(s *trueSale) string {
	if len(s.payments) == 0 {
		return "no event says that it was paid"
	}
	for _, m := range s.payments {
		_, named := o.reported(m)
		paid, invoice := o.invoices[m.Sale]
		switch {
		case !named && !invoice:
			return "no event says that all of it was paid, and its refunds name no more than the customer"
		case !invoice && len(o.captures[m.Object]) == 0 && o.session[m.Object].IsZero():
			return "only its invoice payments are reported, which name no customer"
		case len(s.payments) > 1 && !o.tied(m):
			return "no event says that its payments are of one sale, and each is judged by its own time"
		case !named && !paid.Equal(m.OccurredAt):
			return "when its first part was paid, which the attribution window is counted from, is not reported"
		}
	}
	if o.lateWithoutFirstSale(s) {
		return "the window is counted from the buyer's first payment, an instalment that only its invoice payment " +
			"reports, and no event says who owes the invoice"
	}
	return ""
}

// lateWithoutFirstSale reports whether a sale keeps its click only because its buyer first paid
// within the window, and that payment is known by an invoice payment alone. Such a payment belongs
// to a customer only through its invoice, of which an event must say whose it is.
func (o *oracle) lateWithoutFirstSale(s *trueSale) bool {
	m := s.payments[0]
	if m.Customer == "" || m.OccurredAt.Sub(m.ClickID.Time()) <= join.DefaultWindow {
		return false
	}
	first := m
	for _, other := range o.sales {
		for _, p := range other.payments {
			if p.Customer == m.Customer && p.OccurredAt.Before(first.OccurredAt) {
				first = p
			}
		}
	}
	if o.unmoved[first.Sale] != nil {
		return true
	}
	paid, invoice := o.invoices[first.Sale]
	_, part := o.shared[first.Object]
	captured := len(o.captures[first.Object]) > 0
	_, session := o.session[first.Object]
	return first.Sale != m.Sale && !captured && !session && !(part && o.owed[first.Sale]) &&
		(!invoice || !paid.Equal(first.OccurredAt))
}

// near is how far apart payments and invoices of one customer may be and still be taken for each
// other where no event ties them.
const near = 6 * time.Hour

// doubt finds the sales whose rows no reading of the events can find for certain.
func (o *oracle) doubt() {
	for id, s := range o.unmoved {
		if !o.owed[id] {
			s.unsure = "its session says that it was paid, and no event that the customer's balance paid it"
			o.sales[id], o.saleOf[id] = s, s
		}
	}
	byCustomer := map[string][]*trueSale{}
	for _, s := range o.sales {
		if len(s.payments) == 0 {
			continue
		}
		first := s.payments[0]
		byCustomer[first.Customer] = append(byCustomer[first.Customer], s)
		for _, m := range s.payments {
			_, named := o.reported(m)
			if named {
				o.doubtLink(s, m)
			}
			if c := o.currency[m.Object]; c != "" && c != m.Currency && o.session[m.Object].IsZero() {
				s.unsure = "only its session says what it was in the seller's currency"
			}
		}
	}
	for customer, sales := range byCustomer {
		for _, a := range sales {
			if moved := func(m traffic.Movement) bool { return m.Moved }; !o.moves &&
				slices.ContainsFunc(a.payments, moved) {
				o.vague[customer] = true
				for _, b := range sales {
					b.unsure = "no event says which invoices its customer's payments were attached to, or taken off"
				}
			}
		}
		for _, a := range sales {
			for _, b := range sales {
				if a != b && customer != "" && a.near(b) && o.confusable(a, b, sales) {
					const why = "the customer paid something else within hours, and no event says which payment is the invoice's"
					a.unsure, b.unsure = cmp.Or(a.unsure, why), cmp.Or(b.unsure, why)
				}
			}
		}
	}
}

// open reports whether a sale is an invoice that is reported as paid, while no event says of all
// its payments that they are its own: another payment may be taken for one of them.
func (o *oracle) open(s *trueSale) bool {
	return slices.ContainsFunc(s.payments, func(m traffic.Movement) bool {
		_, paid := o.invoices[m.Sale]
		_, named := o.reported(m)
		return paid && !(named && o.linked(m))
	})
}

// loose lists the payments of a sale that are reported, or of which it is reported what went back,
// while no event says what was bought by them: they may be taken for an invoice's.
func (o *oracle) loose(s *trueSale) (list []traffic.Movement) {
	for _, m := range s.payments {
		_, named := o.reported(m)
		back := slices.ContainsFunc(s.out, func(out traffic.Movement) bool { return o.unknowable(out) == "" })
		if (named || back) && !o.linked(m) && o.session[m.Object].IsZero() {
			list = append(list, m)
		}
	}
	return list
}

// unexplained returns what an invoice says was paid, less the payments that events say are its own.
func (o *oracle) unexplained(s *trueSale) int64 {
	rest := o.amounts[s.id]
	for _, m := range s.payments {
		if _, named := o.reported(m); named && o.linked(m) {
			rest -= m.Amount
		}
	}
	return rest
}

// confusable reports whether a payment of b may be taken for one of a's invoice, of all that the
// customer bought: it is one of three payments at most that add up to what is unexplained of a, or
// a is one of three invoices at most of which that adds up to b's payment. What only its session
// reports may be paid by any amount, and of a payment of two invoices the parts are not known.
func (o *oracle) confusable(a, b *trueSale, sales []*trueSale) bool {
	loose := o.loose(b)
	if !o.open(a) || len(loose) == 0 {
		return false
	}
	several := func(m traffic.Movement) bool { return m.Invoices > 1 }
	if !o.owed[a.id] || slices.ContainsFunc(a.payments, several) || slices.ContainsFunc(b.payments, several) {
		return true
	}
	var payments, invoices []int64 // of others
	for _, s := range sales {
		if s.near(a) || s == a {
			for _, m := range o.loose(s) {
				payments = append(payments, m.Amount)
			}
		}
		if s != a && s.near(b) && o.open(s) {
			invoices = append(invoices, o.unexplained(s))
		}
	}
	return slices.ContainsFunc(loose, func(m traffic.Movement) bool {
		rest := o.unexplained(a)
		return addUp(payments, rest-m.Amount, 2) || addUp(invoices, m.Amount-rest, 2)
	})
}

// addUp reports whether a number of the amounts, at most so many of them, add up to a sum. Where it
// is 0, none of them do.
func addUp(amounts []int64, sum int64, most int) bool {
	if sum == 0 || most == 0 {
		return sum == 0
	}
	for n, x := range amounts {
		if addUp(amounts[n+1:], sum-x, most-1) {
			return true
		}
	}
	return false
}

// linked reports whether an event says which invoice a payment pays.
func (o *oracle) linked(m traffic.Movement) bool {
	for _, id := range append([]string{m.Sale}, m.Aliases...) {
		if strings.HasPrefix(id, "in_") && o.links[[2]string{m.Object, id}] {
			return true
		}
	}
	return false
}

// doubtLink looks at a payment that is reported beside its invoice.
func (o *oracle) doubtLink(s *trueSale, m traffic.Movement) {
	var invoices, linked int
	for _, id := range append([]string{m.Object, m.Sale}, m.Aliases...) {
		if _, paid := o.invoices[id]; strings.HasPrefix(id, "in_") && paid && id != m.Object {
			invoices++
			if o.links[[2]string{m.Object, id}] {
				linked++
			}
			break // the sale's own; a payment of two invoices has both reported alike
		}
	}
	switch {
	case invoices == 0 || linked > 0:
		return
	case m.Channel == traffic.PaymentMetadata && m.ClickID != (schemas.ClickID{}) && (m.Invoices > 1 || !o.owed[m.Sale]):
		s.unsure = "its payment intent names a click itself, and no event says that it is an invoice's, nor of which amount"
	case m.Customer == "" || !o.paidTogether(s):
		s.unsure = "no event says which payments are its invoice's, and not all of them are reported and lie near it"
	}
}

// tied reports whether the events say, or let the ledger assume, which invoice a payment pays, if
// it pays one.
func (o *oracle) tied(m traffic.Movement) bool {
	_, paid := o.invoices[m.Sale]
	return paid || m.Object == m.Sale || !o.session[m.Object].IsZero() || o.links[[2]string{m.Object, m.Sale}]
}

// paidTogether reports whether all payments of an invoice are reported, and lie near the time at
// which it was paid: there the ledger looks for them.
func (o *oracle) paidTogether(s *trueSale) bool {
	for _, m := range s.payments {
		at, named := o.reported(m)
		if before := o.invoices[m.Sale].Sub(at); !named || len(s.payments) > 3 || before < 0 || before > near/2 {
			return false
		}
	}
	return true
}

func (s *trueSale) near(other *trueSale) bool {
	for _, a := range s.payments {
		for _, b := range other.payments {
			if a.Currency == b.Currency && a.OccurredAt.Sub(b.OccurredAt).Abs() < near {
				return true
			}
		}
	}
	return false
}

// cell is what one sale moved on one UTC day.
type cell struct {
	sale, day, currency string
}

type sums struct{ amount, tax int64 }

// expected sums what the events can say of a sale.
func (o *oracle) expected(s *trueSale) map[cell]sums {
	type step struct {
		at       time.Time
		id       string
		of       string // its pool, below
		movement traffic.Movement
	}
	cells := map[cell]sums{}
	add := func(m traffic.Movement, at time.Time, amount, tax int64) {
		c := cell{s.id, at.UTC().Format(time.DateOnly), m.Currency}
		x := cells[c]
		cells[c] = sums{x.amount + amount, x.tax + tax}
	}
	failed := failedCharges(slices.DeleteFunc(slices.Clone(s.out),
		func(m traffic.Movement) bool { return o.unknowable(m) != "" || !o.refunds[m.Object] }))
	// Money goes back of the payment whose charge failed, of one that no event ties to the sale, which
	// is a sale of its own without tax, or of the rest ("").
	alone := map[string]string{} // payments that nothing ties, by charge
	for _, m := range s.payments {
		if _, named := o.reported(m); named && m.Charge != "" && !o.tied(m) {
			alone[m.Charge] = m.Object
		}
	}
	poolOf := func(m traffic.Movement) string { return cmp.Or(poolOf(m, failed).failed, alone[m.Charge]) }
	// paid of the total that the taxes are of, and beyond it, by pool
	paid, beyond, taxes := map[string]int64{}, map[string]int64{}, map[string]int64{}
	rest := o.amounts[s.id]        // of an invoice: what was overpaid it did not say before basil
	made := map[string]time.Time{} // by payment intent
	if m, owed := o.owedFor(s); owed {
		of := poolOf(m)
		paid[of], beyond[of], taxes[of] = m.Amount-m.Beyond, m.Beyond, o.told(m).Tax
	}
	for _, m := range s.payments {
		if m = o.told(m); o.unknowable(m) != "" {
			continue
		}
		at, named := o.reported(m)
		if before, again := made[m.Object]; again {
			if !named || before.Equal(at) {
				continue // no event says that the first payment failed
			}
		}
		made[m.Object] = at
		if !named {
			at = o.invoices[m.Sale]
			cut := max(0, m.Amount-rest)
			m.Amount, m.Beyond = m.Amount-cut, max(0, m.Beyond-cut)
			rest -= m.Amount
		}
		if m.Replaces != "" && !o.refunds[m.Replaces] { // no event says that the other payment failed
			m.Tax, m.Beyond = 0, m.Amount
		}
		tax := m.Tax
		if !o.taxed[s.id] || named && !o.tied(m) {
			tax = 0
		}
		of := poolOf(m)
		paid[of], beyond[of], taxes[of] = paid[of]+m.Amount-m.Beyond, beyond[of]+m.Beyond, taxes[of]+tax
		add(m, at, m.Amount, tax)
	}
	var steps []step
	for _, m := range s.out {
		if o.unknowable(m) == "" && (o.refunds[m.Object] || m.Kind == traffic.Dispute || m.Kind == traffic.DisputeReversal) {
			m.Stated = m.Stated && o.noted[m.Object] != ""
			steps = append(steps, step{m.OccurredAt, m.Kind + m.Object, poolOf(m), m})
		}
	}
	steps = append(steps, func() (list []step) {
		for _, charge := range o.charges(s) {
			var before int64
			for _, at := range slices.Compact(slices.SortedFunc(slices.Values(o.figures[charge]), time.Time.Compare)) {
				var total int64
				for _, m := range s.out {
					if o.chargeOf[m.Object] == charge && !o.refunds[m.Object] && !m.OccurredAt.After(at) {
						total += m.Amount
					}
				}
				of := poolOf(traffic.Movement{Charge: charge})
				list = append(list, step{at, charge, of, traffic.Movement{Amount: total - before}})
				before = total
			}
		}
		return list
	}()...)
	slices.SortStableFunc(steps, func(a, b step) int {
		sign := func(amount int64) int64 { return min(max(amount, -1), 1) } // what goes out before what comes back
		return cmp.Or(a.at.Compare(b.at), cmp.Compare(sign(a.movement.Amount), sign(b.movement.Amount)),
			cmp.Compare(a.id, b.id))
	})
	back, stated, taken := map[string]int64{}, map[string]statedTax{}, map[string]statedTax{}
	for _, x := range steps {
		stated[x.of] = stated[x.of].plus(x.movement)
	}
	for _, x := range steps {
		m, was := x.movement, taken[x.of]
		taken[x.of] = was.plus(m)
		if x.id == traffic.Refund+x.of { // the bank takes what is left, as far as the events say
			m.Amount = back[x.of] + was.amount - paid[x.of] - beyond[x.of]
		}
		if m.Stated {
			add(s.out[0], x.at, m.Amount, min(was.tax, taxes[x.of])-min(taken[x.of].tax, taxes[x.of]))
			continue
		}
		left, due := stated[x.of].rest(taxes[x.of], paid[x.of])
		share := func(went int64) int64 { return taxShare(left, went-beyond[x.of], due) }
		add(s.out[0], x.at, m.Amount, share(back[x.of])-share(back[x.of]-m.Amount))
		back[x.of] -= m.Amount
	}
	for c, x := range cells {
		if x == (sums{}) {
			delete(cells, c)
		}
	}
	return cells
}

// told returns a payment with the tax that the events say it has.
func (o *oracle) told(m traffic.Movement) traffic.Movement {
	if !o.lessened[m.Sale] {
		m.Tax = m.Unnoted
	}
	return m
}

// owedFor returns the only payment of a sale, if no event reports it and one states its tax: what
// goes back of it has its share of that.
func (o *oracle) owedFor(s *trueSale) (m traffic.Movement, owed bool) {
	if len(s.payments) == 0 || !o.taxed[s.id] {
		return m, false
	}
	for _, other := range s.payments {
		if o.unknowable(other) == "" || other.Object != s.payments[0].Object {
			return m, false
		}
	}
	return s.payments[0], true
}

// charges of a sale that were refunded.
func (o *oracle) charges(s *trueSale) []string {
	var list []string
	for _, m := range s.out {
		if c := o.chargeOf[m.Object]; c != "" && !slices.Contains(list, c) {
			list = append(list, c)
		}
	}
	return list
}

// compare a ledger with what the events can say.
func (o *oracle) compare(entries []ledger.Entry) (wrong []difference) {
	got := map[*trueSale]map[cell]sums{}
	credits := map[*trueSale][]ledger.Entry{}
	for _, e := range entries {
		if o.vague[e.CustomerID] && o.saleOf[e.ObjectID] == nil {
			continue // an invoice whose payment was attached to another
		}
		if e.Status == ledger.Held {
			wrong = append(wrong, difference{nil, e.ObjectID + " is held"})
		}
		if e.Status != ledger.Booked || e.Amount == 0 && e.Tax == 0 {
			continue
		}
		s := o.saleOf[e.ObjectID]
		if s == nil {
			text := fmt.Sprintf("%s %s: %d %s are booked, and nothing moved", e.Kind, e.ObjectID, e.Amount, e.Currency)
			wrong = append(wrong, difference{[]string{e.ObjectID}, text})
			continue
		}
		if got[s] == nil {
			got[s] = map[cell]sums{}
		}
		c := cell{s.id, e.OccurredAt.UTC().Format(time.DateOnly), e.Currency}
		x := got[s][c]
		if got[s][c] = (sums{x.amount + e.Amount, x.tax + e.Tax}); got[s][c] == (sums{}) {
			delete(got[s], c)
		}
		credits[s] = append(credits[s], e)
	}
	for _, s := range o.sales {
		if s.unsure != "" {
			continue
		}
		report := func(format string, args ...any) {
			ids := []string{s.id}
			for _, m := range s.payments {
				ids = append(append(ids, m.Object, m.Customer), m.Aliases...)
			}
			ids = slices.DeleteFunc(ids, func(id string) bool { return id == "" })
			wrong = append(wrong, difference{ids, s.id + ": " + fmt.Sprintf(format, args...)})
		}
		want := o.expected(s)
		for c := range unionOf(want, got[s]) {
			if want[c] != got[s][c] {
				report("%s %s: %+v are booked; the events say %+v", c.day, c.currency, got[s][c], want[c])
			}
		}
		if o.creditUnknowable(s) != "" {
			continue
		}
		for _, e := range credits[s] {
			if m := s.payments[0]; e.Click.ID != m.ClickID || e.Click.AffiliateID != m.AffiliateID {
				report("%s %s is credited to %s %q by %s; in truth to %s %q by %s", e.Kind, e.ObjectID,
					e.Click.ID, e.Click.AffiliateID, e.MatchRule, m.ClickID, m.AffiliateID, m.Rule)
			}
		}
	}
	slices.SortFunc(wrong, func(a, b difference) int { return strings.Compare(a.text, b.text) })
	return wrong
}

func unionOf[K comparable, V any](a, b map[K]V) map[K]bool {
	all := map[K]bool{}
	for k := range a {
		all[k] = true
	}
	for k := range b {
		all[k] = true
	}
	return all
}
