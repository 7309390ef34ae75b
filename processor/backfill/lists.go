package backfill

import (
	"cmp"
	"maps"
	"net/url"
	"strconv"
	"time"

	"tributary/processor/stripeapi"
)

// kept is how long Stripe keeps events (https://docs.stripe.com/api/events). What is older is read
// from the objects.
const kept = 30 * 24 * time.Hour

// unpaid is how long before a period an invoice is looked for that is paid in it: a seller may wait
// a year for their money, and what is older is rarely paid at all.
const unpaid = 366 * 24 * time.Hour

// spare is how long a backfill may take, interruptions among it: events that Stripe is about to
// forget are read from the objects.
const spare = 24 * time.Hour

// list is one of Stripe's lists: where it is, how far back it is read, and of which event its
// objects are the content. A version before basil is asked for, where charges, payment intents and
// invoices name each other; only invoice payments need a later one.
type list struct {
	path    string
	version string
	query   url.Values
	// reach is how much earlier than the period an object may have been created that moves money,
	// or gives names, in it. Of a list of all time what lies outside the period gives names alone.
	reach time.Duration
	// money says that objects of a list of all time move money, too.
	money bool
	// events of an object; none if it says nothing.
	events func(o *object) []made
}

// forever lists the names of all time: a renewal is credited by what its customer was once given.
const forever = 100 * 365 * 24 * time.Hour

// made is an event that an object stands for, and when Stripe would have made it, UTC.
type made struct {
	typ string
	at  time.Time
	// begun is when the object first moved money, if that was earlier: a refund that failed since, a
	// credit note that was voided.
	begun time.Time
}

// within returns which of the events of an object are written, of a list and a period; namesOnly
// says that the money of one is of another period.
func (l *list) within(o *object, since, until time.Time) (list []made, namesOnly bool) {
	in := func(at time.Time) bool { return !at.Before(since) && at.Before(until) }
	for _, m := range l.events(o) {
		switch {
		case in(m.at), in(m.begun):
			list = append(list, m)
		case l.reach == forever:
			list, namesOnly = append(list, made{typ: m.typ, at: first(o.Created)}), l.money
		}
	}
	return list, namesOnly
}

// lists in their order: names first, so that most sales are booked once. An order is not needed for
// their being right.
var lists = []list{
	{path: "/v1/coupons", reach: forever, events: once("coupon.created")},
	{path: "/v1/promotion_codes", reach: forever, events: once("promotion_code.created")},
	{path: "/v1/customers", reach: forever, events: once("customer.created")},
	{
		path: "/v1/subscriptions", reach: forever, query: url.Values{"status": {"all"}},
		events: once("customer.subscription.created"),
	},
	{
		path: "/v1/checkout/sessions", reach: forever, money: true,
		query:  url.Values{"expand[]": {"data.payment_intent.latest_charge.balance_transaction", "data.invoice"}},
		events: sessions,
	},
	{path: "/v1/invoices", reach: unpaid, events: invoices},
	{
		path: "/v1/invoice_payments", version: stripeapi.InvoicePaymentsVersion, reach: unpaid,
		query: url.Values{"status": {"paid"}}, events: invoicePayments,
	},
	{
		path: "/v1/payment_intents", reach: 90 * 24 * time.Hour,
		query: url.Values{"expand[]": {"data.latest_charge.balance_transaction"}}, events: paymentIntents,
	},
	{
		path: "/v1/charges", reach: 31 * 24 * time.Hour,
		query:  url.Values{"expand[]": {"data.balance_transaction", "data.failure_balance_transaction"}},
		events: charges,
	},
	{
		path: "/v1/refunds", reach: 60 * 24 * time.Hour,
		// The charge may be older than all that is read: it says who bought, with which tax, and whether
		// the refund is of what a platform passed on.
		query: url.Values{
			"expand[]": {"data.balance_transaction", "data.failure_balance_transaction", "data.charge.invoice"},
		},
		events: refunds,
	},
	{
		path: "/v1/disputes", reach: 180 * 24 * time.Hour,
		query: url.Values{"expand[]": {"data.charge.invoice"}}, events: disputes,
	},
	{path: "/v1/credit_notes", reach: 90 * 24 * time.Hour, events: creditNotes},
}

// parameters of the list, for a period.
func (l *list) parameters(since, until time.Time) url.Values {
	query := maps.Clone(l.query)
	if query == nil {
		query = make(url.Values)
	}
	query.Set("created[lt]", strconv.FormatInt(until.Unix(), 10))
	if l.reach < forever {
		query.Set("created[gte]", strconv.FormatInt(max(since.Add(-l.reach).Unix(), 0), 10))
	}
	return query
}

func (l *list) apiVersion() string { return cmp.Or(l.version, stripeapi.Version) }

// first returns the first of the times that is known, Unix seconds.
func first(seconds ...int64) time.Time { return time.Unix(cmp.Or(seconds...), 0).UTC() }

func once(typ string) func(*object) []made {
	return func(o *object) []made { return []made{{typ: typ, at: first(o.Created)}} }
}

// sessions were paid when their payment or invoice was: a bank transfer may take weeks.
func sessions(o *object) []made {
	switch o.Status {
	case "open":
		return nil
	case "expired":
		return []made{{typ: "checkout.session.expired", at: first(o.Created)}}
	}
	paid := o.PaymentIntent.LatestCharge
	at := first(o.Invoice.StatusChanges.PaidAt, paid.Transaction.Created, paid.Created, o.Created)
	return []made{{typ: "checkout.session.completed", at: at}}
}

func invoices(o *object) []made {
	typ, at := "invoice.finalized", first(o.StatusChanges.FinalizedAt, o.Created)
	switch o.Status {
	case "draft":
		return nil
	case "paid":
		typ, at = "invoice.paid", first(o.StatusChanges.PaidAt, o.Created)
	case "void":
		typ, at = "invoice.voided", first(o.StatusChanges.VoidedAt, o.Created)
	case "uncollectible":
		typ, at = "invoice.marked_uncollectible", first(o.StatusChanges.MarkedUncollectibleAt, o.Created)
	}
	return []made{{typ: typ, at: at}}
}

func invoicePayments(o *object) []made {
	return []made{{typ: "invoice_payment.paid", at: first(o.StatusChanges.PaidAt, o.Created)}}
}

// paymentIntents moved their money when the charge's balance transaction was made: with manual
// capture that is later than the charge.
func paymentIntents(o *object) []made {
	if o.Status != "succeeded" {
		return nil
	}
	at := first(o.LatestCharge.Transaction.Created, o.LatestCharge.Created, o.Created)
	return []made{{typ: "payment_intent.succeeded", at: at}}
}

// charges that failed moved something only where Stripe's balance had counted them.
func charges(o *object) []made {
	switch {
	case o.Status == "succeeded":
		return []made{{typ: "charge.succeeded", at: first(o.Transaction.Created, o.Created)}}
	case o.Status == "failed" && o.Failure.ID != "":
		return []made{{typ: "charge.failed", at: first(o.Failure.Created, o.Created)}}
	}
	return nil
}

func refunds(o *object) []made {
	if o.Status == "failed" || o.Status == "canceled" {
		return []made{{typ: "refund.updated", at: first(o.Failure.Created, o.Created), begun: first(o.Created)}}
	}
	return []made{{typ: "refund.created", at: first(o.Created)}}
}

// disputes moved what their balance transactions moved.
func disputes(o *object) []made {
	var list []made
	for _, t := range o.Transactions {
		typ := "charge.dispute.funds_withdrawn"
		if t.Amount > 0 {
			typ = "charge.dispute.funds_reinstated"
		}
		list = append(list, made{typ: typ, at: first(t.Created, o.Created)})
	}
	return list
}

func creditNotes(o *object) []made {
	if o.Status == "void" {
		return []made{{typ: "credit_note.voided", at: first(o.VoidedAt, o.Created), begun: first(o.Created)}}
	}
	return []made{{typ: "credit_note.created", at: first(o.Created)}}
}
