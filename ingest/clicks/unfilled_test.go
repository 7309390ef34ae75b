package clicks

import (
	"bytes"
	"strings"
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
		e.want(e.do("POST", "/v1/leads", `{"external_id":"u","email":"`+id+`@a.example"}`, secret), 400, "bad_unicode")
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

// What a stale cookie, an address or a browser fills in costs nobody a click: a visitor's is kept
// without it. A backend is told.
func TestOddFields(t *testing.T) {
	e := newEdge(t, func(c *Config) { c.Workspaces, _ = LoadWorkspaces("", "sk_test") })
	const secret = "Authorization: Bearer sk_test"
	long := strings.Repeat("x", 300)
	for field, odd := range map[string]string{"click_id": `"` + long + `"`, "visitor_id": `"` + long + `"`,
		"affiliate_id": `"` + long + `"`, "referrer": `false`, "visitor_id ": `false`, "click_id ": `{}`,
		"affiliate_id ": `[]`} {
		event := `{"url":"https://acme.example/","` + strings.TrimSpace(field) + `":` + odd + `}`
		e.want(e.do("POST", "/v1/click", event), 200, "")
		e.want(e.do("POST", "/v1/clicks", event), 200, "")
		for _, r := range e.records(2) {
			if c, err := schemas.DecodeClick(r); err != nil || c.ForeignId+c.VisitorId+c.AffiliateId+c.Referrer != "" {
				t.Errorf("%s: %v %v", field, c, err)
			}
		}
		if a := e.do("POST", "/v1/click", event, secret); a.StatusCode != 400 {
			t.Errorf("%s: a backend is answered %d", field, a.StatusCode)
		}
	}
	e.want(e.do("GET", "/v1/click.gif?url=https%3A%2F%2Facme.example%2F&visitor_id="+long, ""), 200, "")
	if c := e.nextClick(); c.VisitorId != "" {
		t.Errorf("the visitor is %q", c.VisitorId)
	}
	// An address that is too long loses its last parameters whole.
	page := "https://acme.example/?via=anna&utm_source=x&" + strings.Repeat("a=1234567890&", 700)
	for _, url := range []string{page, page + strings.Repeat("b", 20_000)} {
		e.want(e.do("POST", "/v1/click", `{"url":"`+url+`"}`), 200, "")
		if c := e.nextClick(); c.AffiliateId != "anna" || len(c.Url) > maxURL || !strings.HasSuffix(c.Url, "&a=1234567890") {
			t.Errorf("%d bytes are stored, %q", len(c.Url), c.Url[max(0, len(c.Url)-20):])
		}
		e.want(e.do("POST", "/v1/click", `{"url":"`+url+`"}`, secret), 400, "too_long")
	}
	e.nothing()
}

// A buyer's cookie costs nobody a lead or money, whoever passes it on.
func TestOddClickOfBuyer(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	for _, click := range []string{strings.Repeat("x", 300), "a\ufffdb"} {
		for path, body := range map[string]string{
			"/v1/leads":          `{"external_id":"u","click_id":"` + click + `"}`,
			"/track/lead":        `{"customerExternalId":"u","clickId":"` + click + `","eventName":"a"}`,
			"/track/sale":        `{"customerExternalId":"u","clickId":"` + click + `","amount":1}`,
			"/track/sale/client": `{"customerExternalId":"u","clickId":"` + click + `","amount":1}`,
			"/v1/movements":      `{"kind":"payment","id":"o","amount":1,"currency":"eur","click_id":"` + click + `"}`,
		} {
			e.want(e.do("POST", path, body, acme), 200, "")
			if r := e.records(1)[0]; bytes.Contains(r.Value, []byte(click)) {
				t.Errorf("%s: %s is stored", path, click)
			}
		}
	}
	e.nothing()
}
