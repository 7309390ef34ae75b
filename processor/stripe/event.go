package stripe

import (
	"errors"
	"fmt"
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
}

// families names the events that move money or give names. One file a family; each begins with what its events mean.
var families = map[string]family{
	"checkout.session.completed":               {"checkout.session", readSession},
	"checkout.session.async_payment_succeeded": {"checkout.session", readSession},
	"checkout.session.async_payment_failed":    {"checkout.session", readSession},
	"checkout.session.expired":                 {"checkout.session", readSession},

	"invoice.paid":                 {"invoice", readInvoice},
	"invoice.payment_succeeded":    {"invoice", readInvoice},
	"invoice.finalized":            {"invoice", readUnpaidInvoice},
	"invoice.payment_failed":       {"invoice", readUnpaidInvoice},
	"invoice.marked_uncollectible": {"invoice", readUnpaidInvoice},
	"invoice.voided":               {"invoice", readUnpaidInvoice},
	"invoice_payment.paid":         {"invoice_payment", readInvoicePayment},

	"payment_intent.succeeded": {"payment_intent", readPaymentIntent},
	"charge.succeeded":         {"charge", readCharge},
	"charge.captured":          {"charge", readCharge},
	"charge.updated":           {"charge", readChargeUpdated},

	"charge.refunded":       {"charge", readChargeRefunded},
	"refund.created":        {"refund", readRefund},
	"refund.updated":        {"refund", readRefund},
	"refund.failed":         {"refund", readRefund},
	"charge.refund.updated": {"refund", readRefund},

	"charge.dispute.created":          {"dispute", readDispute},
	"charge.dispute.updated":          {"dispute", readDispute},
	"charge.dispute.closed":           {"dispute", readDispute},
	"charge.dispute.funds_withdrawn":  {"dispute", readFundsWithdrawn},
	"charge.dispute.funds_reinstated": {"dispute", readFundsReinstated},

	"credit_note.created": {"credit_note", readCreditNote},
	"credit_note.updated": {"credit_note", readCreditNote},
	"credit_note.voided":  {"credit_note", readCreditNote},

	"customer.created":          {"customer", readCustomer},
	"customer.updated":          {"customer", readCustomer},
	"customer.deleted":          {"customer", readCustomer},
	"customer.discount.created": {"discount", readDiscount},
	"customer.discount.updated": {"discount", readDiscount},
	"customer.discount.deleted": {"discount", readDiscount},

	"customer.subscription.created":        {"subscription", readSubscription},
	"customer.subscription.updated":        {"subscription", readSubscription},
	"customer.subscription.deleted":        {"subscription", readSubscription},
	"customer.subscription.paused":         {"subscription", readSubscription},
	"customer.subscription.resumed":        {"subscription", readSubscription},
	"customer.subscription.trial_will_end": {"subscription", readSubscription},

	"promotion_code.created": {"promotion_code", readPromotionCode},
	"promotion_code.updated": {"promotion_code", readPromotionCode},
	"coupon.created":         {"coupon", readCoupon},
	"coupon.updated":         {"coupon", readCoupon},
	"coupon.deleted":         {"coupon", readCoupon},
}

// event collects the facts of one event while its object is read.
type event struct {
	typ     string
	created time.Time
	keys    *Keys
	// previous are the values that the event changed, as they were; absent in events that changed none.
	previous object
	head     Fact // what all facts of this event share
	facts    Facts
}

var parsers fastjson.ParserPool

// Read gives the facts of e with the built-in keys.
func Read(e *schemas.StripeEvent) (Facts, error) { return builtin.Read(e) }

// Read gives the facts of e. A *ShapeError says that the body lacks a value without which money would be guessed: the
// record belongs to the dead letters.
func (k *Keys) Read(e *schemas.StripeEvent) (Facts, error) {
	p := parsers.Get()
	defer parsers.Put(p)
	root, err := p.ParseBytes(e.Body)
	if err != nil {
		return Facts{}, fmt.Errorf("%w: %w", ErrNotEvent, err)
	}
	var shape ShapeError
	body := object{v: root, shape: &shape}
	if kind := body.text("object"); kind != "event" {
		if kind == "v2.core.event" {
			return Facts{}, nil // a thin event carries ids only
		}
		return Facts{}, fmt.Errorf("%w: object is %q", ErrNotEvent, kind)
	}
	created := body.mustTime("created")
	ev := &event{typ: body.mustText("type"), keys: k, facts: Facts{Created: created}}
	f, known := families[ev.typ]
	if !known {
		return ev.facts, shape.orNil()
	}
	ev.facts.Known = true
	ev.created = created
	ev.head = Fact{
		EventID: body.mustText("id"), Account: body.text("account"), Livemode: body.flag("livemode"),
		CreatedAt: ev.created, ReceivedAt: e.ReceivedAt,
	}
	ev.previous = body.child("data").child("previous_attributes")
	subject := body.child("data").child("object")
	if kind := subject.text("object"); kind != "" && kind != f.object {
		subject.missing("object (it is a " + kind + ")")
		return Facts{Known: true, Created: created}, shape.orNil()
	}
	f.read(ev, subject)
	if err := shape.orNil(); err != nil {
		return Facts{Known: true, Created: created}, err
	}
	return ev.facts, nil
}

// money adds a fact, unless it moves nothing.
func (ev *event) money(f Fact) {
	if f.Amount == 0 {
		return
	}
	f.EventID, f.Account, f.Livemode = ev.head.EventID, ev.head.Account, ev.head.Livemode
	f.CreatedAt, f.ReceivedAt = ev.head.CreatedAt, ev.head.ReceivedAt
	ev.facts.Money = append(ev.facts.Money, f)
}

// settlement adds what Stripe's balance was moved by for the movement of that kind, where the body holds the balance transaction
// itself and not only its id, and where it is in another currency than the movement.
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
		ObjectID: id, Kind: SettlementOf(kind), Source: FromBalance, OccurredAt: t.mustTime("created"), Settled: true,
		Currency: t.mustCurrency("currency"), Amount: t.integer("amount"),
	})
}

// name says that a and b belong together; an empty value is no name.
func (ev *event) name(aType, a, bType, b, source string) {
	if a == "" || b == "" || (aType == bType && a == b) {
		return
	}
	ev.edge(identity.New(aType, a), identity.New(bType, b), source)
}

func (ev *event) edge(a, b identity.Node, source string) {
	ev.facts.Names = append(ev.facts.Names, identity.Edge{A: a, B: b, Source: source, At: ev.created})
}
