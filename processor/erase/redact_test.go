package erase

import (
	"strings"
	"testing"

	"tributary/processor/identity"
	"tributary/schemas"
)

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
