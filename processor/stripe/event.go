package stripe

import (
	"cmp"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/valyala/fastjson"

	"tributary/processor/identity"
	"tributary/schemas"
)

// ErrNotEvent says that the body is not a Stripe snapshot event.
var ErrNotEvent = errors.New("not a Stripe event")

// family is what an event type carries, and who reads it.
type family struct {
	object string // data.object.object
	read   func(*event, object)
	typ    string // the event's type
}

// families names the events that move money or give names. One file a family; each begins with what
// its events mean.
var families = byType(map[string]family{
	"checkout.session.completed":               {"checkout.session", readSession, ""},
	"checkout.session.async_payment_succeeded": {"checkout.session", readSession, ""},
	"checkout.session.async_payment_failed":    {"checkout.session", readSession, ""},
	"checkout.session.expired":                 {"checkout.session", readSession, ""},

	"invoice.paid":                 {"invoice", readInvoice, ""},
	"invoice.payment_succeeded":    {"invoice", readInvoice, ""},
	"invoice.finalized":            {"invoice", readUnpaidInvoice, ""},
	"invoice.payment_failed":       {"invoice", readUnpaidInvoice, ""},
	"invoice.marked_uncollectible": {"invoice", readUnpaidInvoice, ""},
	"invoice.voided":               {"invoice", readUnpaidInvoice, ""},
	"invoice.overpaid":             {"invoice", readInvoice, ""},
	"invoice_payment.paid":         {"invoice_payment", readInvoicePayment, ""},
	"invoice_payment.detached":     {"invoice_payment", readDetached, ""},

	"payment_intent.succeeded": {"payment_intent", readPaymentIntent, ""},
	"payment_intent.canceled":  {"payment_intent", readPaymentIntentCanceled, ""},
	"charge.succeeded":         {"charge", readCharge, ""},
	"charge.captured":          {"charge", readCharge, ""},
	"charge.updated":           {"charge", readChargeUpdated, ""},
	"charge.expired":           {"charge", readChargeExpired, ""},
	"charge.failed":            {"charge", readChargeFailed, ""},

	"charge.refunded":       {"charge", readChargeRefunded, ""},
	"refund.created":        {"refund", readRefund, ""},
	"refund.updated":        {"refund", readRefund, ""},
	"refund.failed":         {"refund", readRefund, ""},
	"charge.refund.updated": {"refund", readRefund, ""},

	"charge.dispute.created":          {"dispute", readDispute, ""},
	"charge.dispute.updated":          {"dispute", readDispute, ""},
	"charge.dispute.closed":           {"dispute", readDispute, ""},
	"charge.dispute.funds_withdrawn":  {"dispute", readDispute, ""},
	"charge.dispute.funds_reinstated": {"dispute", readDispute, ""},

	"credit_note.created": {"credit_note", readCreditNote, ""},
	"credit_note.updated": {"credit_note", readCreditNote, ""},
	"credit_note.voided":  {"credit_note", readCreditNote, ""},

	"customer.created": {"customer", readCustomer, ""},
	"customer.updated": {"customer", readCustomer, ""},
	"customer.deleted": {"customer", readCustomer, ""},

	// Only thin events have these; their object is fetched (see Thin).
	"v2.core.account.created":                         {"v2.core.account", readAccount, ""},
	"v2.core.account.updated":                         {"v2.core.account", readAccount, ""},
	"v2.core.account[configuration.customer].updated": {"v2.core.account", readAccount, ""},

	"customer.discount.created": {"discount", readDiscount, ""},
	"customer.discount.updated": {"discount", readDiscount, ""},
	"customer.discount.deleted": {"discount", readDiscount, ""},

	"customer.subscription.created":        {"subscription", readSubscription, ""},
	"customer.subscription.updated":        {"subscription", readSubscription, ""},
	"customer.subscription.deleted":        {"subscription", readSubscription, ""},
	"customer.subscription.paused":         {"subscription", readSubscription, ""},
	"customer.subscription.resumed":        {"subscription", readSubscription, ""},
	"customer.subscription.trial_will_end": {"subscription", readSubscription, ""},

	"promotion_code.created": {"promotion_code", readPromotionCode, ""},
	"promotion_code.updated": {"promotion_code", readPromotionCode, ""},
	"coupon.created":         {"coupon", readCoupon, ""},
	"coupon.updated":         {"coupon", readCoupon, ""},
	"coupon.deleted":         {"coupon", readCoupon, ""},
})

// byType notes in each family its event type.
func byType(families map[string]family) map[string]family {
	for typ, f := range families {
		f.typ = typ
		families[typ] = f
	}
	return families
}

// NamesOnly is the field of an event that a backfill made of an object whose money moved outside of
// the backfill's period: true says that the event gives names alone, and of what a payment consists
// that is given back later (facts of the amount 0).
const NamesOnly = "names_only"

// Reads reports whether events of a type say anything about money or names.
func Reads(typ string) bool {
	_, known := families[typ]
	return known
}

// event collects the facts of one event while its object is read.
type event struct {
	typ     string
	created time.Time
	keys    *Keys
	// previous are the values that the event changed, as they were; absent in events that changed
	// none.
	previous object
	// releasesAreRefunds: the event is of an API version in which a release of an authorisation
	// looks like a refund.
	releasesAreRefunds bool
	namesOnly          bool // see NamesOnly
	eventID, account   string
	livemode           bool
	receivedAt         time.Time
	facts              *Facts
	nodes              []identity.Node // see node
}

// basil is the first API version in which Stripe makes no refund of what is released of an
// authorisation.
// https://docs.stripe.com/changelog/basil/2025-03-31/remove-refund-from-partial-capture-and-payment-cancellation-flow
const basil = "2025-03-31"

// Read returns the facts of e with the built-in keys.
func Read(e *schemas.StripeEvent) (Facts, error) { return builtin.Read(e) }

// Read returns the facts of e. A *ShapeError says that the body lacks a value without which money
// would be guessed: the record belongs to the dead letters.
func (k *Keys) Read(e *schemas.StripeEvent) (Facts, error) {
	var facts Facts
	err := k.ReadInto(e, &facts)
	return facts, err
}

// ReadInto is Read for a caller who copies what each event says: the lists of facts are
// overwritten, and their memory is used again.
func (k *Keys) ReadInto(e *schemas.StripeEvent, facts *Facts) error {
	doc := documents.Get().(*document)
	defer documents.Put(doc)
	*facts = Facts{Money: facts.Money[:0], Names: facts.Names[:0], Leads: facts.Leads[:0]}
	body, err := doc.parse(e.Body)
	if err != nil {
		// The parser's own message quotes the body, and this one goes to the log.
		return fmt.Errorf("%w: its JSON is broken, or nested deeper than %d levels", ErrNotEvent, fastjson.MaxDepth)
	}
	switch string(body.bytes("object")) {
	case "event":
	case ThinObject:
		return readThin(e.Body, facts)
	default:
		return fmt.Errorf("%w: its object is neither event nor %s", ErrNotEvent, ThinObject)
	}
	typ := body.bytes("type")
	if facts.Created = body.mustTime("created"); len(typ) == 0 {
		body.missing("type")
	}
	f, known := families[string(typ)]
	if facts.Known = known; known {
		doc.read(e, body, f, k, facts)
	}
	if err := doc.shape(); err != nil {
		*facts = Facts{Known: known, Created: facts.Created}
		return err
	}
	return nil
}

// read reads an event of a family.
func (d *document) read(e *schemas.StripeEvent, body object, f family, keys *Keys, facts *Facts) {
	data := body.child("data")
	subject := data.child("object")
	if kind := subject.bytes("object"); len(kind) > 0 && string(kind) != f.object {
		subject.missing("object (it is a " + string(kind) + ")")
		return
	}
	ev := &d.event
	*ev = event{
		typ: f.typ, created: facts.Created, keys: keys,
		eventID: body.mustText("id"), account: cmp.Or(e.Account, body.text("account")), livemode: body.flag("livemode"),
		receivedAt: e.ReceivedAt, releasesAreRefunds: string(body.bytes("api_version")) < basil,
		previous: data.child("previous_attributes"), namesOnly: body.flag(NamesOnly), facts: facts, nodes: ev.nodes[:0],
	}
	f.read(ev, subject)
	ev.sameCustomer(subject)
	if ev.namesOnly {
		facts.Money = slices.DeleteFunc(facts.Money, func(f Fact) bool { return f.Amount != 0 })
	}
	*ev = event{nodes: ev.nodes[:0]} // the caller's facts, and what they are a part of, are not kept
}

// sameCustomer ties a customer to the account that it is too. Stripe makes the customers of a seller
// who enables Accounts v2 available as accounts, and what they buy from then on may name either.
// https://docs.stripe.com/changelog/dahlia/2026-04-22/accounts-v2-expanded-availability
func (ev *event) sameCustomer(o object) {
	account := o.id("customer_account")
	if account == "" {
		return
	}
	customer := o.id("customer")
	if o.is("object", "customer") {
		customer = o.text("id")
	}
	ev.name(identity.Customer, customer, identity.Customer, account, "customer_account")
}

// money adds a fact, unless it moves nothing.
func (ev *event) money(f Fact) {
	if f.Amount != 0 {
		ev.fact(f)
	}
}

// fact adds a fact, also one of nothing.
func (ev *event) fact(f Fact) {
	f.EventID, f.Account, f.Livemode = ev.eventID, ev.account, ev.livemode
	f.CreatedAt, f.ReceivedAt = ev.created, ev.receivedAt
	ev.facts.Money = append(ev.facts.Money, f)
}

// settlement adds by how much a movement changed Stripe's balance. It does so only where the body
// holds the balance transaction itself and not only its id, in another currency than the movement.
// https://docs.stripe.com/api/balance_transactions/object
func (ev *event) settlement(id, kind, currency string, o object, field string) {
	if t := o.child(field); t.present() {
		ev.settle(id, kind, currency, t)
	}
}

func (ev *event) settle(id, kind, currency string, t object) {
	if t.text("currency") == currency || t.get("amount") == nil {
		return
	}
	ev.money(Fact{
		ObjectID: id, Kind: SettlementOf(kind), Source: FromBalance, OccurredAt: t.mustTime("created"), Certain: true,
		Currency: t.mustCurrency("currency"), Amount: t.integer("amount"),
	})
}

// presented adds what the buyer saw of a payment, where the object says that it was shown in
// another currency (Adaptive Pricing since API 2025-03-31). tax is the payment's own, in the
// seller's currency. https://docs.stripe.com/payments/currencies/localize-prices/adaptive-pricing
func (ev *event) presented(o object, f Fact) {
	details := o.child("presentment_details")
	if !details.present() || details.get("presentment_amount") == nil ||
		details.text("presentment_currency") == f.Currency {
		return
	}
	f.Kind, f.Currency, f.Lines = Presented, details.mustCurrency("presentment_currency"), nil
	shown := details.amount("presentment_amount")
	f.Tax, f.Shipping, f.Discount, f.Amount = Share(f.Tax, shown, f.Amount), 0, 0, shown
	ev.money(f)
}

// nearBy stores in which hour a customer paid, or was charged, so that payments and invoices that
// no event ties to each other can find each other (processor/ledger).
func (ev *event) nearBy(typ, object, customer, currency string, at time.Time) {
	if object == "" || customer == "" || at.IsZero() {
		return
	}
	ev.edge(
		ev.node(identity.Object, object),
		identity.Hour(typ, ev.account, ev.livemode, customer, currency, at),
		typ,
	)
}

// begun stores when a customer's payment was begun, and, unless hours is empty, in which hour. f
// says whose payment, and when.
func (ev *event) begun(hours string, f Fact) {
	if f.OccurredAt.IsZero() {
		return
	}
	if hours != "" {
		ev.nearBy(hours, f.ObjectID, f.CustomerID, f.Currency, f.OccurredAt)
	}
	ev.fact(Fact{
		ObjectID: f.ObjectID, Kind: Begun, Source: f.Source, OccurredAt: f.OccurredAt, ParentID: f.ParentID,
		CustomerID: f.CustomerID, Currency: f.Currency, Amount: f.Amount, Captured: f.Captured, Certain: f.Certain,
	})
}

// name says that a and b belong together; an empty value is no name.
func (ev *event) name(aType, a, bType, b, source string) {
	if a == "" || b == "" || (aType == bType && a == b) {
		return
	}
	ev.edge(ev.node(aType, a), ev.node(bType, b), source)
}

// sharedNodes is how many names of an event are looked through for one that was made before. Most
// events give those that they repeat first: the object itself, its customer, its payment. Of an
// invoice the lines are read first: behind many of them its own names are made a few times. A list
// of thousands of refunds or lines is not looked through for each of them.
const sharedNodes = 32

// node names a value, by the text that was made for it before: an event gives most names several
// times.
func (ev *event) node(typ, value string) identity.Node {
	for _, n := range ev.nodes {
		if n.Is(typ, value) {
			return n
		}
	}
	n := identity.New(typ, value)
	if len(ev.nodes) < sharedNodes {
		ev.nodes = append(ev.nodes, n)
	}
	return n
}

// belong says the same of two names, unless one of them is without a value.
func (ev *event) belong(a, b identity.Node, source string) {
	if a.Value() != "" && b.Value() != "" {
		ev.edge(a, b, source)
	}
}

func (ev *event) edge(a, b identity.Node, source string) {
	ev.facts.Names = append(ev.facts.Names, identity.Edge{A: a, B: b, Source: source, At: ev.created})
}
