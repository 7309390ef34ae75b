package traffic

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"
)

// invoiceObject writes an invoice that is open, paid or void.
func (s *buyer) invoiceObject(p payment, status string) object {
	at := unix(p.at)
	due := cmp.Or(p.due, p.paid)
	paid, paidAt, voidedAt, lostAt, ending := p.earlier, any(nil), any(nil), any(nil), any(-p.after)
	switch status {
	case "paid":
		paid, paidAt = min(p.earlier+p.paid, due), at
	case "void":
		voidedAt = at
	case "uncollectible":
		lostAt = at
	case "open":
		ending = nil
	}
	finalized := unix(p.at.Add(-time.Second))
	if !p.finalized.IsZero() {
		finalized = unix(p.finalized)
	}
	o := object{
		"id": p.invoice, "object": "invoice", "account_country": "DE", "account_name": "Atlas", "amount_due": due,
		"amount_paid": paid, "amount_remaining": due - paid, "amount_shipping": p.shipping,
		"attempt_count": 1, "attempted": true,
		"auto_advance": false, "automatic_tax": object{"enabled": p.tax != 0, "liability": nil, "status": nil},
		"billing_reason": p.reason, "collection_method": "charge_automatically", "created": unix(p.at.Add(-2 * time.Second)),
		"currency": p.currency, "customer": s.customerID(), "customer_account": s.customerAccount(),
		"customer_address": s.address(), "customer_email": s.person.email,
		"customer_name": s.person.name, "default_payment_method": nil, "description": nil,
		"discounts": []string{}, "due_date": nil,
		"effective_at": finalized, "ending_balance": ending, "footer": nil,
		"lines": list("/v1/invoices/"+p.invoice+"/lines", s.lines(p)...), "livemode": s.livemode(), "metadata": object{},
		"next_payment_attempt": nil,
		"number":               fmt.Sprintf("%s-%04d", p.invoice[len(p.invoice)-8:], p.number+1),
		"period_start":         at, "period_end": at,
		"post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": p.noted,
		"starting_balance": -p.before,
		"status":           status,
		"status_transitions": object{"finalized_at": finalized, "marked_uncollectible_at": lostAt, "paid_at": paidAt,
			"voided_at": voidedAt},
		"subtotal": p.subtotal, "test_clock": nil, "total": p.total, "total_excluding_tax": p.total - p.tax,
		"total_discount_amounts": []object{}, "webhooks_delivered_at": at,
	}
	o["subtotal_excluding_tax"] = p.subtotal
	if p.inclusive && p.total > 0 {
		o["subtotal_excluding_tax"] = p.subtotal - rounded(p.subtotal*p.tax, p.total)
	}
	if p.discount > 0 {
		o["total_discount_amounts"] = []object{{"amount": p.discount, "discount": "di_" + p.invoice[3:]}}
		o["discounts"] = []string{"di_" + p.invoice[3:]}
	}
	if p.grant > 0 && s.api.since(acacia) {
		o["total_pretax_credit_amounts"] = []object{{"amount": p.grant, "type": "credit_balance_transaction",
			"credit_balance_transaction": "cbtxn_" + p.invoice[3:]}}
	}
	if p.shipping > 0 {
		o["shipping_cost"] = object{"amount_subtotal": p.shipping, "amount_tax": 0, "amount_total": p.shipping,
			"shipping_rate": "shr_standard"}
	} else {
		o["shipping_cost"] = nil
	}
	if p.reason == "manual" && p.outside {
		o["collection_method"], o["due_date"] = "send_invoice", unix(p.at.Add(14*24*time.Hour))
	}
	if s.api.since(basil) {
		s.newInvoice(o, p)
	} else {
		s.oldInvoice(o, p, status)
	}
	return o
}

// lines are one line for what was bought, or two where the seller's invoice is of two products, or
// the two prorations of a change of plan, of which the first is negative.
func (s *buyer) lines(p payment) []object {
	if len(p.plans) > 0 {
		var lines []object
		left := p.subtotal
		for i, plan := range p.plans {
			x, amount := *s, p.subtotal/2
			if i == len(p.plans)-1 {
				amount = left
			}
			x.subscription, p.plan, left = plan, true, left-amount
			lines = append(lines, x.line(p, fmt.Sprint(i), amount, p.name, "1 × "+p.name, false))
		}
		return lines
	}
	if p.reason == "manual" && s.w.opts.Rare {
		rest := p.subtotal / 3
		return []object{
			s.line(p, "", p.subtotal-rest, p.name, "1 × "+p.name, false),
			s.line(p, "2", rest, "Gift wrapping", "1 × Gift wrapping", false),
		}
	}
	if p.unused == 0 && p.remaining == 0 {
		return []object{s.line(p, "", p.subtotal, p.name, "1 × "+p.name, false)}
	}
	return []object{
		s.line(p, "u", p.unused, p.previous, "Unused time on "+p.previous, true),
		s.line(p, "r", p.remaining, p.name, "Remaining time on "+p.name, true),
	}
}

func (s *buyer) line(p payment, suffix string, amount int64, product, description string, proration bool) object {
	var metadata map[string]string
	if p.plan {
		metadata = p.by.planMetadata
	}
	line := object{
		"id": "il_" + p.invoice[3:] + suffix, "object": "line_item", "amount": amount, "currency": p.currency,
		"description":      description,
		"discount_amounts": []object{}, "discountable": !proration, "discounts": []string{}, "invoice": p.invoice,
		"livemode": s.livemode(),
		"metadata": orEmpty(metadata), "period": object{"start": unix(p.at), "end": unix(p.at.Add(s.w.opts.Tempo.Renew))},
		"quantity": 1,
	}
	if !s.api.since(basil) {
		line["subscription"], line["proration"], line["type"], line["tax_amounts"] = nil, proration, "invoiceitem", []object{}
		line["price"] = object{"id": "price_standard", "object": "price", "product": productID(product)}
		if p.plan {
			line["subscription"], line["type"] = s.subscription, "subscription"
		}
		return line
	}
	line["parent"] = object{"type": "invoice_item_details", "invoice_item_details": object{"invoice_item": "ii_" +
		p.invoice[3:] + suffix, "proration": proration, "subscription": nil}, "subscription_item_details": nil}
	line["pricing"] = object{"type": "price_details", "price_details": object{"price": "price_standard",
		"product": productID(product)}, "unit_amount_decimal": fmt.Sprint(amount)}
	line["taxes"] = []object{}
	if p.plan {
		line["parent"] = object{"type": "subscription_item_details", "invoice_item_details": nil,
			"subscription_item_details": object{"proration": proration, "subscription": s.subscription,
				"subscription_item": "si_" + s.subscription[4:]}}
	}
	return line
}

// productID returns Stripe's id of a product.
func productID(name string) string {
	return "prod_" + strings.Map(func(r rune) rune {
		if r < 'a' || r > 'z' {
			return -1
		}
		return r
	}, strings.ToLower(name))
}

// ProductEvents are the events by which Stripe says what is for sale, and what it is called.
func ProductEvents(created time.Time) []Delivery {
	var list []Delivery
	for _, p := range slices.Concat(plans, goods) {
		id := productID(p.name)
		event := "evt_" + id
		list = append(list, Delivery{SendAt: created, EventID: event, Type: "product.created", Object: id, Created: created,
			Body: pretty(object{"id": event, "object": "event", "type": "product.created", "created": created.Unix(),
				"livemode": true, "data": object{"object": object{"id": id, "object": "product", "created": created.Unix(),
					"livemode": true, "active": true, "name": p.name}}})})
	}
	return list
}

// oldInvoice names its subscription, payment intent and charge itself.
func (s *buyer) oldInvoice(o object, p payment, status string) {
	intent := p.intent
	if intent == "" || status != "paid" {
		intent = p.tried
	}
	o["paid"], o["paid_out_of_band"] = status == "paid", status == "paid" && p.outside
	o["subscription"], o["payment_intent"], o["charge"] = nil, orNull(intent), nil
	if status == "paid" {
		o["charge"] = orNull(p.charge)
	}
	o["subscription_details"] = object{"metadata": nil}
	o["discount"], o["quote"], o["tax"], o["total_tax_amounts"] = nil, nil, nil, []object{}
	if p.plan {
		o["subscription"], o["subscription_details"] = s.subscription, object{"metadata": orEmpty(p.by.planMetadata)}
		if p.by.promotion != "" {
			o["discount"] = s.discountObject(p)
		}
	}
	if p.tax != 0 {
		o["tax"] = p.tax
		o["total_tax_amounts"] = []object{{"amount": p.tax, "inclusive": p.inclusive, "tax_rate": "txr_standard",
			"taxable_amount": p.total - p.tax}}
	}
}

// newInvoice keeps its subscription under parent, and its payments in objects of their own.
func (s *buyer) newInvoice(o object, p payment) {
	o["amount_overpaid"], o["parent"], o["total_taxes"] = p.overpaid(), nil, []object{}
	if p.plan {
		o["parent"] = object{"type": "subscription_details", "quote_details": nil,
			"subscription_details": object{"metadata": orEmpty(p.by.planMetadata), "subscription": s.subscription}}
	}
	if p.tax != 0 {
		behavior := "exclusive"
		if p.inclusive {
			behavior = "inclusive"
		}
		o["total_taxes"] = []object{{"amount": p.tax, "tax_behavior": behavior,
			"tax_rate_details": object{"tax_rate": "txr_standard"}, "taxability_reason": "standard_rated",
			"taxable_amount": p.total - p.tax, "type": "tax_rate_details"}}
	}
}

// overpaid is how much more than the invoice asks for is paid by this payment and those before it.
func (p payment) overpaid() int64 {
	if p.due == 0 {
		return 0
	}
	return max(0, p.earlier+p.paid-p.due)
}

func (s *buyer) invoicePaymentObject(p payment) object {
	id, by := p.record, object{"type": "payment_record", "payment_record": "prec_" + p.invoice[3:]}
	if p.intent != "" {
		id, by = "inpay_"+s.w.hashed(24, p.invoice, p.intent), object{"type": "payment_intent", "payment_intent": p.intent}
	}
	paid := p.paid - p.overpaid()
	return object{
		"id": id, "object": "invoice_payment", "amount_overpaid": p.overpaid(), "amount_paid": paid, "amount_requested": paid,
		"created": unix(p.at), "currency": p.currency, "invoice": p.invoice, "is_default": true, "livemode": s.livemode(),
		"payment": by, "status": "paid", "status_transitions": object{"canceled_at": nil, "paid_at": unix(p.at)},
	}
}
