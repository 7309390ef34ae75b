package reconcile

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"
	"strings"

	"github.com/ClickHouse/clickhouse-go/v2/lib/driver"

	"tributary/processor/clickhouse"
	"tributary/processor/identity"
)

// events is what the raw events say of movements that Stripe's balance does not have. Amounts are
// minor units, positive.
type events struct {
	// whole names the invoices that were paid outside Stripe (paid_out_of_band, up to API 2025-02).
	whole map[string]bool
	// outside has, by invoice, invoice payment and credit note, what was paid or given back outside
	// Stripe, by the object that says so.
	outside map[string]map[string]said
	// released has, by charge and payment intent, what was authorised and not captured.
	released map[string]int64
	// passedOn names the charges on a connected account that its platform passed on to it.
	passedOn map[string]bool
}

// said is a figure of the latest event that tells it.
type said struct {
	amount int64
	at     int64  // when Stripe made the event, Unix seconds
	event  string // id; of events of one second the greatest counts
}

// needles is how many ids ClickHouse looks for at once; multiSearchAny takes no more than 255.
const needles = 200

// body is what is read of an event.
type body struct {
	ID      string `json:"id"`
	Type    string `json:"type"`
	Created int64  `json:"created"`
	Data    struct {
		Object struct {
			payment                                  // an invoice payment
			Object          string                   `json:"object"`
			PaidOutOfBand   bool                     `json:"paid_out_of_band"`
			Payments        struct{ Data []payment } `json:"payments"`
			OutOfBandAmount int64                    `json:"out_of_band_amount"`
			Refunds         json.RawMessage          `json:"refunds"` // a charge has another list
			Amount          int64                    `json:"amount"`
			AmountCaptured  *int64                   `json:"amount_captured"`
			AmountReceived  *int64                   `json:"amount_received"`
			Captured        *bool                    `json:"captured"`
			PaymentIntent   json.RawMessage          `json:"payment_intent"`
			Transfer        json.RawMessage          `json:"source_transfer"`
		} `json:"object"`
	} `json:"data"`
}

// creditNoteRefund is one refund of a credit note, of Stripe's or of a payment record.
// https://docs.stripe.com/api/credit_notes/object#credit_note_object-refunds
type creditNoteRefund struct {
	Type           string `json:"type"`
	AmountRefunded int64  `json:"amount_refunded"`
}

type payment struct {
	ID         string          `json:"id"`
	Status     string          `json:"status"`
	Invoice    json.RawMessage `json:"invoice"`
	AmountPaid int64           `json:"amount_paid"`
	Payment    struct {
		Type string `json:"type"`
	} `json:"payment"`
}

// readEvents learns the other names of the rows that nothing makes up, and what the raw events say
// of them. Nothing else says that money was paid outside Stripe: that no transaction answers is no
// proof.
func (c *comparison) readEvents(ctx context.Context) error {
	c.events = events{
		whole: map[string]bool{}, outside: map[string]map[string]said{}, released: map[string]int64{},
		passedOn: map[string]bool{},
	}
	rows := c.uncovered()
	ids := make(map[string]bool)
	for part := range slices.Chunk(rows, chunk) {
		var nodes []identity.Node
		for _, r := range part {
			nodes = append(nodes, identity.Unsorted(r.ObjectID)...)
		}
		graph, err := identity.Explore(ctx, identity.Remember(c.ledger.Names), c.scope.Workspace, nodes)
		if err != nil {
			return err
		}
		for _, r := range part {
			ids[r.ObjectID] = true
			for id := range steps(graph, identity.Unsorted(r.ObjectID)) {
				if id != r.ObjectID {
					r.aliases = append(r.aliases, id)
					ids[id] = true
				}
			}
			slices.Sort(r.aliases)
		}
	}
	for _, m := range c.open {
		if charge := m.charge(); strings.HasPrefix(charge, "py_") {
			ids[charge] = true
		}
	}
	list := make([]string, 0, len(ids))
	for id := range ids {
		if prefix, _, _ := strings.Cut(id, "_"); slices.Contains([]string{"in", "inpay", "cn", "ch", "py", "pi"}, prefix) {
			list = append(list, `"`+id+`"`) // as JSON has it: pi_1 is not pi_10
		}
	}
	slices.Sort(list)
	for part := range slices.Chunk(list, needles) {
		if err := c.readBodies(ctx, part); err != nil {
			return err
		}
	}
	for _, r := range rows {
		r.outside = c.events.outsideOf(r)
	}
	return nil
}

func (c *comparison) readBodies(ctx context.Context, ids []string) error {
	err := c.ledger.Each(ctx, func(rows driver.Rows) error {
		var id, text string
		if err := rows.Scan(&id, &text); err != nil {
			return err
		}
		var b body
		if json.Unmarshal([]byte(text), &b) == nil { // another shape is among the dead letters
			c.events.read(&b)
		}
		return nil
	}, `SELECT event_id, body FROM stripe_events FINAL
WHERE workspace = ? AND account = ? AND livemode = ?
    AND match(type, '^(invoice|invoice_payment|credit_note|charge|payment_intent)[.]') AND multiSearchAny(body, ?)`,
		c.scope.Workspace, c.scope.Account, c.scope.Livemode, clickhouse.Strings(ids))
	if err != nil {
		return fmt.Errorf("search events: %w", err)
	}
	return nil
}

func (e *events) read(b *body) {
	o := &b.Data.Object
	switch o.Object {
	case "invoice":
		if o.PaidOutOfBand {
			e.whole[o.ID] = true
		}
		for i := range o.Payments.Data {
			e.payment(b, &o.Payments.Data[i], o.ID)
		}
	case "invoice_payment":
		e.payment(b, &o.payment, idOf(o.Invoice))
	case "credit_note":
		outside := o.OutOfBandAmount
		var refunds []creditNoteRefund
		_ = json.Unmarshal(o.Refunds, &refunds) // null in older versions
		for _, r := range refunds {
			if r.Type == "payment_record_refund" {
				outside += r.AmountRefunded
			}
		}
		e.say(b, o.ID, o.ID, outside)
	case "charge":
		if idOf(o.Transfer) != "" {
			e.passedOn[o.ID] = true
		}
		captured := int64(0)
		switch {
		case o.Captured == nil || *o.Captured && o.AmountCaptured == nil:
			return
		case *o.Captured:
			captured = *o.AmountCaptured
		}
		e.release(o.Amount-captured, o.ID, idOf(o.PaymentIntent))
	case "payment_intent":
		if o.AmountReceived != nil && (o.Status == "succeeded" || o.Status == "canceled") {
			e.release(o.Amount-*o.AmountReceived, o.ID)
		}
	}
}

// payment notes a payment that the seller recorded, and Stripe did not make. One that was taken off
// its invoice pays nothing of it any more.
// https://docs.stripe.com/api/invoice-payment/object#invoice_payment_object-payment-type
func (e *events) payment(b *body, p *payment, invoice string) {
	if p.Payment.Type != "payment_record" || p.Status != "" && p.Status != "paid" {
		return
	}
	e.say(b, p.ID, p.ID, p.AmountPaid)
	if b.Type == "invoice_payment.detached" {
		e.say(b, invoice, p.ID, 0)
	} else {
		e.say(b, invoice, p.ID, p.AmountPaid)
	}
}

// say notes a figure, unless a later event states another one: queries return events in no order.
func (e *events) say(b *body, object, by string, amount int64) {
	if e.outside[object] == nil {
		e.outside[object] = make(map[string]said)
	}
	known, stated := e.outside[object][by]
	if !stated || b.Created > known.at || b.Created == known.at && b.ID > known.event {
		e.outside[object][by] = said{max(amount, 0), b.Created, b.ID}
	}
}

// release notes what was not captured, by the last capture: the smallest figure.
func (e *events) release(amount int64, objects ...string) {
	for _, id := range objects {
		if before, known := e.released[id]; id != "" && (!known || amount < before) {
			e.released[id] = amount
		}
	}
}

// outsideOf returns how much of a row's amount events say was paid or given back outside Stripe,
// signed like the amount and never more than what Stripe's balance leaves open.
func (e *events) outsideOf(r *row) int64 {
	left := r.Amount - r.sum
	if (left < 0) != (r.Amount < 0) {
		return 0
	}
	if e.whole[r.ObjectID] {
		return left
	}
	var outside int64
	for _, s := range e.outside[r.ObjectID] {
		outside += s.amount
	}
	if left < 0 {
		return max(left, -outside)
	}
	return min(left, outside)
}
