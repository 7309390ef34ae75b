package clicks

import (
	"bytes"
	"testing"

	"tributary/schemas"
)

// What a program writes where it has no id names nobody: neither one click for all, nor one
// visitor, nor one buyer, nor one payment.
func TestUnfilledIDs(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	for _, none := range []string{`"undefined"`, `" null "`, `"None"`, `"NaN"`, `"[object Object]"`, `"<nil>"`,
		`"0"`, `0`} {
		e.want(e.do("POST", "/v1/click", `{"url":"https://acme.example/","click_id":"`+string(bytes.Trim([]byte(none), `"`))+
			`","visitor_id":"undefined","affiliate_id":"null"}`, acme), 200, "")
		c, err := schemas.DecodeClick(e.records(1)[0])
		if err != nil || c.ForeignId != "" || c.VisitorId != "" || c.AffiliateId != "" {
			t.Errorf("%s: %v %v", none, c, err)
		}
		e.want(e.do("POST", "/v1/leads", `{"external_id":`+none+`}`, acme), 400, "bad_lead")
		e.want(e.do("POST", "/track/sale", `{"customerExternalId":`+none+`,"amount":1}`, acme), 400, "bad_request")
		e.want(e.do("POST", "/v1/leads", `{"click_id":`+none+`,"external_id":"u1"}`, acme), 200, "")
		if l, err := schemas.DecodeLead(e.records(1)[0]); err != nil || l.ClickRef != "" {
			t.Errorf("%s: %v %v", none, l, err)
		}
		e.want(e.do("POST", "/track/sale", `{"customerExternalId":"u1","amount":1,"invoiceId":`+none+`}`, acme),
			400, "bad_request")
	}
	e.want(e.do("POST", "/v1/movements", `{"kind":"payment","id":"undefined","amount":1,"currency":"eur"}`, acme),
		400, "bad_id")
	e.want(e.do("POST", "/v1/movements",
		`{"kind":"refund","id":"r","parent":"undefined","amount":1,"currency":"eur"}`, acme), 400, "bad_parent")
	e.want(e.do("POST", "/v1/movements",
		`{"kind":"payment","id":"o1","amount":1,"currency":"eur","customer_id":"undefined","subscription_id":"null",`+
			`"external_id":"NaN"}`, acme), 200, "")
	r, err := schemas.DecodeStripe(e.records(1)[0])
	if err != nil || bytes.Contains(r.Body, []byte("undefined")) || bytes.Contains(r.Body, []byte("null\"")) ||
		bytes.Contains(r.Body, []byte("NaN")) {
		t.Errorf("%s %v", r.Body, err)
	}
	e.nothing()
}
