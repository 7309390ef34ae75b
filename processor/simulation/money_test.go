package simulation

import (
	"context"
	"slices"
	"strings"
	"time"

	"tributary/processor/clickhouse"
	"tributary/processor/ledger"
	"tributary/processor/recompute"
	"tributary/processor/stripe"
)

// authorise holds money, and captures all of it, three quarters, or none. What is released Stripe
// calls a refund in this version; nothing of it moved.
// https://docs.stripe.com/changelog/basil/2025-03-31/remove-refund-from-partial-capture-and-payment-cancellation-flow
func (l *life) authorise() {
	intent, charge := l.id("pi"), l.id("ch")
	object := func(captured int64, released int64) object {
		return object{"id": charge, "amount": l.amount, "amount_captured": captured, "captured": captured > 0,
			"amount_refunded": released, "currency": l.currency, "customer": null(l.customer), "payment_intent": intent,
			"invoice": nil}
	}
	captured := []int64{0, l.amount * 3 / 4, l.amount}[l.rng.IntN(3)]
	l.deliver("charge.succeeded", object(0, 0))
	l.clock += 5 * time.Second
	if captured > 0 {
		l.deliver("charge.captured", object(captured, l.amount-captured))
		l.deliver("payment_intent.succeeded", map[string]any{"id": intent, "amount": l.amount, "amount_received": captured,
			"currency": l.currency, "customer": null(l.customer), "latest_charge": charge, "invoice": nil,
			"metadata": l.named.intentMeta})
		l.move(movement{object: intent, sale: intent, kind: stripe.Payment, amount: captured, credit: l.rules.bare})
	}
	if released := l.amount - captured; released > 0 {
		l.deliver("charge.refunded", object(captured, released))
		l.deliver("charge.refund.updated", map[string]any{"id": l.id("re"), "charge": charge, "amount": released,
			"currency": l.currency, "status": "succeeded", "created": l.epoch.Add(l.clock).Unix()})
	}
}

// instalments pays an invoice in two parts. Of some the second part never comes.
func (l *life) instalments() {
	invoice, total, complete := l.id("in"), l.amount, l.rng.IntN(3) > 0
	issued := object{"id": invoice, "amount_due": total, "amount_paid": 0, "total": total, "currency": l.currency,
		"customer": null(l.customer), "total_taxes": []object{{"amount": l.tax}}}
	l.deliver("invoice.finalized", issued)
	parts := []int64{total / 2, total - total/2}
	if !complete {
		parts = parts[:1]
	}
	var before int64
	var intent, charge string
	for _, part := range parts {
		l.clock += 4 * time.Second
		l.amount = part
		intent, charge = l.pay(invoice)
		tax := share(l.tax, before+part, total) - share(l.tax, before, total)
		before += part
		l.move(movement{object: intent, sale: invoice, kind: stripe.Payment, amount: part, tax: tax, credit: l.rules.bare})
	}
	l.amount = total
	if complete {
		l.invoice(invoice, "", intent, charge)
	}
}

// together pays two invoices by one payment. Of some no event ties them.
func (l *life) together() {
	l.old, l.unlinked = false, l.named.intentMeta == nil && l.rng.IntN(2) == 0
	invoices := []string{l.id("in"), l.id("in")}
	amounts, taxes := []int64{l.amount, 2*l.amount + 7}, []int64{l.tax, 3}
	l.amount = amounts[0] + amounts[1]
	intent, _ := l.pay("")
	for i, invoice := range invoices {
		if l.amount, l.tax = amounts[i], taxes[i]; !l.unlinked {
			l.deliver("invoice_payment.paid", object{"id": l.id("inpay"), "invoice": invoice, "amount_paid": l.amount,
				"currency": l.currency, "payment": object{"type": "payment_intent", "payment_intent": intent}})
		}
		l.invoice(invoice, "", "", "")
	}
	l.move(movement{object: intent, sale: slices.Min(invoices), kind: stripe.Payment, amount: amounts[0] + amounts[1],
		tax: taxes[0] + taxes[1], credit: l.rules.bare})
}

// withoutFacts is a Store that keeps only some facts.
type withoutFacts struct {
	*client
	drop func(stripe.Fact) bool
}

func (s *withoutFacts) InsertFacts(ctx context.Context, rows []clickhouse.FactRow) error {
	return s.client.InsertFacts(ctx, slices.DeleteFunc(slices.Clone(rows),
		func(r clickhouse.FactRow) bool { return s.drop(r.Fact) }))
}

func without(drop func(stripe.Fact) bool) func(*client) recompute.Store {
	return func(c *client) recompute.Store { return &withoutFacts{c, drop} }
}

// noFields is a Store that takes metadata fields for names that all count.
type noFields struct{ *client }

func (s *noFields) InsertEdges(ctx context.Context, rows []clickhouse.EdgeRow) error {
	rows = slices.Clone(rows)
	for i := range rows {
		rows[i].Source = strings.TrimPrefix(rows[i].Source, "customer.")
	}
	return s.client.InsertEdges(ctx, rows)
}

// breakableMoney are the rules of money and credit, each as it is when it is broken.
var breakableMoney = []broken{
	{name: "what an authorisation releases is a refund",
		wrapStore: without(func(f stripe.Fact) bool { return f.Kind == stripe.Authorization })},
	{name: "an invoice that is not paid says nothing",
		wrapStore: without(func(f stripe.Fact) bool { return f.Source == stripe.FromInvoice && f.Amount == 0 })},
	{name: "an invoice is one entry",
		wrapStore: entries(func(rows []ledger.Entry) []ledger.Entry {
			for i := range rows {
				if e := &rows[i]; e.Kind == stripe.Payment && strings.HasPrefix(e.SaleID, "in_") {
					e.ID = ledger.NewEntryID(e.Account, e.Livemode, e.SaleID, e.Kind, "")
				}
			}
			return rows
		})},
	{name: "a field that was replaced goes on naming its click",
		wrapStore: func(c *client) recompute.Store { return &noFields{c} }},
}
