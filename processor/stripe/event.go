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

// reader turns one object into facts.
type reader func(*event, object)

// readers names the events that move money or give names. One file a family; each begins with what its events mean.
var readers = map[string]reader{
	"checkout.session.completed":               readSession,
	"checkout.session.async_payment_succeeded": readSession,

	"invoice.paid":              readInvoice,
	"invoice.payment_succeeded": readInvoice,
	"invoice_payment.paid":      readInvoicePayment,

	"payment_intent.succeeded": readPaymentIntent,
	"charge.succeeded":         readCharge,

	"charge.refunded":       readChargeRefunded,
	"refund.created":        readRefund,
	"refund.updated":        readRefund,
	"refund.failed":         readRefund,
	"charge.refund.updated": readRefund,

	"charge.dispute.funds_withdrawn":  readFundsWithdrawn,
	"charge.dispute.funds_reinstated": readFundsReinstated,

	"customer.created": readCustomer,
	"customer.updated": readCustomer,

	"customer.subscription.created": readSubscription,
	"customer.subscription.updated": readSubscription,
}

// event collects the facts of one event while its object is read.
type event struct {
	typ     string
	created time.Time
	head    Fact // what all facts of this event share
	facts   Facts
}

var parsers fastjson.ParserPool

// Read gives the facts of e. A *ShapeError says that the body lacks a value without which money would be guessed: the
// record belongs to the dead letters.
func Read(e *schemas.StripeEvent) (Facts, error) {
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
	ev := &event{typ: body.mustText("type"), facts: Facts{Created: created}}
	read, known := readers[ev.typ]
	if !known {
		return ev.facts, shape.orNil()
	}
	ev.facts.Known = true
	ev.created = created
	ev.head = Fact{
		EventID: body.mustText("id"), Account: body.text("account"), Livemode: body.flag("livemode"),
		CreatedAt: ev.created, ReceivedAt: e.ReceivedAt,
	}
	read(ev, body.child("data").child("object"))
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
