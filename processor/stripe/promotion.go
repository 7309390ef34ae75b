package stripe

import (
	"strings"

	"tributary/processor/identity"
)

// promotion names a promotion code by Stripe's id, or by what the buyer types.
func promotion(value string) identity.Node {
	if strings.HasPrefix(value, "promo_") {
		return identity.New(identity.Promotion, value)
	}
	return identity.New(identity.Code, strings.ToUpper(value))
}

// discounts reads the promotion codes and coupons of whatever was discounted. They stand in
//
//   - discounts[] of a session: {coupon, promotion_code}; of an invoice, line or subscription: ids
//     of discounts, or the discounts themselves where they were expanded;
//   - discount of an invoice or subscription, up to API 2025-02;
//   - total_discount_amounts[].discount of an invoice, and breakdown.discounts[].discount of a
//     session's totals.
//
// A discount holds its coupon itself up to API 2025-08, and in source.coupon from clover
// (2025-09-30) on.
func discounts(o object) []key {
	if !o.present() {
		return nil
	}
	var keys []key
	if d := o.child("discount"); d.present() {
		keys = append(keys, discount(d)...)
	}
	for _, list := range []string{"discounts", "total_discount_amounts"} {
		for _, d := range o.array(list) {
			if !d.present() {
				continue // only an id
			}
			if inner := d.child("discount"); inner.present() {
				d = inner
			}
			keys = append(keys, discount(d)...)
		}
	}
	return keys
}

func discount(d object) []key {
	var keys []key
	if id := d.id("promotion_code"); id != "" {
		keys = append(keys, key{node: identity.New(identity.Promotion, id), source: "discount.promotion_code"})
	}
	if id := d.id("coupon"); id != "" {
		keys = append(keys, key{node: identity.New(identity.Coupon, id), source: "discount.coupon"})
	}
	if source := d.child("source"); source.present() && source.id("coupon") != "" {
		keys = append(keys, key{node: identity.New(identity.Coupon, source.id("coupon")), source: "discount.source.coupon"})
	}
	return keys
}

// readDiscount reads customer.discount.created, .updated and .deleted: a promotion code or coupon
// that a customer or subscription has. What is bought by it keeps its credit after it ends.
func readDiscount(ev *event, d object) {
	ev.credit(discount(d), ev.node(identity.Customer, d.customer()), ev.node(identity.Subscription,
		d.id("subscription")))
}

// readPromotionCode reads promotion_code.created and .updated: what the buyer types, the coupon
// behind it, and in its metadata whose it is.
//
// Traps:
//   - The coupon stands in coupon up to API 2025-08, in promotion.coupon from clover (2025-09-30)
//     on.
//   - Stripe compares codes without regard to case.
func readPromotionCode(ev *event, p object) {
	id := p.mustText("id")
	ev.name(identity.Promotion, id, identity.Code, strings.ToUpper(strings.TrimSpace(p.text("code"))),
		"promotion_code.code")
	coupon := p.id("coupon")
	if inner := p.child("promotion"); coupon == "" && inner.present() {
		coupon = inner.id("coupon")
	}
	ev.name(identity.Promotion, id, identity.Coupon, coupon, "promotion_code.coupon")
	ev.affiliates(p, ev.node(identity.Promotion, id))
}

// readCoupon reads coupon.created, .updated and .deleted for the affiliate in its metadata. Whoever
// used a coupon that was deleted since still came by it.
func readCoupon(ev *event, c object) {
	ev.affiliates(c, ev.node(identity.Coupon, c.mustText("id")))
}

// affiliates ties a code to whom its metadata names; a click in it would be everybody's.
func (ev *event) affiliates(o object, code identity.Node) {
	for _, k := range ev.metadata(o, "metadata") {
		if k.node.Type() == identity.Affiliate {
			ev.edge(code, k.node, k.source)
		}
	}
}
