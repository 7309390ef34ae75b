package clicks

import (
	"strings"
	"testing"

	"github.com/twmb/franz-go/pkg/kgo"

	"tributary/schemas"
)

// page is how Dub's script sends for acme.
var page = []string{"Origin: https://acme.example", "Authorization: Bearer pk_acme"}

func decodeLead(t *testing.T, r *kgo.Record) *schemas.Lead {
	t.Helper()
	l, err := schemas.DecodeLead(r)
	if err != nil {
		t.Fatal(err)
	}
	return l
}

// A deep link that opened an app is a click of its short link, under the id that the link carries.
func TestTrackOpen(t *testing.T) {
	e := newEdge(t, nil)
	for _, c := range []struct{ deepLink, link, foreign string }{
		{"https://Go.Acme.example/spring?utm_source=x&dub_id=aBcDeFgHiJ123456", "go.acme.example/spring", "aBcDeFgHiJ123456"},
		{"https://go.acme.example/", "go.acme.example/_root", ""},
		{"https://go.acme.example/a%20b/c?pimms_id=", "go.acme.example/a b/c", ""},
	} {
		a := e.do("POST", "/track/open", `{"deepLink":"`+c.deepLink+`","dubDomain":"go.acme.example"}`)
		e.want(a, 200, "")
		got := e.nextClick()
		if got.LinkId != c.link || got.Trigger != "deeplink" || got.ForeignId != c.foreign ||
			!strings.EqualFold(got.Url, c.deepLink) || got.Vouched {
			t.Errorf("%s: %v", c.deepLink, got)
		}
		if a.field(t, "clickId") != idText(got.ClickId) || a.field(t, "link", "id") != c.link ||
			a.field(t, "link", "domain")+"/"+a.field(t, "link", "key") != c.link || a.field(t, "link", "url") != got.Url {
			t.Errorf("%s: answer %s", c.deepLink, a.body)
		}
	}
	for _, body := range []string{`{}`, `{"dubDomain":"go.acme.example"}`, `{"deepLink":null}`, `{"deepLink":" "}`} {
		if a := e.do("POST", "/track/open", body); a.StatusCode != 200 || a.body != noOpen {
			t.Errorf("%s: %d %s", body, a.StatusCode, a.body)
		}
	}
	if a := e.do("POST", "/track/open", `{"deepLink":"https://go.acme.example/x"}`, "dub-no-track: 1"); a.body != noOpen {
		t.Errorf("opted out: %s", a.body)
	}
	e.nothing()
}

// What a page says of a lead is stored as such: it has an id of its own, so that it cannot stand
// where the backend's lead will, and its address is not hashed.
func TestTrackLeadClient(t *testing.T) {
	e := newEdge(t, func(c *Config) {
		twoWorkspaces(c)
		c.EmailKey = []byte("0123456789abcdef")
	})
	body := `{"clickId":"aBcDeFgHiJ123456","eventName":"Sign up","customerExternalId":"u1","customerName":"Ann",
		"customerEmail":"ann@acme.example","metadata":{"plan":"pro"}}`
	a := e.do("POST", "/track/lead/client", body, page...)
	e.want(a, 200, "")
	if a.field(t, "click", "id") != "aBcDeFgHiJ123456" || a.field(t, "customer", "externalId") != "u1" ||
		a.field(t, "customer", "name") != "Ann" || a.Header.Get("Access-Control-Allow-Origin") != "https://acme.example" {
		t.Errorf("%v %s", a.Header, a.body)
	}
	public := decodeLead(t, e.records(1)[0])
	if public.GetVouched() || public.Workspace != "acme" || public.ExternalId != "u1" ||
		public.ClickRef != "aBcDeFgHiJ123456" ||
		public.Mode != "async" || public.Metadata["plan"] != "pro" || len(public.EmailHash) > 0 {
		t.Errorf("lead %v", public)
	}
	e.want(e.do("POST", "/track/lead/client", body, page...), 200, "")
	if again := decodeLead(t, e.records(1)[0]); idText(again.LeadId) != idText(public.LeadId) {
		t.Error("the same lead has two ids")
	}
	e.want(e.do("POST", "/track/lead", body, acme), 200, "")
	backend := decodeLead(t, e.records(1)[0])
	if !backend.GetVouched() || idText(backend.LeadId) == idText(public.LeadId) || len(backend.EmailHash) == 0 {
		t.Errorf("the backend's lead %v", backend)
	}
	// A backend that calls the page's address is still a backend.
	e.want(e.do("POST", "/track/lead/client", body, acme), 200, "")
	if same := decodeLead(t, e.records(1)[0]); !same.GetVouched() || idText(same.LeadId) != idText(backend.LeadId) {
		t.Errorf("with the secret key: %v", same)
	}
	e.nothing()
}

// SDKs of all ages name the buyer, some under two names at once: a lead and a sale take the same
// one, whatever the order.
func TestBuyerByAnyName(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	for names, want := range map[string]string{
		`"customerExternalId":"u","externalId":"u","customerId":"u"`:  "u",
		`"customerId":"old","externalId":"v","customerExternalId":""`: "v",
		`"externalId":"v","customerExternalId":" u "`:                 "u",
		`"customerExternalId":"u","externalId":"v"`:                   "u",
		`"customerId":"old","externalId":null`:                        "old",
		`"customerExternalId":42,"customerId":"old"`:                  "42",
	} {
		for _, path := range []string{"/track/lead", "/track/sale"} {
			a := e.do("POST", path, `{`+names+`,"amount":100,"paymentProcessor":"stripe"}`, acme)
			e.want(a, 200, "")
			if l := decodeLead(t, e.records(1)[0]); l.ExternalId != want || a.field(t, "customer", "externalId") != want {
				t.Errorf("%s {%s}: %q, answered %s, want %q", path, names, l.ExternalId, a.body, want)
			}
		}
	}
	a := e.do("POST", "/track/sale", `{"customerExternalId":"u","externalId":"u","amount":100}`, acme)
	e.want(a, 200, "")
	if r := e.records(1)[0]; !strings.Contains(string(r.Value), `:"u"`) {
		t.Errorf("the sale is of %s", r.Value)
	}
	e.want(e.do("POST", "/track/sale", `{"customerExternalId":true,"amount":100}`, acme), 400, "")
}

// Languages write whole numbers with a fraction, and databases number their orders. The answer has
// the currency as Dub's does, in lower case.
func TestSaleOfAnyNotation(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	for _, fields := range []string{
		`"invoiceId":1001,"amount":4900,"currency":" EUR ","clickId":7`,
		`"invoiceId":"1001","amount":4.9e3,"currency":"Eur","clickId":"7"`,
		`"invoiceId":1001.0,"amount":4900,"currency":"eur","clickId":7.00`,
	} {
		a := e.do("POST", "/track/sale", `{"customerExternalId":"u",`+fields+`}`, acme)
		e.want(a, 200, "")
		if !strings.Contains(a.body, `"sale":{"amount":4900,"currency":"eur","invoiceId":"1001",`) {
			t.Errorf("{%s}: %s", fields, a.body)
		}
		if r := string(e.records(1)[0].Value); !strings.Contains(r, `"amount_total":4900,`) ||
			!strings.Contains(r, `"1001"`) {
			t.Errorf("{%s}: %s", fields, r)
		}
	}
	e.want(e.do("POST", "/track/sale", `{"customerExternalId":"u","amount":4900.5}`, acme), 400, "")
	e.nothing()
}

// A sale of Stripe's, and any that a page reports, is no payment: its names are kept as a deferred
// lead, and the answer has no sale.
func TestSaleClaims(t *testing.T) {
	e := newEdge(t, twoWorkspaces)
	body := `{"customerExternalId":"u1","clickId":"dub_id_aBcDeFgHiJ123456","amount":4900,"paymentProcessor":"stripe",
		"invoiceId":"in_1"}`
	ids := make(map[string]bool)
	for _, c := range []struct {
		path    string
		headers []string
		vouched bool
	}{
		{"/track/sale/client", page, false},
		{"/track/sale", []string{acme}, true},
	} {
		for _, processor := range []string{`"stripe"`, `" Stripe"`} {
			a := e.do("POST", c.path, strings.Replace(body, `"stripe"`, processor, 1), c.headers...)
			e.want(a, 200, "")
			if !strings.Contains(a.body, `"sale":null`) || a.field(t, "customer", "externalId") != "u1" ||
				a.field(t, "eventName") != "Purchase" {
				t.Errorf("%s: %s", c.path, a.body)
			}
			r := e.records(1)[0]
			l := decodeLead(t, r)
			ids[idText(l.LeadId)] = true
			if r.Topic != schemas.TopicLeads || l.GetVouched() != c.vouched || l.Mode != "deferred" || l.ExternalId != "u1" ||
				l.ClickRef != "aBcDeFgHiJ123456" || l.Metadata["amount"] != "4900" || l.Metadata["invoice_id"] != "in_1" {
				t.Errorf("%s: %s %v", c.path, r.Topic, l)
			}
		}
	}
	e.want(e.do("POST", "/track/sale/client", strings.Replace(body, "in_1", "in_2", 1), page...), 200, "")
	ids[idText(decodeLead(t, e.records(1)[0]).LeadId)] = true
	if len(ids) != 3 {
		t.Errorf("%d ids, want 3: one of the page, one of the backend, one of the other invoice", len(ids))
	}
	paddle := strings.NewReplacer("stripe", "paddle", "in_1", "order_1").Replace(body)
	e.want(e.do("POST", "/track/sale/client", paddle, page...), 200, "")
	if r := e.records(1)[0]; r.Topic != schemas.TopicLeads {
		t.Errorf("a page's sale is in %s", r.Topic)
	}
	e.nothing()
}
