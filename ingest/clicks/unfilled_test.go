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

// Whatever of an id could not be read is one character: two partners of such ids would be one, and
// so would two visitors, two links and two buyers. A visitor's click is kept without the id; a
// backend is told.
func TestUnreadableIDs(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk_test") })
	const secret = "Authorization: Bearer sk_test"
	for _, id := range []string{"a\xffb", `a\ud800b`, "a\xc0\xafb", "\xed\xa0\x80", "a\ufffdb"} {
		for _, field := range []string{"click_id", "visitor_id", "affiliate_id", "program_id", "link_id"} {
			event := `{"url":"https://acme.example/","` + field + `":"` + id + `"}`
			e.want(e.do("POST", "/v1/click", event, secret), 400, "bad_unicode")
			e.want(e.do("POST", "/v1/clicks", `[`+event+`]`), 200, "")
			e.want(e.do("POST", "/v1/click", event), 200, "")
			for _, r := range e.records(2) {
				c, err := schemas.DecodeClick(r)
				if err != nil || c.ForeignId+c.VisitorId+c.AffiliateId+c.ProgramId+c.LinkId != "" {
					t.Errorf("%s %q: %v %v", field, id, c, err)
				}
			}
		}
		e.want(e.do("POST", "/v1/click", `{"link_id":"`+id+`"}`), 400, "no_target")
		e.want(e.do("POST", "/v1/leads", `{"external_id":"u","click_id":"`+id+`"}`, secret), 400, "bad_unicode")
		e.want(e.do("POST", "/v1/leads", `{"external_id":"u","email":"`+id+`@a.example"}`, secret), 400, "bad_unicode")
		e.want(e.do("POST", "/track/sale/client", `{"customerExternalId":"u","amount":1,"clickId":"`+id+`"}`),
			400, "bad_request")
	}
	e.want(e.do("GET", "/v1/click.gif?url=https%3A%2F%2Facme.example%2F&affiliate_id=M%FCller", ""), 200, "")
	if c := e.nextClick(); c.AffiliateId != "" {
		t.Errorf("the affiliate of an address in Latin-1 is %q", c.AffiliateId)
	}
	e.want(e.do("GET", "/v1/click.gif?url=https%3A%2F%2Facme.example%2F&affiliate_id=M%C3%BCller", ""), 200, "")
	if c := e.nextClick(); c.AffiliateId != "Müller" {
		t.Errorf("the affiliate is %q", c.AffiliateId)
	}
	e.nothing()
}
