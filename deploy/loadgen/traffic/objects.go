package traffic

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/shopspring/decimal"
)

// The functions below write Stripe's objects in the shape of the buyer's API version. All shapes
// have the fields that a webhook reader is likely to look at; the differences between them are
// those of Stripe's changelog. Fields that were only added are there in every version, as Stripe
// sends them.

// localPricing is the day until which a session with Adaptive Pricing, its payment intent and its
// charge were in the buyer's currency, whatever the API version.
// https://docs.stripe.com/changelog/basil/2025-03-31/add_presentment_details
var localPricing = time.Date(2025, 3, 31, 0, 0, 0, 0, time.UTC)

func (s *buyer) localIntents(p payment) bool { return p.presented != "" && p.at.Before(localPricing) }

// charged is what the buyer's card was charged.
func (s *buyer) charged(p payment) (amount int64, currency string) {
	if s.localIntents(p) {
		return local(p.paid, p.presented), p.presented
	}
	return p.paid, p.currency
}

// presentment adds what the buyer saw to an object in the seller's currency.
func (s *buyer) presentment(o object, p payment) {
	if p.presented != "" && !s.localIntents(p) {
		o["presentment_details"] = object{"presentment_amount": local(p.total, p.presented),
			"presentment_currency": p.presented}
	}
}

func (s *buyer) livemode() bool { return !s.w.opts.TestMode }

func (s *buyer) address() object {
	return object{"city": nil, "country": s.person.country.code, "line1": nil, "line2": nil,
		"postal_code": nil, "state": nil}
}

// customerID and customerAccount are how an object names its customer, who may be an account.
// https://docs.stripe.com/accounts-v2/use-accounts-as-customers
func (s *buyer) customerID() any {
	if s.account {
		return nil
	}
	return orNull(s.customer)
}

func (s *buyer) customerAccount() any {
	if s.account {
		return orNull(s.customer)
	}
	return nil
}

func (s *buyer) customerObject(at time.Time) object {
	return object{
		"id": s.customer, "object": "customer", "address": nil, "balance": -s.credit, "created": unix(at), "currency": nil,
		"default_source": nil, "delinquent": false, "description": nil, "discount": nil, "email": s.person.email,
		"invoice_prefix": s.customer[len(s.customer)-8:], "livemode": s.livemode(), "metadata": orEmpty(s.customerMetadata),
		"name": s.person.name, "next_invoice_sequence": 1, "phone": nil, "preferred_locales": []string{}, "shipping": nil,
		"tax_exempt": "none", "test_clock": nil,
	}
}

func (s *buyer) sessionObject(p payment, status, paymentStatus string) object {
	mode, subscription := "payment", ""
	if p.plan {
		mode, subscription = "subscription", s.subscription
	}
	if p.total == 0 && paymentStatus == "paid" {
		paymentStatus = "no_payment_required"
	}
	intent := p.intent
	if mode == "subscription" {
		intent = "" // the invoice makes it, and the session does not name it
	}
	methods := []string{"card"}
	if s.scenario == Async {
		methods = []string{map[string]string{"jpy": "konbini", "eur": "sepa_debit"}[p.currency]}
		if methods[0] == "" {
			methods[0] = "us_bank_account"
		}
	}
	discounts := []object{}
	if p.by.promotion != "" {
		discounts = append(discounts, object{"coupon": partnerCoupon, "promotion_code": p.by.promotion})
	}
	o := object{
		"id": p.session, "object": "checkout.session", "after_expiration": nil, "allow_promotion_codes": true,
		"amount_subtotal": p.subtotal, "amount_total": p.total,
		"automatic_tax":       object{"enabled": p.tax > 0, "liability": nil, "status": nil},
		"cancel_url":          "https://atlas.example/pricing",
		"client_reference_id": orNull(p.by.reference),
		"created":             unix(p.by.opened.Add(-90 * time.Second)),
		"currency":            p.currency,
		"customer":            s.customerID(),
		"customer_account":    s.customerAccount(),
		"customer_creation":   nil,
		"customer_details": object{"address": s.address(), "email": s.person.email, "name": s.person.name, "phone": nil,
			"tax_exempt": "none", "tax_ids": []string{}},
		"customer_email": nil,
		"discounts":      discounts,
		"expires_at":     unix(p.by.opened.Add(24 * time.Hour)),
		"invoice":        orNull(p.invoice),
		"invoice_creation": object{"enabled": mode == "payment" && p.invoice != "",
			"invoice_data": object{"metadata": object{}}},
		"livemode":             s.livemode(),
		"locale":               "auto",
		"metadata":             p.sessionMetadata(),
		"mode":                 mode,
		"payment_intent":       orNull(intent),
		"payment_link":         nil,
		"payment_method_types": methods,
		"payment_status":       paymentStatus,
		"recovered_from":       nil,
		"setup_intent":         nil,
		"shipping_cost":        nil,
		"status":               status,
		"submit_type":          nil,
		"subscription":         orNull(subscription),
		"success_url":          "https://atlas.example/thanks",
		"total_details":        object{"amount_discount": p.discount, "amount_shipping": p.shipping, "amount_tax": p.tax},
		"ui_mode":              "hosted",
		"url":                  nil,
	}
	if mode == "subscription" {
		o["invoice_creation"] = nil
	}
	if p.unnamed {
		o["invoice"] = nil
	}
	if p.shipping > 0 {
		o["shipping_cost"] = object{"amount_subtotal": p.shipping, "amount_tax": 0, "amount_total": p.shipping,
			"shipping_rate": "shr_standard"}
	}
	if !s.api.since(clover) {
		o["currency_conversion"] = nil
	}
	if s.api.since(basil) {
		o["collected_information"] = nil
	} else {
		o["shipping_details"] = nil
	}
	if s.localIntents(p) {
		amount, currency := s.charged(p)
		o["amount_subtotal"], o["amount_total"], o["currency"] = amount, amount, currency
		rate := decimal.NewFromInt(1).DivRound(USDRate(currency), 6)
		o["currency_conversion"] = object{"amount_subtotal": p.subtotal, "amount_total": p.total, "fx_rate": rate.String(),
			"source_currency": p.currency}
	}
	s.presentment(o, p)
	return o
}

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
		"post_payment_credit_notes_amount": 0, "pre_payment_credit_notes_amount": 0, "starting_balance": -p.before,
		"status": status,
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

// sessionMetadata is what the seller's backend writes into a session: also the product, where there
// is no subscription whose invoice names it.
func (p payment) sessionMetadata() map[string]string {
	metadata := maps.Clone(orEmpty(p.by.sessionMetadata))
	if !p.plan {
		metadata["product_id"] = productID(p.name)
	}
	return metadata
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

func (s *buyer) intentObject(p payment, status string) object {
	amount, currency := s.charged(p)
	received, capturable, method := amount, int64(0), "automatic"
	if status != "succeeded" {
		received = 0
	}
	if p.authorised != 0 {
		method, amount = "manual", max(amount, p.authorised)
		if status == "requires_capture" {
			capturable = amount
		}
	}
	o := object{
		"id": p.intent, "object": "payment_intent", "amount": amount, "amount_capturable": capturable,
		"amount_received": received,
		"application":     nil, "application_fee_amount": nil, "canceled_at": nil, "capture_method": method,
		"confirmation_method": "automatic",
		"created":             unix(p.at.Add(-80 * time.Second)), "currency": currency, "customer": s.customerID(),
		"customer_account": s.customerAccount(), "description": nil,
		"last_payment_error": nil, "latest_charge": p.charge, "livemode": s.livemode(),
		"metadata": orEmpty(p.by.paymentMetadata), "next_action": nil,
		"on_behalf_of": nil, "payment_method": "pm_" + p.intent[3:], "payment_method_types": []string{"card"},
		"receipt_email":      s.person.email,
		"setup_future_usage": nil, "shipping": nil, "status": status, "transfer_data": nil, "transfer_group": nil,
	}
	if !s.api.since(basil) {
		o["invoice"] = orNull(p.invoice)
	}
	s.presentment(o, p)
	return o
}

// chargeObject writes the charge; refunded is the cumulative amount that went back.
func (s *buyer) chargeObject(p payment, refunded int64, disputed bool) object {
	amount, currency := s.charged(p)
	captured := amount
	if p.authorised != 0 {
		amount = p.authorised
	}
	if !s.api.since(basil) {
		refunded += p.release
	}
	o := object{
		"id": p.charge, "object": "charge", "amount": amount, "amount_captured": captured, "amount_refunded": refunded,
		"application":         nil,
		"balance_transaction": "txn_" + p.charge[3:], "billing_details": object{"address": s.address(),
			"email": s.person.email, "name": s.person.name, "phone": nil},
		"captured": captured > 0, "created": unix(p.at), "currency": currency, "customer": s.customerID(),
		"customer_account": s.customerAccount(), "description": nil, "disputed": disputed,
		"failure_code": nil, "failure_message": nil, "fraud_details": object{}, "livemode": s.livemode(),
		"metadata": orEmpty(p.by.paymentMetadata),
		"outcome": object{"network_status": "approved_by_network", "reason": nil, "risk_level": "normal",
			"seller_message": "Payment complete.", "type": "authorized"},
		"paid": true, "payment_intent": orNull(p.intent), "payment_method": "pm_" + p.intent[3:],
		"payment_method_details": object{"type": "card", "card": object{"brand": "visa", "country": s.person.country.code,
			"exp_month": 8, "exp_year": 2030, "funding": "credit", "last4": "4242", "network": "visa"}},
		"receipt_email": s.person.email, "receipt_url": nil, "refunded": refunded == amount && refunded > 0,
		"review": nil, "shipping": nil,
		"statement_descriptor": nil, "status": "succeeded", "transfer_data": nil, "transfer_group": nil,
	}
	if !s.api.since(basil) {
		o["invoice"] = orNull(p.invoice)
	}
	s.presentment(o, p)
	return o
}

func (s *buyer) refundObject(p payment, id string, at time.Time, amount int64, status string) object {
	return object{
		"id": id, "object": "refund", "amount": amount, "balance_transaction": "txn_" + id[3:], "charge": p.charge,
		"created":  unix(at),
		"currency": p.currency, "destination_details": object{"type": "card", "card": object{"type": "refund",
			"reference_status": "pending"}},
		"metadata": object{}, "payment_intent": orNull(p.intent), "reason": "requested_by_customer", "receipt_number": nil,
		"source_transfer_reversal": nil, "status": status, "transfer_reversal": nil,
	}
}

func (s *buyer) disputeObject(p payment, id string, at time.Time, status string, moved ...BalanceTransaction) object {
	transactions := []object{}
	for _, t := range moved {
		transactions = append(transactions, t.object())
	}
	return object{
		"id": id, "object": "dispute", "amount": p.paid, "balance_transactions": transactions, "charge": p.charge,
		"created":  unix(at),
		"currency": p.currency, "evidence_details": object{"due_by": unix(at.Add(7 * 24 * time.Hour)), "has_evidence": false,
			"past_due": false, "submission_count": 0},
		"is_charge_refundable": false, "livemode": s.livemode(), "metadata": object{}, "payment_intent": orNull(p.intent),
		"reason": "fraudulent", "status": status,
	}
}

func (s *buyer) subscriptionObject(p payment, trial bool) object {
	end := unix(p.at.Add(s.w.opts.Tempo.Renew))
	item := object{
		"id": "si_" + s.subscription[4:], "object": "subscription_item", "created": unix(p.at),
		"metadata": object{}, "quantity": 1,
		"price": object{"id": "price_standard", "object": "price", "currency": p.currency, "unit_amount": p.subtotal,
			"type": "recurring"}, "subscription": s.subscription,
	}
	o := object{
		"id": s.subscription, "object": "subscription", "billing_cycle_anchor": unix(p.at), "cancel_at": nil,
		"cancel_at_period_end": false,
		"canceled_at":          nil, "collection_method": "charge_automatically", "created": unix(p.at),
		"currency": p.currency,
		"customer": s.customerID(), "customer_account": s.customerAccount(),
		"default_payment_method": nil, "description": nil, "items": list("/v1/subscription_items?subscription="+
			s.subscription, item),
		"latest_invoice": orNull(p.invoice), "livemode": s.livemode(), "metadata": orEmpty(p.by.planMetadata),
		"start_date": unix(p.at), "status": "active",
		"trial_start": nil, "trial_end": nil,
	}
	o["discounts"] = []string{}
	if s.api.since(basil) {
		item["current_period_start"], item["current_period_end"] = unix(p.at), end
	} else {
		o["current_period_start"], o["current_period_end"], o["discount"] = unix(p.at), end, nil
	}
	if p.by.promotion != "" {
		o["discounts"] = []string{"di_" + s.subscription[4:]}
		if !s.api.since(basil) {
			o["discount"] = s.discountObject(p)
		}
	}
	if s.api.since(dahlia) {
		o["presentment_details"] = nil
	}
	if trial {
		o["status"], o["trial_start"], o["trial_end"] = "trialing", unix(p.at), end
	}
	return o
}
