package traffic

import (
	"strings"
	"time"
)

// codesMade is when the shop made its affiliates' promotion codes.
var codesMade = time.Date(2024, 1, 2, 9, 0, 0, 0, time.UTC)

// promotion returns the promotion code that was made for an affiliate, and lets Stripe report it
// the first time it is asked for.
func (w *World) promotion(affiliate string) string {
	if id := w.promotions[affiliate]; id != "" {
		return id
	}
	id := "promo_1" + w.hashed(23, affiliate)
	w.promotions[affiliate] = id
	api := w.apiOf(affiliate)
	o := object{
		"id": id, "object": "promotion_code", "active": true, "code": promotionCode(affiliate), "created": unix(codesMade),
		"customer": nil, "expires_at": nil,
		"livemode": !w.opts.TestMode, "max_redemptions": nil, "metadata": map[string]string{"pushLapAffiliateId": affiliate},
		"restrictions":   object{"first_time_transaction": false, "minimum_amount": nil, "minimum_amount_currency": nil},
		"times_redeemed": 0,
	}
	if api.since(clover) {
		o["promotion"] = object{"type": "coupon", "coupon": partnerCoupon}
	} else {
		o["coupon"] = coupon(!w.opts.TestMode)
	}
	d := w.event(api, "promotion_code.created", id, codesMade, o, nil)
	d.SendAt = w.opts.Start
	w.Deliveries = append(w.Deliveries, d)
	return id
}

// promotionCode is what a buyer types.
func promotionCode(affiliate string) string {
	return strings.ToUpper(strings.TrimPrefix(affiliate, "aff_")) + "10"
}

// partnerCoupon is behind all affiliates' codes.
const partnerCoupon = "PARTNER10"

func coupon(livemode bool) object {
	return object{
		"id": partnerCoupon, "object": "coupon", "amount_off": nil, "created": unix(codesMade.Add(-time.Minute)),
		"currency": nil, "duration": "forever",
		"duration_in_months": nil, "livemode": livemode, "max_redemptions": nil, "metadata": object{},
		"name": "Partners", "percent_off": 10,
		"redeem_by": nil, "times_redeemed": 0, "valid": true,
	}
}

// discountObject is the promotion code as a subscription has it.
func (s *buyer) discountObject(p payment) object {
	o := object{
		"id": "di_" + s.subscription[4:], "object": "discount", "checkout_session": orNull(p.session),
		"customer": s.customer, "end": nil,
		"invoice": nil, "invoice_item": nil, "promotion_code": orNull(p.by.promotion), "start": unix(p.at),
		"subscription": s.subscription,
	}
	if s.api.since(clover) {
		o["source"] = object{"type": "coupon", "coupon": partnerCoupon}
	} else {
		o["coupon"] = coupon(s.livemode())
	}
	return o
}
