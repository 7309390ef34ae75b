package erase

import (
	"encoding/json"
	"strings"
	"testing"

	"tributary/processor/identity"
	"tributary/processor/stripe"
	"tributary/schemas"
)

// erasedList has one customer and one buyer's id in workspace default.
func erasedList(t *testing.T) *List {
	t.Helper()
	keys, err := stripe.NewKeys(nil, map[string]string{"u-": identity.External, "order-": ""})
	if err != nil {
		t.Fatal(err)
	}
	list := &List{Keys: func(string) *stripe.Keys { return keys }}
	list.names.Store(&map[key]string{
		{"default", hash("default", identity.New(identity.Customer, "cus_1"))}: "cus_erased_a",
		{"default", hash("default", identity.New(identity.External, "7"))}:     "erased_b",
	})
	return list
}

// What Stripe's objects say of a person, by the fields of Stripe's own description of its API
// (openapi/spec3.json of stripe-mock 0.203, and older versions' cards and sources), is removed;
// what money is booked from stays.
func TestPersonalFields(t *testing.T) {
	list := erasedList(t)
	for _, object := range []string{
		`"source":{"id":"card_1","object":"card","name":"ANNA","address_line1":"ANNA","address_zip":"ANNA","dynamic_last4":"ANNA"}`,
		`"source":{"id":"src_1","object":"source","owner":{"verified_name":"ANNA"},"klarna":{"first_name":"ANNA"},"multibanco":{"refund_iban":"ANNA"}}`,
		`"sources":{"object":"list","data":[{"id":"ba_1","object":"bank_account","account_holder_name":"ANNA"}]}`,
		`"default_payment_method":{"id":"pm_1","object":"payment_method","boleto":{"tax_id":"ANNA"},"klarna":{"dob":{"day":"ANNA"}}}`,
		`"payment_method_options":{"konbini":{"confirmation_number":"ANNA"}}`,
		`"individual_name":"ANNA","business_name":"ANNA"`,
		`"next_action":{"boleto_display_details":{"hosted_voucher_url":"ANNA"}}`,
		`"payment_details":{"customer_reference":"ANNA"}`,
		`"success_url":"https://shop.example/ANNA","cancel_url":"ANNA","return_url":"ANNA"`,
		`"destination_details":{"us_bank_transfer":{"reference":"ANNA"}},"receipt_number":"ANNA"`,
		`"memo":"ANNA","footer":"ANNA"`,
		`"identity":{"individual":{"given_name":"ANNA"}},"contact_phone":"ANNA","display_name":"ANNA"`,
		`"previous_attributes":{"name":"ANNA","individual_name":"ANNA"}`,
	} {
		e := &schemas.StripeEvent{ID: "evt_1", Body: []byte(`{"id":"evt_1","object":"event","request":{"idempotency_key":"ANNA"},"data":{
			"object":{"id":"ch_1","object":"charge","amount":4900,"customer":"cus_1","discount":{"source":{"coupon":"SPRING","type":"coupon"}},` + object + `}}}`)}
		redacted, changed := list.Event("default", e)
		body := string(redacted.Body)
		if !changed || strings.Contains(body, "ANNA") || strings.Contains(body, "cus_1") ||
			!strings.Contains(body, `"amount":4900`) ||
			!strings.Contains(body, `"source":{"coupon":"SPRING","type":"coupon"}`) || !json.Valid(redacted.Body) {
			t.Errorf("%s\nbecomes %s", object, body)
		}
	}
}

// A customer's id is taken out of the longer texts that contain it, and a buyer's id of the
// seller's from behind the workspace's own prefix; others' ids that contain or resemble them stay.
func TestNamesWithinTexts(t *testing.T) {
	list := erasedList(t)
	for body, want := range map[string]string{
		`{"fetched_from":"/v1/customers/cus_1"}`:                                      `"fetched_from":"/v1/customers/cus_erased_a"`,
		`{"related_object":{"id":"cus_1","url":"/v1/customers/cus_1"}}`:               `"related_object":{"id":"cus_erased_a"}`,
		`{"id":"evt_backfill_cus_1_created_77","data":{"object":{"id":"cus_1"}}}`:     `"id":"evt_backfill_cus_erased_a_created_77"`,
		`{"data":{"object":{"client_reference_id":"u-7"}}}`:                           `"client_reference_id":"u-erased_b"`,
		`{"data":{"object":{"client_reference_id":" 7"}}}`:                            `"client_reference_id":"erased_b"`,
		`{"data":{"object":{"metadata":{"pimmsCustomerId":"7","other":" 7 "}}}}`:      `"other":"erased_b","pimmsCustomerId":"erased_b"`,
		`{"data":{"object":{"client_reference_id":"u-77","customer":"cus_12"}}}`:      "",
		`{"data":{"object":{"client_reference_id":"order-7","note":"u-7"}}}`:          "",
		`{"data":{"object":{"client_reference_id":"","metadata":{"a":"see cus_1"}}}}`: `"a":"see cus_erased_a"`,
		`{"data":{"object":{"metadata":{"a":"cus_12 7"}}}}`:                           "",
	} {
		id := "evt_backfill_cus_1_created_77"
		redacted, changed := list.Event("default", &schemas.StripeEvent{ID: id, Body: []byte(body)})
		if got := string(redacted.Body); changed != (want != "") || !strings.Contains(got, want) ||
			changed == strings.Contains(redacted.ID, "cus_1") {
			t.Errorf("%s\nbecomes %s of %s, want %s", body, got, redacted.ID, want)
		}
	}
}

// An affiliate whose id is an e-mail address keeps the credit of an erased buyer's sale: the event
// is read again in a rebuild. The buyer's own addresses go, wherever they stand.
func TestAffiliateStays(t *testing.T) {
	list := new(List)
	list.names.Store(&map[key]string{{"default", hash("default", identity.New(identity.Customer, "cus_1"))}: "cus_erased"})
	for _, affiliate := range []string{"tributaryAffiliateId", "push_lap_affiliate_id", "referral_code"} {
		e := &schemas.StripeEvent{Body: []byte(`{"object":"event","data":{"object":{"customer":"cus_1","note":"bob@x.example",
			"metadata":{"` + affiliate + `":"ann@partner.example","buyer":"bob@x.example"},
			"customer_details":{"email":"bob@x.example"}}}}`)}
		redacted, changed := list.Event("default", e)
		if body := string(redacted.Body); !changed || !strings.Contains(body, `"`+affiliate+`":"ann@partner.example"`) ||
			strings.Contains(body, "bob@") {
			t.Errorf("%s", body)
		}
	}
}
