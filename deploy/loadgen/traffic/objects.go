package traffic

import (
	"time"
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
