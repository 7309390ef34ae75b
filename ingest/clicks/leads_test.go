package clicks

import (
	"bytes"
	"strings"
	"testing"

	"tributary/schemas"
)

// A hash that everybody can compute is as good as the address: without a key there is none.
func TestNoEmailHashWithoutKey(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	e.want(e.do("POST", "/v1/leads", `{"external_id":"u1","email":"anna@example.com"}`, "Authorization: Bearer sk_acme"),
		200, "")
	l, err := schemas.DecodeLead(e.records(1)[0])
	if err != nil || len(l.EmailHash) != 0 || strings.Contains(l.String(), "anna") {
		t.Errorf("lead %v, %v", l, err)
	}
	c := Default()
	if c.EmailKey = []byte("short"); c.Validate() == nil {
		t.Error("a key of five bytes is taken")
	}
}

func TestLeads(t *testing.T) {
	e := newEdge(t, func(c *Config) { twoWorkspaces(c); c.EmailKey = emailKey })
	auth := "Authorization: Bearer sk_acme"
	next := func() *schemas.Lead {
		t.Helper()
		r := e.records(1)[0]
		l, err := schemas.DecodeLead(r)
		if err != nil {
			t.Fatal(err)
		}
		if r.Topic != schemas.TopicLeads || string(r.Key) != l.ExternalId {
			t.Errorf("topic %s, key %q", r.Topic, r.Key)
		}
		return l
	}
	a := e.do("POST", "/v1/leads",
		`{"click_id":"abc","external_id":"u1","event_name":"Sign Up","email":" Anna@Example.com ","mode":"wait","quantity":3,"metadata":{"plan":"pro","seats":5}}`, auth)
	e.want(a, 200, "")
	if a.Header.Get("Access-Control-Allow-Origin") != "" {
		t.Error("leads are not for browsers")
	}
	l := next()
	if !l.GetVouched() || l.Workspace != "acme" || l.ClickRef != "abc" || l.EventName != "Sign Up" || l.Mode != "wait" ||
		l.Quantity != 3 || l.Metadata["plan"] != "pro" || l.Metadata["seats"] != "5" || l.ReceivedAt == 0 {
		t.Errorf("lead %v", l)
	}
	if !bytes.Equal(l.EmailHash, schemas.EmailHash(emailKey, "acme", "anna@example.com")) || len(l.EmailHash) != 16 ||
		strings.Contains(strings.ToLower(l.String()), "example.com") {
		t.Errorf("email hash %x", l.EmailHash)
	}
	if a.field(t, "lead_id") != idText(l.LeadId) {
		t.Errorf("answered %s, stored %s", a.body, idText(l.LeadId))
	}
	// Sent again, as an SDK would: the same lead.
	b := e.do("POST", "/track/lead",
		`{"clickId":"dub_id_abc","customerExternalId":"u1","eventName":"sign up","customerName":"Anna","customerEmail":"anna@example.com","customerAvatar":null,"eventQuantity":1,"metadata":null}`, auth)
	e.want(b, 200, "")
	if again := next(); !bytes.Equal(again.LeadId, l.LeadId) || again.Mode != "async" || again.Quantity != 1 ||
		again.ClickRef != "abc" {
		t.Errorf("lead sent twice: %x and %x", again.LeadId, l.LeadId)
	}
	if b.field(t, "click", "id") != "abc" || b.field(t, "customer", "externalId") != "u1" ||
		b.field(t, "customer", "email") != "anna@example.com" || !strings.Contains(b.body, `"link":null`) {
		t.Errorf("answer %s", b.body)
	}
	e.want(e.do("POST", "/v1/leads", `{"external_id":7.0,"click_id":1e5,"quantity":3.0}`, auth), 200, "")
	if l := next(); l.ExternalId != "7" || l.Quantity != 3 || l.EventName != "Sign up" || l.ClickRef != "100000" ||
		len(l.EmailHash) != 0 {
		t.Errorf("lead %v", l)
	}
	e.want(e.do("POST", "/v1/leads",
		"\ufeff"+`{"external_id":" u8 ","click_id":"\tabc\n","event_name":" Demo ","quantity":"2","metadata":{"a":[1, 2],"b":null,"c":" x "}}`, auth, "Content-Encoding: identity"), 200, "")
	if l := next(); l.ExternalId != "u8" || l.ClickRef != "abc" || l.EventName != "Demo" || l.Quantity != 2 ||
		l.Metadata["a"] != "[1,2]" || l.Metadata["b"] != "null" || l.Metadata["c"] != " x " {
		t.Errorf("lead %v", l)
	}
	// An import says when the lead was; a browser says nothing of it.
	for text, want := range map[string]int64{`"2024-01-11T10:00:00Z"`: 1704967200000, `1704967200000`: 1704967200000,
		`""`:   0,
		`null`: 0} {
		e.want(e.do("POST", "/track/lead", `{"customerExternalId":"u9","eventTime":`+text+`}`, auth), 200, "")
		if l := next(); l.OccurredAt != want || l.ReceivedAt == want {
			t.Errorf("event time %s: lead %v", text, l)
		}
	}
	e.want(e.do("POST", "/track/lead/client", `{"customerExternalId":"u9","event_time":1704967200000}`,
		"Authorization: Bearer pk_acme", "Origin: https://acme.example"), 200, "")
	if l := next(); l.OccurredAt != 0 || l.GetVouched() {
		t.Errorf("a browser dates a lead: %v", l)
	}
	for body, code := range map[string]string{
		`{"external_id":"u","event_time":1704967200}`:             "bad_time",
		`{"external_id":"u","event_time":"yesterday"}`:            "bad_time",
		`{"external_id":"u","event_time":"1970-01-01T00:00:00Z"}`: "bad_time",
		`{"external_id":"u","event_time":"0001-01-01T00:00:00Z"}`: "bad_time",
		`{"external_id":"u","event_time":"2199-01-01T00:00:00Z"}`: "bad_time",
		`{"external_id":"u","event_time":["2024"]}`:               "bad_field",
		`{"click_id":"x"}`:                                                                "bad_lead",
		`{"external_id":"u","mode":"sometimes"}`:                                          "bad_mode",
		`{"external_id":"M\ud800ller"}`:                                                   "bad_unicode",
		"{\"external_id\":\"M\xfcller\"}":                                                 "bad_unicode",
		`{"external_id":"u","quantity":0}`:                                                "bad_quantity",
		`{"external_id":"u","quantity":101}`:                                              "bad_quantity",
		`{"external_id":"u","quantity":"101"}`:                                            "bad_quantity",
		`{"external_id":"u","quantity":"two"}`:                                            "bad_quantity",
		`{"external_id":"u","quantity":1.5}`:                                              "bad_quantity",
		`{"external_id":"u","quantity":true}`:                                             "bad_quantity",
		`{"external_id":"  "}`:                                                            "bad_lead",
		`{"external_id":"u","metadata":"x"}`:                                              "bad_metadata",
		`{"external_id":"u","metadata":{"a":"` + strings.Repeat("x", maxMetadata) + `"}}`: "bad_metadata",
		`{"external_id":["u"]}`:                                                           "bad_field",
		`{"external_id":"` + strings.Repeat("u", 201) + `"}`:                              "too_long",
		`"u"`: "bad_json",
		`{`:   "bad_json",
	} {
		e.want(e.do("POST", "/v1/leads", body, auth), 400, code)
	}
	e.want(e.do("POST", "/v1/leads", `{"external_id":"u"}`, "Authorization: Bearer pk_acme"), 401, "unknown_secret_key")
	e.want(e.do("POST", "/track/lead", `{"customerExternalId":"u"}`), 401, "unauthorized")
	e.nothing()
}
