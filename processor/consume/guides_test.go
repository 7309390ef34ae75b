package consume

import (
	"fmt"
	"testing"

	"tributary/processor/join"
	"tributary/processor/ledger"
	"tributary/schemas"
)

func (h *processor) entry(object, kind string) ledger.Entry {
	h.tb.Helper()
	for _, e := range h.Ledger() {
		if e.ObjectID == object && e.Kind == kind {
			return e
		}
	}
	h.tb.Fatalf("%s of %s is not in the ledger:\n%s", kind, object, h.Table())
	return ledger.Entry{}
}

// Push Lap Growth's customers write the affiliate's id into client_reference_id or into metadata,
// and change nothing when they switch. The affiliate is known from the clicks that carry it; a bare
// id counts as soon as it is, however late.
func TestPushLapGrowth(t *testing.T) {
	h := newProcessor(t)
	session := func(n string, fields j) {
		object := j{"id": "cs_" + n, "mode": "subscription", "payment_status": "paid", "currency": "usd",
			"amount_total": 2900, "invoice": "in_" + n, "customer": "cus_" + n, "subscription": "sub_" + n}
		for k, v := range fields {
			object[k] = v
		}
		h.feed(event(t, "evt_"+n, "checkout.session.completed", 10, 1, object))
	}
	session("1", j{"client_reference_id": "aff_ann"})
	session("2", j{"metadata": j{"pushLapAffiliateId": "aff_ann"}})
	session("3", j{"client_reference_id": "undefined"}) // window.affiliateId, read on the server
	session("4", j{"client_reference_id": "project_123"})

	if e := h.entry("in_1", "payment"); e.MatchRule != join.RuleNone {
		t.Errorf("an id that nobody knows yet is credited by %s", e.MatchRule)
	}
	h.feed(click(t, -60, &schemas.Click{AffiliateId: "aff_ann", ProgramId: "prog_1"}))
	h.feed(event(t, "evt_renewal", "invoice.paid", 3000, 1, j{"id": "in_9", "currency": "usd", "amount_paid": 2900,
		"total": 2900, "customer": "cus_1",
		"parent": j{"subscription_details": j{"subscription": "sub_1"}}}))
	for invoice, rule := range map[string]join.Rule{
		"in_1": join.RuleReference, "in_2": join.RuleAffiliate, "in_9": join.RuleReference,
	} {
		if e := h.entry(invoice, "payment"); e.MatchRule != rule || e.Click.AffiliateID != "aff_ann" ||
			e.Click.ProgramID != "prog_1" || !e.Click.ID.IsZero() {
			t.Errorf("%s: %s %+v", invoice, e.MatchRule, e.Click)
		}
	}
	for _, invoice := range []string{"in_3", "in_4"} {
		if e := h.entry(invoice, "payment"); e.MatchRule != join.RuleNone || e.Amount != 2900 {
			t.Errorf("%s: %s", invoice, e.MatchRule)
		}
	}
}

// PiMMs' customers name their own user on the session and tie it to a click on the Stripe customer,
// before or after the sale; client_reference_id is theirs. A click has PiMMs' own id, which its
// script sends along.
func TestPiMMs(t *testing.T) {
	events := []func(*processor){
		func(h *processor) {
			h.feed(click(t, -60, &schemas.Click{LinkId: "pim.ms/launch", ForeignId: "Ab3dEf6hIj9kLm2n"}))
		},
		func(h *processor) {
			h.feed(event(t, "evt_cus", "customer.updated", 20, 1, j{"id": "cus_1",
				"metadata": j{"pimmsCustomerId": "user_123", "pimmsClickId": "Ab3dEf6hIj9kLm2n"}}))
		},
		func(h *processor) { // a guest, as far as Stripe knows
			h.feed(event(t, "evt_cs", "checkout.session.completed", 10, 1,
				j{"id": "cs_1", "mode": "payment", "payment_status": "paid", "currency": "eur", "amount_total": 4900,
					"payment_intent":      "pi_1",
					"client_reference_id": "project_123", "metadata": j{"pimmsCustomerId": "user_123"}}))
		},
		func(h *processor) {
			h.feed(event(t, "evt_in", "invoice.paid", 9000, 1, j{"id": "in_2", "currency": "eur", "amount_paid": 900,
				"total": 900, "customer": "cus_1"}))
		},
		func(h *processor) {
			h.feed(event(t, "evt_re", "charge.refunded", 9500, 1, j{"id": "ch_1", "payment_intent": "pi_1",
				"amount": 4900, "amount_refunded": 1900, "currency": "eur"}))
		},
	}
	permutations(len(events), func(order []int) {
		h := newProcessor(t)
		for _, i := range order {
			events[i](h)
		}
		if e := h.entry("pi_1", "payment"); e.MatchRule != join.RuleExternal || e.Click.LinkID != "pim.ms/launch" ||
			e.MatchKey != "external:user_123" {
			t.Fatalf("order %v: the sale is credited by %s (%s)", order, e.MatchRule, e.MatchKey)
		}
		if e := h.entry("in_2", "payment"); e.MatchRule != join.RuleStripeCustomer ||
			e.Click.LinkID != "pim.ms/launch" {
			t.Fatalf("order %v: the invoice is credited by %s", order, e.MatchRule)
		}
		if e := h.entry("ch_1", "refund"); e.Amount != -1900 || e.SaleID != "pi_1" || e.MatchRule != join.RuleSale ||
			e.Click.LinkID != "pim.ms/launch" {
			t.Fatalf("order %v: the refund of %s, %d, is credited by %s", order, e.SaleID, e.Amount, e.MatchRule)
		}
	})
}

// A lead that comes before or after the sale ties the buyer to the click.
func TestLeadTiesBuyerToClick(t *testing.T) {
	lead, err := schemas.LeadRecord(&schemas.Lead{Workspace: "default", LeadId: []byte("0123456789abcdef"),
		ReceivedAt: epoch.UnixMilli(), ClickRef: clickID(-60).String(), ExternalId: "user_1", EventName: "Sign up",
		Mode: "deferred", Quantity: 1})
	if err != nil {
		t.Fatal(err)
	}
	steps := []func(*processor){
		func(h *processor) { h.feed(click(t, -60, &schemas.Click{AffiliateId: "ann"})) },
		func(h *processor) { h.feed(lead) },
		func(h *processor) {
			h.feed(event(t, "evt_1", "checkout.session.completed", 10, 1,
				j{"id": "cs_1", "mode": "payment", "payment_status": "paid", "currency": "usd", "amount_total": 100,
					"payment_intent": "pi_1",
					"metadata":       j{"tributaryCustomerId": "user_1"}}))
		},
	}
	permutations(len(steps), func(order []int) {
		h := newProcessor(t)
		for _, i := range order {
			steps[i](h)
		}
		if e := h.entry("pi_1", "payment"); e.MatchRule != join.RuleExternal || e.Click.AffiliateID != "ann" {
			t.Fatalf("order %v: the sale is credited by %s", order, e.MatchRule)
		}
		for _, l := range h.AllLeads() {
			if l.MatchRule != join.RuleClickID || l.Click.AffiliateID != "ann" {
				t.Fatalf("order %v: the lead is credited by %s", order, l.MatchRule)
			}
		}
	})
}

// Ids that the seller's program failed to fill in do not make one person of all buyers.
func TestUnfilledCustomers(t *testing.T) {
	h := newProcessor(t)
	h.feed(click(t, -60, &schemas.Click{ForeignId: "nRn8DqnGUvDVq8ku", AffiliateId: "aff_ann", Vouched: true}))
	for i, none := range []string{"undefined", "[object Object]", "NaN", "<nil>"} {
		session := func(n string, metadata j) {
			metadata["pimmsCustomerId"] = none
			h.feed(event(t, "evt_"+n, "checkout.session.completed", 10, 1, j{"id": "cs_" + n, "mode": "payment",
				"payment_status": "paid", "currency": "usd", "amount_total": 2900, "payment_intent": "pi_" + n,
				"metadata": metadata}))
		}
		first, second := fmt.Sprintf("%d1", i), fmt.Sprintf("%d2", i)
		session(first, j{"pimmsClickId": "nRn8DqnGUvDVq8ku"})
		session(second, j{})
		if e := h.entry("pi_"+first, "payment"); e.Click.AffiliateID != "aff_ann" {
			t.Errorf("%s: the buyer who names a click is credited by %s", none, e.MatchRule)
		}
		if e := h.entry("pi_"+second, "payment"); e.MatchRule != join.RuleNone {
			t.Errorf("%s: somebody else is credited by %s %s", none, e.MatchRule, e.MatchKey)
		}
	}
}
