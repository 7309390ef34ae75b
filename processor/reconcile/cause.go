package reconcile

import (
	"cmp"
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/explain"
	"tributary/processor/stripe"
)

// mentionLimit bounds how many records a cause is looked for in.
const mentionLimit = 20

// needsNames is what to do about an export that names neither charges nor payment intents.
const needsNames = "this export has no payment_intent_id column; export the itemised report " +
	`"Balance change from activity" with all columns, or use --api`

// opposite is the cause where the figures are equal and the signs are not.
const opposite = "the figures are equal and the signs are opposite: one side moved the money the wrong way"

// moving names, by kind, the events by which Stripe reports a movement; the first is the one to
// subscribe to.
var moving = map[string][]string{
	stripe.Payment:         {"payment_intent.succeeded", "charge.succeeded"},
	stripe.Refund:          {"refund.created", "charge.refunded"},
	stripe.RefundReversal:  {"refund.failed", "refund.updated", "charge.refund.updated"},
	stripe.Dispute:         {"charge.dispute.funds_withdrawn", "charge.dispute.closed"},
	stripe.DisputeReversal: {"charge.dispute.funds_reinstated", "charge.dispute.closed"},
}

// whyUnproven says why the ledger may have money that Stripe's balance has not.
func (c *comparison) whyUnproven(r *row) string {
	for _, id := range append([]string{r.ObjectID}, r.aliases...) {
		if released := c.events.released[id]; r.Kind == stripe.Refund && released > 0 && released <= -r.Amount {
			return fmt.Sprintf("likely no refund: of %s as much was authorised and never captured, and is released", id)
		}
	}
	if same := c.sameMoney(r, (*row).belongsTo); len(same) > 0 {
		cause := fmt.Sprintf("likely the same money as %s (same customer or sale, currency, amount and day), booked twice",
			objects(same))
		if r.Kind == stripe.Payment {
			cause += ": subscribe the endpoint to invoice_payment.paid"
		}
		return cause
	}
	if same := c.sameMoney(r, (*row).mayBeOneBuyer); len(same) > 0 {
		return fmt.Sprintf("maybe the same money as %s, booked twice: one names a customer and the other an account, and no "+
			"event says whether they are one buyer: subscribe the endpoint to invoice_payment.paid and customer.updated",
			objects(same))
	}
	if before := c.paidBefore(r); before != nil {
		return fmt.Sprintf("maybe the same money as %s of %s, attached to the invoice later, and no event ties the two: "+
			"subscribe the endpoint to invoice_payment.paid and invoice_payment.detached",
			before.ObjectID, dayOf(before.OccurredAt))
	}
	for _, m := range c.open {
		currency, amount, ok := m.presented(r.Currency)
		if _, named := m.names[r.ObjectID]; named && ok && currency == r.Currency && amount == -r.Amount {
			return opposite + ": " + m.ID
		}
	}
	cause := "no balance transaction in the export answers to it, and no event says that it was paid outside Stripe"
	switch {
	case c.scope.Complete:
	case r.OccurredAt.After(c.report.last):
		cause += "; the export may end before it"
	case r.OccurredAt.Before(c.report.first):
		cause += "; the export may begin after it"
	}
	return cause + ": ask processor explain " + r.ObjectID
}

// attachedWithin is how long before an invoice a payment may have been made that is taken for its
// own. It is shorter than a month: a renewal has the price of the one before.
const attachedWithin = 28 * 24 * time.Hour

// paidBefore returns the latest earlier payment of an invoice's customer and amount, of which
// Stripe's balance has the money, or which is from before the period; nil if there is none. A
// seller may attach a payment that was made before the invoice was issued, and one that was taken
// off another invoice. https://docs.stripe.com/api/invoices/attach_payment
func (c *comparison) paidBefore(r *row) (latest *row) {
	if !r.mayBeAttached() {
		return nil
	}
	for _, o := range c.rows {
		answered := len(o.answers) > 0 && !o.byAmount || o.OccurredAt.Before(c.scope.Period.From)
		span := r.OccurredAt.Sub(o.OccurredAt)
		if answered && o.booked() && o.Kind == r.Kind && o.CustomerID == r.CustomerID && o.Currency == r.Currency &&
			o.Amount == r.Amount && 0 < span && span < attachedWithin &&
			(latest == nil || o.OccurredAt.After(latest.OccurredAt) ||
				o.OccurredAt.Equal(latest.OccurredAt) && o.before(latest) < 0) {
			latest = o
		}
	}
	return latest
}

// mayBeAttached reports whether an entry is of an invoice that nothing answers to, of a customer
// whose earlier payment may be its own.
func (r *row) mayBeAttached() bool {
	return r.booked() && r.Kind == stripe.Payment && strings.HasPrefix(r.ObjectID, "in_") && r.CustomerID != "" &&
		len(r.answers) == 0 && r.outside != r.Amount
}

// readEarlier reads the payments from before the period that an unproven invoice of it may have
// been paid by.
func (c *comparison) readEarlier(ctx context.Context) error {
	customers := make(map[string]bool)
	for _, r := range c.rows {
		if r.inPeriod && r.mayBeAttached() {
			customers[r.CustomerID] = true
		}
	}
	if len(customers) == 0 {
		return nil
	}
	rows, err := paidBy(ctx, c.ledger, c.scope, slices.Sorted(maps.Keys(customers)),
		c.scope.Period.From.Add(-attachedWithin), c.scope.Period.From)
	c.take(rows)
	return err
}

// objects returns the ids of what entries are of.
func objects(rows []*row) string {
	var ids []string
	for _, r := range rows {
		ids = append(ids, r.ObjectID)
	}
	return strings.Join(ids, " and ")
}

func (c *comparison) whyAmount(r *row) string {
	if r.sum == -r.Amount {
		return opposite
	}
	if r.Kind == stripe.DisputeReversal && 0 < r.sum && r.sum < r.Amount {
		return "the dispute was won in part: Stripe gave back less than was disputed, as after a partial refund"
	}
	for _, id := range append([]string{r.ObjectID}, r.aliases...) {
		released := c.events.released[id]
		switch open := r.Amount - r.outside - r.sum; {
		case released == 0:
		case open == released || open == -released:
			return fmt.Sprintf("of %s as much was authorised and never captured: a release of an authorisation is no refund, "+
				"and only what is captured is a payment", id)
		}
	}
	if len(r.answers) > 1 {
		var ids []string
		for _, t := range r.answers {
			ids = append(ids, t.ID)
		}
		return "several balance transactions answer to one entry: " + strings.Join(ids, ", ")
	}
	return "an event that reports the rest has not come, or another source of the amount was better: " +
		"ask processor explain " +
		r.ObjectID
}

// whyMissing says why the ledger may lack a movement of Stripe's. The raw events are searched for
// it only if search is set.
func (c *comparison) whyMissing(ctx context.Context, m movement, search bool) (string, error) {
	for _, id := range slices.Sorted(maps.Keys(m.names)) {
		for _, r := range c.under[entryKey{m.Kind(), id}] {
			if r.Status == "held" {
				return fmt.Sprintf("held as %s, and in no sum: ask processor explain %s", id, id), nil
			}
		}
	}
	if m.Category == notCaptured {
		return "as much was authorised and never captured, and the ledger has no payment without it: only what is " +
			"captured is a payment, ask processor explain " + cmp.Or(m.ChargeID, m.Source), nil
	}
	if id := c.reversed(m); id != "" {
		return opposite + ": " + id, nil
	}
	prefix := ""
	if m.Unnamed {
		prefix = "whether the ledger has it cannot be seen, because " + needsNames + ". "
	}
	if !search {
		return prefix + "ask processor explain " + m.Source, nil
	}
	mentions, err := explain.Mentions(ctx, c.ledger, c.scope.Workspace, []string{m.Source}, mentionLimit)
	if err != nil {
		return "", err
	}
	var types []string
	for _, mention := range mentions {
		if mention.DeadLetter {
			return fmt.Sprintf("%sset aside as a dead letter (%s): %s", prefix, mention.ID, mention.What), nil
		}
		if !slices.Contains(types, mention.What) {
			types = append(types, mention.What)
		}
	}
	first, delivered, err := c.delivered(ctx)
	if err != nil {
		return "", err
	}
	wanted := moving[m.Kind()]
	if m.Category == chargeFailure {
		wanted = []string{"charge.failed"}
	}
	never := !slices.ContainsFunc(wanted, func(t string) bool { return delivered[t] })
	cause := "no event speaks of it"
	if len(types) > 0 {
		cause = "named by " + strings.Join(types, ", ") + ", none of which moves this money"
	}
	switch {
	case never:
		cause += fmt.Sprintf(", and no %s has ever come: subscribe the endpoint to %s",
			strings.Join(wanted, " or "), wanted[0])
	case m.Created.Before(first):
		cause += ": it is from before the first event that the endpoint received, on " + dayOf(first) +
			"; processor backfill brings what is older"
	default:
		cause += fmt.Sprintf(", though other events of its kind have come: send its %s again from Stripe's dashboard, "+
			"or let processor backfill read it", wanted[0])
	}
	return prefix + cause, nil
}

// reversed returns the object of an entry that moved the figure of m in the other direction, and
// that nothing answers to.
func (c *comparison) reversed(m movement) string {
	for _, kind := range slices.Sorted(maps.Keys(moving)) {
		for _, r := range c.under[entryKey{kind, m.Source}] {
			currency, amount, ok := m.presented(r.Currency)
			if r.booked() && len(r.answers) == 0 && ok && currency == r.Currency && amount == -r.Amount {
				return r.Kind + " " + r.ObjectID
			}
		}
	}
	return ""
}

// delivered returns which types of events the account has ever sent, and when Stripe made the
// first.
func (c *comparison) delivered(ctx context.Context) (time.Time, map[string]bool, error) {
	if c.types != nil {
		return c.first, c.types, nil
	}
	c.types = make(map[string]bool)
	err := c.ledger.Each(ctx, func(rows driver.Rows) error {
		var typ string
		var at time.Time
		if err := rows.Scan(&typ, &at); err != nil {
			return err
		}
		c.types[typ] = true
		if c.first.IsZero() || at.Before(c.first) {
			c.first = at
		}
		return nil
	}, `SELECT toString(type), min(created) FROM stripe_events
WHERE workspace = ? AND account = ? AND livemode = ? GROUP BY type`,
		c.scope.Workspace, c.scope.Account, c.scope.Livemode)
	if err != nil {
		return c.first, nil, fmt.Errorf("list types of events: %w", err)
	}
	return c.first, c.types, nil
}
