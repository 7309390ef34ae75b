package traffic

import (
	"maps"
	"time"

	"github.com/shopspring/decimal"
)

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
	if s.scenario == Async || s.scenario == Debited {
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

// sessionMetadata is what the seller's backend writes into a session: also the product, where there
// is no subscription whose invoice names it.
func (p payment) sessionMetadata() map[string]string {
	metadata := maps.Clone(orEmpty(p.by.sessionMetadata))
	if !p.plan {
		metadata["product_id"] = productID(p.name)
	}
	return metadata
}
